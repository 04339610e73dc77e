"""Property values as systemctl show prints them, by name and D-Bus type (systemctl(1), "show")."""

from collections.abc import Callable
from typing import Any, Final

from unitd.ctl.terminal import printable
from unitd.ctl.when import stamp
from unitd.syntax.capabilities import CAPABILITIES

INFINITY: Final = 2**64 - 1
NO_ID: Final = 2**32 - 1


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STAMPS: Final = frozenset(("NextElapseUSecRealtime", "LastTriggerUSec", "TimeUSec", "RTCTimeUSec"))
_NOT_SET: Final = _names(
    "CPUWeight StartupCPUWeight IOWeight StartupIOWeight CPUShares StartupCPUShares BlockIOWeight StartupBlockIOWeight "
    "MemoryCurrent MemoryAvailable TasksCurrent"
)
_NO_LIMIT: Final = _names(
    "MemoryLow MemoryMin MemoryHigh MemoryMax MemorySwapMax MemoryLimit DefaultMemoryLow DefaultMemoryMin TasksMax "
    "DefaultTasksMax"
)
_NO_READING: Final = _names(
    "IPIngressBytes IPIngressPackets IPEgressBytes IPEgressPackets IOReadBytes IOReadOperations IOWriteBytes "
    "IOWriteOperations"
)
_NAMESPACES: Final = {
    0x02000000: "cgroup",
    0x08000000: "ipc",
    0x40000000: "net",
    0x00020000: "mnt",
    0x20000000: "pid",
    0x10000000: "user",
    0x04000000: "uts",
}
"""CLONE_NEW... (clone(2)), in systemd's order and words."""
_PROPAGATION: Final = {1 << 20: "shared", 1 << 19: "slave", 1 << 18: "private"}
"""MS_SHARED and its kin (mount(2))."""
_ENDINGS: Final = {1: "exited", 2: "killed", 3: "dumped"}
_QUOTED: Final = frozenset(" \t\n\r\"'\\$`|&;()<>*?[!")


def format_property(name: str, kind: str, value: Any) -> list[str] | None:
    """The values to print after NAME=, a line for each; none: nothing to tell, None: no text for this type."""
    special = _BY_TYPE.get(kind)
    if special is not None:
        return special(name, value)
    if kind in _NUMBERS:
        text = _NUMBERS[kind](name, value)
        return [text] if text else []
    return None if value else []


# --- numbers and text ---------------------------------------------------------------------------------


def _unsigned_long(name: str, value: int) -> str:
    if name.endswith("Timestamp") or name in _STAMPS:
        return stamp(value) if value not in (0, INFINITY) else ""
    if "USec" in name:
        return _span(value)
    if name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        return " ".join(name for number, name in enumerate(CAPABILITIES) if value >> number & 1)
    if name == "RestrictNamespaces":
        return _namespaces(value)
    if name == "MountFlags":
        return _PROPAGATION.get(value, "")
    if name in ("CPUWeight", "StartupCPUWeight") and not value:
        return "idle"
    if name == "CoredumpFilter":
        return f"0x{value:x}"
    if value == INFINITY:
        if name in _NOT_SET or name.endswith("NSec"):
            return "[not set]"
        if name in _NO_READING:
            return "[no data]"
        if name in _NO_LIMIT or name.startswith(("Limit", "DefaultLimit")):
            return "infinity"
    return str(value)


def _namespaces(value: int) -> str:
    every = sum(_NAMESPACES)
    if value & every == every:
        return "no"
    return " ".join(word for flag, word in _NAMESPACES.items() if value & flag) or "yes"


def _span(value: int) -> str:
    from unitd.syntax.spans import format_span

    return "infinity" if value == INFINITY else format_span(value)


def _unsigned(name: str, value: int) -> str:
    if "UMask" in name or "Mode" in name:
        return f"{value:04o}"
    if name in ("UID", "GID") and value == NO_ID:
        return "[not set]"
    return str(value)


_NUMBERS: Final[dict[str, Callable[[str, Any], str]]] = {
    "s": lambda name, value: _line(value),
    "o": lambda name, value: _line(value),
    "b": lambda name, value: "yes" if value else "no",
    "t": _unsigned_long,
    "u": _unsigned,
    "d": lambda name, value: f"{value:g}",
    **dict.fromkeys("ynqix", lambda name, value: str(value)),
}


def _line(text: str) -> str:
    return text.replace("\n", "\\n") if text.replace("\n", "").isprintable() else printable(text.replace("\n", "\\n"))


def quoted(text: str) -> str:
    """The text as one word of a shell, in double quotes where it needs any."""
    if text and not _QUOTED.intersection(text):
        return printable(text)
    return '"' + "".join("\\" + c if c in '"\\$`' else c for c in text.replace("\n", "\\n")) + '"'


# --- arrays and structs -------------------------------------------------------------------------------


def _words(name: str, value: list[str]) -> list[str]:
    text = " ".join(quoted(word) for word in value)
    return [text] if text else []


def _octets(name: str, value: bytes) -> list[str]:
    if name.endswith(("CPUs", "Nodes", "CPUAffinity", "NUMAMask")):
        return _ranges([8 * index + bit for index, octet in enumerate(value) for bit in range(8) if octet >> bit & 1])
    if name == "StandardInputData":
        from binascii import b2a_base64

        return [b2a_base64(value, newline=False).decode()] if value else []
    return [value.hex()] if value else []


def _ranges(numbers: list[int]) -> list[str]:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    text = " ".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
    return [text] if text else []


def _job(name: str, value: tuple[int, str]) -> list[str]:
    return [str(value[0])] if value[0] else []


