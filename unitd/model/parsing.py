"""Readers of directive values: text -> typed value, raising Bad; one function per kind of value.

A list leaves out what it cannot read and says so through the context, as systemd does. Checked against systemd 252.
"""

import re
from typing import Any, Final

from unitd.model.effects import Condition
from unitd.model.setting import Context, Fatal, Parse
from unitd.syntax import command, unit_name, words
from unitd.syntax.claims import Port, ProcessFilter, parse_port, parse_process_filter
from unitd.syntax.values import (
    INFINITY,
    Bad,
    parse_bool,
    parse_exit_status,
    parse_integer,
    parse_mode,
    parse_rlimit,
    parse_signal,
    parse_size_iec,
    parse_span,
    parse_span_empty_is_infinity,
    parse_span_zero_is_infinity,
)

_URL_SCHEMES: Final = ("http://", "https://", "file:/", "info:", "man:")
_BUS_NAME = re.compile(r"(?::[A-Za-z0-9_-]+|[A-Za-z_-][A-Za-z0-9_-]*)(?:\.[A-Za-z0-9_-]+)+")


def verbatim(text: str, context: Context) -> str:
    """The text as it stands."""
    return text


def expanded(text: str, context: Context) -> str:
    """The text with specifiers expanded."""
    return context.expand(text)


def boolean(text: str, context: Context) -> bool:
    return parse_bool(text)


def span(text: str, context: Context) -> int:
    """Microseconds."""
    return parse_span(text)


def span_zero_is_infinity(text: str, context: Context) -> int:
    return parse_span_zero_is_infinity(text)


def span_empty_is_infinity(text: str, context: Context) -> int:
    return parse_span_empty_is_infinity(text)


def nanoseconds(text: str, context: Context) -> int:
    """A bare number is nanoseconds; with a unit, a length of time."""
    return parse_integer(text, 0, INFINITY) if text.isdecimal() else parse_span(text) * 1000


def mode(text: str, context: Context) -> int:
    return parse_mode(text)


def signal(text: str, context: Context) -> int:
    return parse_signal(text)


def size(text: str, context: Context) -> int:
    """Bytes."""
    return parse_size_iec(text)


def number(low: int, high: int) -> Parse:
    """A whole number between two bounds."""

    def parse(text: str, context: Context) -> int:
        return parse_integer(text, low, high)

    return parse


def one_of(*allowed: str, **synonyms: str) -> Parse:
    """One of a few words; a synonym is read as the word it stands for."""
    known = {word: word for word in allowed} | synonyms

    def parse(text: str, context: Context) -> str:
        try:
            return known[text]
        except KeyError:
            raise Bad(f"{text!r} is none of {', '.join(allowed)}") from None

    return parse


def flag_or(*allowed: str, false: str = "no", true: str = "yes") -> Parse:
    """One of a few words, or a boolean, which becomes `false` or `true`."""

    def parse(text: str, context: Context) -> str:
        if text in allowed:
            return text
        try:
            return true if parse_bool(text) else false
        except Bad:
            raise Bad(f"{text!r} is neither a boolean nor one of {', '.join(allowed)}") from None

    return parse


def split(text: str) -> list[str]:
    """Words, quotes taken off."""
    return words.split(text, words.UNQUOTE | words.CUNESCAPE | words.UNESCAPE_RELAX)


def word_list(text: str, context: Context) -> tuple[str, ...]:
    """Words with quotes taken off and specifiers expanded."""
    return tuple(expanded(word, context) for word in split(text))


def documentation(text: str, context: Context) -> tuple[str, ...]:
    kept = []
    for url in word_list(text, context):
        if url.startswith(_URL_SCHEMES) and len(url) > len("man:"):
            kept.append(url)
        else:
            context.note(f"{url!r} is no URL of a known kind")
    return tuple(kept)


