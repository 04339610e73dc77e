"""Jobs at work: what a job does to its unit when its turn has come, and what its end means.

The order of checks before a start is systemd's: load state, type, start limit, what it is bound to, conditions.
"""

from collections.abc import Sequence

from unitd.engine import ending, planning, queueing
from unitd.engine.core import Core
from unitd.engine.record import Fixed, Record
from unitd.jobs import algebra
from unitd.jobs.algebra import Move
from unitd.jobs.job import Job
from unitd.machines.phases import AutoRestart, Service
from unitd.machines.sockets import Socket
from unitd.machines.step import Refuse, Reload, Start, Stop
from unitd.model import settings
from unitd.model.dependencies import Atom
from unitd.model.effects import (
    CheckConditions,
    Condition,
    JobChanged,
    Level,
    UnitChanged,
)
from unitd.model.events import ConditionsChecked, ShutdownAsked
from unitd.model.refusals import Refusal
from unitd.model.states import Active, JobResult, JobType, Load, Result


def run(core: Core, job: Job) -> None:
    """A waiting job's turn."""
    record = core.units.record(job.unit)
    move = algebra.opening(job.type, record.active)
    if isinstance(move, JobResult):
        if move is JobResult.DONE and job.type is JobType.STOP and isinstance(record.state, Service):
            _forbid_restart(core, record)
        queueing.finish(core, job, move)
        return
    if move is Move.WAIT:
        return
    core.units.queue.started(job.id, core.now)
    core.emit(JobChanged(job.id))
    if job.by is not None:
        record.by = job.by
    match job.type:
        case JobType.START:
            _start(core, record, job)
        case JobType.STOP | JobType.RESTART:
            _stop(core, record, job)
        case JobType.RELOAD:
            core.step(record, Reload())
            if record.active is Active.ACTIVE:
                queueing.finish(core, job, JobResult.DONE)
        case _:
            queueing.finish(core, job, JobResult.INVALID)


def _forbid_restart(core: Core, record: Record) -> None:
    core.step(record, Stop())


def _stop(core: Core, record: Record, job: Job) -> None:
    if isinstance(record.state, Fixed):
        queueing.finish(core, job, JobResult.DONE if record.active.is_down else JobResult.UNSUPPORTED)
        return
    core.step(record, Stop(planning.limit(core, record), restarting=job.type is JobType.RESTART))


def _start(core: Core, record: Record, job: Job) -> None:
    """Everything that may speak against a start, then the start."""
    waiting = isinstance(record.state, Service) and isinstance(record.state.phase, AutoRestart)
    if record.active is Active.ACTIVATING and not waiting:
        return
    if record.unit.load is not Load.LOADED:
        queueing.finish(core, job, JobResult.INVALID)
        return
    if record.name in ending.POWER:
        _end(core, record, job)
        return
    if (reason := unsupported(record)) is not None:
        core.log(Level.ERR, f"cannot start {record.name}: {reason}", record.name)
        queueing.finish(core, job, JobResult.UNSUPPORTED)
        return
    if _limited(core, record):
        core.step(record, Refuse(Result.START_LIMIT))
        queueing.finish(core, job, JobResult.FAILED)
        return
    if isinstance(record.state, Socket) and (service := _served(core, record)):
        core.log(Level.ERR, f"cannot start {record.name}: {service} runs already, without it", record.name)
        queueing.finish(core, job, JobResult.FAILED)
        return
    after = core.units.related(record.name, Atom.AFTER)
    for bound in core.units.related(record.name, Atom.CANNOT_BE_ACTIVE_WITHOUT):
        if bound in after and not core.units.active(bound).is_up:
            core.log(Level.ERR, f"cannot start {record.name}: it is bound to {bound}, which is not up", record.name)
            queueing.finish(core, job, JobResult.DEPENDENCY)
            return
    conditions = settings.value(record.unit, "Conditions")
    asserts = settings.value(record.unit, "Asserts")
    if conditions or asserts:
        record.checking = job.id
        core.emit(CheckConditions(record.name, job.id, conditions, asserts))
    else:
        go(core, record)


