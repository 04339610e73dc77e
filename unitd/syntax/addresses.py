"""Addresses that sockets listen on: paths, abstract names, ports, IP addresses, vsock (systemd.socket(5))."""

import ipaddress
import re
from typing import Final, Literal

from msgspec import Struct

from .errors import Bad
from .escapes import escape_all
from .integers import parse_integer, parse_unsigned

LONGEST_UNIX_PATH: Final = 107
ANY_CID: Final = 2**32 - 1

_ANY_IPV6: Final = "::"
_IP = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([^:%]*)(?:%([^/:%\s]{1,15}))?")


class ListenAddress(Struct, frozen=True):
    """Where to listen; str() is its canonical form.

    `host` is the path for unix ("@" begins an abstract name), the IP address, or the CID for vsock; `port` is 0 for
    unix; `interface` is the name or number of a link-local scope, or "". A bare port is any IPv6 address.
    """

    family: Literal["unix", "inet", "inet6", "vsock"]
    host: str
    port: int = 0
    interface: str = ""

    def __str__(self) -> str:
        match self.family:
            case "unix":
                return escape_all(self.host)
            case "inet":
                return f"{self.host}:{self.port}"
            case "inet6":
                scope = f"%{self.interface}" if self.interface else ""
                return f"[{self.host}]:{self.port}{scope}"
            case "vsock":
                return f"vsock:{self.host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """The address that ListenStream= and its kin name; raises Bad."""
    if text[:1] in ("/", "@"):
        return _unix(text)
    if text.startswith("vsock:"):
        return _vsock(text)
    if ":" not in text:
        return ListenAddress("inet6", _ANY_IPV6, _port(text))
    return _internet(text)


def _unix(text: str) -> ListenAddress:
    if len(text) < 2:
        raise Bad("the name of a socket is missing")
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST_UNIX_PATH:
        raise Bad(f"the name of a socket is longer than {LONGEST_UNIX_PATH} bytes")
    return ListenAddress("unix", text)


def _vsock(text: str) -> ListenAddress:
    cid, colon, port = text.removeprefix("vsock:").partition(":")
    if not colon:
        raise Bad(f"{text!r} has no port")
    number = parse_unsigned(cid, ANY_CID) if cid else ANY_CID
    return ListenAddress("vsock", "" if number == ANY_CID else str(number), parse_unsigned(port, ANY_CID))


def _internet(text: str) -> ListenAddress:
    found = _IP.fullmatch(text)
    if found is None:
        raise Bad(f"{text!r} is not an address and a port")
    inside, outside, port, interface = found.groups()
    try:
        if inside is None:
            return ListenAddress("inet", str(ipaddress.IPv4Address(outside)), _port(port))
        address = ipaddress.IPv6Address(inside)
    except ValueError:
        raise Bad(f"{text!r} is not an address and a port") from None
    return ListenAddress("inet6", _ipv6_text(address), _port(port), interface or "")


def _port(text: str) -> int:
    if text[:1].isspace():
        raise Bad(f"{text!r} is not a port")
    return parse_integer(text, 1, 65535)


def _ipv6_text(address: ipaddress.IPv6Address) -> str:
    """As the C library prints it: an IPv4 address in the last 32 bits stays dotted."""
    number = int(address)
    if number >> 32 in (0, 0xFFFF) and number > 0xFFFF:
        mapped = "ffff:" if number >> 32 else ""
        return f"::{mapped}{ipaddress.IPv4Address(number & 0xFFFFFFFF)}"
    return address.compressed
