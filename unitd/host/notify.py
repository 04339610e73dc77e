"""Hears what services say on NOTIFY_SOCKET (sd_notify(3)); the kernel proves who sent it (unix(7), SCM_CREDENTIALS).

Anybody may send, for a service runs as any user; what cannot be traced to a unit is dropped. A message is only looked
at (MSG_PEEK, SO_PEEK_OFF: socket(7)), and leaves the socket when the engine has handled it: whatever kills the daemon
in between, the next one hears it. Descriptors sent along are closed then, which a sender of BARRIER=1 waits for.
"""

import array
import asyncio
import contextlib
import os
import socket
import stat
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from unitd.host.ports import Post
from unitd.model.events import Notified

MESSAGE_LIMIT = 4096
"""Bytes of the longest message (PIPE_BUF, as systemd's)."""
PER_TURN = 64
"""Messages handled in one turn of the loop."""

_CREDENTIALS = struct.Struct("iII")
_INT = array.array("i").itemsize
_DESCRIPTORS = 253
_CONTROL = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(_DESCRIPTORS * _INT)
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
_SO_PEEK_OFF = 42
_QUIET_S = 5.0


@dataclass(slots=True, eq=False)
class _Message:
    """One that still lies in the socket. `unit`: whose the sender was when it was read, for it may be gone."""

    text: bytes
    pid: int
    unit: str = ""
    is_early: bool = False
    is_done: bool = False


class Notify:
    """The datagram socket at `path`; `unit_of_pid` names a living process's unit, "" for none.

    What a process says of which `is_early(pid)` holds is kept until a read at which it holds no more. `given`: the
    socket that an earlier daemon bound there, -1 for none; what was sent to it meanwhile is heard.
    """

    def __init__(
        self,
        path: str,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        unit_of_pid: Callable[[int], str],
        warn: Callable[[str], None],
        is_early: Callable[[int], bool] = lambda pid: False,
        given: int = -1,
    ) -> None:
        self.path = path
        self._is_early = is_early
        self._messages: deque[_Message] = deque()
        self._is_cut = False
        self._loop = loop
        self._post = post
        self._unit_of_pid = unit_of_pid
        self._warn = warn
        self._dropped = 0
        self._quiet_until = 0.0
        self._socket = _taken_over(given, path) or _bound(path)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, 0)
        loop.add_reader(self._socket.fileno(), self.read)

    def fileno(self) -> int:
        """The socket's descriptor, for a daemon that follows."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hear no more; the name stays, for a daemon that follows may have bound it already."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def read(self) -> None:
        """Take in what is there, at most PER_TURN messages; until they are handled only a call brings more."""
        for message in list(self._messages):
            if message.is_early:
                self._take(message)
        for _ in range(PER_TURN):
            try:
                text, control, flags, _ = self._socket.recvmsg(MESSAGE_LIMIT + 1, _CONTROL, _PEEK)
            except (BlockingIOError, InterruptedError):
                break
            pid, descriptors = _unpacked(control)
            for descriptor in descriptors:
                os.close(descriptor)
            # What is longer than the buffer comes in pieces, all but the last of them marked.
            was_cut, self._is_cut = self._is_cut, bool(flags & socket.MSG_TRUNC)
            if not was_cut:
                self._look(_Message(text, pid))
        if self._messages:
            self._loop.remove_reader(self._socket.fileno())

    def _look(self, message: _Message) -> None:
        self._messages.append(message)
        pid = message.pid
        if pid <= 0:
            self._drop(message, "its sender is in another pid namespace or unknown")
        elif len(message.text) > MESSAGE_LIMIT:
            self._drop(message, f"pid {pid} sent more than {MESSAGE_LIMIT} bytes")
        elif b"\0" in message.text[:-1]:
            self._drop(message, f"pid {pid} sent a NUL")
        else:
            message.unit = self._unit_of_pid(pid)
            self._take(message)

    def _take(self, message: _Message) -> None:
        pid, unit = message.pid, message.unit
        message.is_early = self._is_early(pid)
        if message.is_early:
            return
        if not (unit := unit or self._unit_of_pid(pid)):
            self._drop(message, f"pid {pid} belongs to no unit")
        elif fields := self._fields(unit, message.text.rstrip(b"\0")):
            self._post(Notified(unit, pid, fields), lambda: self._done(message))
        else:
            self._done(message)

    def _done(self, message: _Message) -> None:
        """It need not be heard again; it leaves the socket when all before it are done too."""
        message.is_done = True
        while self._messages and self._messages[0].is_done:
            self._messages.popleft()
            if self._socket.fileno() >= 0:
                self._socket.recv(1, socket.MSG_DONTWAIT)
        if not self._messages and self._socket.fileno() >= 0:
            self._is_cut = False
            self._loop.add_reader(self._socket.fileno(), self.read)

    def _fields(self, unit: str, message: bytes) -> tuple[tuple[str, str], ...]:
        """The assignments in their order; BARRIER= is ours alone, and a MAINPID= must be the unit's own process."""
        fields = []
        for line in message.split(b"\n"):
            name, equals, value = line.partition(b"=")
            try:
                field = (name.decode("ascii"), value.decode("utf-8"))
            except UnicodeDecodeError:
                self._complain(f"{unit} sent a field that is not UTF-8")
                continue
            if not (name and equals) or field[0] == "BARRIER":
                continue
            if field[0] == "MAINPID" and not self._owns(unit, field[1]):
                self._complain(f"{unit} sent MAINPID={field[1]}, which is no process of it")
                continue
            fields.append(field)
        return tuple(fields)

    def _owns(self, unit: str, pid: str) -> bool:
        return pid.isascii() and pid.isdecimal() and 0 < int(pid) < 2**31 and self._unit_of_pid(int(pid)) == unit

    def _drop(self, message: _Message, reason: str) -> None:
        self._complain(reason)
        self._done(message)

    def _complain(self, reason: str) -> None:
        """Say why it is dropped, but not more often than every _QUIET_S: anybody can send."""
        now = self._loop.time()
        if now < self._quiet_until:
            self._dropped += 1
            return
        more = f"; {self._dropped} more were dropped before" if self._dropped else ""
        self._dropped, self._quiet_until = 0, now + _QUIET_S
        self._warn(f"cannot take a notification: {reason}{more}")


def _taken_over(given: int, path: str) -> socket.socket | None:
    """The socket of an earlier daemon, if its name is still there; else it is closed."""
    if given < 0:
        return None
    taken = socket.socket(fileno=given)
    with contextlib.suppress(OSError):
        if taken.type == socket.SOCK_DGRAM and stat.S_ISSOCK(os.stat(path).st_mode):
            taken.setblocking(False)
            return taken
    taken.close()
    return None


def _bound(path: str) -> socket.socket:
    """The socket under its name, which is there only when messages are heard; a stale one is replaced."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    fresh = f"{path}~"
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        made.bind(fresh)
        os.chmod(fresh, 0o777)
        os.rename(fresh, path)
    except OSError as error:
        made.close()
        raise OSError(error.errno or 0, f"cannot listen for notifications: {error}", path) from error
    return made


def _unpacked(control: list[tuple[int, int, bytes]]) -> tuple[int, list[int]]:
    """The sender's pid (0: not told) and the descriptors that came along."""
    pid, descriptors = 0, array.array("i")
    for level, kind, content in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(content) >= _CREDENTIALS.size:
            pid = _CREDENTIALS.unpack_from(content)[0]
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % _INT])
    return pid, list(descriptors)
