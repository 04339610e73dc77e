"""Ends of processes: looked at while /proc still shows them, told, and reaped only after the engine has heard.

One zombie at a time: the kernel names the same one until it is reaped (waitid(2), WNOWAIT). One whose start has not
been answered yet waits for that answer, so that Spawned and Execed always come before ProcessExited. A process that
an earlier daemon started is not our child; its end comes by its pidfd, with the status where the kernel keeps it.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import struct
from collections.abc import Callable

from unitd.host import processes
from unitd.host.children import Children
from unitd.host.ports import Post
from unitd.host.signal_fd import SignalFd
from unitd.model.events import Exit, How, ProcessExited

UNKNOWN = Exit(How.UNKNOWN, 0)
"""What is told of a process whose exit status nobody kept."""

_PR_SET_CHILD_SUBREAPER = 36
_HOW = {os.CLD_EXITED: How.EXITED, os.CLD_KILLED: How.KILLED, os.CLD_DUMPED: How.DUMPED}
# struct pidfd_info in its first size, and PIDFD_GET_INFO for it (linux/pidfd.h, since 6.13; the exit since 6.15).
_INFO = struct.Struct("QQ11Ii")
_GET_INFO = 3 << 30 | 64 << 16 | 0xFF << 8 | 11
_INFO_EXIT = 1 << 3
_CORE_DUMPED = 0x80
_LOOKS, _LOOK_AGAIN_S = 50, 0.01
_WATCH_AGAIN_S = 0.5


class Reaper:
    """Reaps all children of the daemon, orphans included, which come to it as their sub-reaper (prctl(2)).

    `unit_of(pid)` says whose an orphan is; `is_waiting()` that a pid may be told of soon; `reaped(pid, unit)` is
    called when the process is gone; `server()`: the fork server's pid, whose end is nobody's event.
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
        server: Callable[[], int],
    ) -> None:
        self._loop, self._post, self._children = loop, post, children
        self._unit_of, self._is_waiting, self._reaped, self._server = unit_of, is_waiting, reaped, server
        self.hear: Callable[[], None] = lambda: None
        """Takes in what processes said: called before the end of one is told, for it may have spoken just before."""
        self._held = 0
        self._adopted: dict[int, int] = {}
        self._awaited: dict[int, asyncio.Future[None]] = {}
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._ends = SignalFd(signal.SIGCHLD)
        loop.add_reader(self._ends.fd, self._ended)
        loop.call_soon(self.look)

    async def close(self, last: int = 0) -> None:
        """Stop looking, once the child `last` (0: none) is reaped; what is a zombie then stays one."""
        with contextlib.suppress(ChildProcessError):
            if last and os.waitid(os.P_PID, last, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                self._awaited[last] = self._loop.create_future()
                await self._awaited[last]
            elif last:
                self._reap(last, "")
        if self._ends.fd >= 0:
            self._loop.remove_reader(self._ends.fd)
            self._ends.close()
        for pidfd in self._adopted.values():
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        self._adopted.clear()

    @property
    def is_telling(self) -> bool:
        """The end of a process is posted, and not handled yet."""
        return self._held != 0

    def _ended(self) -> None:
        self._ends.clear()
        self.look()

    def look(self) -> None:
        """Tell of the next zombie, if it may be told of now."""
        while not self._held:
            with contextlib.suppress(ChildProcessError):
                seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if seen is not None:
                    self.hear()
                if seen is not None and self._told(seen.si_pid, Exit(_HOW[seen.si_code], seen.si_status)):
                    continue
            return

    def watch(self, unit: str, pid: int) -> None:
        """Tell of the end of a process that is not our child; one that is, and one that is gone, is seen anyway."""
        try:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
        except ChildProcessError:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._gone(unit, pid, UNKNOWN)
                return
            except OSError:
                # No descriptor is left for it now.
                self._loop.call_later(_WATCH_AGAIN_S, self._watch_again, unit, pid)
                return
            self._adopted[pid] = pidfd
            self._loop.add_reader(pidfd, self._adopted_ended, unit, pid)

    def _watch_again(self, unit: str, pid: int) -> None:
        """Unless it has ended meanwhile, and the pid is another's."""
        child = self._children.get(pid)
        if child is None or self._ends.fd < 0:
            return
        if processes.birth(pid) in (0, child.birth):
            self.watch(unit, pid)
        else:
            self._gone(unit, pid, UNKNOWN)

    def _told(self, pid: int, how: Exit) -> bool:
        """False when this zombie has to wait."""
        child = self._children.get(pid)
        if child is not None and not child.settled:
            return False
        if child is None and pid != self._server() and self._is_waiting():
            return False
        unit = child.unit if child is not None else self._unit_of(pid)
        if pid == self._server() or not unit or (child is not None and child.failed):
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
        awaited = self._awaited.pop(pid, None)
        if awaited is not None and not awaited.done():
            awaited.set_result(None)
        self._children.remove(pid)
        self._reaped(pid, unit)

    def _adopted_ended(self, unit: str, pid: int, looks: int = 0) -> None:
        """The kernel tells the status once the parent has reaped the process; a slow parent is not waited for long."""
        pidfd = self._adopted.get(pid, -1)
        if pidfd < 0:
            return
        self._loop.remove_reader(pidfd)
        how = exit_of(pidfd)
        if how == UNKNOWN and looks < _LOOKS and processes.read(pid) is not None:
            self._loop.call_later(_LOOK_AGAIN_S, self._adopted_ended, unit, pid, looks + 1)
            return
        del self._adopted[pid]
        os.close(pidfd)
        self._gone(unit, pid, how)

    def _gone(self, unit: str, pid: int, how: Exit) -> None:
        """Tell of the end of one that was not our child."""

        def forget() -> None:
            self._children.remove(pid)
            self._reaped(pid, unit)

        self._post(ProcessExited(unit, pid, how), forget)


def exit_of(pidfd: int) -> Exit:
    """How the process of a pidfd, not a child of ours, ended; UNKNOWN where the kernel does not tell."""
    buffer = bytearray(_INFO.size)
    _INFO.pack_into(buffer, 0, _INFO_EXIT, *(0,) * 13)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, buffer)
    except OSError:
        return UNKNOWN
    mask, *_, status = _INFO.unpack(buffer)
    if not mask & _INFO_EXIT:
        return UNKNOWN
    if os.WIFEXITED(status):
        return Exit(How.EXITED, os.WEXITSTATUS(status))
    return Exit(How.DUMPED if status & _CORE_DUMPED else How.KILLED, os.WTERMSIG(status))
