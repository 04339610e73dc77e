"""The verbs that end the daemon, followed to the end.

The request is answered at once; then ShutdownProgress tells of each unit that is being stopped, JobRemoved of each
that is, and the last report (of no unit) says "done" or "survivors". A connection that drops after "done" is success;
any other end is not. A terminal shows one block that is drawn again, any other output gets lines.
"""

import sys
import time
from typing import Any, Final, NamedTuple

from unitd.ctl.connection import Disconnected, Refused
from unitd.ctl.options import Usage
from unitd.ctl.processes import described
from unitd.ctl.session import Session
from unitd.ctl.terminal import GREEN, RED, Block, is_terminal, paint, say

TICK_S: Final = 1.0
BETWEEN_S: Final = 0.1
"""The least time between two drawings, so that a thousand units cost no more to show than ten."""
LEAVING_S: Final = 10.0
"""How long the daemon may take to leave after its last report, before it is no longer waited for."""
_SHOWN: Final = 3
_WITH_PROCESSES: Final = (".service", ".scope")
"""Types whose end is worth a line; targets and slices are only told of when they do not go."""
_INFINITY: Final = 2**64 - 1


def poweroff(session: Session, words: list[str]) -> int:
    """Stop everything, then power off."""
    return _end(session, "power off", "PowerOff")


def reboot(session: Session, words: list[str]) -> int:
    """Stop everything, then reboot."""
    return _end(session, "reboot", "Reboot")


def halt(session: Session, words: list[str]) -> int:
    """Stop everything, then halt."""
    return _end(session, "halt", "Halt")


def leave(session: Session, words: list[str]) -> int:
    """Stop everything and have the daemon exit with a code."""
    code = words[0] if words else "0"
    if not code.isdecimal() or int(code) > 255:
        raise Usage(f"cannot exit with {code!r}: it is no exit status (0 to 255)")
    if words:
        try:
            session.link.manager("SetExitCode", "y", int(code))
        except Refused as refused:
            return session.refuse(f"exit with {code}", refused)
    return _end(session, "exit", "Exit")


def _end(session: Session, intent: str, method: str) -> int:
    if session.options.force > 1:
        raise Usage(f"cannot {intent} without stopping anything (-ff): unitd does not do that")
    session.link.subscribe(("ShutdownProgress", "JobRemoved"))
    try:
        if session.options.force:
            session.link.manager("Force", "s", method.lower())
        else:
            session.link.manager(method)
    except Refused as refused:
        return session.refuse(intent, refused)
    if not session.options.block:
        return 0
    follower = Follower(session)
    try:
        follower.follow()
    except KeyboardInterrupt:
        follower.clear()
        say("no longer looking; the shutdown goes on")
        return 130
    return follower.verdict()


class Report(NamedTuple):
    """How far the stop of one unit is; `until` is the monotonic instant at which `next` follows, None: none."""

    unit: str
    phase: str
    pids: list[tuple[int, str]]
    until: float | None
    next: str

    @classmethod
    def of(cls, values: dict[str, tuple[str, Any]]) -> "Report":
        seen = {name: value for name, (_, value) in values.items()}
        left = seen.get("left_us", _INFINITY)
        return cls(
            seen.get("unit", ""),
            seen.get("phase", ""),
            [(pid, command) for pid, command in seen.get("pids", ())],
            None if left == _INFINITY else time.monotonic() + left / 1e6,
            seen.get("next", ""),
        )

    def text(self, pids: int = _SHOWN) -> str:
        """In words: "stop-sigterm, 3 s left, then SIGKILL: pid 12 /bin/x in do_wait"."""
        left = "" if self.until is None else f"{max(self.until - time.monotonic(), 0):.0f} s left"
        if left and self.next:
            left += f", then {self.next}"
        shown = "; ".join(described(pid, command) for pid, command in self.pids[:pids])
        more = f" and {len(self.pids) - pids} more" if len(self.pids) > pids else ""
        return ", ".join(part for part in (self.phase, left) if part) + (f": {shown}{more}" if shown else "")


