"""Integers written as C programs read them: leading blanks, signs, and the prefixes 0x, 0b, 0o and 0."""

import re
from typing import Final

from .errors import Bad

UINT64: Final = 2**64 - 1

_ANY_RADIX = re.compile(r"[ \t\n\v\f\r]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0o([0-7]+)|(0[0-7]*)|([1-9][0-9]*))")
_OCTAL = re.compile(r"[ \t\n\v\f\r]*([0-7]+)")
_RADICES: Final = (16, 2, 8, 8, 10)
_MOST_DIGITS: Final = 64


def parse_integer(text: str, low: int, high: int) -> int:
    """An integer between two bounds, both allowed; raises Bad."""
    found = _ANY_RADIX.fullmatch(text)
    if found is None:
        raise Bad(f"{text!r} is not a whole number")
    sign, *digits = found.groups()
    number = next(whole(written, radix) for written, radix in zip(digits, _RADICES, strict=True) if written is not None)
    number = -number if sign == "-" else number
    if not low <= number <= high:
        raise Bad(f"{text!r} is not between {low} and {high}")
    return number


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
