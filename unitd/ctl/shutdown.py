"""The verbs that end the daemon, followed to the end.

The request is answered at once; then ShutdownProgress tells of each unit that is being stopped, JobRemoved of each
that is, and what is told last (of no unit) says "done" or "survivors". A connection that drops after "done" is success;
any other end is not. A terminal shows one block that is drawn again, any other output gets lines.
"""

import sys
import time
from typing import Final

from unitd.ctl.connection import Disconnected, Refused
from unitd.ctl.options import Usage
from unitd.ctl.session import Session
from unitd.ctl.stops import Stops
from unitd.ctl.terminal import GREEN, RED, Block, is_terminal, paint, printable, say
from unitd.wire.drawing import headline
from unitd.wire.progress import DONE, SURVIVORS, WAITING, Progress

TICK_S: Final = 1.0
BETWEEN_S: Final = 0.1
"""The least time between two drawings, so that a thousand units cost no more to show than ten."""
LEAVING_S: Final = 10.0
"""How long the daemon may take to leave after the last that it told, before it is no longer waited for."""
_SHOWN: Final = 10
"""Units that are told of again in one second."""
_WITH_PROCESSES: Final = (".service", ".scope")
"""Types whose end is worth a line; targets and slices are only told of when they do not go."""


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


class Follower:
    """What is known of a shutdown that goes on, and how it is shown."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._silent = session.options.json or session.options.quiet
        self._block = Block(sys.stdout) if is_terminal(sys.stdout) and not self._silent else None
        self._began = time.monotonic()
        self._spoke = self._began
        self._stops = Stops()
        self._told: dict[str, tuple[str, float]] = {}
        self._stopped: list[str] = []
        self._last: Progress | None = None

    def follow(self) -> None:
        """Take in what the daemon tells until it is gone, or does not leave after the last that it told."""
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
                wake = min(wake, drawn + (BETWEEN_S if self._block is not None else TICK_S))
                if signal.member == "ShutdownProgress":
                    self._take(Progress.of(signal.body[0]))
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

    def _take(self, progress: Progress) -> None:
        if not progress.unit and progress.phase in (DONE, SURVIVORS):
            self._last = progress
            self._spoke = time.monotonic()
            return
        self._stops.take(progress)
        if self._told.get(progress.unit, ("", 0.0))[0] != progress.phase:
            self._tell(progress.unit, progress.phase, f"{progress.who}: {self._stops.text(progress.unit)}")

    def _job_done(self, unit: str, result: str) -> None:
        self._stops.forget(unit)
        self._stopped.append(unit)
        if result != "done":
            self._line(f"{unit}: stop job {result}")
        elif unit.endswith(_WITH_PROCESSES) or unit in self._told:
            self._line(f"{unit}: stopped")

    def _show(self) -> None:
        """Draw all, or tell again of whom nothing was said for a second, the most urgent ones first.

        Who waits for others is told of once.
        """
        if self._block is not None:
            head = headline(len(self._stopped), self._stops.latest(), int((time.monotonic() - self._began) * 1e6))
            self._block.draw([head, *self._stops.drawing(self._block.rows - 1)])
            return
        now = time.monotonic()
        told = {unit: self._told[unit] for unit in self._stops.in_order()}
        quiet = [unit for unit, (phase, at) in told.items() if at <= now - TICK_S and phase != WAITING]
        for unit in quiet[:_SHOWN] if self._last is None else ():
            self._tell(unit, self._told[unit][0], f"still waiting for {unit or 'the rest'}: {self._stops.text(unit)}")
        if self._last is None and (len(quiet) > _SHOWN or now >= self._spoke + TICK_S):
            self._line(f"still waiting for {len(quiet) - _SHOWN} more units" if quiet else "still waiting")

    def _tell(self, unit: str, phase: str, text: str) -> None:
        self._told[unit] = (phase, time.monotonic())
        self._line(text)

    def _line(self, text: str) -> None:
        self._spoke = time.monotonic() if self._last is None else self._spoke
        if self._block is None and not self._silent:
            print(text, flush=True)

    def verdict(self) -> int:
        """Say how it ended; the exit status."""
        survivors = self._last.pids if self._last is not None else ()
        took = time.monotonic() - self._began
        good = self._last is not None and self._last.phase == DONE and not survivors
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
            left = "1 process is left" if len(survivors) == 1 else f"{len(survivors)} processes are left"
            say(paint(f"cannot stop all: {left}", RED, sys.stderr))
            for pid, command in survivors:
                say(f"  {f'pid {pid} ' if pid else ''}{printable(command)}")
        return 0 if good else 1
