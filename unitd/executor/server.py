"""The fork server: one request in, one child out, at 1 ms each, and what became of it.

FD is a SOCK_SEQPACKET socket. A request is a marshalled dict (unitd/host/request.py makes it) with the descriptors
that the child is to have (SCM_RIGHTS); one too long for a packet comes as a file, its descriptor last. The answers:
(key, "spawned", pid) once the child is in its cgroup, then (key, "execed"), or (key, "failed", stage, errno, detail).

Children are cloned with CLONE_PARENT, so that they are the daemon's own. A pipe per child, closed by exec, tells how
it went, so that one child that hangs delays no other (clone(2), pipe(2), unix(7)).
"""

import ctypes
import gc
import marshal
import os
import select
import signal
from _socket import MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, socket
from contextlib import suppress
from typing import Any

from unitd.executor.child import JOINED, checked, libc, run_child

PACKET = 60_000
"""The longest request, in bytes, that goes as a packet of its own."""
MOST_FDS = 253
"""The kernel's SCM_MAX_FD (unix(7))."""

_CLONE_PARENT = 0x8000
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220}.get(os.uname().machine, 120)


def outcome(key: int, pid: int, told: bytes, *, joined: bool) -> list[tuple[Any, ...]]:
    """The answers that are due after reading `told` from a child's pipe; nothing read is the end, thus exec."""
    answers: list[tuple[Any, ...]] = []
    if not joined:
        answers.append((key, "spawned", pid))
    report = told.removeprefix(JOINED) if not joined else told
    if report:
        answers.append((key, "failed", *marshal.loads(report)))
    elif not told:
        answers.append((key, "execed"))
    return answers


class _Server:
    """One request a turn, and all that the children tell."""

    def __init__(self, fd: int) -> None:
        self.channel = socket(fileno=fd)
        self.buffer = bytearray(PACKET)
        self.ready = select.epoll()
        self.ready.register(fd, select.EPOLLIN)
        self.children: dict[int, list[int]] = {}

    def run(self) -> None:
        """Serve until the daemon closes its end."""
        own = self.channel.fileno()
        while True:
            for fd, _ in self.ready.poll():
                if fd != own:
                    self.hear(fd)
                elif not self.take():
                    return

    def take(self) -> bool:
        try:
            length, control, _, _ = self.channel.recvmsg_into(
                [self.buffer], 32 + 4 * MOST_FDS, MSG_CMSG_CLOEXEC | MSG_DONTWAIT
            )
        except BlockingIOError:
            return True
        if not length:
            return False
        fds = [fd for _, _, passed in control for fd in memoryview(passed).cast("i")]
        request = marshal.loads(memoryview(self.buffer)[:length])
        try:
            if isinstance(request, int):
                with open(fds.pop(), "rb") as file:
                    request = marshal.loads(file.read())
            self.start(request, fds)
        except OSError as error:
            key = request if isinstance(request, int) else request["key"]
            self.tell((key, "failed", "fork", error.errno, ""))
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def start(self, request: dict[str, Any], fds: list[int]) -> None:
        read, write = os.pipe()
        try:
            pid = checked(
                libc.syscall(ctypes.c_long(_CLONE), ctypes.c_long(_CLONE_PARENT | signal.SIGCHLD), 0, 0, 0, 0)
            )
            if pid == 0:
                run_child(request, fds, write)
        except OSError:
            os.close(read)
            raise
        finally:
            os.close(write)
        self.children[read] = [request["key"], pid, 0]
        self.ready.register(read, select.EPOLLIN)

    def hear(self, fd: int) -> None:
        key, pid, joined = child = self.children[fd]
        for answer in outcome(key, pid, os.read(fd, 65536), joined=bool(joined)):
            self.tell(answer)
            child[2] = 1
            if answer[1] != "spawned":
                self.ready.unregister(fd)
                os.close(fd)
                del self.children[fd]

    def tell(self, answer: tuple[Any, ...]) -> None:
        self.channel.send(marshal.dumps(answer), MSG_NOSIGNAL)


def reset_signals() -> None:
    """Every signal as at the start of a program: default, and none blocked (signal(7))."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def serve(fd: int) -> None:
    """Be the fork server on `fd`, in a session of its own, until the daemon is gone."""
    os.setsid()
    reset_signals()
    os.closerange(3, fd)
    os.closerange(fd + 1, 65536)
    os.set_inheritable(fd, False)
    server = _Server(fd)
    gc.disable()
    gc.freeze()
    with suppress(BrokenPipeError, ConnectionResetError):
        server.run()
