"""Environment variables: files of them, assignments in one line, and their substitution in arguments.

Rules: systemd.exec(5) "EnvironmentFile=", systemd.service(5) "Command lines", checked against systemd 252.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from . import words
from .errors import Bad
from .escapes import is_clean

LONGEST_ASSIGNMENT: Final = 2 * 1024 * 1024 - 3

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_BETWEEN = re.compile(r"(?:[ \t\n\r]+|[#;](?:[^\\\n\r]|\\(?:.|\Z))*)*", re.DOTALL)
_KEY = re.compile(r"([^ \t\n\r][^=\n\r]*)(=?)")
_QUOTED = re.compile(r"[ \t]*(?:'([^']*)(?:'|\Z)|\"((?:[^\"\\]|\\(?:.|\Z))*)(?:\"|\Z))", re.DOTALL)
_UNQUOTED = re.compile(r"[ \t]*((?:[ \t]*(?:[^ \t\\\n\r]|\\(?:.|\Z)))*)[ \t]*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)

_REFERENCE = re.compile(r"\$(?:\$|\{([^}:]*)\})|\$\{[^}:]*:?|\$[^${]|\$", re.DOTALL)


def load(text: str) -> list[str]:
    """The assignments NAME=VALUE of an environment file, each name once, with its last value; raises Bad.

    Names are not checked: see valid_assignment(). Bytes that are not UTF-8 come as lone surrogates.
    """
    if "\0" in text:
        raise Bad("a NUL byte in an environment file")
    found: dict[str, str] = {}
    position = 0
    while True:
        start = _BETWEEN.match(text, position)
        key = _KEY.match(text, start.end() if start else position)
        if key is None:
            break
        position = key.end()
        if not key[2]:
            continue
        name = key[1].rstrip(words.BLANKS)
        value, position = _value(text, position)
        if not is_clean(name) or not is_clean(value):
            raise Bad(f"the assignment of {name!r} is not valid UTF-8")
        found[name] = value
    return [f"{name}={value}" for name, value in found.items()]


def parse_assignments(text: str, expand: Callable[[str], str] = str) -> tuple[list[str], list[str]]:
    """The assignments in a line such as that of Environment=, and why others were left out.

    Every word has its specifiers expanded by itself. A name assigned twice keeps its first place and last value.
    """
    refusals: list[str] = []
    try:
        parts = words.split(text, words.UNQUOTE | words.CUNESCAPE)
    except words.Broken as fault:
        parts = list(fault.words)
        refusals.append(str(fault))
    found: dict[str, str] = {}
    for part in parts:
        try:
            assignment = expand(part)
        except Bad as refusal:
            refusals.append(str(refusal))
            continue
        if valid_assignment(assignment):
            name, _, value = assignment.partition("=")
            found[name] = value
        else:
            refusals.append(f"{assignment!r} is not an assignment")
    return [f"{name}={value}" for name, value in found.items()], refusals


def valid_name(name: str) -> bool:
    """True for letters, digits and underscores that do not begin with a digit."""
    return _NAME.fullmatch(name) is not None


def valid_assignment(text: str) -> bool:
    """True for NAME=VALUE with a valid name and a value in UTF-8 that the kernel would take."""
    name, equals, value = text.partition("=")
    return bool(equals) and valid_name(name) and is_clean(value) and len(value) <= LONGEST_ASSIGNMENT


def substitute(argv: Iterable[str], env: Mapping[str, str]) -> list[str]:
    """The arguments (not the program) with $NAME and ${NAME} replaced; a $NAME alone becomes its words, or nothing."""
    replaced: list[str] = []
    for argument in argv:
        if "$" not in argument:
            replaced.append(argument)
        elif argument[0] == "$" and argument[1:2] not in ("{", "$"):
            value = env.get(argument[1:], "")
            replaced.extend(words.split(value, words.UNQUOTE | words.RELAX))
        else:
            replaced.append(_REFERENCE.sub(lambda found: _replacement(found, env), argument))
    return replaced


def _value(text: str, position: int) -> tuple[str, int]:
    """The value that begins at a position: quoted parts, then what is left of the line; and where it ends."""
    pieces: list[str] = []
    while quoted := _QUOTED.match(text, position):
        position = quoted.end()
        pieces.append(quoted[1] if quoted[1] is not None else _ESCAPE.sub(_in_double_quotes, quoted[2]))
    rest = _UNQUOTED.match(text, position)
    if rest is not None:
        position = rest.end()
        pieces.append(_ESCAPE.sub(_unquoted, rest[1]))
    return "".join(pieces), position


def _in_double_quotes(found: re.Match[str]) -> str:
    escaped = found[1]
    if escaped in ("", "\n"):
        return ""
    return escaped if escaped in '"\\`$' else "\\" + escaped


def _unquoted(found: re.Match[str]) -> str:
    return "" if found[1] in ("\n", "\r") else found[1]


def _replacement(found: re.Match[str], env: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    return found[0] if found[1] is None else env.get(found[1], "")
