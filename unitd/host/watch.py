"""Watches the directories of unit files, and says once that they changed when they have been quiet for a while.

Watched are the directories of the search path, missing ones too, and below them those of drop-ins and links
(NAME.d, NAME.wants, NAME.requires). Other files in them are nobody's business.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from unitd.graph.files import SUBDIRECTORIES
from unitd.host.directory_watch import DirectoryWatch
from unitd.host.inotify import IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO, Inotify
from unitd.model.events import UnitFilesChanged
from unitd.syntax.unit_name import UNIT_TYPES

QUIET_S: Final = 0.2

_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE
_UNITS: Final = tuple(f".{kind}" for kind in sorted(UNIT_TYPES))


class UnitFileWatch:
    """Posts UnitFilesChanged; `warn` hears once when the kernel has no watches left."""

    def __init__(
        self,
        inotify: Inotify,
        loop: asyncio.AbstractEventLoop,
        directories: Sequence[str],
        post: Callable[[UnitFilesChanged], object],
        warn: Callable[[str], None],
        quiet_s: float = QUIET_S,
    ) -> None:
        self._inotify = inotify
        self._loop = loop
        self._post = post
        self._warn = warn
        self._quiet_s = quiet_s
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._directories = tuple(dict.fromkeys(directories))
        self._watches: dict[str, DirectoryWatch] = {}
        self._warned = False
        self._rescan()

    def close(self) -> None:
        """End all watches, and say nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def _rescan(self) -> None:
        """Watch what exists now: each directory, and what belongs to it below."""
        wanted = list(self._directories)
        for directory in self._directories:
            self._add(directory, top=True)
            wanted.extend(_below(directory))
        for directory in wanted[len(self._directories) :]:
            self._add(directory, top=False)
        for directory in self._watches.keys() - set(wanted):
            self._watches.pop(directory).close()

    def _add(self, directory: str, top: bool) -> None:
        if directory in self._watches:
            return

        def changed(name: str) -> None:
            if not top or not name or name.endswith(_UNITS) or name.endswith(SUBDIRECTORIES):
                self._stir()

        try:
            self._watches[directory] = DirectoryWatch(self._inotify, directory, _MASK, changed)
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._warn(f"cannot watch {directory}: {error.strerror}; changes there need daemon-reload")

    def _stir(self) -> None:
        self._last = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._quiet_s, self._settle)

    def _settle(self) -> None:
        """Quiet for long enough, or wait for the rest."""
        self._timer = None
        left = self._last + self._quiet_s - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._settle)
            return
        self._rescan()
        self._post(UnitFilesChanged())


def _below(directory: str) -> list[str]:
    """The directories of drop-ins and links in it, sorted."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.path for entry in entries if entry.name.endswith(SUBDIRECTORIES) and entry.is_dir())
    except OSError:
        return []
