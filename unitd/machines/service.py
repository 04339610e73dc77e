"""The service machine: event in, new state and effects out.

Every phase answers every event: what is not named here does nothing, on purpose, and is listed in SILENT of the
tests. The rules are those of systemd.service(5) and what systemd 252 does; phases.py has the states.
"""

from unitd.machines import notified, resuming, starting, stopping
from unitd.machines.conf import Context
from unitd.machines.phases import (
    AutoRestart,
    Commands,
    Dead,
    Exited,
    Killing,
    Phase,
    ReloadingByNotify,
    Rung,
    Running,
    Service,
    Stage,
    Starting,
)
from unitd.machines.step import Ask, Limit, NameOwner, Order, Refuse, Reload, Reset, Resume, Start, Step, Stop
from unitd.machines.turn import Turn, running_command
from unitd.model.effects import Kill, Level, Scope, UnwatchPidFile, WatchPidFile
from unitd.model.events import (
    CgroupEmpty,
    Execed,
    Exit,
    How,
    MainGuessed,
    Notified,
    PidFileRead,
    ProcessExited,
    Signalled,
    Spawned,
    SpawnFailed,
    Tick,
    UnitEvent,
)
from unitd.model.exec_plan import Role
from unitd.model.states import INFINITY, SECOND, Result
from unitd.syntax.signals import SIGKILL, signal_name

_AGAIN = (Stage.CONDITION, Stage.START_PRE, Stage.START_POST)
"""Commands of a start, which may run at each attempt: one whose end nobody saw is run again, and then seen."""

SKIP_FROM, SKIP_TO = 1, 254
"""An ExecCondition= that exits with these skips the start; 255 and signals fail it (systemd.service(5))."""


def step(service: Service, event: UnitEvent | Order | Tick, context: Context, now: int) -> Step[Service]:
    """What `event` makes of the service at `now` (us)."""
    turn = Turn(service, context, now)
    match event:
        case Start():
            if isinstance(service.phase, Dead | AutoRestart):
                starting.start(turn)
        case Stop(limit=limit, restarting=restarting):
            turn.set(restarting=restarting)
            stopping.limit(turn, limit)
            stopping.stop(turn)
        case Reload():
            starting.reload(turn)
        case Reset():
            if isinstance(service.phase, Dead):
                turn.set(result=Result.SUCCESS, phase=Dead())
            turn.set(restarts=0)
        case Limit(limit=limit):
            stopping.limit(turn, limit)
        case Refuse(result=result) if isinstance(service.phase, Dead | AutoRestart):
            turn.set(result=Result(result), phase=Dead(failed=True))
        case Resume(resend=resend):
            resuming.resume(turn, resend=resend)
        case NameOwner(owned=owned, pid=pid):
            _name_owner(turn, owned, pid)
        case Spawned(serial=serial, pid=pid, birth=birth):
            if turn.spawned(serial, pid, birth):
                stopping.resend(turn)
            elif turn.conf.kill.mode != "none":
                turn.add(Kill(turn.name, SIGKILL, Scope.NAMED, (pid,)))
        case Execed(serial=serial):
            starting.execed(turn, serial)
        case SpawnFailed():
            _spawn_failed(turn, event)
        case ProcessExited(pid=pid, exit=exit):
            _exited(turn, pid, exit)
        case CgroupEmpty():
            _empty(turn)
        case Notified(pid=pid, fields=fields):
            notified.heard(turn, pid, dict(fields))
        case PidFileRead(pid=pid, birth=birth, reason=reason):
            _pid_file(turn, pid, birth, reason)
        case MainGuessed(pid=pid, birth=birth):
            if isinstance(service.phase, Starting) and service.phase.forked:
                starting.main_found(turn, pid, birth)
        case Tick():
            if now >= deadline(service):
                _expired(turn)
        case Signalled():
            _signalled(turn, event)
        case _:
            pass
    return Step(turn.service, tuple(turn.effects), tuple(turn.asks))


