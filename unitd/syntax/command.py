"""Command lines of Exec*=: prefixes, program, arguments, and the ';' between several commands.

A fault in a command with the '-' prefix, or in the quoting of a first word, ends the line but keeps the commands before
it; any other fault makes the unit unusable. Rules: systemd.service(5) "Command lines", checked against systemd 252.
"""

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from . import words
from .errors import Bad
from .unit_name import path_fits, simplify_path

_RULES: Final = words.UNQUOTE | words.CUNESCAPE
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"'\\]")
_SEPARATOR = re.compile(r";(?:[ \t\n\r]+|\Z)")
_SEMICOLON = re.compile(r"\\;(?:[ \t\n\r]+|\Z)")


class Command(Struct, frozen=True):
    """One command: the program (a path, or a name to be searched in PATH) and all its arguments, argv[0] included.

    The flags are the prefixes '-', '@', ':', '+', '!' and '!!'. Variables in argv are not yet substituted.
    """

    path: str
    argv: tuple[str, ...]
    ignore_failure: bool = False
    argv0: bool = False
    no_expand: bool = False
    full_privileges: bool = False
    no_setuid: bool = False
    ambient: bool = False


class BadCommand(Bad):
    """A command line that cannot be read.

    `kept` are the commands before the fault, which count; `fatal` says that the unit cannot be used at all.
    """

    def __init__(self, reason: str, kept: tuple[Command, ...], fatal: bool) -> None:
        super().__init__(reason)
        self.kept = kept
        self.fatal = fatal


def parse_commands(value: str, expand: Callable[[str], str] = str) -> tuple[Command, ...]:
    """The commands of a line, each word with its specifiers expanded; raises BadCommand."""
    commands: list[Command] = []
    position: int | None = 0
    while position is not None:
        try:
            first, position = _word(value, position)
        except Bad as fault:
            raise BadCommand(str(fault), tuple(commands), fatal=False) from None
        if first is None:
            break
        if first == ";":
            continue
        ignored = False
        try:
            program, prefixes = _prefixes(first)
            ignored = "-" in prefixes
            path = _program(expand(program))
            arguments, position = _arguments(value, position, expand)
            commands.append(_command(path, prefixes, arguments))
        except Bad as fault:
            raise BadCommand(str(fault), tuple(commands), fatal=not ignored) from None
    return tuple(commands)


def _command(path: str, prefixes: frozenset[str], arguments: list[str]) -> Command:
    if "@" not in prefixes:
        arguments.insert(0, path)
    elif not arguments:
        raise Bad("'@' is not followed by the name for argv[0]")
    return Command(
        simplify_path(path),
        tuple(arguments),
        ignore_failure="-" in prefixes,
        argv0="@" in prefixes,
        no_expand=":" in prefixes,
        full_privileges="+" in prefixes,
        no_setuid="!" in prefixes,
        ambient="!!" in prefixes,
    )


def _prefixes(first: str) -> tuple[str, frozenset[str]]:
    """The first word without its prefixes, and these; each counts once, and '+', '!', '!!' exclude one another."""
    found: set[str] = set()
    at = 0
    while at < len(first):
        prefix = first[at]
        if prefix == "!" and "!" in found:
            found.remove("!")
            prefix = "!!"
        elif prefix in found or prefix not in "-@:+!" or (prefix in "+!" and found & {"+", "!", "!!"}):
            break
        found.add(prefix)
        at += 1
    return first[at:], frozenset(found)


def _program(path: str) -> str:
    """The path when a program can have it, before it is simplified."""
    if not path:
        raise Bad("the name of the program is missing")
    if _UNSAFE.search(path):
        raise Bad(f"the program {path!r} has quotes, backslashes or control characters in its name")
    if path[-1] == "/" or path in (".", ".."):
        raise Bad(f"{path!r} is a directory")
    if not path_fits(path):
        raise Bad(f"the program {path!r} has too long a name")
    if "/" in path and path[0] != "/":
        raise Bad(f"{path!r} is neither an absolute path nor the name of a program")
    return path


def _arguments(value: str, position: int | None, expand: Callable[[str], str]) -> tuple[list[str], int | None]:
    """The words up to the next ';' that stands alone, and where the next command begins (None: there is none)."""
    arguments: list[str] = []
    while position is not None and position < len(value):
        separator = _SEPARATOR.match(value, position)
        if separator is not None:
            return arguments, separator.end()
        semicolon = _SEMICOLON.match(value, position)
        if semicolon is not None:
            arguments.append(";")
            position = semicolon.end()
            continue
        word, position = _word(value, position)
        if word is None:
            break
        arguments.append(expand(word))
    return arguments, None


def _word(value: str, position: int) -> tuple[str | None, int | None]:
    """The next word; one with unknown escapes keeps these as they are."""
    try:
        return words.first_word(value, position, _RULES)
    except words.Broken:
        return words.first_word(value, position, _RULES | words.UNESCAPE_RELAX)
