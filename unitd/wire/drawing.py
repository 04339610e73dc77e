"""Progress as lines for a terminal: a heading, and a table with one row a unit. For the client and for PID 1's console.

Rows are cut at the right by whoever shows them, so what matters most stands at the left: a command line comes last.
Where there is room, more of each unit's processes stand below it.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from unitd.wire.progress import NEVER, Progress

_UNIT_MOST: Final = 32
_NEXT_MOST: Final = 30
_BELOW: Final = 3
"""Processes of a unit that are shown below it."""
_SITUATION: Final = re.compile(r"(.*), ([A-Za-z]) \([a-z ]+\)(?: in (\S+))?", re.DOTALL)
_HEADING: Final = ("UNIT", "PHASE", "LEFT", "NEXT", "PROCESS")

Dated: TypeAlias = tuple[Progress, int]
"""What was told, and how many microseconds ago."""


def cut(text: str, columns: int | None) -> str:
    """The text, ended by an ellipsis where it is longer than that."""
    if columns is None or len(text) <= columns:
        return text
    return text[: max(columns - 1, 0)] + "…"


def printable(text: str) -> str:
    """The text with control characters shown as \\xNN, so that what a program printed cannot drive the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def headline(stopped: int, found: Dated | None, watched_us: int) -> str:
    """How far a shutdown is: "12 stopped, 3 left, 8 s of 30 s"; with nothing told what the watcher itself knows."""
    if found is None or found[0].cap_left_us >= NEVER:
        return f"shutting down: {stopped} stopped, {_seconds(watched_us)} s"
    one, passed = found
    cap = one.elapsed_us + one.cap_left_us
    so_far = f"{_seconds(one.elapsed_us + passed)} s of {_seconds(cap)} s"
    return f"shutting down: {stopped} stopped, {one.units_left} left, {so_far}"


def table(told: Sequence[Dated], rows: int) -> list[str]:
    """A heading and a line for each unit, in no more than so many rows."""
    if not told:
        return []
    shown = told if len(told) < rows else told[: max(rows - 2, 1)]
    cells = [_cells(one, passed) for one, passed in shown]
    widths = [max(len(row[column]) for row in (_HEADING, *cells)) for column in range(4)]
    spare = rows - 1 - len(shown) if len(shown) == len(told) else 0
    lines = [_row(_HEADING, widths)]
    for (one, _), cell in zip(shown, cells, strict=True):
        below = [f"      {_process(*each)}" for each in one.pids[1 : 1 + min(_BELOW, spare)]]
        spare -= len(below)
        hidden = one.processes - len(one.pids[:1]) - len(below)
        more = f"(+{hidden}) " if hidden > 0 else ""
        lines += [_row((*cell[:4], more + cell[4]), widths), *below]
    return [*lines, *([f"  ... and {len(told) - len(shown)} more"] if len(shown) < len(told) else [])]


def _cells(one: Progress, passed: int) -> tuple[str, str, str, str, str]:
    left = "" if one.left_us >= NEVER else f"{_seconds(max(one.left_us - passed, 0))} s"
    process = _process(*one.pids[0]) if one.pids else ""
    return cut(one.who, _UNIT_MOST), one.phase, left, cut(one.next, _NEXT_MOST), process


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    columns = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
    return "  " + "  ".join((*columns, cells[-1])).rstrip()


def _process(pid: int, words: str) -> str:
    """What holds it up before what it is: "12 D in io_schedule: /bin/x -y"."""
    words = printable(words)
    found = _SITUATION.fullmatch(words)
    if found is None:
        return f"{pid} {words}"
    command, state, channel = found.groups()
    return f"{pid} {state}" + (f" in {channel}" if channel else "") + f": {command}"


def _seconds(length_us: int) -> int:
    return (length_us + 500_000) // 1_000_000