def deadline(service: Service) -> int:
    """The next instant at which the service does something by itself."""
    own: int = getattr(service.phase, "deadline", INFINITY)
    if service.watchdog and service.watchdog_at:
        return min(own, service.watchdog_at + service.watchdog)
    return own


# --- time -------------------------------------------------------------------------------------------


def _expired(turn: Turn) -> None:
    phase = turn.service.phase
    own: int = getattr(phase, "deadline", INFINITY)
    if own > turn.now:
        turn.log(Level.WARNING, f"{turn.name} gave no sign of life for {turn.service.watchdog / SECOND:g} s (watchdog)")
        stopping.signal(turn, Rung.ABORT, Result.WATCHDOG)
        return
    match phase:
        case Commands(stage=Stage.RELOAD):
            turn.log(Level.WARNING, f"{turn.name} did not reload in time")
            _reload_failed(turn)
        case Commands(stage=Stage.STOP):
            turn.log(Level.WARNING, f"ExecStop= of {turn.name} did not end in time")
            starting.abandon(turn, turn.conf.stop_failure)
        case Commands(stage=Stage.STOP_POST):
            turn.log(Level.WARNING, f"ExecStopPost= of {turn.name} did not end in time")
            stopping.post_expired(turn)
        case Commands() | Starting():
            starting.expired(turn)
        case Running():
            turn.log(Level.WARNING, f"{turn.name} ran longer than RuntimeMaxSec= allows")
            stopping.run_stop(turn, Result.TIMEOUT)
        case ReloadingByNotify():
            turn.set(said="")
            turn.set(reload_result=Result.TIMEOUT)
            starting.enter_running(turn, Result.SUCCESS)
        case Killing(rung=rung):
            stopping.expired(turn, rung)
        case AutoRestart():
            starting.restart_due(turn)
            turn.asks.append(Ask.RESTART)
        case Dead() | Exited():
            pass


def _reload_failed(turn: Turn) -> None:
    """The reload command hangs: it alone is ended, the service goes on."""
    control = turn.service.control
    if control is not None and control.pid:
        turn.add(Kill(turn.name, SIGKILL, Scope.NAMED, (control.pid,)))
    turn.set(reload_result=Result.TIMEOUT)
    starting.enter_running(turn, Result.SUCCESS)


# --- processes ----------------------------------------------------------------------------------------


def _spawn_failed(turn: Turn, event: SpawnFailed) -> None:
    """No program runs: as if the process had ended with the exit status of the stage that failed."""
    main, control = turn.service.main, turn.service.control
    if main is not None and main.serial == event.serial:
        commands, index = turn.commands(Stage.START), getattr(turn.service.phase, "index", 0)
        exit = turn.fault(event, "ExecStart", commands[index].path if index < len(commands) else "")
        _tell_fault(turn)
        _main_gone(turn, exit, ran=False)
    elif control is not None and control.serial == event.serial:
        setting, _, found = running_command(turn)
        exit = turn.fault(event, setting, found.path if found else "")
        _tell_fault(turn)
        _control_gone(turn, exit, ran=False)


def _tell_fault(turn: Turn) -> None:
    fault = turn.service.fault
    if fault is not None:
        detail = f" ({fault.detail})" if fault.detail else ""
        turn.log(Level.ERR, f"cannot run {fault.path} for {fault.setting}= of {turn.name}: {fault.stage}{detail}")


def _exited(turn: Turn, pid: int, exit: Exit) -> None:
    """One of the unit's processes ended; those that are neither main nor control do not matter here."""
    main, control = turn.service.main, turn.service.control
    if main is not None and main.pid == pid:
        _main_gone(turn, exit)
    elif control is not None and control.pid == pid:
        _control_gone(turn, exit)
    else:
        return


