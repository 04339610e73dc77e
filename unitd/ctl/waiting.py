"""Following jobs to their end, and saying meanwhile what they wait for.

Nothing is said in the first second. After it a terminal gets one block that is drawn again each second, any other
output a line whenever there is something else to tell. What stops is shown as in a shutdown, by ShutdownProgress.
"""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from unitd.ctl.connection import Reconnected, Refused
from unitd.ctl.processes import described
from unitd.ctl.session import Session
from unitd.ctl.stops import Stops
from unitd.ctl.terminal import Block, is_terminal, say
from unitd.wire.progress import Progress

TICK_S: Final = 1.0
_SHOWN: Final = 3
_STOPS: Final = ("stop", "restart")
_INFINITY: Final = 2**64 - 1


class Waiting:
    """Use as a context: what was drawn is gone at its end. `kind`: of the jobs."""

    def __init__(self, session: Session, kind: str) -> None:
        self._session = session
        self._kind = kind
        self._block = Block(sys.stderr) if is_terminal(sys.stderr) else None
        self._told: list[str] = []
        self._stops = Stops()
        self._began = time.monotonic()

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._block is not None:
            self._block.clear()

    def follow(self, jobs: dict[str, str]) -> Iterator[tuple[str, str, str]]:
        """(job path, unit, result) of each job as it ends; `jobs` is job path -> unit."""
        left = dict(jobs)
        tick = time.monotonic() + TICK_S
        while left:
            try:
                signal = self._session.link.signal(max(tick - time.monotonic(), 0))
            except Reconnected:
                yield from self._ended_unheard(left)
                continue
            if signal is None:
                tick = time.monotonic() + TICK_S
                self._draw(set(left.values()))
            elif signal.member == "ShutdownProgress":
                self._stops.take(Progress.of(signal.body[0]))
            elif signal.member == "JobRemoved":
                self._stops.forget(signal.body[2])
                if signal.body[1] in left:
                    unit = left.pop(signal.body[1])
                    yield signal.body[1], unit, signal.body[3]

    def _ended_unheard(self, left: dict[str, str]) -> Iterator[tuple[str, str, str]]:
        """Those that ended while the daemon re-executed itself; how, their units' states have to tell."""
        known = {row[4] for row in self._session.link.manager("ListJobs")[0]}
        for path, unit in [each for each in left.items() if each[0] not in known]:
            del left[path]
            yield path, unit, self._judged(unit)

    def _judged(self, unit: str) -> str:
        state = self._session.get(unit, "ActiveState")
        if self._kind == "stop":
            return "done" if state in ("inactive", "failed") else "failed"
        return "done" if state in ("active", "reloading", "inactive") else "failed"

    def _draw(self, units: set[str]) -> None:
        if self._session.options.quiet or self._session.options.json:
            return
        try:
            rows = self._session.link.manager("ListJobs")[0]
            running = [row for row in rows if row[3] == "running"]
            own = [row for row in running if row[1] in units]
            shown = own or running or rows
            stopping = {row[1] for row in shown if row[2] in _STOPS and row[1] in self._stops}
            found = [_job(self._session, row) for row in shown if row[1] not in stopping][:_SHOWN]
        except Refused:
            return
        before = f", before {', '.join(sorted(units)[:_SHOWN])}" if running and not own else ""
        if self._block is not None:
            self._redraw(stopping, [f"{text}{before}" for _, text in found])
            return
        found = [(f"{unit} {phase}", text) for unit, phase, text in self._stops.told(stopping)] + found
        if [key for key, _ in found] != self._told:
            self._told = [key for key, _ in found]
            for _, text in found:
                say(f"waiting for: {text}{before}")

    def _redraw(self, stopping: set[str], others: list[str]) -> None:
        assert self._block is not None
        lines = [f"waiting for: {text}" for text in others]
        if stopping:
            table = self._stops.drawing(self._block.rows - len(lines) - 1, stopping)
            number = "1 unit" if len(stopping) == 1 else f"{len(stopping)} units"
            lines += [f"waiting for {number} to stop, {time.monotonic() - self._began:.0f} s:", *table]
        self._block.draw(lines)


def _job(session: Session, row: tuple[Any, ...]) -> tuple[str, str]:
    """One job: what it is, without the time; and in words, "starting a.service (start, 12 s left, pid 123 /bin/x)"."""
    unit, kind = row[1], row[2]
    verb = {"start": "starting", "stop": "stopping", "reload": "reloading", "restart": "stopping"}.get(kind, kind)
    if row[3] != "running":
        return f"{unit}{kind}", f"{unit} ({kind} job {row[0]} is {row[3]})"
    seen = session.values(unit)
    parts = [seen.get("SubState", "")]
    left = _left_us(seen, kind)
    if left is not None:
        parts.append(f"{left // 1_000_000} s left")
    parts += [described(pid) for pid in (seen.get("ControlPID", 0) or seen.get("MainPID", 0),) if pid]
    return f"{unit}{kind}{parts[0]}", f"{verb} {unit} ({', '.join(part for part in parts if part)})"


def _left_us(seen: dict[str, Any], kind: str) -> int | None:
    """Microseconds until the unit's own time for this is up; None when there is no limit."""
    limit = seen.get("TimeoutStartUSec" if kind in ("start", "reload") else "TimeoutStopUSec")
    since = seen.get("StateChangeTimestampMonotonic", 0)
    if limit is None or limit in (0, _INFINITY) or not since:
        return None
    return max(int(since + limit) - time.monotonic_ns() // 1000, 0)
