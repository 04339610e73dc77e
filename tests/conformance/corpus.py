"""Topic corpus_golden: unit files as Debian's packages ship them, each package alone."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from unitd.host.unit_dirs import UnitDirs
from unitd.model import settings
from unitd.model.config import Config
from unitd.model.dependencies import INVERSE, Dep
from unitd.model.unit import Unit
from unitd.syntax.command import Command
from unitd.syntax.specifiers import HostFacts

from .comparison import Case, Comparison, Document
from .shown import answer, dependencies, like

_SCOPE_FACTS = {
    "system": HostFacts(),
    "user": HostFacts(home="/nonexistent", runtime_dir="/dev/shm/crt"),
}


def cases(document: Document) -> list[Case]:
    """Each unit is a case PACKAGE/SCOPE/UNIT; the keys compared are all that any unit of the type has."""
    keys: dict[str, set[str]] = {}
    for units in document["packages"].values():
        for path, facts in units.items():
            keys.setdefault(path.rpartition(".")[2], set()).update(facts)
    return [
        {"id": f"{package}/{path}", "expect": facts, "keys": sorted(keys[path.rpartition(".")[2]])}
        for package, units in document["packages"].items()
        for path, facts in units.items()
    ]


@cache
def _source(directory: str, scope: str) -> UnitDirs:
    return UnitDirs([directory], _SCOPE_FACTS[scope], Config(user=scope == "user", allow_weaker_sandbox=True))


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares all facts of one unit; what is unset there must be unset here."""
    package, scope, name = case["id"].split("/", 2)
    source = _source(str(folder / "corpus" / package / scope), scope)
    unit = source.load(name)
    expected = {key: case["expect"].get(key) or None for key in case["keys"]}
    got = {key: _fact(unit, key, expected[key], source) or None for key in case["keys"]}
    return Comparison(expected, got)


def _fact(unit: Unit, key: str, expected: object, source: UnitDirs) -> Any:
    if key == "Exec":
        return _commands(unit)
    if key in set(Dep):
        kind = Dep(key)
        return [other for other in dependencies(unit, kind, source) if not _stated_there(unit, kind, other, source)]
    fact = like(expected, answer(unit, key, source, ""))
    return sorted(fact) if isinstance(fact, list) else fact


def _stated_there(unit: Unit, kind: Dep, other: str, source: UnitDirs) -> bool:
    """The recorded lists leave out what the other unit states as well."""
    return unit.name in source.load(other).deps.get(INVERSE[kind], {})


def _commands(unit: Unit) -> Mapping[str, list[list[str]]]:
    return {
        name: [list(command.argv) for command in unit.settings[name]]
        for name in sorted(settings.SETTINGS[unit.type])
        if name.startswith("Exec") and isinstance(next(iter(unit.settings.get(name, ())), None), Command)
    }
