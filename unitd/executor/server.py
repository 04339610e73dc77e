"""The fork server: one request in, one child out, at 1 ms each, and what became of it.

FD is a SOCK_SEQPACKET socket. A request is a marshalled dict (unitd/host/request.py makes it) with the descriptors
that the child is to have (SCM_RIGHTS); one too long for a packet comes as a file, its descriptor last. The answers:
(key, "spawned", pid, birth) once the child is in its cgroup, then (key, "execed"), or (key, "failed", stage, errno,
detail).

Children are cloned with CLONE_PARENT, so that they are the daemon's own. A pipe per child, closed by exec, tells how
it went, so that one child that hangs delays no other (clone(2), pipe(2), unix(7)).

A daemon that ends well kills its fork server. One that is killed leaves it behind as the keeper: it starts nothing
more, and hands the next daemon what it was given to keep and what became of the latest requests (executor/keeper).
"""

import ctypes
import gc
import marshal
import os
import select
import signal
import time
from collections import deque
from contextlib import suppress
from socket import MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, socket
from typing import Any

from unitd.executor.child import JOINED, checked, libc, run_child
from unitd.executor.keeper import PACKET, SPACE, Door, passed, unshelved

PATIENCE_S = 60.0
"""How long a fork server without a daemon waits for the next one."""

_LAND_S = 2.0
"""How long the next daemon waits for children that are between clone and exec."""
_LOOK_S = 1.0
_REMEMBERED = 1024
"""Of requests that have come to their end: more than a daemon leaves unread, which sends 32 ahead of the answers."""
_CLONE_PARENT = 0x8000
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220}.get(os.uname().machine, 120)


def outcome(key: int, pid: int, told: bytes, *, joined: bool) -> list[tuple[Any, ...]]:
    """The answers that are due after reading `told` from a child's pipe; nothing read is the end, thus exec."""
    answers: list[tuple[Any, ...]] = []
    if not joined:
        answers.append((key, "spawned", pid, birth(pid)))
    report = told.removeprefix(JOINED) if not joined else told
    if report:
        answers.append((key, "failed", *marshal.loads(report)))
    elif not told:
        answers.append((key, "execed"))
    return answers


