"""Unit files: bytes to assignments, without knowing any section or key.

Lines end at LF, CR, NUL or a run of different ones of these. A line whose last backslash is unescaped continues
on the next one that is not a comment; the backslash becomes one blank. Rules: systemd.syntax(7), checked against
systemd 252. Lines are cut with whole-string operations, because thousands of files are read at start.
"""

import re
from typing import Final

from msgspec import Struct

from .escapes import is_clean

LONGEST_LINE: Final = 1024 * 1024
BLANKS: Final = " \t\n\r"
BYTE_ORDER_MARK: Final = "\ufeff"

_LINE_END = re.compile("\n\r?\0?|\r\n?\0?|\0")
_UNSAFE_IN_HEADER = re.compile(r"[\x00-\x1f\x7f\"'\\]")


class Entry(Struct, frozen=True):
    """One assignment; `line` is the line its key is on, counted from 1."""

    section: str
    key: str
    value: str
    line: int


class Note(Struct, frozen=True):
    """A line that was ignored, and why."""

    line: int
    text: str


class Parsed(Struct, frozen=True):
    """A whole file, in the order of its lines."""

    entries: tuple[Entry, ...]
    notes: tuple[Note, ...]


class Malformed(Exception):
    """The file as a whole cannot be used: load state error."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"cannot read line {line}: {reason}")
        self.line = line
        self.reason = reason


def parse(raw: bytes) -> Parsed:
    """All assignments of a unit file; raises Malformed where systemd gives the unit up (systemd.syntax(7))."""
    entries: list[Entry] = []
    notes: list[Note] = []
    text, suspect = _decode(raw)
    section: str | None = None
    for number, line in _logical_lines(text):
        stripped = line.strip(BLANKS)
        if not stripped:
            continue
        if suspect and not is_clean(stripped):
            raise Malformed(number, "not valid UTF-8")
        if stripped[0] == "[":
            section = _section_name(stripped, number)
            continue
        key, equals, value = stripped.partition("=")
        if section is None:
            notes.append(Note(number, "assignment outside of a section"))
        elif not equals:
            notes.append(Note(number, "no '=' in the line"))
        elif not key:
            notes.append(Note(number, "no key before '='"))
        else:
            entries.append(Entry(section, key.rstrip(BLANKS), value.lstrip(BLANKS), number))
    return Parsed(tuple(entries), tuple(notes))


def _decode(raw: bytes) -> tuple[str, bool]:
    """The text, bytes that are not UTF-8 as lone surrogates, and whether a line may hold forbidden characters."""
    if raw.isascii():
        return raw.decode("ascii"), False
    text = raw.decode("utf-8", "surrogateescape")
    return text, not is_clean(text)


def _physical_lines(text: str) -> list[str]:
    """The lines without their ends; an end of line at the end of the file opens no further line."""
    lines = _LINE_END.split(text) if "\r" in text or "\0" in text else text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Non-comment lines with continuations joined, each with the number of its first line."""
    logical: list[tuple[int, str]] = []
    check_length = len(text) * 4 >= LONGEST_LINE
    may_have_mark = BYTE_ORDER_MARK in text
    pieces: list[str] = []
    start = size = 0
    for number, line in enumerate(_physical_lines(text), 1):
        if check_length and _size(line) >= LONGEST_LINE:
            raise Malformed(number, "line too long")
        first = line.lstrip(BLANKS)[:1]
        if first and first in "#;":
            continue
        if may_have_mark and line.startswith(BYTE_ORDER_MARK):
            line = line[1:]
            may_have_mark = False
        if not pieces and not line.endswith("\\"):
            logical.append((number, line))
            continue
        if check_length:
            size += _size(line)
            if pieces and size > LONGEST_LINE:
                raise Malformed(number, "continued line too long")
        start = start if pieces else number
        if _ends_escaped(line):
            pieces.append(line[:-1] + " ")
        else:
            logical.append((start, "".join(pieces) + line))
            pieces.clear()
            size = 0
    if pieces:
        logical.append((start, "".join(pieces)))
    return logical


def _ends_escaped(line: str) -> bool:
    """True when the last character is a backslash that no other backslash escapes."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _section_name(stripped: str, number: int) -> str:
    if stripped[-1] != "]":
        raise Malformed(number, f"the section header {stripped!r} has no closing bracket")
    name = stripped[1:-1]
    if _UNSAFE_IN_HEADER.search(name):
        raise Malformed(number, f"the section header {stripped!r} holds quotes, backslashes or control characters")
    return name
