"""The plan of a shutdown or of a request, before anything is done: who, when, by which steps, and for how long at most.

A shutdown itself follows the same outline (engine/ending), so that it keeps the order and the bound of its plan.
Nothing is changed here: transactions are built and not installed.
"""

from collections.abc import Mapping

from msgspec import Struct

from unitd.engine.core import Core
from unitd.engine.record import Fixed, Record
from unitd.machines import ladder
from unitd.machines.conf import later
from unitd.machines.phases import Service
from unitd.model.dependencies import Atom
from unitd.model.effects import Level
from unitd.model.states import INFINITY, SECOND, Active
from unitd.shutdown import budget
from unitd.shutdown.budget import Bounds, Budget, Need, Slot
from unitd.shutdown.waves import Waves, waves

_NOTHING = Need(0, 0)


class Outline(Struct, frozen=True):
    """A shutdown as a whole: `slots` say when each unit begins at the latest, and when it has ended then."""

    waves: Waves
    budget: Budget
    slots: Mapping[str, Slot]
    bounds: Bounds


def to_stop(core: Core) -> list[Record]:
    """The units that a shutdown stops."""
    return [
        record
        for record in core.units.records.values()
        if not isinstance(record.state, Fixed) and not record.active.is_down and record.name != "-.slice"
    ]


def outline(core: Core) -> Outline:
    """The outline of a shutdown that begins now; of one under way, of what is left of it."""
    records = {record.name: record for record in to_stop(core)}
    found = waves(records, lambda name: core.units.related(name, Atom.BEFORE))
    under_way = frozenset(name for name, record in records.items() if record.active is Active.DEACTIVATING)
    if core.ending is not None:
        ending = core.ending
        slots = _slots(found, ending.budget, _left(core.now, ending.waves_end), under_way)
        return Outline(found, ending.budget, slots, Bounds(ending.waves_end, ending.end, ending.bound))
    cap = core.config.shutdown_timeout
    most = budget.for_waves(cap)
    shared = budget.divide(most, found, {name: _need(core, record) for name, record in records.items()})
    worst = max((slot.ends for slot in _slots(found, shared, most, under_way).values()), default=0)
    bounds = budget.bounds(core.now, cap, worst, spares=_may_spare(core))
    return Outline(found, shared, _slots(found, shared, _left(core.now, bounds.waves_end), under_way), bounds)


def limit(core: Core, record: Record) -> int:
    """The instant by which a unit has to be down that begins to stop now; INFINITY when there is no shutdown.

    When that is less than the unit's own rules allow, it is told.
    """
    ending, state = core.ending, record.state
    if ending is None:
        return INFINITY
    allotment = ending.budget.allotment(record.name, _left(core.now, ending.waves_end))
    if isinstance(state, Service):
        _tell_cut(core, record, state, allotment)
    return later(core.now, allotment)


def _tell_cut(core: Core, record: Record, state: Service, allotment: int) -> None:
    """Say what becomes of the unit's TimeoutStopSec= when there is not enough time for all of it."""
    parts = ladder.ahead(state, record.conf)
    needs, own = ladder.of(state, record.conf, core.now), record.conf.stop_timeout
    for part, need, share in zip(parts, needs, ladder.shares(needs, allotment), strict=True):
        if not ladder.kills(part) and ladder.span(record.conf, part) == own and share < need.most:
            assert core.ending is not None
            total = words(core.ending.bound - core.ending.began)
            text = f"TimeoutStopSec= of {record.name} is cut from {words(own)} to {words(share)}"
            core.log(Level.INFO, f"{text}: the shutdown must end in {total}", record.name)
            return


def words(length: int) -> str:
    """A length as people write it: "5.4 s"."""
    return "infinity" if length >= INFINITY else f"{length / SECOND:.3g} s"


def _left(now: int, end: int) -> int:
    return INFINITY if end >= INFINITY else max(0, end - now)


def _slots(found: Waves, shared: Budget, total: int, under_way: frozenset[str]) -> dict[str, Slot]:
    def takes(name: str, begins: int) -> int:
        return shared.allotment(name, _left(begins, total))

    return budget.timeline(found, takes, under_way)


def _need(core: Core, record: Record) -> Need:
    """What the stop of the unit takes; only services have processes to wait for."""
    state = record.state
    return ladder.total(ladder.of(state, record.conf, core.now)) if isinstance(state, Service) else _NOTHING


def _may_spare(core: Core) -> bool:
    """Whether processes may be left when all units are down, which the shutdown then ends itself."""
    for record in core.units.records.values():
        if isinstance(record.state, Service):
            kill = record.conf.kill
            spares = kill.mode in ("none", "process") or not kill.send_sigkill
            if record.state.populated and (record.active.is_down or spares):
                return True
    return False