def _main_gone(turn: Turn, exit: Exit, *, ran: bool = True) -> None:
    """The main process ended; not `ran`: it never was a program, and that is told already."""
    service, conf = turn.service, turn.conf
    main = service.main
    assert main is not None
    index = service.phase.index if isinstance(service.phase, Starting) else 0
    run = turn.service.last_main
    starting.forget_if_stable(turn)
    turn.set(main=None, last_main=type(run)(main.pid, run.started, turn.now, exit))
    result = _main_result(turn, index)
    if conf.type != "forking":
        turn.record("ExecStart", index, exited=turn.now, exit=exit)
    if result is not Result.SUCCESS and ran:
        turn.log(Level.NOTICE, f"main process of {turn.name} {words(exit)}")
    if conf.type == "forking" and conf.pid_file and isinstance(service.phase, Running | ReloadingByNotify):
        # A daemon that replaces itself writes its new pid before the old process ends.
        turn.add(WatchPidFile(turn.name, conf.pid_file))
        return
    if conf.exit_type == "cgroup" and service.populated and isinstance(service.phase, Running):
        return
    _after_main(turn, result)


def _main_result(turn: Turn, index: int = 0) -> Result:
    """What the end of the main process means; success while none has ended."""
    exit = turn.service.last_main.exit
    commands = turn.commands(Stage.START)
    if exit is None or (index < len(commands) and commands[index].ignore_failure):
        return Result.SUCCESS
    return turn.verdict(exit, daemon=not turn.conf.oneshot)


def _after_main(turn: Turn, result: Result) -> None:
    """The main process is gone, and that counts."""
    conf = turn.conf
    match turn.service.phase:
        case Starting(index=index) if conf.oneshot:
            if result is not Result.SUCCESS:
                stopping.signal(turn, Rung.TERM, result)
            elif index + 1 < len(turn.commands(Stage.START)):
                turn.set(phase=Starting(turn.service.phase.deadline, index + 1))
                turn.spawn(Stage.START, index + 1, Role.MAIN)
            else:
                starting.run_start_post(turn)
        case Starting() if conf.type in ("notify", "dbus"):
            if result is not Result.SUCCESS:
                stopping.signal(turn, Rung.TERM, result)
            elif not conf.remain or conf.notify_access == "main" or conf.type == "dbus":
                turn.log(Level.ERR, f"{turn.name} ended before it was ready")
                stopping.signal(turn, Rung.TERM, Result.PROTOCOL)
        case Starting() | Running() | ReloadingByNotify():
            starting.enter_running(turn, result)
        case Commands(stage=Stage.START_PRE | Stage.CONDITION):
            pass
        case Commands(stage=Stage.STOP | Stage.STOP_POST):
            # Its death is what the command is for; only a failure is worth remembering.
            turn.fail(result)
        case Commands():
            turn.fail(result)
        case Killing():
            turn.fail(result)
            stopping.settle(turn)
        case Dead() | Exited() | AutoRestart():
            pass


def _control_gone(turn: Turn, exit: Exit, *, ran: bool = True) -> None:
    """The control process ended; `ran` as for the main process."""
    service = turn.service
    setting, index, command = running_command(turn)
    turn.set(control=None)
    if isinstance(service.phase, Killing):
        result = turn.verdict(exit, daemon=True)
        turn.fail(result)
        stopping.settle(turn)
        return
    turn.record(setting, index, exited=turn.now, exit=exit)
    result = turn.verdict(exit, daemon=False)
    if result is Result.UNKNOWN and isinstance(service.phase, Commands) and service.phase.stage in _AGAIN:
        turn.log(Level.NOTICE, f"{setting}= of {turn.name} {words(exit)}, and is run again")
        turn.run_stage(service.phase.stage, service.phase.index, service.phase.deadline)
        return
    if result is not Result.SUCCESS:
        if ran:
            turn.log(Level.NOTICE, f"{setting}= of {turn.name} {words(exit)}")
        if command is not None and command.ignore_failure:
            turn.set(fault=None)
            result = Result.SUCCESS
        elif _skips(service.phase, exit):
            result = Result.EXEC_CONDITION
    match service.phase:
        case Commands(stage=stage, index=index, deadline=limit):
            if result is not Result.SUCCESS or not turn.run_stage(stage, index + 1, limit):
                _stage_done(turn, stage, result)
        case Starting() if result in (Result.SUCCESS, Result.UNKNOWN):
            # Where nobody saw how it ended, what it left behind tells.
            starting.forked(turn)
        case Starting():
            stopping.signal(turn, Rung.TERM, result)
        case _:
            pass