def _end(core: Core, record: Record, job: Job) -> None:
    """The start of poweroff.target and its kin, because another unit wants it (OnFailure=, Requires=): a shutdown."""
    try:
        ending.begin(core, ShutdownAsked(0, ending.POWER[record.name], by=record.by))
    except Refusal as refusal:
        core.log(Level.ERR, str(refusal), record.name)
        queueing.finish(core, job, JobResult.UNSUPPORTED)


def unsupported(record: Record) -> str | None:
    """Why a unit of this kind cannot be started here; None when it can."""
    if isinstance(record.state, Fixed) and record.state.active is Active.INACTIVE:
        return f"units of type {record.unit.type} are not carried out yet"
    if isinstance(record.state, Socket) and settings.value(record.unit, "Accept"):
        return "Accept=yes is not carried out yet"
    return None


def _served(core: Core, record: Record) -> str:
    """The service of a socket that is up, and so cannot be handed the socket any more; "" when there is none."""
    for name in core.units.related(record.name, Atom.TRIGGERS):
        other = core.units.known(name)
        if other is not None and not other.active.is_down and other.sub != "auto-restart":
            return name
    return ""


def _limited(core: Core, record: Record) -> bool:
    """Whether the start limit is hit; notes this start."""
    interval: int = settings.value(record.unit, "StartLimitIntervalSec")
    burst: int = settings.value(record.unit, "StartLimitBurst")
    if not interval or not burst or record.unit.type not in ("service", "socket"):
        return False
    while record.starts and core.now - record.starts[0] >= interval:
        record.starts.popleft()
    if len(record.starts) >= burst:
        return True
    record.starts.append(core.now)
    return False


def conditions_checked(core: Core, event: ConditionsChecked) -> None:
    """The answer about the conditions of a start."""
    record = core.units.known(event.unit)
    if record is None or record.checking != event.serial:
        return
    record.checking = 0
    record.conditions, record.asserts = event.conditions, event.asserts
    record.times.condition = core.now
    core.emit(UnitChanged(record.name))
    job = core.units.queue.job_of(record.name)
    if job is None or job.id != event.serial:
        return
    if not hold(settings.value(record.unit, "Conditions"), event.conditions):
        core.log(Level.INFO, f"{record.name} is not started: a condition does not hold", record.name)
        queueing.finish(core, job, JobResult.DONE)
        return
    record.times.assert_ = core.now
    if not hold(settings.value(record.unit, "Asserts"), event.asserts):
        core.log(Level.ERR, f"cannot start {record.name}: an assertion does not hold", record.name)
        queueing.finish(core, job, JobResult.ASSERT)
        return
    go(core, record)


def hold(conditions: Sequence[Condition], states: Sequence[int]) -> bool:
    """All plain ones are met (above 0), and of those with a | at least one (systemd.unit(5), Conditions)."""
    triggers = [state for condition, state in zip(conditions, states, strict=True) if condition.trigger]
    plain = [state for condition, state in zip(conditions, states, strict=True) if not condition.trigger]
    return all(state > 0 for state in plain) and (not triggers or any(state > 0 for state in triggers))


def go(core: Core, record: Record) -> None:
    """Nothing speaks against the start."""
    record.invocation = core.next_invocation()
    core.step(record, Start())


def progress(core: Core, record: Record) -> None:
    """A unit changed its state: its job may be done by that."""
    queue = core.units.queue
    job = queue.job_of(record.name)
    if job is None:
        return
    state = record.state
    reload_ok = not isinstance(state, Service) or state.reload_result is Result.SUCCESS
    result = algebra.outcome(job.type, record.active, running=not job.is_waiting, reload_ok=reload_ok)
    if result is not None:
        queueing.finish(core, job, result)
    elif job.is_waiting:
        queue.wake(record.name)
