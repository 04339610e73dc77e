"""Jobs come and go: transactions are installed, jobs finish, and everybody who listens is told."""

from unitd.engine import reasons
from unitd.engine.core import Core
from unitd.engine.record import Record
from unitd.jobs.job import Job
from unitd.jobs.queue import Installed
from unitd.jobs.transaction import build
from unitd.model.dependencies import Atom
from unitd.model.effects import JobChanged, JobGone, JobNew, Level, StartupFinished, UnitChanged
from unitd.model.events import Caller
from unitd.model.refusals import Refusal
from unitd.model.states import JobMode, JobResult, JobType


def enqueue(core: Core, unit: str, type: JobType, mode: JobMode, by: Caller) -> None:
    """A job that follows from something else: a refusal is only worth a line in the log."""
    if core.ending is not None:
        return
    try:
        install(core, unit, type, mode, by)
    except Refusal as refusal:
        core.log(Level.WARNING, f"{refusal} ({by.what})", unit)


def install(core: Core, unit: str, type: JobType, mode: JobMode, by: Caller) -> Job:
    """Build the transaction and queue its jobs; raises Refusal."""
    transaction = build(core.units, unit, type, mode)
    core.take_fresh()
    for dropped in transaction.dropped:
        core.log(Level.ERR, str(dropped), dropped.unit)
    for note in transaction.notes:
        core.log(Level.INFO, note, unit)
    installed = core.units.queue.install(transaction, by, core.now)
    tell_installed(core, installed)
    return installed.anchor


def tell_installed(core: Core, installed: Installed) -> None:
    """The signals of an installation: jobs that gave way, jobs that came, jobs that changed."""
    for end in installed.canceled:
        gone(core, end.job, end.result, end.because)
    for job in installed.added:
        core.emit(JobNew(job.id, job.unit, job.type))
        core.emit(UnitChanged(job.unit))
    for job in installed.merged:
        core.emit(JobChanged(job.id))


def finish(core: Core, job: Job, result: JobResult) -> None:
    """A job is over, and so are those that fall with it."""
    finished = core.units.queue.finish(job.id, result, core.units)
    if not finished:
        core.emit(JobChanged(job.id))
    for end in finished:
        gone(core, end.job, end.result, end.because)
    record = core.units.known(job.unit)
    if job.type in _STOPS and core.ending is None and record is not None and reasons.is_stuck(record):
        _keep_what_it_needs(core, job.unit)


_STOPS = (JobType.STOP, JobType.RESTART)


def _keep_what_it_needs(core: Core, stuck: str) -> None:
    """A unit cannot be stopped: stops that wait for it are given up, since it still runs on what they would end."""
    todo = [stuck]
    while todo:
        name = todo.pop()
        for job in list(core.units.queue):
            if job.type in _STOPS and job.is_waiting and name in core.units.related(job.unit, Atom.PROPAGATE_STOP):
                for end in core.units.queue.finish(job.id, JobResult.DEPENDENCY, core.units):
                    gone(core, end.job, end.result, end.because or name)
                todo.append(job.unit)


_LEVELS = {
    JobResult.DONE: Level.DEBUG,
    JobResult.SKIPPED: Level.INFO,
    JobResult.CANCELED: Level.INFO,
    JobResult.COLLECTED: Level.DEBUG,
}


def _told(core: Core, job: Job, result: JobResult, because: str) -> str:
    """The end of a job as a line of the log."""
    record = core.units.known(job.unit)
    if result in _LEVELS:
        left = reasons.unfinished(record) if result is JobResult.CANCELED and job.type in _STOPS and record else ""
        return f"{job.type} of {job.unit}: {result}" + (f" (because of {because})" if because else "") + left
    reason = ""
    if result is JobResult.FAILED and record is not None:
        reason = reasons.why_failed(record)
    elif result is JobResult.DEPENDENCY and because:
        other = core.units.known(because)
        reason = f"{because} failed"
        if job.type in _STOPS and other is not None:
            reason = f"{because}, which needs it, is not stopped{reasons.in_brackets(reasons.hint(other))}"
    elif result is JobResult.TIMEOUT and record is not None:
        reason = f"the job's own time (JobTimeoutSec=, JobRunningTimeoutSec=) was up{reasons.unfinished(record)}"
    return f"cannot {job.type} {job.unit}: {reason or result}"


def _tell_of_stop(core: Core, record: Record) -> None:
    """A stop is done; what went wrong all the same, what is left and what to do."""
    reason, hint = reasons.why_failed(record) if record.course is not None else "", reasons.hint(record)
    if reason and hint:
        core.log(Level.WARNING, f"{record.name} is stopped, but {reason} ({hint})", record.name)
    elif reason or hint:
        core.log(Level.WARNING, f"{record.name} is stopped, but {reason or hint}", record.name)


def gone(core: Core, job: Job, result: JobResult, because: str = "") -> None:
    """Tell that a job left the queue."""
    core.emit(JobGone(job.id, job.unit, job.type, result))
    core.emit(UnitChanged(job.unit))
    record = core.units.known(job.unit)
    if record is not None and record.checking == job.id:
        record.checking = 0
    core.log(_LEVELS.get(result, Level.ERR), _told(core, job, result, because), job.unit)
    if result is JobResult.DONE and job.type is JobType.STOP and record is not None and core.ending is None:
        _tell_of_stop(core, record)
    if result in (JobResult.TIMEOUT, JobResult.DEPENDENCY) and job.type is JobType.START:
        core.fallen.append(job.unit)
    if job.id == core.first_job and not core.finished:
        if core.otherwise and result not in _LEVELS:
            core.first_failed = True
            return
        core.finished = core.now
        core.emit(StartupFinished(core.now - core.began))
