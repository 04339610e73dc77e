"""Tells of changes to files: one inotify descriptor for the whole daemon (inotify(7)).

The kernel gives one watch per inode, whoever asks; so watches here have numbers of their own, and several of them
may share a kernel watch. When the kernel's queue overflows, every watch hears IN_Q_OVERFLOW and must look for itself.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from itertools import count

from msgspec import Struct

IN_MODIFY = 0x002
IN_CLOSE_WRITE = 0x008
IN_MOVED_FROM = 0x040
IN_MOVED_TO = 0x080
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_UNMOUNT = 0x2000
IN_Q_OVERFLOW = 0x4000
IN_IGNORED = 0x8000
IN_ONLYDIR = 0x01000000
IN_MASK_ADD = 0x20000000

_ALWAYS = IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED
_HEAD = struct.Struct("iIII")
_READ = 64 * 1024

Callback = Callable[[int, str], None]
"""Called with the event's mask and the name inside a watched directory ("" for the watched file itself)."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Watch(Struct, frozen=True):
    wd: int
    mask: int
    callback: Callback


class Inotify:
    """Watches of files and directories, told in turns of `loop`; OSError where the kernel has no instance left."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._fd = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify")
        self._numbers = count(1)
        self._watches: dict[int, _Watch] = {}
        self._sharing: dict[int, list[int]] = {}
        loop.add_reader(self._fd, self._read)

    def add(self, path: str, mask: int, callback: Callback) -> int:
        """Watch `path` for `mask` (IN_*); the watch's number. OSError as inotify_add_watch(2)."""
        wd = _checked(_libc.inotify_add_watch(self._fd, os.fsencode(path), mask | IN_MASK_ADD), path)
        number = next(self._numbers)
        self._watches[number] = _Watch(wd, mask | _ALWAYS, callback)
        self._sharing.setdefault(wd, []).append(number)
        return number

    def remove(self, number: int) -> None:
        """End a watch; its callback is not called any more. An unknown or ended watch is fine."""
        watch = self._watches.pop(number, None)
        sharing = self._sharing.get(watch.wd) if watch is not None else None
        if watch is None or sharing is None:
            return
        sharing.remove(number)
        if not sharing:
            del self._sharing[watch.wd]
            _libc.inotify_rm_watch(self._fd, watch.wd)

    def close(self) -> None:
        """End all watches and give the descriptor back."""
        if self._fd >= 0:
            self.loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._watches.clear()
        self._sharing.clear()

    def _read(self) -> None:
        """Deliver one buffer of events; the loop calls again while there is more."""
        try:
            buffer = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(buffer):
            wd, mask, _, length = _HEAD.unpack_from(buffer, at)
            at += _HEAD.size
            name = os.fsdecode(buffer[at : at + length].rstrip(b"\0"))
            at += length
            self._deliver(wd, mask, name)

    def _deliver(self, wd: int, mask: int, name: str) -> None:
        overflow = bool(mask & IN_Q_OVERFLOW)
        numbers = list(self._watches) if overflow else list(self._sharing.get(wd, ()))
        if mask & IN_IGNORED:
            self._sharing.pop(wd, None)
        for number in numbers:
            watch = self._watches.get(number)
            if watch is None or not watch.mask & mask:
                continue
            if mask & IN_IGNORED:
                del self._watches[number]
            self._call(watch.callback, mask, name)

    def _call(self, callback: Callback, mask: int, name: str) -> None:
        """A callback's fault is its own: the events behind it are delivered all the same."""
        try:
            callback(mask, name)
        except Exception as error:
            self.loop.call_exception_handler({"message": "cannot handle a file change", "exception": error})


def _checked(result: int, path: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return result