def _two_texts(name: str, value: tuple[str, str]) -> list[str]:
    if name != "LoadError":
        return [value[0]] if value[0] else []
    return [f'{value[0]} "{_line(value[1])}"'] if any(value) else []


def _pairs(name: str, value: list[tuple[str, str]]) -> list[str] | None:
    if name in ("Listen", "Paths"):
        return [f"{place} ({kind})" for kind, place in value]
    if name in ("DeviceAllow", "BPFProgram"):
        return [" ".join(row) for row in value]
    if name not in ("TemporaryFileSystem", "RootImageOptions"):
        return None if value else []
    text = " ".join(":".join(part for part in row if part) for row in value)
    return [text] if text else []


def _addresses(name: str, value: list[tuple[int, bytes, int]]) -> list[str]:
    from _socket import inet_ntop

    text = " ".join(f"{inet_ntop(family, address)}/{bits}" for family, address, bits in value)
    return [text] if text else []


def _files(name: str, value: list[tuple[str, bool]]) -> list[str]:
    return [f"{path} (ignore_errors={'yes' if ignore else 'no'})" for path, ignore in value]


def _allowed(name: str, value: tuple[bool, list[str]]) -> list[str]:
    allowed, words = value
    return [("" if allowed else "~") + " ".join(words)] if words or allowed else []


def _labelled(name: str, value: tuple[bool, str]) -> list[str]:
    return [("-" if value[0] else "") + value[1]] if value[1] else []


def _statuses(name: str, value: tuple[list[int], list[int]]) -> list[str]:
    from unitd.syntax.signals import signal_name

    text = " ".join([*(str(status) for status in value[0]), *(signal_name(signal) for signal in value[1])])
    return [text] if text else []


def _commands(name: str, value: list[tuple[Any, ...]]) -> list[str]:
    return [_command(row) for row in value]


def _command(row: tuple[Any, ...]) -> str:
    """One command of an Exec setting; `how` is its flags, or whether its failure is ignored."""
    path, words, how, began, _, ended, _, pid, code, status = row
    flags = f"ignore_errors={'yes' if how else 'no'}" if isinstance(how, bool) else f"flags={' '.join(how)}"
    from unitd.syntax.signals import signal_name

    signal = "" if code == 1 else f"/{signal_name(status)}"
    return (
        f"{{ path={path} ; argv[]={printable(' '.join(words))} ; {flags} ; "
        f"start_time=[{stamp(began) if began else 'n/a'}] ; stop_time=[{stamp(ended) if ended else 'n/a'}] ; "
        f"pid={pid} ; code={_ENDINGS.get(code, '(null)')} ; status={status}{signal} }}"
    )


def _weights(name: str, value: list[tuple[str, int]]) -> list[str]:
    return [f"{path} {number}" for path, number in value]


def _binds(name: str, value: list[tuple[str, str, bool, int]]) -> list[str]:
    rows = (
        f"{'-' if missing else ''}{source}:{target}{':rbind' if flags else ''}"
        for source, target, missing, flags in value
    )
    text = " ".join(rows)
    return [text] if text else []


def _links(name: str, value: list[tuple[str, str, int]]) -> list[str]:
    text = " ".join(f"{source}:{target}" for source, target, _ in value)
    return [text] if text else []


def _timers(name: str, value: list[tuple[Any, ...]]) -> list[str]:
    return [
        f"{{ {base}={_span(what) if isinstance(what, int) else what} ; next_elapse={_elapse(name, when)} }}"
        for base, what, when in value
    ]


def _elapse(name: str, when: int) -> str:
    if name == "TimersCalendar":
        return stamp(when) if when not in (0, INFINITY) else "(null)"
    return _span(when)


def _fields(name: str, value: list[bytes]) -> list[str]:
    text = " ".join(printable(field.decode("utf-8", "replace")) for field in value)
    return [text] if text else []


def _conditions(name: str, value: list[tuple[str, bool, bool, str, int]]) -> list[str]:
    """systemctl has no text for these; here a line for each, with how it turned out."""
    states = {0: "untried", 1: "holds"}
    return [
        f"{kind}={'|' if trigger else ''}{'!' if negate else ''}{parameter} ({states.get(state, 'does not hold')})"
        for kind, trigger, negate, parameter, state in value
    ]


def _stragglers(name: str, rows: Any) -> list[str]:
    """Processes that outlived their time: one line each."""
    from unitd.syntax.spans import format_span

    return [
        f"{{ pid={pid} ; command={printable(command)} ; waited={format_span(waited, 1000)} ; state={state} ; "
        f"channel={channel} ; sockets={', '.join(sockets)} }}"
        for pid, command, waited, state, channel, sockets in rows
    ]


_BY_TYPE: Final[dict[str, Callable[[str, Any], list[str] | None]]] = {
    "as": _words,
    "ay": _octets,
    "(uo)": _job,
    "(so)": _two_texts,
    "(ss)": _two_texts,
    "a(ss)": _pairs,
    "a(iayu)": _addresses,
    "a(sb)": _files,
    "(bas)": _allowed,
    "(bs)": _labelled,
    "(aiai)": _statuses,
    "a(sasbttttuii)": _commands,
    "a(sasasttttuii)": _commands,
    "a(ustssas)": _stragglers,
    "a(st)": _weights,
    "a(ssbt)": _binds,
    "a(sst)": lambda name, value: _timers(name, value) if name == "TimersCalendar" else _links(name, value),
    "a(stt)": _timers,
    "aay": _fields,
    "a(sbbsi)": _conditions,
}
