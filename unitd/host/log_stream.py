"""What comes through one FIFO: whose it is, and where its lines end.

Several processes may print to it; what comes is held to be that of the one started last that lives. While one is being
started whose pid is not known yet, and no other lives, what comes waits for it.
"""

from dataclasses import dataclass, field

from msgspec import Struct

LINE_LIMIT = 48 * 1024
"""Bytes after which a line is cut, as systemd-journald's LineMax=."""
MOST_HELD = 128 * 1024
"""Bytes that wait for the process that printed them to be known."""


class KeptStream(Struct, frozen=True):
    """One open FIFO, with the labels of the living by pid, and a line that is not whole yet."""

    unit: str
    fd: int
    label: bytes
    living: dict[int, bytes]
    partial: bytes
    ending: bool


@dataclass(slots=True, eq=False)
class Stream:
    """One open FIFO; `ending`: the unit was released, and end of file closes it."""

    unit: str
    path: str
    fd: int
    label: bytes
    living: dict[int, bytes] = field(default_factory=dict)
    """The labels of the processes that were started for the unit and have not ended, oldest first."""
    expecting: bool = False
    """A process is being started whose pid is not known yet: with none living, what comes is held for it."""
    partial: bytes = b""
    ending: bool = False

    @property
    def held(self) -> bool:
        return self.expecting and not self.living

    def whole(self, chunk: bytes = b"") -> bytes:
        """Whole lines that are there with the chunk, each with its newline; what is behind them waits."""
        text = self.partial + chunk
        if self.held and len(text) < MOST_HELD:
            self.partial = text
            return b""
        if len(text) > LINE_LIMIT:
            text = b"\n".join(piece for line in text.split(b"\n") for piece in _cut(line))
        lines, newline, self.partial = text.rpartition(b"\n")
        return lines + newline

    def rest(self) -> bytes:
        """What waits, as whole lines: nothing follows that belongs to it."""
        lines, self.partial = self.partial, b""
        return lines.removesuffix(b"\n") + b"\n" if lines else b""

    def kept(self) -> KeptStream:
        """What another program image needs to go on."""
        return KeptStream(self.unit, self.fd, self.label, dict(self.living), self.partial, self.ending)


def label(program: str, pid: int) -> bytes:
    """` PROGRAM[PID]: `, the program without what would end it early."""
    name = "".join("_" if char in "[]" or char.isspace() or not char.isprintable() else char for char in program)
    return f" {name}[{pid}]: ".encode(errors="replace")


def _cut(line: bytes) -> list[bytes]:
    """Pieces of at most LINE_LIMIT bytes, none of which ends within a UTF-8 character."""
    pieces = []
    while len(line) > LINE_LIMIT:
        end = LINE_LIMIT
        while end > LINE_LIMIT - 4 and line[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(line[:end])
        line = line[end:]
    return [*pieces, line]
