"""What a service says of itself on NOTIFY_SOCKET, and what that makes of it (sd_notify(3), NotifyAccess=)."""

from unitd.machines import starting, stopping
from unitd.machines.phases import (
    AutoRestart,
    Commands,
    Dead,
    Exited,
    Killing,
    Phase,
    Process,
    ReloadingByNotify,
    Rung,
    Running,
    Stage,
    Starting,
)
from unitd.machines.turn import Turn
from unitd.model.effects import Level
from unitd.model.states import Result


def heard(turn: Turn, pid: int, fields: dict[str, str]) -> None:
    """A message of process `pid`; one that NotifyAccess= does not let speak is refused with a line in the log."""
    service = turn.service
    if not _may_speak(turn, pid):
        turn.log(Level.WARNING, f"{turn.name}: notification from pid {pid} not accepted (NotifyAccess=)")
        return
    if fields.get("MAINPID", "").isdigit() and _may_move(service.phase):
        main = int(fields["MAINPID"])
        if main > 1 and (service.main is None or service.main.pid != main):
            turn.set(main=Process(service.serial + 1, main, execed=True, started=turn.now), serial=service.serial + 1)
    if "STATUS" in fields:
        turn.set(status_text=fields["STATUS"])
    if fields.get("ERRNO", "").isdigit():
        turn.set(status_errno=int(fields["ERRNO"]))
    if fields.get("RELOADING") == "1":
        turn.set(said="reloading")
        if isinstance(turn.service.phase, Running):
            starting.enter_reload_by_notify(turn)
    if fields.get("READY") == "1":
        turn.set(said="ready")
        if isinstance(turn.service.phase, ReloadingByNotify):
            starting.enter_running(turn, Result.SUCCESS)
        elif turn.conf.type in ("notify", "notify-reload"):
            starting.ready(turn)
    if fields.get("STOPPING") == "1":
        turn.set(said="stopping")
        if isinstance(turn.service.phase, Running):
            starting.stopping_by_itself(turn)
    _watchdog(turn, fields)
    _extend(turn, fields.get("EXTEND_TIMEOUT_USEC", ""))


def _may_speak(turn: Turn, pid: int) -> bool:
    """NotifyAccess=."""
    service = turn.service
    known = {p.pid for p in (service.main, service.control) if p is not None}
    match turn.conf.notify_access:
        case "all":
            return True
        case "main":
            return service.main is not None and service.main.pid == pid
        case "exec":
            return pid in known
        case _:
            return False


def _may_move(phase: Phase) -> bool:
    """Whether the service may name another main process now."""
    if isinstance(phase, Commands):
        return phase.stage in (Stage.START_POST, Stage.RELOAD)
    return isinstance(phase, Starting | Running | ReloadingByNotify)


def _watchdog(turn: Turn, fields: dict[str, str]) -> None:
    span = fields.get("WATCHDOG_USEC", "")
    if span.isdigit():
        turn.set(watchdog=int(span), watchdog_at=turn.now if turn.service.watchdog_at else 0)
    word = fields.get("WATCHDOG")
    if word == "1" and turn.service.watchdog_at:
        turn.set(watchdog_at=turn.now)
    elif word == "trigger" and turn.service.watchdog_at:
        stopping.signal(turn, Rung.ABORT, Result.WATCHDOG)


def _extend(turn: Turn, span: str) -> None:
    """EXTEND_TIMEOUT_USEC=: the deadline moves, but not beyond a shutdown's limit."""
    phase = turn.service.phase
    if not span.isdigit() or isinstance(phase, Dead | Exited | AutoRestart):
        return
    until = max(phase.deadline, min(turn.now + int(span), turn.service.limit))
    match phase:
        case Commands(stage=stage, index=index):
            turn.set(phase=Commands(stage, index, until))
        case Starting(index=index, forked=forked):
            turn.set(phase=Starting(until, index, forked))
        case Killing(rung=rung):
            turn.set(phase=Killing(rung, until))
        case Running(since=since):
            turn.set(phase=Running(since, until))
        case ReloadingByNotify():
            turn.set(phase=ReloadingByNotify(until))
