"""Where the output goes: how wide, in colour or not, and lines that are drawn again.

Colour needs a terminal, and no NO_COLOR (no-color.org). The block is redrawn with ECMA-48 cursor movement.
"""

import os
import sys
from typing import Final, TextIO

from unitd.wire.drawing import cut as cut
from unitd.wire.drawing import printable as printable

BOLD: Final = "1"
RED: Final = "1;31"
GREEN: Final = "1;32"
YELLOW: Final = "1;33"
GREY: Final = "38;5;245"
WIDTH: Final = 80


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at it, on something that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") != "dumb"


def coloured(stream: TextIO) -> bool:
    """Whether to use colour there."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in a colour, where the stream (standard output) takes one."""
    if not colour or not text or not coloured(stream or sys.stdout):
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def width(stream: TextIO | None = None) -> int | None:
    """Columns of the terminal; None when it is none, so nothing need be cut."""
    stream = stream or sys.stdout
    if not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or WIDTH
    except OSError:
        return WIDTH


def say(text: str) -> None:
    """A line to standard error, after what was printed so far."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


class Block:
    """Some lines at the bottom of a terminal that are drawn again in place.

    Meanwhile the terminal does not wrap (DECAWM): a line is one row, however wide its characters are.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._height = 0

    def draw(self, lines: list[str]) -> None:
        """Replace what was drawn; no more lines than the terminal has."""
        columns, rows = width(self._stream) or WIDTH, self.rows
        if len(lines) > rows:
            lines = [*lines[: rows - 1], f"... and {len(lines) - rows + 1} more"]
        text = "".join(f"\x1b[2K{cut(line, columns - 1)}\n" for line in lines)
        up = f"\x1b[{self._height}A" if self._height else ""
        self._stream.write(f"\x1b[?7l{up}\r{text}\x1b[J\x1b[?7h")
        self._stream.flush()
        self._height = len(lines)

    def clear(self) -> None:
        """Remove what was drawn."""
        if self._height:
            self.draw([])

    @property
    def rows(self) -> int:
        """How many lines it may have."""
        try:
            return max(os.get_terminal_size(self._stream.fileno()).lines - 1, 2)
        except OSError:
            return 23
