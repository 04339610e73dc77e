"""The plan of a shutdown or of a request, before anything is done: who, when, by which steps, and for how long at most.

A shutdown itself follows the same outline (engine/ending), so that it keeps the order and the bound of its plan.
Nothing is changed here: transactions are built and not installed.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from unitd.engine.core import Core
from unitd.engine.record import Fixed, Record
from unitd.jobs import algebra
from unitd.jobs.transaction import Planned, build
from unitd.machines import ladder
from unitd.machines.conf import ServiceConf, later
from unitd.machines.ladder import Part
from unitd.machines.phases import SETTING_OF, Rung, Service, Stage
from unitd.machines.sockets import Socket
from unitd.model.dependencies import Atom
from unitd.model.effects import Level
from unitd.model.states import INFINITY, SECOND, Active, JobMode, JobType
from unitd.shutdown import budget
from unitd.shutdown.budget import Bounds, Budget, Need, Slot
from unitd.shutdown.plan import Plan, Reach, Step, UnitPlan
from unitd.shutdown.waves import Waves, waves

_NOTHING = Need(0, 0)


class Verb(Struct, frozen=True):
    """The job that a verb of unitctl asks for."""

    type: JobType
    mode: JobMode = JobMode.REPLACE
    if_possible: bool = False


VERBS: Mapping[str, Verb] = {
    "start": Verb(JobType.START),
    "stop": Verb(JobType.STOP),
    "restart": Verb(JobType.RESTART),
    "try-restart": Verb(JobType.TRY_RESTART),
    "reload": Verb(JobType.RELOAD),
    "reload-or-restart": Verb(JobType.RESTART, if_possible=True),
    "try-reload-or-restart": Verb(JobType.TRY_RESTART, if_possible=True),
    "isolate": Verb(JobType.START, JobMode.ISOLATE),
}
_WORDS: Mapping[Part, str] = {
    Rung.TERM: "signal",
    Rung.ABORT: "abort",
    Rung.KILL: "kill",
    Rung.FINAL_TERM: "final-signal",
    Rung.FINAL_ABORT: "final-abort",
    Rung.FINAL_KILL: "final-kill",
    Stage.START: "start",
    Stage.RELOAD: "reload",
}
_STARTING = (Stage.CONDITION, Stage.START_PRE, Stage.START, Stage.START_POST)


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
    bounds = budget.bounds(core.now, cap, worst, units=len(records), spares=_may_spare(core))
    return Outline(found, shared, _slots(found, shared, _left(core.now, bounds.waves_end), under_way), bounds)


def limit(core: Core, record: Record) -> int:
    """The instant by which a unit has to be down that begins to stop now; INFINITY when there is no shutdown.

    Who has such an instant already keeps it. When it is less than the unit's own rules allow, it is told.
    """
    ending, state = core.ending, record.state
    if ending is None:
        return INFINITY
    if isinstance(state, Service) and state.limit < INFINITY:
        return state.limit
    allotment = ending.budget.allotment(record.name, _left(core.now, ending.waves_end))
    if isinstance(state, Service) and core.now < ending.waves_end:
        _tell_cut(core, record, state, allotment)
    return later(core.now, allotment)


def _tell_cut(core: Core, record: Record, state: Service, allotment: int) -> None:
    """Say what becomes of the unit's TimeoutStopSec= when there is not enough time for all of it."""
    if allotment >= INFINITY:
        return
    parts = ladder.ahead(state, record.conf)
    needs, own = ladder.of(state, record.conf, core.now), record.conf.stop_timeout
    for part, need, share in zip(parts, needs, ladder.shares(needs, allotment), strict=True):
        if not ladder.kills(part) and ladder.span(record.conf, part) == own and share < need.most:
            assert core.ending is not None
            total = _words(core.ending.bound - core.ending.began)
            text = f"TimeoutStopSec= of {record.name} is cut from {_words(own)} to {_words(share)}"
            core.log(Level.INFO, f"{text}: the shutdown must end in {total}", record.name)
            return


def _words(length: int) -> str:
    """A length as people write it: "5.4 s"."""
    if length >= INFINITY:
        return "infinity"
    return f"{round(length / SECOND, 1 if length >= SECOND else 3):g} s"


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


# --- the plan of a shutdown -----------------------------------------------------------------------------


def shutdown(core: Core, verb: str, unit: str = "") -> Plan:
    """The plan of a shutdown that begins now, or of what is left of the one under way."""
    found = outline(core)
    left = _left(core.now, found.bounds.waves_end)

    def planned(name: str) -> UnitPlan:
        begins = found.slots[name].begins
        allotment = found.budget.allotment(name, _left(begins, left))
        return _stop(core, core.units.records[name], begins, allotment)

    waves = tuple(tuple(planned(name) for name in wave) for wave in found.waves.waves)
    return Plan(verb, unit, waves, _left(core.now, found.bounds.bound), core.config.shutdown_timeout)


