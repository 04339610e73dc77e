"""A look at those who are about to get SIGKILL, because their time was up: what keeps them, for people (proc(5)).

Nothing read here waits for the process looked at: a command line is memory of the process, and its lock may be held by
a task in uninterruptible sleep, so that such a one goes by its short name and by what it was started as. A look is
bounded, and all looks together are: a thousand units that are killed at once are not kept waiting by it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from unitd.host import processes
from unitd.host.net_table import Sockets
from unitd.host.processes import Process
from unitd.model.processes import Evidence, Straggler
from unitd.model.states import in_state

MOST = 16
"""Processes of a unit that are looked at in detail."""
_LAST = 2
"""Of those, how many are the last in order: main and control process."""
LAST_LINES = 3
_FRAMES = 12
_SOCKETS = 8
_DESCRIPTORS = 256

_SHARE = 0.05
_SAVED_S = 0.3
"""Looking may take this share of the time, and at once no more seconds than this."""


class Forensics:
    """`remembered(pid)`: what a process of ours was started as; `tail(unit, n)`: the last lines that a unit printed."""

    def __init__(self, remembered: Callable[[int], str], tail: Callable[[str, int], Sequence[str]]) -> None:
        self._remembered, self._tail = remembered, tail
        self._saved_s, self._at = _SAVED_S, time.monotonic()

    async def look(self, unit: str, order: Sequence[Process]) -> Evidence:
        """Look at the processes, deepest first, main process last, in small portions of the loop."""
        found: list[Straggler] = []
        for _ in self._steps(order, found):
            await asyncio.sleep(0)
        return Evidence(tuple(found), len(order) - len(found), self._last_lines(unit) if found else ())

    def look_now(self, order: Sequence[Process]) -> Evidence:
        """The same at once, and without the last lines of a log."""
        found: list[Straggler] = []
        for _ in self._steps(order, found):
            pass
        return Evidence(tuple(found), len(order) - len(found))

    def _last_lines(self, unit: str) -> tuple[str, ...]:
        began = time.monotonic()
        if self._left(began) <= 0:
            return ()
        lines = tuple(self._tail(unit, LAST_LINES))
        self._saved_s -= time.monotonic() - began
        return lines

    def _left(self, now: float) -> float:
        """Seconds that may be spent on looking from now on."""
        self._saved_s = min(_SAVED_S, self._saved_s + (now - self._at) * _SHARE)
        self._at = now
        return self._saved_s

    def _steps(self, order: Sequence[Process], found: list[Straggler]) -> Iterator[None]:
        """Fill `found`, one process a step."""
        sockets = Sockets()
        for process in order if len(order) <= MOST else (*order[: MOST - _LAST], *order[-_LAST:]):
            began = time.monotonic()
            if self._left(began) <= 0:
                return
            found.append(self._straggler(process, sockets))
            self._saved_s -= time.monotonic() - began
            yield

    def _straggler(self, process: Process, sockets: Sockets) -> Straggler:
        pid, thread = process.pid, processes.slowest(process)
        command = processes.arguments(process) or self._remembered(pid)
        inodes = [inode for _, inode in processes.sockets(pid, _DESCRIPTORS)]
        frames = processes.read_file(f"/proc/{thread.pid}/stack", 4096).decode(errors="replace").splitlines()
        return Straggler(
            pid,
            process.birth,
            command or process.command,
            in_state(thread.state),
            processes.wait_channel(thread.pid),
            tuple(frame.partition("] ")[2] or frame for frame in frames[:_FRAMES]),
            tuple(sockets.words(pid, inodes)[:_SOCKETS]),
            process.parent,
            processes.age_us(process),
        )
