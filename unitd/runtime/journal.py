"""The daemon's own log: lines to stderr, for people and for whatever reads a service's output (sd-daemon(3))."""

import sys
import time

from unitd.model.states import LOG_LEVELS


class Journal:
    """Writes lines of at least `level`; never fails, since nobody could be told."""

    def __init__(self, level: str = "info") -> None:
        self.threshold = LOG_LEVELS.index(level)

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
        try:
            sys.stderr.write(f"{stamp} {word}{text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return

    def warn(self, text: str) -> None:
        self.say("warning", text)
