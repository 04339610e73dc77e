"""The start record, STATE/started: what the daemon has to be told of if it comes back after a crash.

The first line says of which boot and which runtime directory the file tells; each line after it is one JSON value
about one key, and the last one about a key counts. Lines are appended with one write for each turn, and the file is
written anew beside it, and renamed, at the start and when stale lines outgrow the others. A daemon that is killed
leaves a whole file with at most its last line torn. Power loss is not what it is for: another boot makes it void.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TypeAlias

from msgspec import DecodeError, Struct, json

FORMAT = 1
RETRY_S = 1.0
SLACK = 256 * 1024
"""Bytes of stale lines that are not worth writing the file anew."""

_LONGEST_HEAD = 4096


Line: TypeAlias = tuple[str, bytes, bool]
"""A key, its line without newline, and whether that has to last: False when it only takes back what was said."""


class Head(Struct, frozen=True):
    """The first line."""

    format: int
    boot: str
    runtime: str


class Past(Struct, frozen=True):
    """What an earlier daemon wrote: (line number, line) in the order of writing; `void`: why it is not to be used."""

    lines: tuple[tuple[int, bytes], ...] = ()
    void: str = ""


def read(path: str, head: Head) -> Past:
    """The record of this boot and runtime directory, as far as it is whole; none is empty. Never fails."""
    try:
        with open(path, "rb") as file:
            first, *rest = file.read().split(b"\n")
    except FileNotFoundError:
        return Past()
    except OSError as error:
        return Past(void=f"it cannot be read: {error.strerror}")
    try:
        found = json.decode(first, type=Head)
    except DecodeError as error:
        return Past(void=f"line 1 is not what it should be: {error}")
    if found.boot != head.boot:
        return Past(void="it is of another boot")
    if found != head:
        return Past(void=f"it is of {found.runtime}, format {found.format}")
    # What follows the last newline was torn off.
    return Past(tuple((number, line) for number, line in enumerate(rest[:-1], start=2) if line))


class StartRecord:
    """Writes the record; `warn` is told once that it cannot, and the lines are kept until it can again."""

    def __init__(self, path: str, head: Head, loop: asyncio.AbstractEventLoop, warn: Callable[[str], None]) -> None:
        self._path, self._loop, self._warn = path, loop, warn
        self._head = json.encode(head) + b"\n"
        self._lines: dict[str, bytes] = {}
        self._live = len(self._head)
        self._fd = -1
        self._size = 0
        self._warned = False
        self._retry: asyncio.TimerHandle | None = None

    def begin(self, lines: Iterable[Line] = ()) -> None:
        """Write the file anew, with these lines; every later put() is written too."""
        self._keep(lines)
        self._write_anew()

    def put(self, lines: Iterable[Line]) -> None:
        """Append these lines; those that say nothing new cost nothing."""
        fresh = self._keep(lines)
        if not fresh or self._retry is not None:
            return
        if self._size > 2 * self._live + SLACK:
            self._write_anew()
            return
        text = b"".join(fresh)
        try:
            whole = os.write(self._fd, text) == len(text)
        except OSError as error:
            self._failed(error.strerror or str(error))
            return
        if not whole:
            self._failed("the disk is full")
            return
        self._size += len(text)

    def close(self, *, remove: bool) -> None:
        """Write no more; `remove`: nothing is left that anybody would have to be told of."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _keep(self, lines: Iterable[Line]) -> list[bytes]:
        """Note the lines; those that say something new, each with its newline."""
        fresh: list[bytes] = []
        known = self._lines
        for key, line, lasts in lines:
            before = known.get(key, b"")
            if line == before or not (lasts or before):
                continue
            if lasts:
                known[key] = line
                self._live += len(line) + 1
            else:
                del known[key]
            self._live -= len(before) + bool(before)
            fresh += (line, b"\n")
        return fresh

    def _write_anew(self) -> None:
        """Only a whole file gets the name."""
        temporary = f"{self._path}~"
        text = self._head + b"".join(line + b"\n" for line in self._lines.values())
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._failed(error.strerror or str(error))
            return
        try:
            if os.write(fd, text) != len(text):
                raise OSError(0, "the disk is full")
            os.rename(temporary, self._path)
        except OSError as error:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            self._failed(error.strerror or str(error))
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size, self._warned = fd, len(text), False

    def _failed(self, why: str) -> None:
        """Say it once, and try again until it works."""
        if not self._warned:
            self._warned = True
            self._warn(f"cannot write {self._path}: {why}; a daemon that is killed now is not remembered")
        self._retry = self._loop.call_later(RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._write_anew()
