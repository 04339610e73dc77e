"""Ends of processes: looked at while /proc still shows them, told, and reaped only after the engine has heard.

One zombie at a time: the kernel names the same one until it is reaped (waitid(2), WNOWAIT). One whose start has not
been answered yet waits for that answer, so that Spawned and Execed always come before ProcessExited.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable

from unitd.host.children import Children
from unitd.host.ports import Post
from unitd.model.events import Exit, How, ProcessExited

_PR_SET_CHILD_SUBREAPER = 36
_HOW = {os.CLD_EXITED: How.EXITED, os.CLD_KILLED: How.KILLED, os.CLD_DUMPED: How.DUMPED}


class Reaper:
    """Reaps all children of the daemon, orphans included, which come to it as their sub-reaper (prctl(2)).

    `unit_of(pid)` says whose an orphan is; `is_waiting()` that a pid may be told of soon; `reaped(pid, unit)` is
    called when the process is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        children: Children,
        *,
        unit_of: Callable[[int], str],
        is_waiting: Callable[[], bool],
        reaped: Callable[[int, str], None],
    ) -> None:
        self._loop, self._post, self._children = loop, post, children
        self._unit_of, self._is_waiting, self._reaped = unit_of, is_waiting, reaped
        self._held = 0
        self.server: Callable[[], int] = lambda: 0
        """The fork server's pid, whose end is nobody's event."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        loop.add_signal_handler(signal.SIGCHLD, self.look)

    def close(self) -> None:
        """Stop looking; what is a zombie now stays one."""
        self._loop.remove_signal_handler(signal.SIGCHLD)

    def look(self) -> None:
        """Tell of the next zombie, if it may be told of now."""
        while not self._held:
            with contextlib.suppress(ChildProcessError):
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is not None and self._told(seen.si_pid, Exit(_HOW[seen.si_code], seen.si_status)):
                    continue
            return

    def _told(self, pid: int, how: Exit) -> bool:
        """False when this zombie has to wait."""
        child = self._children.get(pid)
        if child is not None and not child.settled:
            return False
        if child is None and pid != self.server() and self._is_waiting():
            return False
        unit = child.unit if child is not None else self._unit_of(pid)
        if pid == self.server() or not unit or (child is not None and child.failed):
            self._reap(pid, unit)
            return True
        self._held = pid
        self._post(ProcessExited(unit, pid, how), lambda: self._go_on(pid, unit))
        return True

    def _go_on(self, pid: int, unit: str) -> None:
        self._held = 0
        self._reap(pid, unit)
        self.look()

    def _reap(self, pid: int, unit: str) -> None:
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
        self._children.remove(pid)
        self._reaped(pid, unit)
