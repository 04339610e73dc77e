"""The daemon's own log: lines to stderr, for people and for whatever reads a service's output (sd-daemon(3)).

On a terminal some lines can stand below the log, and are drawn again in place (ECMA-48); the terminal does not wrap
meanwhile (DECAWM), so that a line is a row.
"""

import os
import sys
import time
from collections.abc import Sequence

from unitd.model.states import LOG_LEVELS


class Journal:
    """Writes lines of at least `level`; never fails, since nobody could be told."""

    def __init__(self, level: str = "info") -> None:
        self.threshold = LOG_LEVELS.index(level)
        self._below: Sequence[str] = ()

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks at it, on something that can move its cursor."""
        return os.isatty(2) and os.environ.get("TERM", "linux") != "dumb"

    def show(self, lines: Sequence[str]) -> None:
        """Have these lines below the log, in place of those that were there."""
        up = self._erased()
        self._below = lines
        self._write(up + self._drawn())

    @property
    def level(self) -> str:
        return LOG_LEVELS[self.threshold]

    def set_level(self, level: str) -> None:
        self.threshold = LOG_LEVELS.index(level)

    def say(self, level: str, text: str) -> None:
        """One line: time, level unless it is plain information, text."""
        if LOG_LEVELS.index(level) > self.threshold:
            return
        now = time.time()
        stamp = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03d}"
        word = "" if level in ("info", "notice") else f"{level}: "
        self._write(f"{self._erased()}{stamp} {word}{text}\n{self._drawn()}")

    def _erased(self) -> str:
        return f"\x1b[{len(self._below)}A\r\x1b[J" if self._below else ""

    def _drawn(self) -> str:
        return "\x1b[?7l" + "".join(f"{line}\n" for line in self._below) + "\x1b[?7h" if self._below else ""

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            return

    def warn(self, text: str) -> None:
        self.say("warning", text)