def _skips(phase: Phase, exit: Exit) -> bool:
    """Whether this end of an ExecCondition= skips the start."""
    condition = isinstance(phase, Commands) and phase.stage is Stage.CONDITION
    return condition and exit.how is How.EXITED and SKIP_FROM <= exit.status <= SKIP_TO


def _stage_done(turn: Turn, stage: Stage, result: Result) -> None:
    """The last command of the stage ended, or one failed."""
    good = result is Result.SUCCESS
    match stage:
        case Stage.CONDITION if good:
            starting.run_start_pre(turn)
        case Stage.START_PRE if good:
            starting.run_start(turn)
        case Stage.START_POST if good:
            starting.enter_running(turn, Result.SUCCESS)
        case Stage.RELOAD:
            starting.reloaded(turn, result)
        case Stage.STOP:
            stopping.signal(turn, Rung.TERM, result)
        case Stage.STOP_POST:
            stopping.signal(turn, Rung.FINAL_TERM, result)
        case _:
            stopping.signal(turn, Rung.TERM, result)


def _empty(turn: Turn) -> None:
    """No process is left in the cgroup."""
    service, conf = turn.service, turn.conf
    turn.set(populated=False)
    match service.phase:
        case Killing():
            stopping.settle(turn)
        case Starting(forked=True) if conf.pid_file:
            turn.log(Level.ERR, f"{turn.name} ended before it wrote its PIDFile={conf.pid_file}")
            turn.add(UnwatchPidFile(turn.name, conf.pid_file))
            stopping.signal(turn, Rung.TERM, Result.PROTOCOL)
        case Running() if service.main is None:
            _after_main(turn, _main_result(turn) if conf.exit_type == "main" else Result.SUCCESS)
        case _:
            pass


# --- what tells of the service ----------------------------------------------------------------------------


def _pid_file(turn: Turn, pid: int, birth: int, reason: str) -> None:
    service, conf = turn.service, turn.conf
    if pid:
        turn.add(UnwatchPidFile(turn.name, conf.pid_file))
        if isinstance(service.phase, Starting | Running | ReloadingByNotify | Commands):
            starting.main_found(turn, pid, birth)
        return
    match service.phase:
        case Starting(forked=True):
            turn.log(Level.DEBUG, f"{turn.name} has no main process yet: {reason}")
        case Running() | ReloadingByNotify():
            turn.add(UnwatchPidFile(turn.name, conf.pid_file))
            if service.main is None and service.last_main.exit is not None:
                _after_main(turn, _main_result(turn))
        case _:
            turn.add(UnwatchPidFile(turn.name, conf.pid_file))


def _name_owner(turn: Turn, owned: bool, pid: int) -> None:
    turn.set(bus_name_owned=owned)
    if turn.conf.type != "dbus":
        return
    if owned:
        starting.ready(turn)
    elif isinstance(turn.service.phase, Running | ReloadingByNotify):
        # The service let go of its name: it is not what it was started for any more.
        starting.enter_running(turn, Result.SUCCESS)


NAMED = 20
"""Processes that a line about a signal names."""


def _signalled(turn: Turn, event: Signalled) -> None:
    """Tell who got the signal, in the order of sending."""
    if event.sent:
        who = ", ".join(f"{target.pid} ({target.command})" for target in event.sent[:NAMED])
        more = f" and {len(event.sent) - NAMED} more" if len(event.sent) > NAMED else ""
        turn.log(Level.INFO, f"SIG{signal_name(event.signal)} to {turn.name}: {who}{more}")
    if event.left:
        turn.log(Level.WARNING, f"cannot signal all of {turn.name}: {', '.join(event.left)}")


def words(exit: Exit) -> str:
    """How a process ended, for people."""
    if exit.how is How.UNKNOWN:
        return "ended while no daemon watched"
    if exit.how is How.EXITED:
        return f"exited with status {exit.status}"
    core = " and dumped core" if exit.how is How.DUMPED else ""
    return f"was killed by SIG{signal_name(exit.status)}{core}"
