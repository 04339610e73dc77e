"""Writes docs/settings.md from the table of directives: python -m tools.settings

A test compares the page with the table, so that neither changes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unitd.model.rows import execution, others, resources, service, socket, unit, unitd
from unitd.model.setting import Setting, Support
from unitd.model.settings import IGNORED
from unitd.syntax.signals import signal_name
from unitd.syntax.spans import INFINITY, format_span

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

HEAD = """\
# Settings of units

Every directive that unitd knows, from the table that the loader, the D-Bus properties and `unitctl show` are made of.
The page is written by `python -m tools.settings`. What each means is in systemd's manual pages; a directive that is not
listed here gives a warning with file and line.

| unitd | means |
|---|---|
| yes | carried out |
| kept | nothing is to be carried out, or nothing is lost: it is shown, and that is all |
| warned | not carried out; a warning with file and line when it is set to anything but the default |
| refused | not carried out, and a lie to ignore: the unit is refused, unless `AllowWeakerSandbox=yes` lets it run |
| read | of a type that is not carried out: read, checked and shown; starting such a unit is refused |
"""
PARTS: tuple[tuple[str, str, tuple[Setting, ...], bool], ...] = (
    ("[Unit] and [Install]", "systemd.unit(5)", unit.ROWS, True),
    ("[Service]", "systemd.service(5)", service.ROWS, True),
    (
        "Environment of processes",
        "systemd.exec(5); in [Service], and in [Socket], [Mount] and [Swap] for their commands",
        execution.rows("Service"),
        True,
    ),
    ("Killing", "systemd.kill(5); in the same sections, and in [Scope]", service.kill_rows("Service"), True),
    (
        "Resources",
        "systemd.resource-control(5); in the same sections, and in [Slice] and [Scope]",
        resources.rows("Service"),
        True,
    ),
    ("[Socket]", "systemd.socket(5)", socket.ROWS, True),
    ("[X-Unitd]", "What only unitd has; systemd passes the section over", unitd.ROWS, True),
    ("[Timer]", "systemd.timer(5)", others.TIMER, False),
    ("[Path]", "systemd.path(5)", others.PATH, False),
    ("[Mount]", "systemd.mount(5)", others.MOUNT, False),
    ("[Automount]", "systemd.automount(5)", others.AUTOMOUNT, False),
    ("[Swap]", "systemd.swap(5)", others.SWAP, False),
    ("[Scope]", "systemd.scope(5)", others.SCOPE, False),
)
GATHERED = unit.GATHERED | socket.GATHERED | others.GATHERED
WORDS = {Support.DONE: "yes", Support.METADATA: "kept", Support.LOSS: "warned", Support.LIE: "refused"}


def page() -> str:
    """The whole page."""
    return "".join((HEAD, *(text for part in PARTS for text in _part(*part)), _older()))


def _part(title: str, source: str, rows: Iterable[Setting], carried_out: bool) -> Iterator[str]:
    yield f"\n## {title}\n\n{source}.\n\n| setting | default | unitd | |\n|---|---|---|---|\n"
    for row in rows:
        if row.name in GATHERED or row.name.startswith("Assert"):
            continue
        support = WORDS[row.support] if carried_out or row.support is not Support.DONE else "read"
        names = f"`{row.name}=`"
        if row.name.startswith("Condition"):
            names += f", `Assert{row.name.removeprefix('Condition')}=`"
        yield f"| {names} | {default(row)} | {support} | {row.doc} |\n"


def default(row: Setting) -> str:
    """The value without any line, as a unit file would write it; empty where there is none."""
    value: Any = row.default
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if row.name.endswith("Mode") or row.name == "UMask":
            return f"{value:04o}"
        case int() if row.name.endswith("Signal"):
            return f"SIG{signal_name(value)}" if value else ""
        case int() if value == INFINITY:
            return "infinity"
        case int() if row.name.endswith("Sec"):
            return format_span(value)
        case int() | str():
            return str(value)
        case _:
            return ""


def _older() -> str:
    names = {**unit.SYNONYMS, **execution.SYNONYMS, unit.ISOLATE_ON_FAILURE.name: "OnFailureJobMode"}
    rows = "".join(f"| `{old}=` | `{new}=` |\n" for old, new in sorted(names.items()))
    nothing = ", ".join(f"`{name}=`" for name in sorted(IGNORED))
    return (
        f"\n## Older names\n\n| read | as |\n|---|---|\n{rows}"
        f"\nThese mean nothing any more, and give a warning: {nothing}.\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
