"""What others ask of the engine, and the answers; refusals are answers too."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from unitd.engine import ending, planning, queueing, reloading, work
from unitd.engine.core import Core
from unitd.engine.record import Record
from unitd.jobs.admission import load_refusal, manual
from unitd.machines.phases import Dead, Service
from unitd.machines.step import Reset
from unitd.model.effects import Answer, Kill, Level, Reexec, Scope, UnitGone
from unitd.model.events import (
    Caller,
    CancelAsked,
    JobAsked,
    KillAsked,
    Leaving,
    LoadAsked,
    PlanAsked,
    ReexecAsked,
    ReloadAsked,
    Request,
    ResetFailedAsked,
    ShutdownAsked,
    Whom,
)
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import JobResult, JobType, Load
from unitd.shutdown.plan import Plan
from unitd.syntax.unit_name import valid

_LATER: Final = object()
"""In place of an answer: who carries out the effect gives it."""


def handle(core: Core, request: Request) -> None:
    """Carry out a request and answer it, if it is not for others to answer."""
    try:
        value = _ROUTES[type(request)](core, request)
    except Refusal as refusal:
        value = refusal
    if value is _LATER:
        return
    if request.token:
        core.emit(Answer(request.token, value))
    elif isinstance(value, Refusal):
        core.log(Level.ERR, str(value), value.unit)


def _job(core: Core, asked: JobAsked) -> int:
    """A job for a unit; the answer is the job's id, 0 for a shutdown."""
    record = _named(core, asked.unit)
    if record.name in ending.POWER and asked.type is JobType.START:
        ending.begin(core, ShutdownAsked(0, ending.POWER[record.name], by=asked.by))
        return 0
    try:
        type = _admitted(core, record, asked.type, if_possible=asked.reload_if_possible)
        job = queueing.install(core, record.name, type, asked.mode, asked.by)
    except Refusal:
        look(core, record)
        raise
    core.log(Level.DEBUG, f"{type} of {record.name} asked for by {_who(asked.by)}", record.name)
    return job.id


def _admitted(core: Core, record: Record, type: JobType, *, if_possible: bool) -> JobType:
    """The job type that a request means; raises Refusal. What is not carried out loads, and can be stopped."""
    if core.ending is not None and type is not JobType.STOP:
        raise Refusal(Kind.SHUTTING_DOWN, record.name, f"cannot {type} {record.name}: a shutdown is under way")
    reason = work.unsupported(record)
    if reason is not None and type is not JobType.STOP and record.unit.load is Load.LOADED:
        raise Refusal(Kind.NOT_SUPPORTED, record.name, f"cannot {type} {record.name}: {reason}")
    return manual(core.units, record.unit, type, reload_if_possible=if_possible)


def _plan(core: Core, asked: PlanAsked) -> Plan:
    """What a request would do; refused as the request itself would be. What is loaded for it is forgotten again."""
    try:
        return _planned(core, asked)
    finally:
        forget_looked_at(core)


def _planned(core: Core, asked: PlanAsked) -> Plan:
    if asked.verb in list(Leaving):
        ending.check(core, Leaving(asked.verb))
        return planning.shutdown(core, asked.verb)
    verb = planning.VERBS.get(asked.verb)
    if verb is None or not asked.units:
        known = ", ".join((*planning.VERBS, *Leaving))
        problem = "no unit is named" if verb is not None else f"the verbs that have a plan are {known}"
        raise Refusal(Kind.INVALID_ARGS, "", f"cannot plan {asked.verb!r}: {problem}")
    wanted = []
    for name in asked.units:
        record = _named(core, name)
        look(core, record)
        if record.name in ending.POWER and verb.type is JobType.START:
            ending.check(core, ending.POWER[record.name])
            return planning.shutdown(core, asked.verb, record.name)
        type = _admitted(core, record, verb.type, if_possible=verb.if_possible)
        wanted.append(planning.Wanted(record.name, type, verb.mode))
    return planning.request(core, asked.verb, wanted)


def _who(by: Caller) -> str:
    return f"{by.what} (uid {by.uid}, pid {by.pid})" if by.pid else by.what


def _named(core: Core, name: str) -> Record:
    """The unit of a request; raises NoSuchUnit for what is no unit name."""
    if not valid(name):
        raise Refusal(Kind.INVALID_ARGS, name, f"cannot use {name!r}: not a unit name")
    record = core.units.record(name)
    core.take_fresh()
    return record


