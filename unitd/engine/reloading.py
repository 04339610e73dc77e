"""daemon-reload: all definitions are read again, and what runs goes on."""

from unitd.engine.core import Core
from unitd.engine.record import Record
from unitd.graph.diff import Diff, diff
from unitd.model.effects import Reloading, UnitChanged, UnitGone
from unitd.model.states import Load
from unitd.model.unit import Unit


def reload(core: Core) -> Diff:
    """Read everything again; what changed, by name."""
    core.emit(Reloading(True))
    units = core.units
    before = {name: record.unit for name, record in units.records.items()}
    units.source.refresh()
    for name in sorted(before):
        record = units.records.get(name)
        if record is not None:
            _reread(core, record)
    for name in sorted(units.records):
        units.record(name)
        for names in units.records[name].unit.deps.values():
            for other in names:
                units.record(other)
    _forget_missing(core)
    core.take_fresh()
    units.queue.relink()
    core.emit(Reloading(False))
    return diff(before, {name: record.unit for name, record in units.records.items()})


def compare(core: Core) -> Diff:
    """What reload() would change; nothing is."""
    fresh = core.units.source.afresh()
    before = {name: record.unit for name, record in core.units.records.items()}
    after: dict[str, Unit] = {}
    known: set[str] = set()
    todo = sorted(before)
    while todo:
        name = todo.pop()
        if name in known:
            continue
        unit = fresh.load(name)
        known |= {name, unit.name, *unit.aliases}
        after[unit.name] = unit
        todo.extend(other for names in unit.deps.values() for other in names)
    return diff(before, after)


def files_changed(core: Core) -> None:
    """Files came or went: what was missing is loaded, what is gone and unused is forgotten (AutoReload=)."""
    units = core.units
    units.source.refresh()
    for record in list(units.records.values()):
        if record.unit.load is Load.NOT_FOUND or (_is_idle(core, record) and units.source.is_gone(record.unit)):
            _reread(core, record)
    _forget_missing(core)
    core.take_fresh()


def _is_idle(core: Core, record: Record) -> bool:
    return record.active.is_down and core.units.queue.job_of(record.name) is None


def _reread(core: Core, record: Record) -> None:
    unit = core.units.source.load(record.name)
    if unit.name != record.name or unit == record.unit:
        return
    core.units.replace(record, unit)
    core.emit(UnitChanged(record.name))


def _forget_missing(core: Core) -> None:
    """Units without a file, without a job, at rest, and named by nobody."""
    for name, record in sorted(core.units.records.items()):
        missing = record.unit.load is Load.NOT_FOUND
        if missing and _is_idle(core, record) and not core.units.is_needed(name):
            core.units.forget(name)
            core.failed.discard(name)
            core.emit(UnitGone(name))
