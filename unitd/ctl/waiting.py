"""Following jobs to their end, and saying meanwhile what they wait for.

Nothing is said in the first second. After it a terminal gets one line that is drawn again each second, any other
output a line whenever there is something else to tell.
"""

import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from unitd.ctl.connection import Refused
from unitd.ctl.processes import described
from unitd.ctl.session import Session
from unitd.ctl.terminal import Block, is_terminal, say

TICK_S: Final = 1.0
_SHOWN: Final = 3
_INFINITY: Final = 2**64 - 1


class Waiting:
    """Use as a context: what was drawn is gone at its end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._block = Block(sys.stderr) if is_terminal(sys.stderr) else None
        self._told: list[str] = []

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
            signal = self._session.link.signal(max(tick - time.monotonic(), 0))
            if signal is None:
                tick = time.monotonic() + TICK_S
                self._draw(set(left.values()))
            elif signal.member == "JobRemoved" and signal.body[1] in left:
                unit = left.pop(signal.body[1])
                yield signal.body[1], unit, signal.body[3]

    def _draw(self, units: set[str]) -> None:
        if self._session.options.quiet or self._session.options.json:
            return
        found = waited_for(self._session, units)
        if self._block is not None:
            self._block.draw([f"waiting for: {text}" for _, text in found])
        elif [key for key, _ in found] != self._told:
            self._told = [key for key, _ in found]
            for _, text in found:
                say(f"waiting for: {text}")


def waited_for(session: Session, units: set[str]) -> list[tuple[str, str]]:
    """What keeps the jobs of these units: (what it is, without the time; in words), the running jobs first."""
    try:
        rows = session.link.manager("ListJobs")[0]
        running = [row for row in rows if row[3] == "running"]
        own = [row for row in running if row[1] in units]
        shown = (own or running or rows)[:_SHOWN]
        found = [_job(session, row) for row in shown]
    except Refused:
        return []
    more = len(own or running) - len(shown)
    if not own and running and units:
        names = ", ".join(sorted(units)[:_SHOWN])
        found = [(key, f"{text}, before {names}") for key, text in found]
    return found + ([("more", f"and {more} more jobs")] if more > 0 else [])


def _job(session: Session, row: tuple[Any, ...]) -> tuple[str, str]:
    """One job: "stopping a.service (stop-sigterm, 12 s left, pid 123 /bin/x in do_wait)"."""
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
    if len(parts) == (2 if left is not None else 1) and kind in ("stop", "restart"):
        parts += _remaining(session, unit)
    return f"{unit}{kind}{parts[0]}", f"{verb} {unit} ({', '.join(part for part in parts if part)})"


def _remaining(session: Session, unit: str) -> list[str]:
    rows = session.link.manager("GetUnitProcesses", "s", unit)[0]
    return [described(row[1]) for row in rows[:_SHOWN]]


def _left_us(seen: dict[str, Any], kind: str) -> int | None:
    """Microseconds until the unit's own time for this is up; None when there is no limit."""
    limit = seen.get("TimeoutStartUSec" if kind in ("start", "reload") else "TimeoutStopUSec")
    since = seen.get("StateChangeTimestampMonotonic", 0)
    if limit is None or limit in (0, _INFINITY) or not since:
        return None
    return max(int(since + limit) - time.monotonic_ns() // 1000, 0)