def birth(pid: int) -> int:
    """The start time of a process in clock ticks since boot (proc(5)); 0 when it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(fd, 4096).rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0
    finally:
        os.close(fd)


class _Flight:
    """A child between clone and exec. `about`: unit, serial and invocation; `birth` 0: not in its cgroup yet."""

    __slots__ = ("about", "birth", "joined", "key", "pid")

    def __init__(self, key: int, about: tuple[Any, ...], pid: int) -> None:
        self.key, self.about, self.pid = key, about, pid
        self.birth, self.joined = 0, False


class _Server:
    """One request a turn, and all that the children tell."""

    def __init__(self, fd: int) -> None:
        self.channel = socket(fileno=fd)
        self.buffer = bytearray(PACKET)
        self.ready = select.epoll()
        self.ready.register(fd, select.EPOLLIN)
        self.children: dict[int, _Flight] = {}
        self.ended: deque[tuple[Any, ...]] = deque(maxlen=_REMEMBERED)

    def run(self) -> None:
        """Serve until the daemon is gone."""
        own = self.channel.fileno()
        while True:
            for fd, events in self.ready.poll():
                if fd != own:
                    self.hear(fd)
                elif events & select.EPOLLHUP:
                    return
                else:
                    self.take()

    def receive(self) -> tuple[dict[str, Any] | int | None, list[int]]:
        """The next request, None when there is no more; a number instead of it: the key of one in a file. OSError."""
        length, control, _, _ = self.channel.recvmsg_into([self.buffer], SPACE, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
        return (marshal.loads(memoryview(self.buffer)[:length]) if length else None), passed(control)

    def take(self) -> None:
        """Start what the next request says."""
        try:
            request, fds = self.receive()
        except (BlockingIOError, ConnectionResetError):
            return
        if request is None:
            return
        try:
            request = opened(request, fds)
            self.start(request, fds)
        except OSError as error:
            failed = ("failed", "fork", error.errno, "")
            if isinstance(request, int):
                self.tell((request, *failed))
            else:
                self.ended.append((*request["about"], 0, 0, *failed))
                self.tell((request["key"], *failed))
        finally:
            for fd in fds:
                os.close(fd)

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
        self.children[read] = _Flight(request["key"], request["about"], pid)
        self.ready.register(read, select.EPOLLIN)

    def hear(self, fd: int) -> None:
        flight = self.children[fd]
        for answer in outcome(flight.key, flight.pid, os.read(fd, 65536), joined=flight.joined):
            if answer[1] == "spawned":
                flight.joined, flight.birth = True, answer[3]
            else:
                self.ended.append((*flight.about, flight.pid, flight.birth, *answer[1:]))
                self.ready.unregister(fd)
                os.close(fd)
                del self.children[fd]
            self.tell(answer)

    def tell(self, answer: tuple[Any, ...]) -> None:
        with suppress(OSError):
            self.channel.send(marshal.dumps(answer), MSG_NOSIGNAL)

    # --- when the daemon is gone ----------------------------------------------------------------------

    def outlive(self, door: Door, shelf: int, patience: float) -> None:
        """Keep what there is until a daemon has taken it, nobody has come for `patience` s, or the door is gone."""
        for number in (signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        self.drain()
        self.hear_all(_LAND_S)
        held = unshelved(shelf)
        knock = door.socket.fileno()
        self.ready.register(knock, select.EPOLLIN)
        until = time.monotonic() + patience
        taken = False
        while not taken and (left := until - time.monotonic()) > 0 and door.is_there:
            for fd, _ in self.ready.poll(min(left, _LOOK_S)):
                if fd != knock:
                    self.hear(fd)
                elif not taken:
                    taken = door.serve(held, self.words(), patience)
                    until = time.monotonic() + patience
        door.close()

    def drain(self) -> None:
        """Remember what still lies in the channel as not started."""
        own = self.channel.fileno()
        while True:
            try:
                request, fds = self.receive()
            except ConnectionResetError:
                # Said once, and before what still lies there, when the daemon left answers unread.
                continue
            except BlockingIOError:
                break
            if request is None:
                break
            with suppress(OSError):
                self.ended.append((*opened(request, fds)["about"], 0, 0, "unstarted"))
            for fd in fds:
                os.close(fd)
        self.ready.unregister(own)
        self.channel.close()

    def hear_all(self, bound: float) -> None:
        """Until no child is between clone and exec, at most `bound` seconds."""
        until = time.monotonic() + bound
        while self.children and (left := until - time.monotonic()) > 0:
            for fd, _ in self.ready.poll(left):
                self.hear(fd)

    def words(self) -> list[tuple[Any, ...]]:
        """What became of the latest requests: unit, serial, invocation, pid, birth, then as in the answers."""
        flying = [(*it.about, it.pid, it.birth or birth(it.pid), "spawned") for it in self.children.values()]
        return [*self.ended, *flying]


def opened(request: dict[str, Any] | int, fds: list[int]) -> dict[str, Any]:
    """The request itself, also where it was too long for a packet and came in a file, the last descriptor. OSError."""
    if not isinstance(request, int):
        return request
    with open(fds.pop(), "rb") as file:
        found: dict[str, Any] = marshal.loads(file.read())
    return found


def reset_signals() -> None:
    """Every signal as at the start of a program: default, and none blocked (signal(7))."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def serve(fd: int, shelf: int, door: int, patience: float, path: str) -> None:
    """Be the fork server on `fd`, in a session of its own, and then the keeper of `shelf` at the door `path`."""
    os.setsid()
    reset_signals()
    low = 3
    for own in sorted((fd, shelf, door)):
        os.closerange(low, own)
        os.set_inheritable(own, False)
        low = own + 1
    os.closerange(low, 65536)
    server = _Server(fd)
    gc.disable()
    gc.freeze()
    server.run()
    server.outlive(Door(door, path), shelf, patience)
