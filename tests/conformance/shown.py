"""Settings and dependencies of a unit under the names and in the forms of systemd's unit dump."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unitd.graph.index import Index
from unitd.host.unit_dirs import UnitDirs
from unitd.model import settings
from unitd.model.dependencies import Dep
from unitd.model.states import SECOND, Load
from unitd.model.unit import Origin, Unit
from unitd.syntax import unit_name
from unitd.syntax.capabilities import CAPABILITIES
from unitd.syntax.values import format_span, signal_name

from .comparison import Case

_ORIGINS = {
    Origin.DEFAULT: "default",
    Origin.FILE: "file",
    Origin.IMPLICIT: "implicit",
    Origin.MOUNT_FILE: "mount-file",
}
_RENAMED = {"File System Type": "Type", "CPUQuotaPerSecSec": "CPUQuota"}
_PULLS = (Dep.REQUIRES, Dep.REQUISITE, Dep.WANTS, Dep.BINDS_TO, Dep.UPHOLDS)


def dependencies(unit: Unit, kind: Dep, source: UnitDirs) -> dict[str, list[str]]:
    """The edges that a unit states, with who says so, and a target's default order."""
    found = {
        other: sorted(word for origin, word in _ORIGINS.items() if origin & origins)
        for other, origins in unit.deps.get(kind, {}).items()
    }
    if kind is Dep.AFTER and unit.type == "target":
        index = Index()
        index.add(unit)
        for pulled in {other for pull in _PULLS for other in unit.deps.get(pull, ())}:
            index.add(source.load(pulled))
        for other in index.deps(unit.name, Dep.AFTER):
            found.setdefault(other, ["default"])
    return dict(sorted(found.items()))


def answer(unit: Unit, name: str, source: UnitDirs, root: str) -> object:
    """What the dump says under a name; None when it says nothing."""
    facts: Mapping[str, Callable[[], object]] = {
        "LoadState": lambda: str(unit.load),
        "FragmentPath": lambda: unit.fragment.removeprefix(root) or None,
        "DropInPath": lambda: [path.removeprefix(root) for path in unit.dropins],
        "Instance": lambda: unit_name.instance(unit.name),
        "RequiresMountsFor": lambda: _mounts(unit),
        "Description": lambda: settings.value(unit, "Description") or unit.name,
    }
    if name in facts:
        return facts[name]()
    if name in set(Dep):
        return dependencies(unit, Dep(name), source)
    if unit.load is not Load.LOADED:
        return None
    return _setting(unit, name)


def _mounts(unit: Unit) -> dict[str, list[str]]:
    return {path: ["file"] for path in settings.value(unit, "RequiresMountsFor")}


def _setting(unit: Unit, name: str) -> object:
    for prefix, gathered in (("Condition", "Conditions"), ("Assert", "Asserts")):
        if name.startswith(prefix) and name != "ConditionResult":
            kind = name.removeprefix(prefix)
            return [_condition(one) for one in settings.value(unit, gathered) if one.kind == kind]
    if name.startswith("Listen"):
        kind = name.removeprefix("Listen")
        return [address for one, address in settings.value(unit, "Listen") if one == kind]
    if name.startswith("On") and unit.type == "timer":
        return [
            value if isinstance(value, str) else format_span(value)
            for kind, value in settings.value(unit, "Timers")
            if kind == name
        ]
    if unit.type == "path" and any(kind == name for kind, _ in settings.value(unit, "Paths")):
        return [path for kind, path in settings.value(unit, "Paths") if kind == name]
    if name.startswith("Limit"):
        soft = name.endswith("Soft")
        limits = settings.value(unit, name.removesuffix("Soft"))
        return None if limits is None else str(limits[not soft])
    return _plain(unit, name)


def _condition(one: Any) -> str:
    return f"{'|' if one.trigger else ''}{'!' if one.negate else ''}{one.parameter}"


def _plain(unit: Unit, name: str) -> object:
    if name.startswith("Standard") and "File" in name:
        stream, _, what = name.partition("File")
        word, _, path = settings.value(unit, stream).partition(":")
        kind = {"": "file", "ToAppend": "append", "ToTruncate": "truncate"}[what]
        return path if word == kind else None
    name = _RENAMED.get(name, name)
    try:
        value = settings.value(unit, name)
    except KeyError:
        return None
    return _form(unit, name, value)


def _form(unit: Unit, name: str, value: Any) -> object:
    """The value in the words of the dump."""
    if name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        return None if value is None else " ".join(one for one in CAPABILITIES if one in value)
    if name.endswith("Signal"):
        number = value or settings.value(unit, "KillSignal")
        return f"SIG{signal_name(number)}"
    if name == "EnvironmentFile":
        return [f"-{path}" if optional else path for path, optional in value]
    if name == "WorkingDirectory":
        path = value.removeprefix("-")
        return path if path.startswith("/") else "/"
    if name.startswith("Standard"):
        return value.partition(":")[0]
    if (name.endswith("Mode") and isinstance(value, int)) or name == "UMask":
        return f"{value:04o}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("Paths"):
        return " ".join(value)
    if name == "CPUQuota":
        return format_span(value)
    if name.endswith("Sec"):
        return format_span(value, SECOND)
    if isinstance(value, tuple):
        return list(value)
    if value is None or value == "":
        return None
    return str(value)


def like(expected: object, got: object) -> object:
    """The answer in the shape of the expected one: a list of one may be written as that one."""
    if isinstance(got, list) and not isinstance(expected, list):
        return got[0] if len(got) == 1 else got or None
    if expected == [] and got is None:
        return []
    return got


def lay_out(root: Path, case: Case) -> None:
    """Writes the files of a case below a directory."""
    for name, content in case["files"].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Mapping):
            path.symlink_to(content["link"].replace("@ROOT@", str(root)))
        else:
            path.write_text(content, encoding="utf-8", newline="")