def unit_names(text: str, context: Context) -> tuple[str, ...]:
    """Names of units; a template stands for its instance with this unit's own instance or prefix."""
    kept = []
    for word in text.split():
        try:
            name = context.expand_name(word)
        except Bad as fault:
            context.note(str(fault))
            continue
        if "@." in name and unit_name.is_template(name):
            own = unit_name.instance(context.unit) or unit_name.prefix(context.unit)
            name = unit_name.with_instance(name, own)
        if unit_name.valid(name):
            kept.append(name)
        else:
            context.note(f"{name!r} is not the name of a unit")
    return tuple(kept)


def socket_names(text: str, context: Context) -> tuple[str, ...]:
    """Names of socket units."""
    kept = []
    for name in unit_names(text, context):
        if unit_name.suffix(name) == "socket":
            kept.append(name)
        else:
            context.note(f"{name!r} is not a socket")
    return tuple(kept)


def install_names(text: str, context: Context) -> tuple[str, ...]:
    """Names in [Install], templates as they are."""
    kept = []
    for word in split(text):
        try:
            kept.append(context.expand_name(word))
        except Bad as fault:
            context.note(str(fault))
    return tuple(kept)


def unit_of(*types: str) -> Parse:
    """The name of one unit, of one of the types when any are given."""

    def parse(text: str, context: Context) -> str:
        names = unit_names(text, context)
        if len(names) != 1:
            raise Bad(f"{text!r} is not the name of a unit")
        if types and unit_name.suffix(names[0]) not in types:
            raise Bad(f"{names[0]!r} is not a {' or '.join(types)}")
        return names[0]

    return parse


def triggered_unit(text: str, context: Context) -> str:
    """Unit= of timers and paths."""
    name = unit_of()(text, context)
    if name == context.unit:
        raise Bad("a unit cannot trigger itself")
    return str(name)


def checked_path(path: str) -> str:
    """An absolute path without "." and repeated slashes; raises Bad for "..", control characters and relative paths."""
    if not path.startswith("/"):
        raise Bad(f"{path!r} is not an absolute path")
    return _normal(path)


def relative_path(path: str) -> str:
    if path.startswith("/"):
        raise Bad(f"{path!r} is an absolute path")
    return _normal(path)


def _normal(path: str) -> str:
    simple = unit_name.simplify_path(path)
    if not simple or any(part in (".", "..") for part in simple.split("/")):
        raise Bad(f"{path!r} is not a normalized path")
    if len(simple.encode("utf-8", "surrogateescape")) >= 4096:
        raise Bad("the path is too long")
    return simple


def path(text: str, context: Context) -> str:
    """An absolute path, specifiers expanded."""
    return checked_path(expanded(text, context))


def path_list(text: str, context: Context) -> tuple[str, ...]:
    """Absolute paths, each with the prefixes - and + that it was written with."""
    kept = []
    for word in split(text):
        bare = word.lstrip("-+") if word[:2] in ("-+", "+-") else word[1:] if word[:1] in ("-", "+") else word
        try:
            kept.append(word[: len(word) - len(bare)].replace("+-", "-+") + path(bare, context))
        except Bad as fault:
            context.note(str(fault))
    return tuple(kept)


def mounts_for(text: str, context: Context) -> tuple[str, ...]:
    kept = []
    for word in split(text):
        try:
            kept.append(path(word, context))
        except Bad as fault:
            context.note(str(fault))
    return tuple(kept)


def rlimit(kind: str) -> Parse:
    """(soft, hard); INFINITY for none."""

    def parse(text: str, context: Context) -> tuple[int, int]:
        return parse_rlimit(kind, expanded(text, context))

    return parse


def memory(text: str, context: Context) -> int:
    """Bytes, INFINITY for none."""
    if text == "infinity":
        return INFINITY
    if text.endswith("%"):
        raise Bad("a share of the machine's memory is not carried out yet")
    value = parse_size_iec(text)
    if value <= 0:
        raise Bad(f"{text!r} is out of range")
    return value


def memory_or_zero(text: str, context: Context) -> int:
    return 0 if text == "0" else memory(text, context)


def tasks(text: str, context: Context) -> int:
    if text == "infinity":
        return INFINITY
    if text.endswith("%"):
        raise Bad("a share of the machine's tasks is not carried out yet")
    return parse_integer(text, 1, INFINITY - 1)


