"""Watches one directory that may come and go: while it is missing, its nearest ancestor is watched instead."""

import os
from collections.abc import Callable

from unitd.host.inotify import (
    IN_CREATE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_MOVE_SELF,
    IN_MOVED_TO,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
    Inotify,
)

_GONE = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT
_APPEARS = IN_CREATE | IN_MOVED_TO
_TRIES = 64


class DirectoryWatch:
    """Tells `changed` the name of each entry with an event in `mask`, and "" when all may be different."""

    def __init__(self, inotify: Inotify, path: str, mask: int, changed: Callable[[str], None]) -> None:
        self._inotify = inotify
        self._path = os.path.abspath(path)
        self._mask = mask
        self._changed = changed
        self._number = 0
        self._missing = ""
        self._arm()

    def close(self) -> None:
        """Watch no more."""
        self._inotify.remove(self._number)

    def _arm(self) -> None:
        """Watch the deepest directory that exists; look again, as one may appear while we add a watch."""
        for _ in range(_TRIES):
            self._inotify.remove(self._number)
            folder, self._missing = self._path, ""
            while not self._add(folder):
                if folder == "/":
                    return
                folder, self._missing = os.path.dirname(folder), os.path.basename(folder)
            if not self._missing or not os.path.isdir(os.path.join(folder, self._missing)):
                return

    def _add(self, folder: str) -> bool:
        mask = self._mask if not self._missing else _APPEARS
        try:
            self._number = self._inotify.add(folder, mask | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR, self._heard)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False
        return True

    def _heard(self, mask: int, name: str) -> None:
        missing = self._missing
        if mask & _GONE or (missing and (name == missing or mask & IN_Q_OVERFLOW)):
            self._arm()
            if not (missing and self._missing):
                self._changed("")
        elif not missing:
            self._changed(name)
