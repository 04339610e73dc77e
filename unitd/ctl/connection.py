"""A connection to the daemon: its private socket, or a bus that it is on.

A daemon that re-executes itself drops its private clients, but not the socket that they come by, and leaves no call
half done: one that was not answered was not carried out, and is sent again over a new connection.

Calls may be sent ahead and their replies taken in any order; signals that come meanwhile are kept. Blocking, with
poll(2) and a time for each wait. Rests on the D-Bus specification, "Authentication Protocol": a client may send
AUTH, BEGIN and its first message in one write. `_socket` is what `socket` wraps; the wrapper takes 7 ms to import.
"""

import os
import select
import time
from _socket import AF_UNIX, SO_SNDTIMEO, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET, socket
from collections.abc import Iterable
from contextlib import suppress
from struct import Struct
from typing import Any, Final, NoReturn

from unitd.ctl import message
from unitd.ctl.message import Message
from unitd.wire import labels
from unitd.wire.signature import Malformed

BUS_NAME: Final = "org.pyzinit.Manager"
MANAGER_PATH: Final = "/org/pyzinit/Manager"
MANAGER: Final = "org.pyzinit.Manager"
UNIT: Final = "org.pyzinit.Unit"
JOB: Final = "org.pyzinit.Job"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
BUS: Final = "org.freedesktop.DBus"

REPLY_S: Final = 25.0
"""Seconds to wait for the reply to a call; systemctl's value."""
_ATTEMPTS: Final = 5
"""How often in a row a connection may end before anything comes over it: a call may be what ends it."""
_SETUP: Final = Struct("ll").pack(5, 0)
"""Seconds and microseconds for a connect or a write that is kept waiting (struct timeval, socket(7))."""


class Unreachable(Exception):
    """There is no daemon at the other end, or it cannot be talked to; the text says why."""


class Disconnected(Exception):
    """The daemon closed the connection."""


class Reconnected(Disconnected):
    """It did, for it re-executed itself, and is connected again; signals may have been missed."""