def _stop(core: Core, record: Record, begins: int, allotment: int = INFINITY, *, restarting: bool = False) -> UnitPlan:
    """The stop of a unit that begins then; what happens before it is not known, so its state is that of now."""
    state = record.state
    if isinstance(state, Socket):
        return UnitPlan(record.name, begins, (Step("close", 0, 0),))
    if not isinstance(state, Service):
        return UnitPlan(record.name, begins)
    conf, parts, needs = record.conf, ladder.ahead(state, record.conf), ladder.of(state, record.conf, core.now)
    shares = ladder.shares(needs, allotment) if allotment < INFINITY else [need.most for need in needs]
    steps = tuple(
        _step(conf, part, share, need.most, restarting) for part, share, need in zip(parts, shares, needs, strict=True)
    )
    named = tuple(process.pid for process in (state.control, state.main) if process is not None and process.pid)
    return UnitPlan(record.name, begins, steps, _reach(conf, parts), named)


def _step(conf: ServiceConf, part: Part, share: int, own: int, restarting: bool = False) -> Step:
    if isinstance(part, Stage):
        commands = " ; ".join(" ".join(command.argv) for command in conf.commands.get(part, ()))
        return Step(_WORDS.get(part) or SETTING_OF[part], share, own, command=commands)
    whom = "all" if ladder.means_all(conf.kill, part) else "control" if part.is_final else "main"
    return Step(_WORDS[part], share, own, ladder.signal(conf.kill, part, restarting=restarting), whom)


def _reach(conf: ServiceConf, parts: Iterable[Part]) -> Reach:
    rungs = [part for part in parts if isinstance(part, Rung)]
    if not rungs:
        return Reach.NOBODY
    if all(ladder.means_all(conf.kill, rung) for rung in rungs):
        return Reach.ALL
    return Reach.NAMED_FIRST if any(ladder.means_all(conf.kill, rung) for rung in rungs) else Reach.NAMED


# --- the plan of a request --------------------------------------------------------------------------------


class Wanted(Struct, frozen=True):
    """A job that is asked for."""

    unit: str
    type: JobType
    mode: JobMode


def request(core: Core, verb: str, wanted: Sequence[Wanted]) -> Plan:
    """The plan of some jobs and of all that they pull in; raises Refusal as the request itself would."""
    parts = _parts(core, wanted)
    by_unit: dict[str, list[str]] = {}
    for key, part in parts.items():
        by_unit.setdefault(part.unit, []).append(key)

    def earlier(key: str) -> list[str]:
        part = parts[key]
        first = [other for other in by_unit[part.unit] if part.type is JobType.START and other != key]
        for atom in (Atom.BEFORE, Atom.AFTER):
            others = (each for name in core.units.related(part.unit, atom) for each in by_unit.get(name, ()))
            first += [each for each in others if algebra.compare(part, parts[each], atom) > 0]
        return first

    found = waves(parts, earlier)
    plans = {key: _part(core, part, len(by_unit[part.unit]) > 1) for key, part in parts.items()}
    slots = budget.timeline(found, lambda key, _: sum(step.timeout for step in plans[key].steps))
    timed = tuple(tuple(replace(plans[key], begins=slots[key].begins) for key in wave) for wave in found.waves)
    bound = max((slot.ends for slot in slots.values()), default=0)
    return Plan(verb, " ".join(each.unit for each in wanted), timed, bound)


def _parts(core: Core, wanted: Sequence[Wanted]) -> dict[str, Planned]:
    """What is to be done, by a key that sorts by unit: a restart is a stop, and a start after it."""
    jobs = {
        job.unit: job
        for each in wanted
        for job in build(core.units, each.unit, each.type, each.mode).jobs
        if job.type is not JobType.NOP
    }
    parts = {}
    for name, job in sorted(jobs.items()):
        type, active = job.merged or job.type, core.units.active(name)
        if type in algebra.STOPPING and not active.is_down:
            parts[name] = replace(job, type=JobType.STOP)
        if type is JobType.RESTART or (type is JobType.START and active not in algebra.UP):
            parts[f"{name} start"] = replace(job, type=JobType.START)
        elif type is JobType.RELOAD:
            parts[f"{name} reload"] = replace(job, type=JobType.RELOAD)
    return parts


def _part(core: Core, part: Planned, restarts: bool) -> UnitPlan:
    record = core.units.record(part.unit)
    if part.type is JobType.STOP:
        return _stop(core, record, 0, restarting=restarts)
    word = "start" if part.type is JobType.START else "reload"
    if not isinstance(record.state, Service):
        return UnitPlan(record.name, 0, (Step(word, 0, 0),))
    conf = record.conf
    stages = [stage for stage in _STARTING if conf.commands.get(stage)] if word == "start" else [Stage.RELOAD]
    return UnitPlan(
        record.name, 0, tuple(_step(conf, stage, conf.start_timeout, conf.start_timeout) for stage in stages)
    )
