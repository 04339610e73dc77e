"""The private socket: D-Bus straight from client to daemon, without a bus daemon.

The socket gets its name only when it already accepts: it is bound and listens under another, then is renamed. Who a
client is, the kernel says (SO_PEERCRED, unix(7)). A client that breaks the protocol, does not read, or stays silent
instead of authenticating is dropped; nobody else is hurt. Descriptors that come along are never received.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections import Counter
from typing import Final

from unitd.bus import driver
from unitd.bus.calls import Call, Credentials
from unitd.bus.dispatch import Dispatch, Log
from unitd.bus.outbox import Outbox
from unitd.bus.sasl import Rejected, Sasl
from unitd.model.effects import Level
from unitd.model.refusals import Kind
from unitd.wire import message
from unitd.wire.dialects import DBUS, Dialect
from unitd.wire.message import Message, Type
from unitd.wire.signature import Malformed

LARGEST_CALL: Final = 2**20
_CHUNK: Final = 2**16
_UNREAD_LIMIT: Final = 2**22
_PAUSE_ABOVE: Final = 2**18
_PATIENCE_S: Final = 30.0
_MOST_CLIENTS: Final = 1024
_MOST_OF_A_USER: Final = 64
_BACKLOG: Final = 1024
_RETRY_S: Final = 1.0
_SO_PEERGROUPS: Final = 59
_MOST_GROUPS: Final = 1024
_UCRED = struct.Struct("iII")


class Client:
    """One connection. It hears every signal."""

    def __init__(self, server: "Private", sock: socket.socket, by: Credentials, name: str) -> None:
        self.dialect: Dialect = server.dialect
        self.ours = server.dialect.bus_name
        self.by = by
        self._server = server
        self._loop = server.loop
        self._socket = sock
        self._name = name
        self._sasl = Sasl(by.uid, server.guid)
        self._buffer = bytearray()
        self._outbox = Outbox(self._loop, sock, _UNREAD_LIMIT, self.drop, self._resume)
        self._patience = self._loop.call_later(_PATIENCE_S, self.drop, "it does not authenticate")
        self._loop.add_reader(sock, self._readable)

    @property
    def hears(self) -> bool:
        """True once it is authenticated."""
        return self._sasl.done

    def send(self, raw: bytes) -> None:
        self._outbox.send(raw)

    @property
    def unread(self) -> int:
        """Bytes that wait until it reads."""
        return self._outbox.size

    def has_read(self) -> asyncio.Future[None]:
        """Done when nothing waits for it any more."""
        return self._outbox.emptied()

    def enrol(self, sender: str, wanted: bool) -> Kind | None:
        return None

    def track(self, sender: str, job: int) -> None:
        """It hears of every job anyway."""

    def drop(self, reason: str = "") -> None:
        """End the connection; with a reason, say so in the log."""
        self._patience.cancel()
        self._loop.remove_reader(self._socket)
        self._outbox.close()
        self._socket.close()
        self._server.gone(self, reason)

    def _readable(self) -> None:
        try:
            chunk = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.drop()
            return
        self._buffer += chunk
        self._read()

    def _read(self) -> None:
        try:
            if self._authenticated():
                self._take_all()
        except (Malformed, Rejected) as fault:
            self.drop(str(fault))

    def _authenticated(self) -> bool:
        if not self._sasl.done:
            answer = self._sasl.feed(self._buffer)
            if answer:
                self._outbox.send(answer)
            if self.hears:
                self._patience.cancel()
        return self.hears

    def _take_all(self) -> None:
        """Take the calls that are whole; stop while the client leaves its answers unread."""
        while (size := message.size(self._buffer)) and self._socket.fileno() >= 0:
            if size > LARGEST_CALL:
                raise Malformed(f"cannot take a call of {size} bytes")
            if len(self._buffer) < size or self._server.paused:
                return
            if self._outbox.size > _PAUSE_ABOVE:
                self._loop.remove_reader(self._socket)
                return
            raw = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._take(message.decode(raw))

    def _resume(self) -> None:
        if not self._server.paused:
            self._loop.add_reader(self._socket, self._readable)
            self._read()

    def pause(self) -> None:
        """Take no calls; what comes meanwhile is left unread."""
        self._loop.remove_reader(self._socket)

    def go_on(self) -> None:
        """Take calls again, unless answers wait to be read: then once they are."""
        if not self._outbox.size:
            self._resume()

    def _take(self, asked: Message) -> None:
        if asked.type != Type.CALL:
            return
        if asked.destination == DBUS:
            call = Call(asked.path, asked.interface, asked.member, asked.signature, asked.body, self.by)
            outcome = driver.answer(call, self._name, self.ours, self._server.guid, os.geteuid(), os.getpid())
            self._server.dispatch.reply(_FromTheBus(self), asked, outcome)
            return
        self._server.dispatch.take(self, asked, self.by)


class _FromTheBus:
    """A client, when it is the bus that answers."""

    def __init__(self, client: Client) -> None:
        self.dialect = client.dialect
        self.ours = DBUS
        self.send = client.send
        self.enrol = client.enrol
        self.track = client.track


class Private:
    """The server. `path`: where it is found; `root_only`: nobody else gets in (as systemd's private socket).

    `fd`: the descriptor of its listening socket, when an earlier program image made it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        path: str,
        dialect: Dialect,
        dispatch: Dispatch,
        log: Log,
        *,
        root_only: bool = False,
        fd: int = -1,
    ) -> None:
        self.loop = loop
        self.dialect = dialect
        self.dispatch = dispatch
        self.guid = os.urandom(16).hex()
        self.clients: list[Client] = []
        self.path = path
        self.paused = False
        """No call is taken, and no client accepted."""
        self._is_full = False
        self._log = log
        self._root_only = root_only
        self._count = 0
        self._of_user: Counter[int] = Counter()
        self._socket = _listen(path, 0o600 if root_only else 0o666) if fd < 0 else socket.socket(fileno=fd)
        self._socket.setblocking(False)
        loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Take the name away and drop every client, who thus finds nobody when it comes again."""
        self.loop.remove_reader(self._socket)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        for client in list(self.clients):
            client.drop()

    def fileno(self) -> int:
        """The listening socket's descriptor, by which another program image can go on."""
        return self._socket.fileno()

    def pause(self) -> None:
        """Take no calls and no clients, until go_on."""
        self.paused = True
        self.loop.remove_reader(self._socket)
        for client in self.clients:
            client.pause()

    def go_on(self) -> None:
        """Take calls and clients again."""
        self.paused = False
        self._resume()
        for client in list(self.clients):
            client.go_on()

    def gone(self, client: Client, reason: str) -> None:
        """A client's connection ended."""
        if client not in self.clients:
            return
        self.clients.remove(client)
        self._of_user[client.by.uid] -= 1
        self.dispatch.forget(client)
        if reason:
            self._log(Level.NOTICE, f"cannot go on with client pid {client.by.pid} (uid {client.by.uid}): {reason}")

    def _accept(self) -> None:
        while self._socket.fileno() >= 0 and not self.paused:
            try:
                sock, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._rest(error)
                return
            self._is_full = False
            sock.setblocking(False)
            self._welcome(sock)

    def _rest(self, error: OSError) -> None:
        """No descriptors are left: look again later, instead of being woken for the same client at once."""
        if not self._is_full:
            self._log(Level.WARNING, f"cannot accept a client: {error.strerror}; it is tried every {_RETRY_S:g} s")
        self._is_full = True
        self.loop.remove_reader(self._socket)
        self.loop.call_later(_RETRY_S, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0 and not self.paused:
            self.loop.add_reader(self._socket, self._accept)

    def _welcome(self, sock: socket.socket) -> None:
        pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        ours = uid in (0, os.geteuid())
        if self._root_only and not ours:
            sock.close()
            return
        if not ours and (len(self.clients) >= _MOST_CLIENTS or self._of_user[uid] >= _MOST_OF_A_USER):
            self._log(Level.NOTICE, f"cannot take another client of uid {uid}: it has {self._of_user[uid]}")
            sock.close()
            return
        self._count += 1
        self._of_user[uid] += 1
        by = Credentials(uid, pid, (gid, *_groups(sock)))
        self.clients.append(Client(self, sock, by, f":1.{self._count}"))


def _groups(sock: socket.socket) -> tuple[int, ...]:
    """The supplementary groups of the peer (SO_PEERGROUPS, unix(7)); none where the kernel does not tell."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * 4)
    except OSError:
        return ()
    return tuple(gid for (gid,) in struct.iter_unpack("I", raw))


def _listen(path: str, mode: int) -> socket.socket:
    """A listening socket at `path`, which appears there in one step; a stale one is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    unborn = f"{path}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unborn)
        sock.bind(unborn)
        os.chmod(unborn, mode)
        sock.listen(_BACKLOG)
        os.rename(unborn, path)
    except OSError:
        sock.close()
        raise
    return sock
