"""Reads PIDFile= of forking services, now and whenever it changes (systemd.service(5)).

A pid is taken only when it is a living process of the unit itself, so it does not matter who wrote the file or what it
links to: nobody can point us at a foreign process. (systemd also believes a file of root's that names one outside.)
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from unitd.host import processes
from unitd.host.directory_watch import DirectoryWatch
from unitd.host.inotify import IN_CLOSE_WRITE, IN_CREATE, IN_MODIFY, IN_MOVED_TO, Inotify
from unitd.model.events import PidFileRead

_MASK = IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE
_LONGEST = 64
_LARGEST_PID = 2**22


class PidFiles:
    """The watched PID files; `unit_of_pid` names a living process's unit, "" for none.

    `claim(unit, pid)`: whether one that has no unit may be taken for this one's.
    """

    def __init__(
        self,
        inotify: Inotify,
        post: Callable[[PidFileRead], object],
        unit_of_pid: Callable[[int], str],
        claim: Callable[[str, int], bool] = lambda unit, pid: False,
    ) -> None:
        self._claim = claim
        self._inotify = inotify
        self._post = post
        self._unit_of_pid = unit_of_pid
        self._watches: dict[tuple[str, str], DirectoryWatch] = {}
        self._told: dict[tuple[str, str], PidFileRead] = {}

    def watch(self, unit: str, path: str) -> None:
        """Post what the file says now, and again when that changes. A watch that the kernel refuses is a reason."""
        key = (unit, path)
        self.unwatch(unit, path)
        folder, name = os.path.split(path)

        def changed(entry: str) -> None:
            if entry in ("", name):
                self._tell(key)

        try:
            self._watches[key] = DirectoryWatch(self._inotify, folder, _MASK, changed)
        except OSError as error:
            self._post(PidFileRead(unit, 0, reason=f"cannot watch {path}: {error.strerror}"))
            return
        self._tell(key)

    def unwatch(self, unit: str, path: str, remove: bool = False) -> None:
        """Be silent about it; `remove`: delete the file."""
        watch = self._watches.pop((unit, path), None)
        self._told.pop((unit, path), None)
        if watch is not None:
            watch.close()
        if remove:
            with suppress(OSError):
                os.unlink(path)

    def close(self) -> None:
        """End all watches."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def _tell(self, key: tuple[str, str]) -> None:
        found = self._look(*key)
        if self._told.get(key) != found:
            self._told[key] = found
            self._post(found)

    def _look(self, unit: str, path: str) -> PidFileRead:
        try:
            text = _content(path)
        except OSError as error:
            return PidFileRead(unit, 0, reason=f"cannot read {path}: {error.strerror}")
        word = text.strip()
        if not (word.isascii() and word.isdigit() and 1 < int(word) <= _LARGEST_PID):
            said = repr(word.decode(errors="replace")) if word else "empty"
            return PidFileRead(unit, 0, reason=f"cannot use {path}: it is no pid but {said}")
        process = processes.read(int(word))
        if process is None or not process.is_alive:
            return PidFileRead(unit, 0, reason=f"cannot use {path}: no process {int(word)} lives")
        owner = self._unit_of_pid(process.pid)
        if owner != unit and (owner or not self._claim(unit, process.pid)):
            return PidFileRead(
                unit, 0, reason=f"cannot use {path}: process {process.pid} is not of {unit} but of {owner or 'no unit'}"
            )
        return PidFileRead(unit, process.pid, process.birth)


def _content(path: str) -> bytes:
    """The first line of a regular file, no more than a pid is long; a FIFO or a device does not hold us up."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return b"(not a regular file)"
        return os.read(file, _LONGEST).partition(b"\n")[0]
    finally:
        os.close(file)
