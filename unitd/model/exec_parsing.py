"""Readers of what is said about processes: accounts, capabilities, directories, environment and streams.

systemd.exec(5), checked against systemd 252.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from unitd.model.parsing import checked_path, expanded, path, relative_path, split
from unitd.model.setting import Context, Fatal, Parse
from unitd.model.states import LOG_LEVELS
from unitd.syntax import environment, words
from unitd.syntax.capabilities import CAPABILITIES
from unitd.syntax.values import Bad, parse_integer

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOBODY_IDS: Final = (65535, 4294967295)
_FACILITIES: Final = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]


def pid_file(text: str, context: Context) -> str:
    """A relative path is below the runtime directory; /var/run is /run."""
    name = expanded(text, context)
    if not name.startswith("/"):
        name = f"{context.facts.runtime_dir}/{name}"
    name = checked_path(name)
    return "/run/" + name.removeprefix("/var/run/") if name.startswith("/var/run/") else name


def working_directory(text: str, context: Context) -> str:
    """A path or ~ (the user's home), with a leading - when it may be missing."""
    optional = "-" if text.startswith("-") else ""
    bare = text.removeprefix("-")
    if bare == "~":
        return text
    try:
        return optional + path(bare, context)
    except Bad as fault:
        raise (Bad if optional else Fatal)(str(fault)) from None


def service_directories(kind: str) -> Parse:
    """RuntimeDirectory= and its kin: paths relative to the daemon's directory of that kind."""

    def parse(text: str, context: Context) -> tuple[str, ...]:
        kept = []
        for word in split(text):
            try:
                kept.append(_service_directory(word, kind, context))
            except Bad as fault:
                context.note(str(fault))
        return tuple(kept)

    return parse


def _service_directory(word: str, kind: str, context: Context) -> str:
    source, colon, link = word.partition(":")
    if colon and kind == "Configuration":
        raise Bad(f"{word!r} asks for a symbolic link, which configuration directories cannot have")
    name = relative_path(expanded(source, context))
    if name == "private" or name.startswith("private/"):
        raise Bad(f"{name!r} is below private/, which is kept for dynamic users")
    if link:
        context.note(f"the symbolic link {link!r} is not made yet")
    return name


def user_name(text: str, context: Context) -> str:
    """A user or group by name or number; what cannot be one is fatal."""
    name = expanded(text, context)
    if not _is_account(name):
        raise Fatal(f"{name!r} is no valid user or group")
    return name


def user_names(text: str, context: Context) -> tuple[str, ...]:
    return tuple(user_name(word, context) for word in split(text))


def _is_account(name: str) -> bool:
    digits = name.removeprefix("-")
    if digits.isdecimal() and digits.isascii():
        leading_zero = len(name) > 1 and name[0] == "0"
        if digits != name or leading_zero or len(name) > len(str(2**32)):
            return False
        return int(name) < 2**32 and int(name) not in _NOBODY_IDS
    return (
        bool(name)
        and name not in (".", "..")
        and not _CONTROL.search(name)
        and ":" not in name
        and "/" not in name
        and name == name.strip()
    )


def capabilities(text: str, context: Context) -> tuple[bool, frozenset[str]]:
    """(inverted, capabilities) as one line says it; merge_capabilities makes sets of lines."""
    inverted = text.startswith("~")
    found = set()
    for word in split(text.removeprefix("~")):
        name = word.lower()
        if name in CAPABILITIES:
            found.add(name)
        elif word.isdecimal() and len(word) < 3 and int(word) < len(CAPABILITIES):
            found.add(CAPABILITIES[int(word)])
        else:
            context.note(f"{word!r} is not a capability")
    return inverted, frozenset(found)


def bound_capabilities(old: frozenset[str] | None, new: tuple[bool, frozenset[str]]) -> frozenset[str] | None:
    """CapabilityBoundingSet= lines together; None: all of them. An empty line means none at all."""
    merged = _merged(frozenset(CAPABILITIES) if old is None else old, old is None, new)
    return None if len(merged) == len(CAPABILITIES) else merged


def ambient_capabilities(old: frozenset[str], new: tuple[bool, frozenset[str]]) -> frozenset[str]:
    """AmbientCapabilities= lines together."""
    return _merged(old, not old, new)


def _merged(old: frozenset[str], fresh: bool, new: tuple[bool, frozenset[str]]) -> frozenset[str]:
    """A line without names resets; the first one replaces what was there by default."""
    inverted, names = new
    if inverted:
        return frozenset(CAPABILITIES) - names if fresh or not names else old - names
    return names if fresh or not names else old | names


def assignments(text: str, context: Context) -> tuple[str, ...]:
    """NAME=VALUE words, specifiers expanded; what is no assignment is left out."""
    kept, refusals = environment.parse_assignments(text, context.expand)
    context.notes.extend(refusals)
    return tuple(kept)


def variable_names(text: str, context: Context) -> tuple[str, ...]:
    return _variables(text, context, environment.valid_name)


def variables_or_names(text: str, context: Context) -> tuple[str, ...]:
    """NAME or NAME=VALUE words."""
    return _variables(text, context, lambda word: environment.valid_name(word) or environment.valid_assignment(word))


def _variables(text: str, context: Context, valid: Callable[[str], bool]) -> tuple[str, ...]:
    kept = []
    for word in split(text):
        name = context.expand(word)
        if valid(name):
            kept.append(name)
        else:
            context.note(f"{name!r} is not the name of a variable")
    return tuple(kept)


def replace_assignments(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """A variable that is set again keeps its place."""
    merged = {word.partition("=")[0]: word for word in old}
    merged.update((word.partition("=")[0], word) for word in new)
    return tuple(merged.values())


def environment_file(text: str, context: Context) -> tuple[tuple[str, bool], ...]:
    """((path, may be missing),)."""
    optional = text.startswith("-")
    return ((path(text.removeprefix("-"), context), optional),)


def stream(
    *allowed: str, named: tuple[str, ...], files: tuple[str, ...], synonyms: dict[str, str] | None = None
) -> Parse:
    """A word, or KIND:NAME for a descriptor by name, or KIND:PATH for a file."""
    known = {word: word for word in (*allowed, *named)} | (synonyms or {})

    def parse(text: str, context: Context) -> str:
        if text in known:
            return known[text]
        kind, colon, rest = text.partition(":")
        if colon and kind in named:
            return f"{kind}:{descriptor_name(rest, context)}"
        if colon and kind in files:
            return f"{kind}:{path(rest, context)}"
        raise Bad(f"{text!r} is none of {', '.join(known)}")

    return parse


def descriptor_name(text: str, context: Context) -> str:
    """A name for a passed descriptor: at most 255 characters, no control characters, no colon."""
    name = expanded(text, context)
    if not name or len(name) > 255 or ":" in name or not name.isprintable() or not name.isascii():
        raise Bad(f"{name!r} cannot be the name of a descriptor")
    return name


def input_text(text: str, context: Context) -> tuple[bytes, ...]:
    """One line of standard input, escapes undone."""
    line = words.split(text, words.CUNESCAPE | words.UNESCAPE_RELAX, separators="\0")
    return (context.expand(line[0] if line else "").encode("utf-8", "surrogateescape") + b"\n",)


def input_data(text: str, context: Context) -> tuple[bytes, ...]:
    try:
        return (base64.b64decode("".join(text.split()), validate=True),)
    except binascii.Error:
        raise Bad("not valid base 64") from None


def log_level(text: str, context: Context) -> str:
    if text in LOG_LEVELS:
        return text
    return LOG_LEVELS[parse_integer(text, 0, len(LOG_LEVELS) - 1)]


def log_facility(text: str, context: Context) -> str:
    if text in _FACILITIES:
        return text
    return _FACILITIES[parse_integer(text, 0, len(_FACILITIES) - 1)]


def search_path(text: str, context: Context) -> tuple[str, ...]:
    return tuple(checked_path(context.expand(word)) for word in text.split(":") if word)


def filter_words(text: str, context: Context) -> tuple[str, ...]:
    """The words of one line of a filter; a leading ~ stays on the first."""
    return tuple(split(text))