def _loaded(core: Core, name: str, verb: str) -> Record:
    """A unit that exists; raises the reason why it does not."""
    record = _named(core, name)
    refusal = load_refusal(record.unit, verb)
    if refusal is not None and record.active.is_down:
        look(core, record)
        raise refusal
    return record


def look(core: Core, record: Record) -> None:
    """Somebody looked at the unit: it is forgotten soon when nothing else needs it."""
    if not record.times.state_change and not record.wanted:
        record.wanted = True
        core.looked_at.append(record.name)


def forget_looked_at(core: Core) -> None:
    """Units that were only looked at go again, so that questions do not fill the memory."""
    todo, core.looked_at = core.looked_at, []
    while todo:
        name = todo.pop()
        record = core.units.records.get(name)
        if record is None:
            continue
        record.wanted = False
        untouched = not record.times.state_change and core.units.queue.job_of(name) is None
        if untouched and record.active.is_down and not core.units.is_needed(name):
            core.units.forget(name)
            core.emit(UnitGone(name))
            todo.extend(sorted({other for names in record.unit.deps.values() for other in names}))


def _load(core: Core, asked: LoadAsked) -> str:
    """Make a unit known; the answer is its real name."""
    record = _named(core, asked.unit)
    look(core, record)
    return record.name


def _cancel(core: Core, asked: CancelAsked) -> None:
    queue = core.units.queue
    if asked.id:
        job = queue.get(asked.id)
        if job is None:
            raise Refusal(Kind.NO_SUCH_JOB, "", f"cannot cancel job {asked.id}: there is no such job")
        jobs = [job]
    else:
        jobs = list(queue)
    for job in jobs:
        if queue.get(job.id) is not None:
            queueing.finish(core, job, JobResult.CANCELED)


def _kill(core: Core, asked: KillAsked) -> None:
    """Any signal to the unit's processes."""
    record = _loaded(core, asked.unit, "signal")
    state = record.state
    if not isinstance(state, Service):
        raise Refusal(Kind.NO_SUCH_PROCESS, record.name, f"cannot signal {record.name}: it has no processes")
    main = state.main.pid if state.main is not None else 0
    control = state.control.pid if state.control is not None else 0
    wanted = {Whom.ALL: (control, main), Whom.MAIN: (main,), Whom.CONTROL: (control,)}[asked.whom]
    pids = tuple(pid for pid in wanted if pid)
    if not pids and not (asked.whom is Whom.ALL and state.populated):
        what = "no process" if asked.whom is Whom.ALL else f"no {asked.whom} process"
        raise Refusal(Kind.NO_SUCH_PROCESS, record.name, f"cannot signal {record.name}: it has {what}")
    scope = Scope.ALL if asked.whom is Whom.ALL else Scope.NAMED
    core.log(Level.INFO, f"signal {asked.signal} to {record.name} asked for by {_who(asked.by)}", record.name)
    core.emit(Kill(record.name, asked.signal, scope, pids))


def _reset_failed(core: Core, asked: ResetFailedAsked) -> None:
    records = [_loaded(core, asked.unit, "reset")] if asked.unit else list(core.units.records.values())
    for record in records:
        record.starts.clear()
        core.step(record, Reset())
        if isinstance(record.state, Service) and isinstance(record.state.phase, Dead):
            record.state = replace(record.state, forget_restarts=True)


def _reload(core: Core, asked: ReloadAsked) -> Any:
    if core.ending is not None:
        raise Refusal(Kind.SHUTTING_DOWN, "", "cannot reload: a shutdown is under way")
    return reloading.compare(core) if asked.dry else reloading.reload(core)


def _reexec(core: Core, asked: ReexecAsked) -> Any:
    if core.ending is not None:
        raise Refusal(Kind.SHUTTING_DOWN, "", "cannot re-execute: a shutdown is under way")
    core.emit(Reexec(asked.token, asked.by))
    return _LATER


def _shutdown(core: Core, asked: ShutdownAsked) -> None:
    ending.begin(core, asked)


_ROUTES: dict[type, Callable[[Core, Any], Any]] = {
    JobAsked: _job,
    CancelAsked: _cancel,
    KillAsked: _kill,
    ResetFailedAsked: _reset_failed,
    LoadAsked: _load,
    PlanAsked: _plan,
    ReloadAsked: _reload,
    ReexecAsked: _reexec,
    ShutdownAsked: _shutdown,
}