def cpu_quota(text: str, context: Context) -> int:
    """Microseconds of processor time a second."""
    if not text.endswith("%"):
        raise Bad(f"{text!r} is not a percentage")
    whole, dot, decimals = text[:-1].partition(".")
    if dot and not (decimals.isdecimal() and len(decimals) <= 2):
        raise Bad(f"{text!r} is not a percentage")
    value = parse_integer(whole, 0, 2**31 - 1) * 10_000 + int(decimals.ljust(2, "0") or 0) * 100 * (dot == ".")
    if not value:
        raise Bad("no processor time at all")
    return value


def exit_statuses(text: str, context: Context) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(exit statuses, signals), each sorted."""
    statuses, signals = set(), set()
    for word in split(text):
        try:
            statuses.add(parse_exit_status(word))
        except Bad:
            try:
                signals.add(parse_signal(word))
            except Bad:
                context.note(f"{word!r} is neither an exit status nor a signal")
    return tuple(sorted(statuses)), tuple(sorted(signals))


def join_exit_statuses(old: Any, new: Any) -> Any:
    return tuple(tuple(sorted({*a, *b})) for a, b in zip(old, new, strict=True))


def commands(text: str, context: Context) -> tuple[command.Command, ...]:
    """One or more commands; those before a fault that is not fatal count."""
    try:
        return command.parse_commands(text, context.expand)
    except command.BadCommand as fault:
        if fault.fatal:
            raise Fatal(str(fault)) from None
        context.note(str(fault))
        return fault.kept


def condition(kind: str) -> Parse:
    """One condition; [|][!]PARAMETER."""
    paths = kind.startswith(("Path", "Directory", "File")) or kind == "NeedsUpdate"
    booleans = kind in ("ACPower", "FirstBoot")

    def parse(text: str, context: Context) -> tuple[Condition, ...]:
        trigger = text.startswith("|")
        rest = text.removeprefix("|").lstrip() if trigger else text
        negate = rest.startswith("!")
        rest = rest.removeprefix("!").lstrip() if negate else rest
        if booleans:
            parse_bool(rest)
        parameter = expanded(rest, context)
        if paths:
            parameter = checked_path(parameter) if parameter.startswith("/") else _refuse_relative(parameter)
        return (Condition(kind, parameter, negate, trigger),)

    return parse


def _refuse_relative(parameter: str) -> str:
    raise Bad(f"{parameter!r} is not an absolute path")


def bus_name(text: str, context: Context) -> str:
    name = expanded(text, context)
    if not _BUS_NAME.fullmatch(name) or len(name) > 255:
        raise Bad(f"{name!r} is not a bus name")
    return name


def number_or(low: int, high: int, **named: int) -> Parse:
    """A whole number, or a word that stands for one."""

    def parse(text: str, context: Context) -> int:
        return named[text] if text in named else parse_integer(text, low, high)

    return parse


def flag_or_words(text: str, context: Context) -> str:
    """A boolean as "yes" or "no"; words with blanks between them otherwise."""
    try:
        return "yes" if parse_bool(text) else "no"
    except Bad:
        return " ".join(split(text)) or "yes"


def raw_item(text: str, context: Context) -> tuple[str, ...]:
    """The whole value as one item of a list."""
    return (context.expand(text),)


def ports(text: str, context: Context) -> tuple[Port, ...]:
    """[ADDRESS:]PORT[/udp], several."""
    kept = []
    for word in word_list(text, context):
        try:
            kept.append(parse_port(word))
        except Bad as fault:
            context.note(str(fault))
    return tuple(kept)


def process_filter(text: str, context: Context) -> tuple[ProcessFilter, ...]:
    """A glob on the program's path and words of its command line."""
    return (parse_process_filter(context.expand(text)),)


def processors(text: str, context: Context) -> tuple[int, ...]:
    """Numbers and ranges (0-3), sorted."""
    found: set[int] = set()
    for word in text.replace(",", " ").split():
        first, dash, last = word.partition("-")
        low = parse_integer(first, 0, 8191)
        found.update(range(low, parse_integer(last, low, 8191) + 1) if dash else (low,))
    return tuple(sorted(found))