class Refused(Exception):
    """The daemon's answer is an error: its D-Bus name and text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name
        self.text = text or name

    @property
    def short(self) -> str:
        """The name after the last dot: NoSuchUnit, AccessDenied ..."""
        return self.name.rpartition(".")[2]


class Connection:
    """One stream to the daemon at `path`. `where` says to whom, in words. Raises OSError or Unreachable."""

    def __init__(self, path: str, where: str, bus: bool) -> None:
        self.where = where
        self.bus = bus
        self._path = path
        self._serial = 0
        self._unanswered: dict[int, bytes] = {}
        self._replies: dict[int, Message] = {}
        self._signals: list[Message] = []
        self._missed = False
        self._attempts = 0
        self._begin()
        if bus:
            try:
                self.call(BUS, "/org/freedesktop/DBus", BUS, "Hello")
            except BaseException:
                self.close()
                raise

    def _begin(self) -> None:
        self._stream = _open(self._path)
        self._poll = select.poll()
        self._poll.register(self._stream.fileno(), select.POLLIN)
        uid = str(os.geteuid()).encode().hex()
        self._outgoing = b"\0AUTH EXTERNAL %s\r\nBEGIN\r\n" % uid.encode()
        self._incoming = bytearray()
        self._authorized = False

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _begin_again(self, gone: str) -> None:
        """Connect once more, and ask again for what was not answered; raises Disconnected when nobody is there."""
        self._attempts += 1
        if self.bus or self._attempts > _ATTEMPTS:
            raise Disconnected(gone)
        self._stream.close()
        try:
            self._begin()
            self._stream.sendall(self._outgoing + b"".join(self._unanswered.values()))
        except OSError:
            raise Disconnected(gone) from None
        self._outgoing = b""
        self._missed = True

    # --- calls --------------------------------------------------------------------------------------

    def send(self, path: str, interface: str, member: str, signature: str = "", *values: Any) -> int:
        """Send a call to the daemon; its serial, for `reply`."""
        return self._send(BUS_NAME if self.bus else "", path, interface, member, signature, values)

    def ask(self, path: str, interface: str, member: str, signature: str = "", *values: Any) -> tuple[Any, ...]:
        """Call the daemon and wait for the reply's values; raises Refused."""
        return self.reply(self.send(path, interface, member, signature, *values))

    def manager(self, member: str, signature: str = "", *values: Any) -> tuple[Any, ...]:
        """Call a method of the daemon's own object; raises Refused."""
        return self.ask(MANAGER_PATH, MANAGER, member, signature, *values)

    def properties(self, path: str, interface: str = "") -> dict[str, tuple[str, Any]]:
        """All properties of an object, each with its signature; raises Refused."""
        found: dict[str, tuple[str, Any]] = self.ask(path, PROPERTIES, "GetAll", "s", interface)[0]
        return found

    def reply(self, serial: int, seconds: float = REPLY_S, *, again: bool = True) -> tuple[Any, ...]:
        """The values that answer the call with this serial; raises Refused, Disconnected, Unreachable.

        `again`: send it again to a daemon that re-executes itself; else Reconnected is raised.
        """
        until = time.monotonic() + seconds
        if not again:
            self._unanswered.pop(serial, None)
        while serial not in self._replies:
            if self._missed and not again:
                self._told_of_gap()
            if not self._receive(until - time.monotonic()) and time.monotonic() >= until:
                raise Unreachable(f"cannot go on: {self.where} did not answer within {seconds:.0f} s")
        answer = self._replies.pop(serial)
        if answer.kind == message.ERROR:
            text = answer.body[0] if answer.body and isinstance(answer.body[0], str) else ""
            raise Refused(answer.error, text)
        return answer.body

    def call(self, destination: str, path: str, interface: str, member: str, signature: str = "", *values: Any) -> Any:
        """Call somebody else on the bus, such as the bus itself."""
        return self.reply(self._send(destination, path, interface, member, signature, values))

    def _send(
        self, destination: str, path: str, interface: str, member: str, signature: str, values: tuple[Any, ...]
    ) -> int:
        self._serial += 1
        raw = message.encode_call(self._serial, destination, path, interface, member, signature, values)
        size, raw = len(raw), self._outgoing + raw
        self._outgoing = b""
        self._unanswered[self._serial] = raw[-size:]
        stream = self._stream
        try:
            stream.sendall(raw)
        except BlockingIOError:
            raise Disconnected(f"{self.where} does not read") from None
        except OSError:
            # It was closed; what was answered before lies there still.
            while stream is self._stream:
                self._receive(None)
        return self._serial

    # --- signals ------------------------------------------------------------------------------------

    def subscribe(self, members: Iterable[str]) -> None:
        """Have these signals of the daemon come; on the private socket all come unasked."""
        if not self.bus:
            return
        for member in members:
            rule = f"type='signal',sender='{BUS_NAME}',member='{member}'"
            self.call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", rule)
        gone = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{BUS_NAME}'"
        self.call(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", gone)
        self.manager("Subscribe")

    def signal(self, seconds: float | None) -> Message | None:
        """The next signal, or None when none came in time; raises Disconnected when the daemon is gone, Reconnected."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self._signals:
            if self._missed:
                self._told_of_gap()
            left = None if until is None else until - time.monotonic()
            if not self._receive(left) and left is not None and until is not None and time.monotonic() >= until:
                return None
        found = self._signals.pop(0)
        if found.member == "NameOwnerChanged" and found.body[0] == BUS_NAME and not found.body[2]:
            raise Disconnected(f"{BUS_NAME} has left {self.where}")
        return found

    def idle(self, seconds: float) -> None:
        """Let time pass; signals are dropped. Raises Disconnected when the daemon is gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with suppress(Reconnected):
                self.signal(left)

    def _told_of_gap(self) -> NoReturn:
        self._missed = False
        raise Reconnected(f"{self.where} closed the connection")

    # --- the stream ---------------------------------------------------------------------------------

    def _receive(self, seconds: float | None) -> bool:
        """Take what is there, after waiting for it at most so long; whether something came."""
        wait = None if seconds is None else max(0, int(seconds * 1000 + 0.999))
        if not self._poll.poll(wait):
            return False
        try:
            chunk = self._stream.recv(262144)
        except OSError as error:
            self._begin_again(f"{self.where} closed the connection: {error.strerror}")
            return True
        if not chunk:
            if not self._authorized and self._attempts >= _ATTEMPTS:
                raise Unreachable(f"cannot talk to {self.where}: it closed the connection at once")
            self._begin_again(f"{self.where} closed the connection")
            return True
        self._incoming += chunk
        try:
            if self._authorized or self._authorize():
                self._sort_out()
        except Malformed as error:
            raise Unreachable(f"cannot understand {self.where}: {error}") from None
        return True

    def _authorize(self) -> bool:
        line, end, rest = self._incoming.partition(b"\r\n")
        if not end:
            return False
        if not line.startswith(b"OK"):
            raise Unreachable(f"cannot talk to {self.where}: it refuses user {os.geteuid()}")
        self._incoming = rest
        self._authorized = True
        return True

    def _sort_out(self) -> None:
        while len(self._incoming) >= message.HEAD:
            size = message.size(self._incoming)
            if len(self._incoming) < size:
                return
            one = message.decode(bytes(self._incoming[:size]))
            del self._incoming[:size]
            self._attempts = 0
            if one.kind == message.SIGNAL:
                self._signals.append(one)
            elif one.kind in (message.RETURN, message.ERROR):
                self._unanswered.pop(one.reply_to, None)
                self._replies[one.reply_to] = one


def unit_path(name: str) -> str:
    """The object path of a unit."""
    return "/org/pyzinit/unit/" + labels.escape(name)


def open_path(path: str, where: str, bus: bool = False) -> Connection:
    """Connect to a socket by its path, or abstract name after a NUL; raises OSError or Unreachable."""
    return Connection(path, where, bus)


def _open(path: str) -> socket:
    stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        # Blocking, so that connect(2) waits its turn while very many clients come at once, but not for ever.
        stream.setsockopt(SOL_SOCKET, SO_SNDTIMEO, _SETUP)
        stream.connect(path)
        return stream
    except BaseException:
        stream.close()
        raise
