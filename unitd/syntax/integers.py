"""Integers written as C programs read them: leading blanks, signs, and the prefixes 0x, 0b, 0o and 0."""

import re
from typing import Final

from .errors import Bad

UINT64: Final = 2**64 - 1

_BLANK = r"[ \t\n\v\f\r]*"
_PLAIN = re.compile(_BLANK + r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")
_PREFIXED = re.compile(rf"[ \t\n\r]*0(?:[bB]{_BLANK}([+-]?)([01]+)|[oO]{_BLANK}([+-]?)([0-7]+))")
_OCTAL = re.compile(_BLANK + r"([0-7]+)")
_MOST_DIGITS: Final = 64


def parse_integer(text: str, low: int, high: int) -> int:
    """An integer between two bounds, both allowed; raises Bad."""
    if found := _PLAIN.fullmatch(text):
        sign, hexadecimal, octal, decimal = found.groups()
        number = whole(hexadecimal, 16) if hexadecimal else whole(octal, 8) if octal else whole(decimal)
    elif found := _PREFIXED.fullmatch(text):
        number = whole(found[2], 2) if found[2] else whole(found[4], 8)
        sign = found[1] or found[3]
    else:
        raise Bad(f"{text!r} is not a whole number")
    number = -number if sign == "-" else number
    if not low <= number <= high:
        raise Bad(f"{text!r} is not between {low} and {high}")
    return number


def parse_unsigned(text: str, high: int = UINT64) -> int:
    """An integer from 0 to a bound, which is allowed; raises Bad."""
    return parse_integer(text, 0, high)


def whole(digits: str, radix: int = 10) -> int:
    """The value of a run of digits; one too long for any C integer raises Bad."""
    if len(digits) > _MOST_DIGITS:
        digits = digits.lstrip("0")
        if len(digits) > _MOST_DIGITS:
            raise Bad("too many digits")
    return int(digits or "0", radix)


def parse_octal(text: str, high: int) -> int:
    """An octal number without sign, at most high; raises Bad."""
    found = _OCTAL.fullmatch(text)
    if found is None:
        raise Bad(f"{text!r} is not an octal number")
    number = whole(found[1], 8)
    if number > high:
        raise Bad(f"{text!r} is above {high:o}")
    return number
