"""The stops under way as the daemon last told of them (ShutdownProgress), and how they are drawn on a terminal.

One line a unit, cut at the right, so that what matters most stands at the left: the command line comes last. Where
there is room below, more of each unit's processes.
"""

import re
import time
from collections.abc import Collection, Iterator

from unitd.ctl.terminal import cut, printable
from unitd.wire.progress import NEVER, Report

_UNIT_MOST, _NEXT_MOST = 32, 30
_MORE = 3
"""Processes of a unit that are shown below it."""
_SITUATION = re.compile(r"(.*), ([A-Za-z]) \([a-z ]+\)(?: in (\S+))?", re.DOTALL)


class Stops:
    """Reports by unit, each with the moment it came."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[Report, float]] = {}

    def take(self, report: Report) -> None:
        """A report replaces the one before; one about all that is left replaces all."""
        if not report.unit:
            self._reports.clear()
        self._reports.pop("", None)
        self._reports[report.unit] = (report, time.monotonic())

    def forget(self, unit: str) -> None:
        """It is stopped."""
        self._reports.pop(unit, None)

    def __contains__(self, unit: object) -> bool:
        return unit in self._reports

    def latest(self) -> tuple[Report, float] | None:
        """The report that came last, and the seconds since then."""
        if not self._reports:
            return None
        report, came = max(self._reports.values(), key=lambda one: one[1])
        return report, time.monotonic() - came

    def text(self, unit: str) -> str:
        """The report of a unit in words, of now."""
        report, came = self._reports[unit]
        return printable(report.text(passed_us=_since(came)))

    def told(self, among: Collection[str]) -> list[tuple[str, str, str]]:
        """(unit, phase, in words) of these units."""
        return [(unit, self._reports[unit][0].phase, f"{unit}: {self.text(unit)}") for unit in self.in_order(among)]

    def in_order(self, among: Collection[str] | None = None) -> list[str]:
        """The units, those first whose time is up first."""
        names = self._reports.keys() if among is None else self._reports.keys() & set(among)
        return sorted(names, key=lambda name: (self._due(name), name))

    def drawing(self, rows: int, among: Collection[str] | None = None) -> list[str]:
        """A heading and a line a unit, in no more than so many rows."""
        names = self.in_order(among)
        if not names:
            return []
        shown = names[: max(rows - 1, 1)]
        if len(shown) < len(names):
            shown = names[: max(rows - 2, 1)]
        cells = [self._cells(name) for name in shown]
        table = [("UNIT", "PHASE", "LEFT", "NEXT"), *(cell[:4] for cell in cells)]
        widths = [max(len(row[column]) for row in table) for column in range(4)]
        spare = rows - 1 - len(shown) if len(shown) == len(names) else 0
        lines = [_row(("UNIT", "PHASE", "LEFT", "NEXT", "PROCESS"), widths)]
        for name, cell in zip(shown, cells, strict=True):
            report = self._reports[name][0]
            below = [f"      {_process(*each)}" for each in report.pids[1 : 1 + min(_MORE, spare)]]
            spare -= len(below)
            hidden = report.processes - len(report.pids[:1]) - len(below)
            more = f"(+{hidden}) " if hidden > 0 else ""
            lines += [_row((*cell[:4], f"{more}{cell[4]}"), widths), *below]
        return [*lines, *([f"  ... and {len(names) - len(shown)} more"] if len(shown) < len(names) else [])]

    def _cells(self, name: str) -> tuple[str, str, str, str, str]:
        report, came = self._reports[name]
        left = "" if report.left_us >= NEVER else f"{_seconds(max(report.left_us - _since(came), 0))} s"
        process = _process(*report.pids[0]) if report.pids else ""
        return cut(report.who, _UNIT_MOST), report.phase, left, cut(report.next, _NEXT_MOST), process

    def _due(self, name: str) -> float:
        report, came = self._reports[name]
        return came + report.left_us / 1e6 if report.left_us < NEVER else float("inf")


def headline(stopped: int, found: tuple[Report, float] | None, watched_s: float) -> str:
    """How far a shutdown is: "12 stopped, 3 left, 8 s of 30 s"; without a report what the client itself knows."""
    if found is None or found[0].cap_left_us >= NEVER:
        return f"shutting down: {stopped} stopped, {watched_s:.0f} s"
    report, passed = found
    gone = report.elapsed_us / 1e6 + passed
    cap = (report.elapsed_us + report.cap_left_us) / 1e6
    return f"shutting down: {stopped} stopped, {report.units_left} left, {gone:.0f} s of {cap:.0f} s"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  " + "  ".join(_padded(cells, widths)).rstrip()


def _padded(cells: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for column, cell in enumerate(cells):
        if column < len(widths):
            if widths[column]:
                yield f"{cell:<{widths[column]}}"
        else:
            yield cell


def _process(pid: int, words: str) -> str:
    """What holds it up before what it is: "12 D in io_schedule: /bin/x -y"."""
    words = printable(words)
    found = _SITUATION.fullmatch(words)
    if found is None:
        return f"{pid} {words}"
    command, state, channel = found.groups()
    return f"{pid} {state}" + (f" in {channel}" if channel else "") + f": {command}"


def _since(came: float) -> int:
    return int((time.monotonic() - came) * 1e6)


def _seconds(length_us: int) -> int:
    return (length_us + 500_000) // 1_000_000
