"""The fork server's other end: it is started, handed requests, heard, and started again when it dies.

What it was given in its command line (channel, shelf, door) is all that it knows of the daemon (executor/server).
"""

import asyncio
import marshal
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from unitd.host.keeper import EXECUTOR, Shelf

WINDOW = 32
"""Requests that may be under way, and answers that are taken in a turn."""
_PACKET = 3500
"""The longest request, in bytes, that is no file: a window of them, with what the kernel adds, fits into a socket's
buffer (net.core.wmem_default, 212992; socket(7))."""
_PATIENCE = 3
"""How often in a row the fork server may die without an answer, before it is started no more."""


class ForkServer:
    """`readable()` is called when there are answers, or it died. `patience`: seconds that it is a keeper for."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        shelf: Shelf,
        readable: Callable[[], None],
        python: str,
        patience: float,
    ) -> None:
        self._loop, self._shelf, self._readable, self._python, self._patience = loop, shelf, readable, python, patience
        self._channel: socket.socket | None = None
        self._deaths = 0
        self.executor = EXECUTOR
        self.pid = 0
        """Until it is reaped; 0: there is none."""

    @property
    def is_up(self) -> bool:
        """Nothing is known of its death."""
        return self._channel is not None

    def start(self) -> bool:
        """Have one from now on; False when there is none to be had."""
        return self.is_up or self._start()

    def send(self, key: int, request: dict[str, Any], fds: list[int]) -> bool:
        """Hand the request over; False when there is nobody to take it."""
        if not self.start():
            return False
        assert self._channel is not None
        packet = marshal.dumps(request)
        file = -1
        try:
            if len(packet) > _PACKET:
                file = os.memfd_create("request", os.MFD_CLOEXEC)
                with open(file, "wb", closefd=False) as stream:
                    stream.write(packet)
                os.lseek(file, 0, os.SEEK_SET)
                packet = marshal.dumps(key)
            socket.send_fds(self._channel, [packet], [*fds, file] if file >= 0 else fds)
        except OSError:
            # It is dead, or its queue is full against all rules; the end of file tells the rest.
            return False
        finally:
            if file >= 0:
                os.close(file)
        return True

    def answers(self) -> Iterator[tuple[Any, ...]]:
        """Those that are there, at most a window of them; it is not up any more when it died."""
        for _ in range(WINDOW):
            try:
                packet = self._channel.recv(65536) if self._channel is not None else b""
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if not packet:
                self._deaths += 1
                self._hang_up()
                break
            self._deaths = 0
            yield marshal.loads(packet)

    def end(self) -> None:
        """Kill it, so that it keeps nothing; its zombie is the reaper's."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None

    def _start(self) -> bool:
        if self._deaths >= _PATIENCE:
            return False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [theirs.fileno(), *self._shelf.filenos()]
        words = [*map(str, fds), str(self._patience), self._shelf.path]
        command = [self._python, "-I", "-S", "-X", "utf8", self.executor, *words]
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        try:
            for fd in fds:
                os.set_inheritable(fd, True)
            self.pid = os.posix_spawn(command[0], command, environment, file_actions=actions, setsigmask=[])
        except OSError:
            ours.close()
            self._deaths = _PATIENCE
            return False
        finally:
            theirs.close()
            for fd in self._shelf.filenos():
                os.set_inheritable(fd, False)
        ours.setblocking(False)
        self._channel = ours
        self._loop.add_reader(ours.fileno(), self._readable)
        return True
