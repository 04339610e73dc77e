"""The unit logs on disk: two bounded files a unit; memory stands in while the disk is not writable.

A line is `TIME PROGRAM[PID]: TEXT`, the time in UTC with microseconds, so that it sorts as text. The older file has
`.1` at its end. A unit that prints nothing costs nothing here: files are opened for each batch only.
"""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from unitd.host import accounts
from unitd.syntax.siphash import siphash24

FILE_LIMIT = 1024 * 1024
MEMORY_LIMIT = 64 * 1024
"""Bytes kept of each unit while they cannot be written."""
RETRY_S = 2.0

_GLANCE = 64 * 1024
_STAMP = len("2000-01-01T00:00:00.000000Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNFIT = re.compile(r"[^A-Za-z0-9:_.@\\-]|^\.")


_KEY = b"unit log of unitd"[:16]


class Line(NamedTuple):
    """One line of a unit's log; `us` is the wall clock in microseconds since 1970."""

    us: int
    program: str
    pid: int
    text: str


def file_name(unit: str) -> str:
    """The unit's name as the stem of a file name: no slash, at most 240 bytes, different for different units."""
    name = _UNFIT.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode(errors="replace")), unit)
    if len(name) > 240:
        name = f"{name[:200]}-{siphash24(name.encode(), _KEY):016x}"
    return name


def stamp(us: int) -> bytes:
    """A time since 1970 in microseconds as it stands at the beginning of a line."""
    seconds, rest = divmod(us, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06d}Z".encode()


class LogFiles:
    """Appends whole lines to the logs in `folder` and reads them back; `warn` is told once that it cannot."""

    def __init__(self, folder: str, loop: asyncio.AbstractEventLoop, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._loop = loop
        self._warn = warn
        self._warned = False
        self._pending: dict[str, bytearray] = {}
        self._stuck: set[str] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._group = accounts.log_readers()

    def append(self, unit: str, lines: bytes) -> None:
        """Take lines, each with its newline; they are written by the next flush."""
        pending = self._pending.setdefault(unit, bytearray())
        pending += lines
        if unit in self._stuck:
            _trim(pending)
        elif len(pending) > FILE_LIMIT // 4:
            self._write(unit)

    def waiting(self) -> dict[str, bytes]:
        """What is in memory alone."""
        return {unit: bytes(lines) for unit, lines in self._pending.items() if lines}

    def flush(self) -> None:
        """Write what was appended; what cannot be written stays in memory and is tried again every RETRY_S."""
        for unit in [unit for unit in self._pending if unit not in self._stuck]:
            self._write(unit)

    def tail(self, unit: str, count: int) -> list[Line]:
        """The last `count` lines, or all for 0, oldest first."""
        text = self._newest(unit)
        if not count or text.count(b"\n") <= count:
            text = self._everything(unit)
        return list(_parsed(_split(text)[-count:]))

    def since(self, unit: str, us: int) -> list[Line]:
        """The lines of that time (microseconds since 1970) and later that are still kept, oldest first."""
        first = stamp(max(us, 0))
        return list(_parsed([line for line in _split(self._everything(unit)) if line[:_STAMP] >= first]))

    def forget(self, unit: str) -> None:
        """Delete the unit's log."""
        self._pending.pop(unit, None)
        self._stuck.discard(unit)
        for path in self._paths(unit):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def close(self) -> None:
        """Write what can be written; afterwards nothing is tried again."""
        self._try_again()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _paths(self, unit: str) -> tuple[str, str]:
        """The older and the newer file."""
        path = os.path.join(self._folder, f"{file_name(unit)}.log")
        return f"{path}.1", path

    def _write(self, unit: str) -> None:
        pending = self._pending[unit]
        try:
            self._put(unit, pending)
        except OSError as error:
            self._stuck.add(unit)
            _trim(pending)
            self._tell(error)
            if self._retry is None:
                self._retry = self._loop.call_later(RETRY_S, self._try_again)
            return
        del self._pending[unit]

    def _try_again(self) -> None:
        self._retry = None
        self._stuck.clear()
        self.flush()

    def _tell(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"cannot write logs in {self._folder}: {error.strerror}; they are kept in memory until it works")

    def _put(self, unit: str, pending: bytearray) -> None:
        older, newer = self._paths(unit)
        file = self._open(newer)
        try:
            size = os.fstat(file).st_size
            if size and size + len(pending) > FILE_LIMIT:
                os.rename(newer, older)
                os.close(file)
                file = -1
                file = self._open(newer)
            while pending:
                del pending[: os.write(file, pending)]
        finally:
            if file >= 0:
                os.close(file)

    def _open(self, path: str) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        os.makedirs(self._folder, mode=0o755, exist_ok=True)
        file = os.open(path, flags | os.O_CREAT, 0o640)
        with contextlib.suppress(OSError):
            os.fchmod(file, 0o640)
            os.fchown(file, -1, self._group)
        return file

    def _newest(self, unit: str) -> bytes:
        """The end of the log, from the beginning of a line on; complete when the newer file is short."""
        return self._tail_of_file(self._paths(unit)[1]) + self._pending.get(unit, b"")

    def _tail_of_file(self, path: str) -> bytes:
        try:
            with open(path, "rb", opener=_reading) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - _GLANCE))
                text = file.read()
        except OSError:
            return b""
        return text if size <= _GLANCE else text[text.find(b"\n") + 1 :]

    def _everything(self, unit: str) -> bytes:
        parts = []
        for path in self._paths(unit):
            with contextlib.suppress(OSError), open(path, "rb", opener=_reading) as file:
                parts.append(file.read())
        return b"".join(parts) + self._pending.get(unit, b"")


def _reading(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def _trim(pending: bytearray) -> None:
    """Keep the last whole lines within MEMORY_LIMIT."""
    if len(pending) > MEMORY_LIMIT:
        del pending[: pending.find(b"\n", len(pending) - MEMORY_LIMIT) + 1]


def _split(text: bytes) -> list[bytes]:
    return text.split(b"\n")[:-1]


def _parsed(lines: list[bytes]) -> Iterator[Line]:
    """The lines that are whole; what a crash or a foreign hand left is passed over."""
    for line in lines:
        head, colon, text = line[_STAMP + 1 :].partition(b"]: ")
        program, bracket, pid = head.rpartition(b"[")
        if not (colon and bracket and pid.isdigit()):
            continue
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(line[:_STAMP].decode("ascii"))
            us = (moment - _EPOCH) // _MICROSECOND
            yield Line(us, program.decode(errors="replace"), int(pid), text.decode(errors="backslashreplace"))
