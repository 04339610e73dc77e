"""Jobs come and go: transactions are installed, jobs finish, and everybody who listens is told."""

from unitd.engine.core import Core
from unitd.engine.reasons import why_failed
from unitd.jobs.job import Job
from unitd.jobs.queue import Installed
from unitd.jobs.transaction import build
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


_LEVELS = {
    JobResult.DONE: Level.DEBUG,
    JobResult.SKIPPED: Level.INFO,
    JobResult.CANCELED: Level.INFO,
    JobResult.COLLECTED: Level.DEBUG,
}


def _told(core: Core, job: Job, result: JobResult, because: str) -> str:
    """The end of a job as a line of the log."""
    if result in _LEVELS:
        return f"{job.type} of {job.unit}: {result}" + (f" (because of {because})" if because else "")
    record = core.units.known(job.unit)
    reason = why_failed(record) if result is JobResult.FAILED and record is not None else ""
    if result is JobResult.DEPENDENCY and because:
        reason = f"{because} failed"
    return f"cannot {job.type} {job.unit}: {reason or result}"


def gone(core: Core, job: Job, result: JobResult, because: str = "") -> None:
    """Tell that a job left the queue."""
    core.emit(JobGone(job.id, job.unit, job.type, result))
    core.emit(UnitChanged(job.unit))
    record = core.units.known(job.unit)
    if record is not None and record.checking == job.id:
        record.checking = 0
    core.log(_LEVELS.get(result, Level.ERR), _told(core, job, result, because), job.unit)
    if result in (JobResult.TIMEOUT, JobResult.DEPENDENCY) and job.type is JobType.START:
        core.fallen.append(job.unit)
    if job.id == core.first_job and not core.finished:
        if core.otherwise and result not in _LEVELS:
            core.first_failed = True
            return
        core.finished = core.now
        core.emit(StartupFinished(core.now - core.began))
