"""The verb logs: what units printed, and what came since."""

import time
from typing import Any, Final, NamedTuple

from unitd.ctl.connection import Refused
from unitd.ctl.options import Usage
from unitd.ctl.pager import page
from unitd.ctl.session import Session
from unitd.ctl.terminal import printable, say
from unitd.ctl.when import parse_since, short_stamp

DEFAULT_LINES: Final = 1000
FOLLOW_LINES: Final = 10
ALL: Final = 2**32 - 1
NO_SUCH_UNIT: Final = 4
TICK_S: Final = 0.25
"""The daemon has no signal for a new line, so following asks again."""


class Line(NamedTuple):
    """One line of a unit's log: when (microseconds since the epoch), by which program and pid, and what."""

    time: int
    program: str
    pid: int
    text: str

    def rendered(self, output: str = "") -> str:
        """As the logs verb prints it."""
        if output == "cat":
            return printable(self.text)
        pid = f"[{self.pid}]" if self.pid else ""
        return f"{short_stamp(self.time)} {self.program}{pid}: {printable(self.text)}"

    def as_json(self, unit: str) -> dict[str, Any]:
        return {"time_us": self.time, "unit": unit, "program": self.program, "pid": self.pid, "line": self.text}


def lines_of(session: Session, unit: str, lines: int, since: int = 0) -> list[Line]:
    """The last lines that a unit printed at or after an instant; raises Refused."""
    return [Line(*row) for row in session.link.manager("GetLogs", "sut", unit, lines, since)[0]]


def logs(session: Session, words: list[str]) -> int:
    """Print what units printed, in the order of time; with -f go on."""
    options = session.options
    units = session.names(words)
    lines = options.lines
    if lines is None:
        lines = FOLLOW_LINES if options.force else DEFAULT_LINES
    try:
        since = parse_since(options.since, time.time_ns() // 1000) if options.since else 0
    except ValueError as error:
        raise Usage(f"cannot take --since={options.since}: {error}") from None
    try:
        found = _merged(session, units, max(lines, 1), since)
    except Refused as refused:
        return session.refuse(f"show the log of {', '.join(units)}", refused)
    if not found and (unknown := _unknown(session, units)):
        say("\n".join(f"Unit {unit} could not be found." for unit in unknown))
        return NO_SUCH_UNIT
    if options.force:
        return _follow(session, units, found, lines)
    found = found[-lines:] if lines else []
    if options.json:
        session.json([line.as_json(unit) for unit, line in found])
    elif not found:
        session.print("-- No entries --")
    else:
        page(session, _rendered(session, units, found))
    return 0


def _unknown(session: Session, units: list[str]) -> list[str]:
    """Those that there are no files of: a slip of the pen, rather than a unit that printed nothing."""
    return [unit for unit, load in zip(units, session.get_each(units, "LoadState"), strict=True) if load == "not-found"]


def _merged(session: Session, units: list[str], lines: int, since: int) -> list[tuple[str, Line]]:
    found = [(unit, line) for unit in units for line in lines_of(session, unit, lines, since)]
    return sorted(found, key=lambda pair: pair[1].time)


def _rendered(session: Session, units: list[str], found: list[tuple[str, Line]]) -> list[str]:
    """With several units each line begins with its unit."""
    many = len(units) > 1
    return [(f"{unit}: " if many else "") + line.rendered(session.options.output) for unit, line in found]


def _follow(session: Session, units: list[str], found: list[tuple[str, Line]], lines: int) -> int:
    """Print new lines as they come, until the user or the daemon ends it."""
    last = dict(found)
    found = found[-lines:] if lines else []
    while True:
        if session.options.json:
            for unit, line in found:
                session.json(line.as_json(unit))
        else:
            print("".join(f"{text}\n" for text in _rendered(session, units, found)), end="", flush=True)
        session.link.idle(TICK_S)
        found = sorted(
            ((unit, line) for unit in units for line in _since(session, unit, last)), key=lambda pair: pair[1].time
        )


def _since(session: Session, unit: str, last: dict[str, Line]) -> list[Line]:
    """The lines after the last one shown, which is brought up to date."""
    shown = last.get(unit)
    found = lines_of(session, unit, ALL, shown.time if shown else 0)
    if shown in found:
        found = found[len(found) - found[::-1].index(shown) :]
    if found:
        last[unit] = found[-1]
    return found
