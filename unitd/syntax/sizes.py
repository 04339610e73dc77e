"""Numbers of bytes, access modes, percentages and yes or no (systemd.unit(5), systemd.exec(5))."""

import re
from typing import Final

from .errors import Bad
from .integers import UINT64, parse_integer, parse_octal, whole

_TRUE: Final = frozenset(("1", "yes", "y", "true", "t", "on"))
_FALSE: Final = frozenset(("0", "no", "n", "false", "f", "off"))
_PREFIXES: Final = ("E", "P", "T", "G", "M", "K", "B", "")
_POWERS: Final = (6, 5, 4, 3, 2, 1, 0, 0)
_PART = re.compile(r"[ \t\n\r\v\f]*\+?([0-9]+)(?:\.([0-9]*))?[ \t\n\r]*([EPTGMKB]?)")


def parse_bool(text: str) -> bool:
    """True for 1 yes y true t on, False for 0 no n false f off, in any case; raises Bad."""
    folded = text.lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise Bad(f"{text!r} is neither yes nor no")


def parse_size_iec(text: str) -> int:
    """Bytes, where K is 1024; raises Bad."""
    return _parse_size(text, 1024)


def parse_size_si(text: str) -> int:
    """Bytes, where K is 1000; raises Bad."""
    return _parse_size(text, 1000)


def parse_mode(text: str) -> int:
    """An octal access mode, at most 7777; raises Bad."""
    return parse_octal(text, 0o7777)


def parse_percent(text: str) -> int:
    """0 to 100, written with a percent sign; raises Bad."""
    if not text.endswith("%"):
        raise Bad(f"{text!r} is not a percentage")
    return parse_integer(text[:-1], 0, 100)


def _parse_size(text: str, base: int) -> int:
    """A sum of numbers, each with a smaller unit than the one before."""
    total = position = first_unit = 0
    while True:
        found = _PART.match(text, position)
        if found is None or found[3] not in _PREFIXES[first_unit:]:
            raise Bad(f"{text!r} is not a size")
        position = found.end()
        unit = _PREFIXES.index(found[3])
        factor = base ** _POWERS[unit]
        number, part = whole(found[1]), _decimals(found[2] or "")
        if number + (part > 0) > UINT64 // factor:
            raise Bad(f"{text!r} is too large")
        total += number * factor + int(part * factor)
        if total > UINT64:
            raise Bad(f"{text!r} is too large")
        first_unit = unit + 1
        if position == len(text):
            return total


def _decimals(digits: str) -> float:
    """The digits after a decimal point as a number below one."""
    value = whole(digits)
    if value > UINT64:
        raise Bad("too many decimals")
    part = float(value)
    for _ in digits:
        part /= 10
    return part
