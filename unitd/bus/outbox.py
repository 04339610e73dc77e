"""What is still to be written to a socket: kept in order, bounded, and written as the peer reads.

A full socket is no fault (EAGAIN, send(2)): the rest waits until it is writable, and nothing is ever written past it.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST_AT_ONCE: Final = 2**18
_PATIENCE_S: Final = 5.0
_BURST: Final = 16
"""How many times the limit may wait for a peer that reads: thousands of units can change in one turn of the loop."""


class Outbox:
    """Writes to one socket; `lost` is called once when it cannot go on, with the reason, or "" when the peer is gone.

    `limit`: bytes that may wait for a peer that has not read for _PATIENCE_S; a single message may be longer. `empty`
    is called when all that waited is written. The socket stays the caller's.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        limit: int,
        lost: Callable[[str], None],
        empty: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._limit = limit
        self._lost = lost
        self._empty = empty
        self._waiting: deque[memoryview] = deque()
        self._closed = False
        self._moved = 0.0
        self._awaited: list[asyncio.Future[None]] = []
        self.size = 0
        """Bytes that wait."""

    def send(self, raw: bytes) -> None:
        """Write, or keep for later what cannot be written now."""
        if self._closed:
            return
        if self._waiting:
            if self._is_hopeless():
                self._fail(f"it does not read: {self.size} bytes wait for it")
                return
            self._keep(memoryview(raw))
            return
        rest = self._write(memoryview(raw))
        if rest:
            self._moved = self._loop.time()
            self._keep(rest)
            self._loop.add_writer(self._socket, self._drain)

    def close(self) -> None:
        """Write no more; what waits is dropped."""
        if not self._closed:
            self._closed = True
            if self._waiting:
                self._loop.remove_writer(self._socket)
            self._waiting.clear()
            self.size = 0
            self._done()

    def waiting(self) -> bytes:
        """What is not written yet."""
        return b"".join(self._waiting)

    def emptied(self) -> asyncio.Future[None]:
        """Done when nothing waits any more."""
        future = self._loop.create_future()
        self._awaited.append(future)
        if not self._waiting:
            self._done()
        return future

    def _done(self) -> None:
        for future in self._awaited:
            if not future.done():
                future.set_result(None)
        self._awaited.clear()

    def _is_hopeless(self) -> bool:
        """Too much waits for a peer that does not read, or that reads far too slowly."""
        if self.size <= self._limit:
            return False
        return self.size > _BURST * self._limit or self._loop.time() > self._moved + _PATIENCE_S

    def _keep(self, raw: memoryview) -> None:
        self._waiting.append(raw)
        self.size += len(raw)

    def _write(self, raw: memoryview) -> memoryview:
        """What could not be written."""
        try:
            sent = self._socket.send(raw, socket.MSG_NOSIGNAL)
        except (BlockingIOError, InterruptedError):
            return raw
        except (BrokenPipeError, ConnectionResetError):
            self._fail("")
            return raw[:0]
        except OSError as error:
            self._fail(error.strerror or str(error))
            return raw[:0]
        return raw[sent:]

    def _drain(self) -> None:
        written = 0
        while self._waiting and written < _MOST_AT_ONCE:
            raw = self._waiting.popleft()
            rest = self._write(raw)
            if self._closed:
                return
            written += len(raw) - len(rest)
            self.size -= len(raw) - len(rest)
            if len(rest) < len(raw):
                self._moved = self._loop.time()
            if rest:
                self._waiting.appendleft(rest)
                return
        if not self._waiting:
            self._loop.remove_writer(self._socket)
            self._done()
            self._empty()

    def _fail(self, reason: str) -> None:
        self.close()
        self._lost(reason)
