"""THE table of directives: it drives the loader, the D-Bus properties, `unitctl show` and the manual.

TABLE[type][(section, key)] is the row that reads a line of a unit of that type; SETTINGS[type][name] is the row of a
setting by its canonical name, for defaults. A new plain directive is one row in model/rows.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from unitd.model.rows import execution, others, resources, service, socket, unit, unitd
from unitd.model.setting import Setting, Support
from unitd.model.unit import Unit
from unitd.syntax.unit_name import UNIT_TYPES

__all__ = ["EXEC_TYPES", "IGNORED", "SECTIONS", "SETTINGS", "TABLE", "TYPES", "Setting", "Support", "default", "value"]

K = TypeVar("K")

TYPES: Final = tuple(sorted(UNIT_TYPES))
EXEC_TYPES: Final = ("service", "socket", "mount", "swap")
"""Types that start processes (systemd.exec(5))."""
CGROUP_TYPES: Final = (*EXEC_TYPES, "slice", "scope")
"""Types that have a cgroup (systemd.resource-control(5))."""

SECTIONS: Final[Mapping[str, str]] = {type: type.capitalize() for type in TYPES}
"""The section of each type."""

_OWN: Final[Mapping[str, tuple[Setting, ...]]] = {
    "service": service.ROWS,
    "socket": socket.ROWS,
    "timer": others.TIMER,
    "path": others.PATH,
    "mount": others.MOUNT,
    "automount": others.AUTOMOUNT,
    "swap": others.SWAP,
    "scope": others.SCOPE,
}
_KEPT_ON_ISOLATE: Final = ("device", "mount", "automount", "swap", "slice", "scope")
_GATHERED: Final = unit.GATHERED | socket.GATHERED | others.GATHERED

IGNORED: Final = execution.IGNORED | service.IGNORED
"""Directives that older systemd had, and that mean nothing any more."""


@cache
def _rows(type: str) -> tuple[Setting, ...]:
    """All rows of a type; of two with one name the first is the setting's."""
    return tuple(_gathered(type))


def _gathered(type: str) -> Iterator[Setting]:
    section = SECTIONS[type]
    yield from unit.ROWS
    yield from _OWN.get(type, ())
    if type in EXEC_TYPES:
        yield from execution.rows(section)
    if type in (*EXEC_TYPES, "scope"):
        yield from service.kill_rows(section)
    if type in CGROUP_TYPES:
        yield from resources.rows(section)
    yield from unitd.ROWS


def _synonyms(type: str, table: dict[tuple[str, str], Setting]) -> None:
    """Adds the older names and places of directives."""
    section = SECTIONS[type]
    for old, new in unit.SYNONYMS.items():
        table["Unit", old] = table["Unit", new]
    table["Unit", "OnFailureIsolate"] = unit.ISOLATE_ON_FAILURE
    if type in EXEC_TYPES:
        for old, new in execution.SYNONYMS.items():
            table[section, old] = table[section, new]
    if type == "service":
        for name in service.UNIT_ROWS_HERE:
            table["Service", name] = table["Unit", name]
        for old, new in service.SYNONYMS.items():
            table["Service", old] = table["Unit", new]


def _table(type: str) -> dict[tuple[str, str], Setting]:
    table: dict[tuple[str, str], Setting] = {}
    for row in _rows(type):
        if row.name not in _GATHERED:
            table.setdefault((row.section, row.name), row)
    _synonyms(type, table)
    return table


def _settings(type: str) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for row in _rows(type):
        if not row.key and row.dep is None and not row.expands:
            found.setdefault(row.name, row)
    if type in _KEPT_ON_ISOLATE:
        found["IgnoreOnIsolate"] = replace(found["IgnoreOnIsolate"], default=True)
    return found


class _ByType(Mapping[str, dict[K, Setting]]):
    """The rows of each type, made when the type is first met: most daemons never see most of them."""

    def __init__(self, make: Callable[[str], dict[K, Setting]]) -> None:
        self._make = make
        self._made: dict[str, dict[K, Setting]] = {}

    def __getitem__(self, type: str) -> dict[K, Setting]:
        found = self._made.get(type)
        if found is None:
            if type not in SECTIONS:
                raise KeyError(type)
            found = self._made[type] = self._make(type)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)


TABLE: Final[Mapping[str, Mapping[tuple[str, str], Setting]]] = _ByType(_table)
SETTINGS: Final[Mapping[str, Mapping[str, Setting]]] = _ByType(_settings)


def default(type: str, name: str) -> Any:
    """The value of a setting that no file mentions; KeyError: units of the type have no such setting."""
    return SETTINGS[type][name].default


def value(unit: Unit, name: str) -> Any:
    """The setting, or its default; KeyError: units of the type have no such setting."""
    try:
        return unit.settings[name]
    except KeyError:
        return SETTINGS[unit.type][name].default
