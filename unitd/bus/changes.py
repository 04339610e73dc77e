"""What changed in this turn of the loop -> signals, each thing told once.

The order on the wire is that of systemd: UnitNew, JobNew, then the answers, then PropertiesChanged, then JobRemoved
and UnitRemoved. Of a unit's properties only those are told that differ from what was told last; what was told is kept
only while somebody listens. Nothing is worked out when nobody does.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Protocol

from unitd.bus.interfaces.job import JOB
from unitd.bus.interfaces.manager import MANAGER
from unitd.bus.interfaces.table import Emits, Interface, Property
from unitd.bus.interfaces.types import TYPES
from unitd.bus.interfaces.unit import UNIT
from unitd.bus.ports import World
from unitd.bus.progress import under_way
from unitd.model import effects
from unitd.model.processes import Left
from unitd.wire import dialects
from unitd.wire.dialects import Dialect
from unitd.wire.message import Message, Type
from unitd.wire.progress import DONE, SURVIVORS, Progress


class Listener(Protocol):
    """A connection that may want signals."""

    dialect: Dialect

    @property
    def hears(self) -> bool: ...
    def send(self, raw: bytes) -> None: ...


def _changing(interface: Interface) -> tuple[Property, ...]:
    return tuple(row for row in interface.properties.values() if row.emits is Emits.CHANGE)


def _invalidated(interface: Interface) -> tuple[str, ...]:
    return tuple(row.name for row in interface.properties.values() if row.emits is Emits.INVALIDATES)


_ALL: Final = (UNIT, JOB, MANAGER, *TYPES.values())
_CHANGING: Final = {each.name: _changing(each) for each in _ALL}
_INVALIDATED: Final = {each.name: _invalidated(each) for each in _ALL}
_AT_FIRST: Final = {MANAGER.name: (0,)}
"""What is taken for told already: no failed units."""


class Changes:
    """Gathers effects; `early` and `late` give the signals of a turn, before and after its answers."""

    def __init__(self) -> None:
        self._first: list[effects.Effect] = []
        self._last: list[effects.Effect] = []
        self._units: dict[str, None] = {}
        self._jobs: dict[int, None] = {}
        self._stage = False
        self._told: dict[Dialect, dict[str, dict[str, tuple[Any, ...]]]] = {}

    def note(self, effect: effects.Effect) -> None:
        """An effect of the engine; those that nobody can see are passed over."""
        match effect:
            case effects.UnitChanged():
                self._units[effect.unit] = None
            case effects.JobChanged():
                self._jobs[effect.id] = None
            case effects.JobNew():
                self._first.append(effect)
                self._units[effect.unit] = None
            case effects.JobGone():
                self._last.append(effect)
                self._units[effect.unit] = None
            case effects.StageChanged():
                self._stage = True
            case effects.UnitNew() | effects.Reloading(active=True):
                self._first.append(effect)
            case effects.UnitGone() | effects.Reloading() | effects.StartupFinished() | effects.Leave():
                self._last.append(effect)
            case _:
                return

    @property
    def is_empty(self) -> bool:
        return not (self._first or self._last or self._units or self._jobs or self._stage)

    def early(self, dialect: Dialect) -> list[Message]:
        """What goes out before the answers."""
        return [_signal(effect, dialect) for effect in self._first]

    def late(self, world: World) -> Iterator[Message]:
        """What goes out after the answers."""
        dialect = world.dialect
        for name in self._units:
            status = world.view.status(name)
            if status is not None:
                path = dialect.unit_path(status.unit.name)
                for interface in (UNIT, TYPES[status.unit.type]):
                    yield from self._differences(world, path, interface, status)
        for id in self._jobs:
            job = world.view.job(id)
            if job is not None:
                yield from self._differences(world, dialect.job_path(id), JOB, job)
        if self._units:
            yield from self._differences(world, dialect.object, MANAGER, None)
        if self._units or self._stage:
            yield from progress(world, self._units)
        for effect in self._last:
            yield _signal(effect, dialect)

    def end(self, *, anyone: bool) -> None:
        """The turn is over; without a listener nothing told is remembered."""
        if not anyone:
            self._told.clear()
        for dialect, told in self._told.items():
            for effect in self._last:
                match effect:
                    case effects.UnitGone():
                        told.pop(dialect.unit_path(effect.unit), None)
                    case effects.JobGone():
                        told.pop(dialect.job_path(effect.id), None)
        self._first, self._last, self._stage = [], [], False
        self._units.clear()
        self._jobs.clear()

    def _differences(self, world: World, path: str, interface: Interface, target: Any) -> Iterator[Message]:
        rows = _CHANGING[interface.name]
        if not rows:
            return
        values = tuple(row.get(world, target) for row in rows)
        told = self._told.setdefault(world.dialect, {}).setdefault(path, {})
        before = told.get(interface.name, _AT_FIRST.get(interface.name))
        if before == values:
            return
        told[interface.name] = values
        past = before or (None,) * len(rows)
        changed = {row.name: (row.type, now) for row, now, old in zip(rows, values, past, strict=True) if now != old}
        name = world.dialect.interface(interface.name)
        body = (name, changed, _INVALIDATED[interface.name])
        yield Message(Type.SIGNAL, path, dialects.PROPERTIES, "PropertiesChanged", signature="sa{sv}as", body=body)


def progress(world: World, among: Collection[str] | None = None) -> Iterator[Message]:
    """ShutdownProgress for the stops under way; of units in `among` alone if it is given."""
    for one in under_way(world, among):
        yield _progress(world.dialect, one)


def _progress(dialect: Dialect, one: Progress) -> Message:
    return _of_daemon(dialect, "ShutdownProgress", "a{sv}", (one.values,))


def _last_progress(dialect: Dialect, survivors: Iterable[Left], next: str) -> Message:
    """Of no unit: all is stopped, or this is who lives on."""
    pids = tuple((left.pid, left.words) for left in survivors)
    return _progress(dialect, Progress("", SURVIVORS if pids else DONE, pids, next=next, processes=len(pids)))


def _signal(effect: effects.Effect, dialect: Dialect) -> Message:
    path = dialect.unit_path
    job = dialect.job_path
    match effect:
        case effects.UnitNew(unit):
            return _of_daemon(dialect, "UnitNew", "so", (unit, path(unit)))
        case effects.UnitGone(unit):
            return _of_daemon(dialect, "UnitRemoved", "so", (unit, path(unit)))
        case effects.JobNew(id, unit, _):
            return _of_daemon(dialect, "JobNew", "uos", (id, job(id), unit))
        case effects.JobGone(id, unit, _, result):
            return _of_daemon(dialect, "JobRemoved", "uoss", (id, job(id), unit, result.value))
        case effects.Reloading(active):
            return _of_daemon(dialect, "Reloading", "b", (active,))
        case effects.StartupFinished(userspace):
            return _of_daemon(dialect, "StartupFinished", "tttttt", (0, 0, 0, 0, userspace, userspace))
        case effects.Leave(leaving=leaving, survivors=survivors):
            return _last_progress(dialect, survivors, leaving.value)
        case _:
            raise ValueError(f"cannot make a signal of {effect}")


def _of_daemon(dialect: Dialect, member: str, signature: str, body: tuple[Any, ...]) -> Message:
    return Message(Type.SIGNAL, dialect.object, dialect.interface("Manager"), member, signature=signature, body=body)
