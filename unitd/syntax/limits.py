"""Resource limits SOFT[:HARD], each kind with its own unit (systemd.exec(5), setrlimit(2))."""

from typing import Final

from . import words
from .errors import Bad
from .integers import UINT64, parse_unsigned
from .sizes import parse_size_iec
from .spans import INFINITY, SECOND, parse_span

LIMITS: Final = (
    "CPU",
    "FSIZE",
    "DATA",
    "STACK",
    "CORE",
    "RSS",
    "NOFILE",
    "AS",
    "NPROC",
    "MEMLOCK",
    "LOCKS",
    "SIGPENDING",
    "MSGQUEUE",
    "NICE",
    "RTPRIO",
    "RTTIME",
)
_SIZES: Final = frozenset(["FSIZE", "DATA", "STACK", "CORE", "RSS", "AS", "MEMLOCK", "MSGQUEUE"])
_NICE_LEVELS: Final = 20


def parse_rlimit(kind: str, text: str) -> tuple[int, int]:
    """Soft and hard limit, INFINITY for none; kind as in Limit{kind}=; raises Bad.

    CPU is in seconds, RTTIME in microseconds, NICE as the kernel counts it (20 minus the nice level).
    """
    if not text:
        raise Bad("a limit is missing")
    first, rest = words.first_word(text, 0, words.DONT_COALESCE_SEPARATORS, ":")
    soft = _parse_one(kind, first or "")
    hard = soft
    if rest is not None:
        second, rest = words.first_word(text, rest, words.DONT_COALESCE_SEPARATORS, ":")
        hard = _parse_one(kind, second or "")
        if rest is not None and rest < len(text):
            raise Bad(f"{text!r} has more than a soft and a hard limit")
    if soft > hard:
        raise Bad(f"the soft limit in {text!r} is above the hard one")
    return soft, hard


def _parse_one(kind: str, text: str) -> int:
    if kind == "NICE":
        return _parse_nice(text)
    if text == "infinity":
        return INFINITY
    if kind == "CPU":
        span = parse_span(text)
        return INFINITY if span == INFINITY else -(-span // SECOND)
    if kind == "RTTIME":
        return parse_span(text, 1)
    if kind in _SIZES:
        size = parse_size_iec(text)
        if size == INFINITY:
            raise Bad(f"{text!r} is too large for a limit")
        return size
    return parse_unsigned(text, UINT64 - 1)


def _parse_nice(text: str) -> int:
    """A nice level when signed, else the limit itself."""
    if text[:1] == "+":
        return _NICE_LEVELS - parse_unsigned(text[1:], _NICE_LEVELS - 1)
    if text[:1] == "-":
        return _NICE_LEVELS + parse_unsigned(text[1:], _NICE_LEVELS)
    return parse_unsigned(text, 2 * _NICE_LEVELS)
