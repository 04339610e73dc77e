"""What a unit's change of state means for others: BindsTo=, OnFailure=, sockets, units that nobody needs any more.

Rests on systemd.unit(5). What was asked for by a job is not repeated here: only the unexpected carries over.
"""

from unitd.engine import ending, queueing, work
from unitd.engine.core import Change, Core
from unitd.engine.record import Record
from unitd.jobs import algebra, retroactive
from unitd.machines.phases import Service
from unitd.machines.sockets import ServiceDown, ServiceUp, Socket
from unitd.model import settings
from unitd.model.dependencies import Atom
from unitd.model.effects import Level
from unitd.model.events import Caller, Leaving, ShutdownAsked
from unitd.model.refusals import Refusal
from unitd.model.states import Active, JobMode, JobType, Result


def follow(core: Core, change: Change) -> None:
    """Everything that follows from one change."""
    record, old, new = change.record, change.old, change.new
    job = core.units.queue.job_of(record.name)
    expected = job is not None and algebra.is_expected(job.type, new, running=not job.is_waiting)
    if not change.again or (job is not None and not job.is_waiting):
        _progress(core, change)
    if not expected and core.ending is None:
        for ask in retroactive.asks(core.units, record.name, old, new):
            queueing.enqueue(core, ask.unit, ask.type, ask.mode, Caller(what=f"{record.name} is {new}"))
    if isinstance(record.state, Service):
        _tell_sockets(core, record, new)
    if new.is_down and (not old.is_down or new is Active.FAILED) and not change.again:
        _ended(core, record, new)
    if core.ending is None:
        if not change.again:
            _keep_up(core, record, new)
        if new.is_down or new.is_up:
            _unneeded(core, record, new)


def _progress(core: Core, change: Change) -> None:
    """The unit's job, judged by the state that this change is about."""
    record = change.record
    if record.active is change.new:
        work.progress(core, record)
        return
    job = core.units.queue.job_of(record.name)
    if job is not None and not job.is_waiting:
        result = algebra.outcome(job.type, change.new)
        if result is not None:
            queueing.finish(core, job, result)


def _ended(core: Core, record: Record, new: Active) -> None:
    """A unit came to its end, and does not start again by itself."""
    if core.ending is not None:
        ending.stopped(core, record)
        return
    if new is Active.FAILED:
        on_failure(core, record.name)
        limited = isinstance(record.state, Service | Socket) and record.state.result is Result.START_LIMIT
        if limited:
            _act(core, record, "StartLimitAction")
        _act(core, record, "FailureAction")
    elif not isinstance(record.state, Service) or record.state.result is Result.SUCCESS:
        for other in core.units.related(record.name, Atom.ON_SUCCESS):
            mode = JobMode(settings.value(record.unit, "OnSuccessJobMode"))
            _start(core, other, mode, Caller(what=f"OnSuccess= of {record.name}"))
        _act(core, record, "SuccessAction")


def on_failure(core: Core, name: str) -> None:
    """Start the OnFailure= units of a unit that failed."""
    record = core.units.record(name)
    for other in core.units.related(name, Atom.ON_FAILURE):
        mode = JobMode(settings.value(record.unit, "OnFailureJobMode"))
        _start(core, other, mode, Caller(what=f"OnFailure= of {name}"))


def _start(core: Core, name: str, mode: JobMode, by: Caller) -> None:
    """Start a unit; for poweroff.target and its kin the shutdown begins now, and the cap counts from now."""
    if name in ending.POWER:
        _shut_down(core, ShutdownAsked(0, ending.POWER[name], by=by), name)
    else:
        queueing.enqueue(core, name, JobType.START, mode, by)


def _shut_down(core: Core, asked: ShutdownAsked, unit: str) -> None:
    try:
        ending.begin(core, asked)
    except Refusal as refusal:
        core.log(Level.ERR, f"{refusal} ({asked.by.what})", unit)


_ACTIONS = {
    "exit": Leaving.EXIT,
    "poweroff": Leaving.POWEROFF,
    "reboot": Leaving.REBOOT,
    "halt": Leaving.HALT,
    "kexec": Leaving.KEXEC,
}


_STATUSES = ("SuccessAction", "FailureAction")
"""Actions that may have an exit status of their own."""


def _act(core: Core, record: Record, setting: str) -> None:
    """SuccessAction=, FailureAction= and StartLimitAction=."""
    action: str = settings.value(record.unit, setting)
    leaving = _ACTIONS.get(action.removesuffix("-immediate").removesuffix("-force"))
    if leaving is None:
        return
    code: int | None = settings.value(record.unit, f"{setting}ExitStatus") if setting in _STATUSES else None
    if code is None:
        state = record.state
        exit = state.last_main.exit if isinstance(state, Service) else None
        code = exit.status if exit is not None and leaving is Leaving.EXIT else 0
    force = action.endswith(("-force", "-immediate"))
    core.log(Level.WARNING, f"{setting}={action} of {record.name}", record.name)
    asked = ShutdownAsked(0, leaving, code, force, Caller(what=f"{setting}= of {record.name}"))
    _shut_down(core, asked, record.name)


def _tell_sockets(core: Core, record: Record, new: Active) -> None:
    """Sockets listen again when their service is down, and leave it alone when it is up."""
    for name in core.units.related(record.name, Atom.TRIGGERED_BY):
        socket = core.units.known(name)
        if socket is None or not isinstance(socket.state, Socket):
            continue
        if new.is_down:
            limited = isinstance(record.state, Service) and record.state.result is Result.START_LIMIT
            core.step(socket, ServiceDown(limited))
        elif new is not Active.DEACTIVATING:
            core.step(socket, ServiceUp())


def _keep_up(core: Core, record: Record, new: Active) -> None:
    """Upholds=: who is up keeps others up."""
    if new.is_up:
        for other in core.units.related(record.name, Atom.START_STEADILY):
            if core.units.active(other).is_down:
                queueing.enqueue(core, other, JobType.START, JobMode.FAIL, Caller(what=f"Upholds= of {record.name}"))
    elif new.is_down:
        upholders = [n for n in core.units.related(record.name, Atom.STARTED_STEADILY_BY) if core.units.active(n).is_up]
        if upholders and core.units.job(record.name) is None:
            caller = Caller(what=f"Upholds= of {upholders[0]}")
            queueing.enqueue(core, record.name, JobType.START, JobMode.FAIL, caller)


def _unneeded(core: Core, record: Record, new: Active) -> None:
    """StopWhenUnneeded=: stop what nobody needs any more."""
    names = [*core.units.related(record.name, Atom.MAY_BECOME_UNNEEDED)] if new.is_down else [record.name]
    for name in names:
        other = core.units.known(name)
        if other is None or not settings.value(other.unit, "StopWhenUnneeded") or not other.active.is_up:
            continue
        if core.units.job(name) is not None:
            continue
        pins = core.units.related(name, Atom.PINS_STOP_WHEN_UNNEEDED)
        if any(not core.units.active(pin).is_down or core.units.job(pin) is not None for pin in pins):
            continue
        queueing.enqueue(core, name, JobType.STOP, JobMode.FAIL, Caller(what="StopWhenUnneeded="))
