"""Lengths of time: text to microseconds and back.

A year is 365.25 days and a month a twelfth of it. Rules: systemd.time(7), checked against systemd 252.
"""

import re
from typing import Final

from .errors import Bad
from .integers import whole

INFINITY: Final = 2**64 - 1

MILLISECOND: Final = 1000
SECOND: Final = 1000 * MILLISECOND
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
YEAR: Final = 31_557_600 * SECOND
MONTH: Final = YEAR // 12

_UNITS: Final = {
    **dict.fromkeys(("usec", "us", "\u00b5s", "\u03bcs"), 1),
    **dict.fromkeys(("msec", "ms"), MILLISECOND),
    **dict.fromkeys(("seconds", "second", "sec", "s"), SECOND),
    **dict.fromkeys(("minutes", "minute", "min", "m"), MINUTE),
    **dict.fromkeys(("hours", "hour", "hr", "h"), HOUR),
    **dict.fromkeys(("days", "day", "d"), DAY),
    **dict.fromkeys(("weeks", "week", "w"), WEEK),
    **dict.fromkeys(("months", "month", "M"), MONTH),
    **dict.fromkeys(("years", "year", "y"), YEAR),
}
_SHOWN: Final = (
    ("y", YEAR),
    ("month", MONTH),
    ("w", WEEK),
    ("d", DAY),
    ("h", HOUR),
    ("min", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
    ("us", 1),
)
_LARGEST_NUMBER: Final = 2**63 - 1

_PART = re.compile(
    r"(?:[ \t\n\r\v\f]*\+?([0-9]+)(?:\.([0-9]+))?|[ \t\n\r]*\.([0-9]+))(?:([ \t\n\r]*)("
    + "|".join(sorted(_UNITS, key=len, reverse=True))
    + r")|([ \t\n\r]+)|(?=\Z))"
)
_BLANKS: Final = " \t\n\r"


def parse_span(text: str, unit: int = SECOND) -> int:
    """Microseconds, INFINITY for "infinity"; `unit` is that of a bare number; raises Bad (systemd.time)."""
    if text.isdecimal() and text.isascii() and len(text) < 10:
        return int(text) * unit
    stripped = text.strip(_BLANKS)
    if stripped == "infinity":
        return INFINITY
    if not stripped:
        raise Bad("a length of time is missing")
    total = position = 0
    while position < len(stripped):
        found = _PART.match(stripped, position)
        if found is None:
            raise Bad(f"{text!r} is not a length of time")
        position = found.end()
        multiplier = _UNITS[found[5]] if found[5] else unit
        number = whole(found[1] or "0")
        if number > _LARGEST_NUMBER or number >= INFINITY // multiplier:
            raise Bad(f"{text!r} is too long a time")
        total += number * multiplier + _fraction(found[2] or found[3] or "", multiplier)
        if total >= INFINITY:
            raise Bad(f"{text!r} is too long a time")
    return total


def parse_span_zero_is_infinity(text: str) -> int:
    """As parse_span; zero means INFINITY (TimeoutStopSec=)."""
    return parse_span(text) or INFINITY


def parse_span_empty_is_infinity(text: str) -> int:
    """As parse_span; nothing means INFINITY (JobRunningTimeoutSec=)."""
    return parse_span(text) if text.strip(_BLANKS) else INFINITY


def format_span(span: int, accuracy: int = 1) -> str:
    """The length in words that parse_span reads, no finer than accuracy, both in microseconds."""
    if span == INFINITY:
        return "infinity"
    if span <= 0:
        return "0"
    shown: list[str] = []
    for name, unit in _SHOWN:
        if span <= 0 or (span < accuracy and shown):
            break
        if span < unit:
            continue
        count, rest = divmod(span, unit)
        if span < MINUTE and rest > 0:
            finer = _digits(unit) - _digits(accuracy)
            rest //= 10 ** _digits(accuracy)
            if finer > 0:
                shown.append(f"{count}.{rest:0{finer}}{name}")
                break
        shown.append(f"{count}{name}")
        span = rest
    return " ".join(shown)


def _fraction(digits: str, multiplier: int) -> int:
    """The decimals of a number times its unit, each digit rounded down by itself."""
    total = 0
    for digit in digits:
        multiplier //= 10
        if not multiplier:
            break
        total += int(digit) * multiplier
    return total


def _digits(number: int) -> int:
    """How often a number can be divided by ten before it is at most 1."""
    count = 0
    while number > 1:
        number //= 10
        count += 1
    return count
