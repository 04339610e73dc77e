"""What a unit says is its own: ports ([ADDRESS:]PORT[/udp]) and programs (a glob on the path, then words).

A claim without an address is about all of them, and one on any address holds every address of its port. An IPv4
address inside an IPv6 one is that IPv4 address: a socket for both hears both (ipv6(7)).
"""

import ipaddress
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from . import words
from .errors import Bad
from .integers import parse_integer

Protocol: TypeAlias = Literal["tcp", "udp"]
_WILD: Final = "*?["


class Port(Struct, frozen=True):
    """One port; `address` "" is any. str() is its canonical form."""

    number: int
    protocol: Protocol = "tcp"
    address: str = ""

    def __str__(self) -> str:
        host = f"[{self.address}]:" if ":" in self.address else f"{self.address}:" if self.address else ""
        return f"{host}{self.number}/{self.protocol}"

    def is_held_by(self, other: "Port") -> bool:
        """Whether a socket that listens on `other` is in the way of one that wants to listen here."""
        same = (self.number, self.protocol) == (other.number, other.protocol)
        return same and (_covers(self.address, other.address) or _covers(other.address, self.address))


class ProcessFilter(Struct, frozen=True):
    """Programs by the absolute path of what runs (/proc/PID/exe), and by words of the command line, in their order."""

    glob: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.glob, *self.words))

    @property
    def fixed(self) -> str:
        """The part of the glob's directories, without a slash at the end, that holds no wildcard."""
        parts = self.glob.split("/")
        wild = next((at for at, part in enumerate(parts) if any(letter in part for letter in _WILD)), len(parts))
        return "/".join(parts[:wild])

    def matches(self, program: str, arguments: Sequence[str]) -> bool:
        """Whether the path fits the glob, whose * is any text, and each word is an argument after the one before."""
        if not fnmatchcase(program, self.glob):
            return False
        rest = iter(arguments)
        return all(any(word == argument for argument in rest) for word in self.words)


def parse_port(text: str) -> Port:
    """One word of Ports=; raises Bad."""
    place, slash, protocol = text.partition("/")
    if slash and protocol not in ("tcp", "udp"):
        raise Bad(f"{protocol!r} is neither tcp nor udp")
    host, colon, number = place.rpartition(":")
    if colon and not host:
        raise Bad(f"{text!r} has no address before the colon")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    try:
        address = plain_address(bare) if host else ""
    except ValueError:
        raise Bad(f"{host!r} is not an IP address") from None
    if host and (":" in bare) is (bare == host):
        raise Bad(f"{host!r} is not an IP address: those of IPv6, and no others, stand in brackets")
    return Port(parse_integer(number, 1, 65535), "udp" if protocol == "udp" else "tcp", address)


def plain_address(text: str) -> str:
    """The IP address in its canonical form, an IPv4 one inside an IPv6 one taken out of it; ValueError."""
    address = ipaddress.ip_address(text)
    inside = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(inside or address)


def _covers(wide: str, narrow: str) -> bool:
    if wide == "0.0.0.0":
        return ":" not in narrow
    return wide in ("", "::", narrow)


def parse_process_filter(text: str) -> ProcessFilter:
    """A line of ProcessFilter=; raises Bad."""
    found = words.split(text, words.UNQUOTE | words.CUNESCAPE | words.UNESCAPE_RELAX)
    if not found:
        raise Bad("it names no program")
    if not found[0].startswith("/"):
        raise Bad(f"{found[0]!r} is not an absolute path, nor a glob of one")
    return ProcessFilter(found[0], tuple(found[1:]))
