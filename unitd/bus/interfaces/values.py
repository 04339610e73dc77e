"""How the daemon's values look as D-Bus values: times, states, settings."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from unitd.bus.interfaces.table import Emits, Property
from unitd.bus.ports import Status, World
from unitd.model.dependencies import Dep
from unitd.model.setting import Setting
from unitd.model.states import INFINITY

UNSET: Final = {"t": INFINITY, "u": 2**32 - 1, "s": "", "b": False, "i": 0, "x": -1, "q": 0}
"""What a property shows that has no value, by signature; arrays are empty."""


def status_property(name: str, type: str, emits: Emits, get: Callable[[Status], Any], doc: str = "") -> Property:
    """A property that needs nothing but the unit's status."""
    return Property(name, type, emits, lambda world, status: get(status), doc)


def constant(name: str, type: str, value: Any, emits: Emits = Emits.CONST, doc: str = "") -> Property:
    """A property that is the same for every object: what unitd does not vary."""
    return Property(name, type, emits, lambda world, target: value, doc)


def dependency(kind: Dep) -> Property:
    """The units to which this one has a dependency of this kind."""
    return Property(kind.value, "as", Emits.CONST, lambda world, status: tuple(world.view.deps(status.unit.name, kind)))


def instant(name: str, emits: Emits, get: Callable[[Any], int]) -> tuple[Property, Property]:
    """The two properties of an instant: realtime and monotonic microseconds, 0 for never."""
    return (
        Property(name, "t", emits, lambda world, target: world.clock.realtime(get(target))),
        Property(f"{name}Monotonic", "t", emits, lambda world, target: get(target)),
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
        get = _special(setting, special[name]) if name in special else _plain(setting, type)
        rows.append(Property(name, type, emits.get(name, Emits.CONST), get, setting.doc))
    return rows


def _plain(setting: Setting, type: str) -> Callable[[World, Status], Any]:
    key, default = setting.target, setting.default
    unset = UNSET.get(type, ())

    def get(world: World, status: Status) -> Any:
        value = status.unit.settings.get(key, default)
        return unset if value is None else value

    return get


def _special(setting: Setting, show: Callable[[World, Status, Any], Any]) -> Callable[[World, Status], Any]:
    key, default = setting.target, setting.default
    return lambda world, status: show(world, status, status.unit.settings.get(key, default))
