"""How the daemon's values look as D-Bus values: times, states, settings."""

from collections.abc import Callable, Iterable
from typing import Any

from unitd.bus.interfaces import shapes
from unitd.bus.interfaces.table import Emits, Property
from unitd.bus.ports import Status, World
from unitd.model.dependencies import Dep
from unitd.model.setting import Setting


def status_property(name: str, type: str, emits: Emits, get: Callable[[Status], Any], doc: str = "") -> Property:
    """A property that needs nothing but the unit's status."""
    return Property(name, type, emits, lambda world, status: get(status), doc)


def constant(name: str, type: str, value: Any, emits: Emits = Emits.CONST, doc: str = "") -> Property:
    """A property that is the same for every object: what unitd does not vary."""
    return Property(name, type, emits, lambda world, target: value, doc)


def dependency(kind: Dep) -> Property:
    """The units to which this one has a dependency of this kind."""
    doc = f"The units to which this one has the dependency {kind} (systemd.unit(5))."
    return Property(
        kind.value, "as", Emits.CONST, lambda world, status: tuple(world.view.deps(status.unit.name, kind)), doc
    )


def instant(name: str, emits: Emits, get: Callable[[Any], int], doc: str) -> tuple[Property, Property]:
    """The two properties of an instant: realtime and monotonic microseconds, 0 for never."""
    return (
        Property(name, "t", emits, lambda world, target: world.clock.realtime(get(target)), f"{doc}; realtime."),
        Property(f"{name}Monotonic", "t", emits, lambda world, target: get(target), f"{doc}; monotonic."),
    )


def of_settings(
    settings: Iterable[Setting], special: dict[str, Callable[[World, Status, Any], Any]], emits: dict[str, Emits]
) -> list[Property]:
    """A property for each setting that is one; `special`: how values are shown that D-Bus has in another form."""
    rows = []
    for setting in settings:
        if setting.prop is None:
            continue
        name, type = setting.prop
        show = special.get(name)
        get = _special(setting, show) if show else _shaped(setting, type, shapes.shape(name))
        rows.append(Property(name, type, emits.get(name, Emits.CONST), get, setting.doc))
        if name.startswith("Limit"):
            soft = _shaped(setting, type, shapes.soft)
            rows.append(Property(f"{name}Soft", type, Emits.CONST, soft, f"The soft limit of {setting.name}=."))
    return rows


def _shaped(setting: Setting, type: str, shape: shapes.Shape | None) -> Callable[[World, Status], Any]:
    key, default = setting.target, setting.default
    unset = shapes.UNSET.get(type, b"" if type == "ay" else ())

    def get(world: World, status: Status) -> Any:
        value = status.unit.settings.get(key, default)
        if value is None:
            return unset
        return shape(value) if shape else value

    return get


def _special(setting: Setting, show: Callable[[World, Status, Any], Any]) -> Callable[[World, Status], Any]:
    key, default = setting.target, setting.default
    return lambda world, status: show(world, status, status.unit.settings.get(key, default))
