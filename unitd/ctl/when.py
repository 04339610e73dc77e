"""Times for people: stamps in local time, how long ago, and the times that --since takes (systemd.time(7))."""

import time
from typing import Final

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
MONTH: Final = 2_629_800 * SECOND
YEAR: Final = 31_557_600 * SECOND

_FORMATS: Final = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S", "%H:%M")


def stamp(realtime: int) -> str:
    """Microseconds since the epoch as "Mon 2022-11-14 18:06:26 UTC", in local time."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S %Z", time.localtime(realtime // SECOND))


def short_stamp(realtime: int) -> str:
    """Microseconds since the epoch as "Nov 14 18:06:26", as in a log."""
    return time.strftime("%b %d %H:%M:%S", time.localtime(realtime // SECOND))


def ago(realtime: int, now: int | None = None) -> str:
    """How long ago it was: "2min 3s ago"; what is to come is "left"."""
    length = (time.time_ns() // 1000 if now is None else now) - realtime
    return f"{_rough(abs(length))} {'left' if length < 0 else 'ago'}"


def _rough(length: int) -> str:
    """A length in its two largest units."""
    for unit, below, names in (
        (YEAR, MONTH, ("year", "month")),
        (MONTH, DAY, ("month", "day")),
        (WEEK, DAY, ("week", "day")),
    ):
        if length >= unit:
            return f"{_count(length // unit, names[0])} {_count(length % unit // below, names[1])}"
    if length >= 2 * DAY:
        return _count(length // DAY, "day")
    if length >= DAY:
        return f"1 day {length % DAY // HOUR}h"
    if length >= HOUR:
        return f"{length // HOUR}h {length % HOUR // MINUTE}min"
    if length >= MINUTE:
        return f"{length // MINUTE}min {length % MINUTE // SECOND}s"
    if length >= SECOND:
        return f"{length // SECOND}s"
    return f"{length // 1000}ms" if length >= 1000 else f"{length}us"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" + ("" if number == 1 else "s")


def parse_since(text: str, now: int) -> int:
    """A time for --since as microseconds since the epoch; raises ValueError. Rules: systemd.time(7), timestamps."""
    from unitd.syntax.spans import parse_span

    word = text.strip()
    day = time.localtime(now // SECOND)[:3]
    days = {"today": 0, "yesterday": -1, "tomorrow": 1}
    if word == "now":
        return now
    if word in days:
        return _local((day[0], day[1], day[2] + days[word], 0, 0, 0))
    if word.startswith("@"):
        return int(float(word[1:]) * SECOND)
    if word.startswith(("-", "+")):
        return now + (parse_span(word[1:]) if word[0] == "+" else -parse_span(word[1:]))
    if word.endswith(" ago"):
        return now - parse_span(word.removesuffix(" ago"))
    return _calendar(word, day)


def _calendar(word: str, day: tuple[int, ...]) -> int:
    for form in _FORMATS:
        try:
            found = time.strptime(word, form)
        except ValueError:
            continue
        date = found[:3] if form[1] == "Y" else day
        return _local((*date, *found[3:6]))
    raise ValueError(f"cannot take {word!r} as a time: try 2026-01-31 12:00, 12:00, today, yesterday, -1h, '10min ago'")


def _local(fields: tuple[int, ...]) -> int:
    year, month, day, hour, minute, second = fields
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1))) * SECOND
