"""A connection to a bus daemon that has let us in: messages in, bytes out, and the answers to our own calls.

What came of a message that is not whole yet is kept, so between two turns of the loop the connection can be described
by its descriptor and the bytes on either side, and be taken up again by another program image (execve(2)).
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from unitd.bus.outbox import Outbox
from unitd.wire import message
from unitd.wire.message import Message, Type, encode
from unitd.wire.signature import Malformed

_CHUNK: Final = 2**17
_UNREAD_LIMIT: Final = 2**26


class Kept(Struct, frozen=True):
    """A connection between two messages: what came and was not handled, and what was not written yet."""

    fd: int
    unread: bytes
    unwritten: bytes


class Refused(Exception):
    """The answer to a call of ours is an error, or the connection ended before it came."""


class Stream:
    """Owns the socket. `heard` gets calls and signals; `lost` is called once when the connection ends by itself."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        serial: Callable[[], int],
        heard: Callable[[Message], None],
        lost: Callable[[str], None],
    ) -> None:
        self._loop, self._socket, self._serial, self._heard, self._lost = loop, sock, serial, heard, lost
        sock.setblocking(False)
        self._buffer = bytearray()
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._outbox = Outbox(loop, sock, _UNREAD_LIMIT, self._end)
        loop.add_reader(sock, self._readable)

    def send(self, raw: bytes) -> None:
        """Write, or keep for later, the bytes of whole messages."""
        self._outbox.send(raw)

    async def call(self, asked: Message) -> tuple[Any, ...]:
        """The body of the answer to a call of ours; raises Refused."""
        serial = self._serial()
        answer = self._asked[serial] = self._loop.create_future()
        self.send(encode(replace(asked, serial=serial)))
        try:
            got = await answer
        finally:
            self._asked.pop(serial, None)
        if got.type == Type.ERROR:
            raise Refused(f"{asked.member}: {got.body[0] if got.body else got.error}")
        body: tuple[Any, ...] = got.body
        return body

    def kept(self) -> Kept:
        """As it is now; it goes on all the same."""
        return Kept(self._socket.fileno(), bytes(self._buffer), self._outbox.waiting())

    def resume(self, kept: Kept) -> None:
        """Go on where another program image stopped."""
        if kept.unwritten:
            self.send(kept.unwritten)
        self._buffer += kept.unread
        self._loop.call_soon(self._take_all)

    def close(self) -> None:
        """End the connection; who waits for an answer gets none."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._outbox.close()
            self._socket.close()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(Refused("the connection ended"))

    def _end(self, reason: str) -> None:
        if self._socket.fileno() >= 0:
            self.close()
            self._lost(reason)

    def _readable(self) -> None:
        try:
            chunk = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error.strerror or str(error))
            return
        if not chunk:
            self._end("")
            return
        self._buffer += chunk
        self._take_all()

    def _take_all(self) -> None:
        """Take the messages that are whole; one that cannot be understood is passed over, for its length is known."""
        try:
            while self._socket.fileno() >= 0 and 0 < (size := message.size(self._buffer)) <= len(self._buffer):
                raw = bytes(self._buffer[:size])
                del self._buffer[:size]
                with contextlib.suppress(Malformed):
                    self._take(message.decode(raw))
        except Malformed as fault:
            self._end(str(fault))

    def _take(self, got: Message) -> None:
        if got.type in (Type.CALL, Type.SIGNAL):
            self._heard(got)
        elif (answer := self._asked.get(got.reply_serial)) is not None and not answer.done():
            answer.set_result(got)