class Follower:
    """What is known of a shutdown that goes on, and how it is shown."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._silent = session.options.json or session.options.quiet
        self._block = Block(sys.stdout) if is_terminal(sys.stdout) and not self._silent else None
        self._began = time.monotonic()
        self._spoke = self._began
        self._stopping: dict[str, Report] = {}
        self._told: set[tuple[str, str]] = set()
        self._stopped: list[str] = []
        self._last: Report | None = None

    def follow(self) -> None:
        """Take in what the daemon tells until it is gone, or does not leave after its last report."""
        drawn, wake = 0.0, self._began
        try:
            while True:
                signal = self._session.link.signal(max(wake - time.monotonic(), 0))
                if signal is None:
                    self._show()
                    drawn = time.monotonic()
                    wake = drawn + TICK_S
                    if self._last is not None and drawn > self._spoke + LEAVING_S:
                        return
                    continue
                wake = min(wake, drawn + BETWEEN_S)
                if signal.member == "ShutdownProgress":
                    self._report(Report.of(signal.body[0]))
                elif signal.member == "JobRemoved":
                    self._job_done(signal.body[2], signal.body[3])
        except Disconnected:
            return
        finally:
            self.clear()

    def clear(self) -> None:
        """Remove what is drawn."""
        if self._block is not None:
            self._block.clear()

    def _report(self, report: Report) -> None:
        if not report.unit and report.phase in ("done", "survivors"):
            self._last = report
            self._spoke = time.monotonic()
            return
        self._stopping[report.unit] = report
        if (report.unit, report.phase) not in self._told:
            self._told.add((report.unit, report.phase))
            self._line(f"{report.unit or 'the rest'}: {report.text()}")

    def _job_done(self, unit: str, result: str) -> None:
        self._stopping.pop(unit, None)
        self._stopped.append(unit)
        if result != "done":
            self._line(f"{unit}: stop job {result}")
        elif unit.endswith(_WITH_PROCESSES) or any(unit == told for told, _ in self._told):
            self._line(f"{unit}: stopped")

    def _show(self) -> None:
        reports = [self._stopping[unit] for unit in sorted(self._stopping)]
        if self._block is not None:
            self._block.draw(self._drawing(reports))
            return
        if self._last is None and time.monotonic() >= self._spoke + TICK_S:
            for report in reports:
                self._line(f"still waiting for {report.unit or 'the rest'}: {report.text()}")
            if not reports:
                self._line("still waiting")

    def _line(self, text: str) -> None:
        self._spoke = time.monotonic() if self._last is None else self._spoke
        if self._block is None and not self._silent:
            print(text, flush=True)

    def _drawing(self, reports: list[Report]) -> list[str]:
        elapsed = time.monotonic() - self._began
        head = f"shutting down: {len(self._stopped)} stopped, {len(self._stopping)} stopping, {elapsed:.0f} s"
        width = max((len(report.unit) for report in reports), default=0)
        return [head, *(f"  {report.unit or 'the rest':<{width}}  {report.text(1)}" for report in reports)]

    def verdict(self) -> int:
        """Say how it ended; the exit status."""
        survivors = self._last.pids if self._last is not None else []
        took = time.monotonic() - self._began
        good = self._last is not None and self._last.phase == "done" and not survivors
        result = "done" if good else "lost" if self._last is None else "survivors"
        if self._session.options.json:
            alive = [{"pid": pid, "command": command} for pid, command in survivors]
            self._session.json(
                {"result": result, "took_s": round(took, 3), "stopped": self._stopped, "survivors": alive}
            )
        elif good:
            number = len(self._stopped)
            units = f"{number} unit{'' if number == 1 else 's'} in {took:.1f} s" if number else "no unit was active"
            self._session.print(paint(f"all is stopped: {units}, no process is left", GREEN))
        elif self._last is None:
            say("cannot tell whether all is stopped: the daemon was gone before its last report")
        else:
            say(paint(f"cannot stop all: {len(survivors)} processes are left", RED, sys.stderr))
            for pid, command in survivors:
                say(f"  {described(pid, command)}")
        return 0 if good else 1
