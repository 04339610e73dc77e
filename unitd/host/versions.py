"""The order of versions (UAPI.10 Version Format Specification), and tests such as `>=5.10`."""

import fnmatch
import re
from collections.abc import Callable
from typing import Final

_SKIPPED = re.compile(r"[^A-Za-z0-9~\-^.]*")
_LETTERS = re.compile(r"[A-Za-z]*")
_DIGITS = re.compile(r"[0-9]*")

_ORDERS: Final[tuple[tuple[str, Callable[[int], bool]], ...]] = (
    ("<=", lambda order: order <= 0),
    (">=", lambda order: order >= 0),
    ("<", lambda order: order < 0),
    (">", lambda order: order > 0),
    ("=", lambda order: order == 0),
    ("!=", lambda order: order != 0),
)
_GLOBS: Final = (("$=", True), ("!$=", False))


def compare(left: str, right: str) -> int:
    """Below, at or above 0: `left` is older than, as old as, or newer than `right`."""
    a, b = left, right
    while True:
        a, b = a[_end(_SKIPPED, a) :], b[_end(_SKIPPED, b) :]
        if (order := _separator("~", a, b)) is not None:
            if order:
                return order
            a, b = a[1:], b[1:]
            continue
        if not a or not b:
            return bool(a) - bool(b)
        for separator in "-^.":
            order = _separator(separator, a, b)
            if order is not None:
                break
        if order is not None:
            if order:
                return order
            a, b = a[1:], b[1:]
            continue
        numeric = a[0].isdecimal() or b[0].isdecimal()
        run = _DIGITS if numeric else _LETTERS
        at, bt = _end(run, a), _end(run, b)
        order = _by_number(a[:at], b[:bt]) if numeric else (a[:at] > b[:bt]) - (a[:at] < b[:bt])
        if order:
            return order
        a, b = a[at:], b[bt:]


def operator(text: str) -> tuple[Callable[[int], bool] | None, str]:
    """The test that the text begins with, on the sign of a comparison, and what follows; None: it has none."""
    for sign, test in _ORDERS:
        if text.startswith(sign):
            return test, text[len(sign) :]
    return None, text


def matches(actual: str, test: str) -> bool | None:
    """Whether `actual` passes a test such as `>=1.2` or `$=1.*`; None when the test has no operator or no value."""
    for sign, wanted in _GLOBS:
        if test.startswith(sign):
            pattern = test[len(sign) :]
            return (fnmatch.fnmatchcase(actual, pattern) == wanted) if pattern else None
    order, value = operator(test)
    if order is None or not value or value[0].isspace():
        return None
    return order(compare(actual, value))


def _separator(sign: str, a: str, b: str) -> int | None:
    """The order where one of them goes on with `sign`, which comes before anything else; None where neither does."""
    first, second = a.startswith(sign), b.startswith(sign)
    return second - first if first or second else None


def _by_number(a: str, b: str) -> int:
    a, b = a.lstrip("0"), b.lstrip("0")
    left, right = (len(a), a), (len(b), b)
    return (left > right) - (left < right)


def _end(run: re.Pattern[str], text: str) -> int:
    found = run.match(text)
    return found.end() if found else 0
