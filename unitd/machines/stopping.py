"""How a service ends: ExecStop=, the kill ladder, ExecStopPost=, the ladder once more, rest (systemd.kill(5)).

The ladder's invariant: a rung is left only when those it asked to go are gone, or its deadline has passed; the
deadline never lies beyond the limit that a shutdown sets.
"""

from unitd.machines import restarting
from unitd.machines.conf import ServiceConf, later
from unitd.machines.phases import AutoRestart, Commands, Dead, Killing, Rung, Stage, Starting
from unitd.machines.turn import Turn
from unitd.model.effects import Kill, Level, Release, Scope, UnwatchPidFile
from unitd.model.states import INFINITY, SECOND, Result
from unitd.syntax.signals import SIGCONT, SIGHUP, SIGKILL

MOST_A_STEP = SECOND // 2
"""Microseconds kept for each later step of a stop that a shutdown limits; a SIGKILL needs far less."""

LEAST_AFTER_KILL, MOST_AFTER_KILL = 5 * SECOND, 90 * SECOND
"""How long those who got SIGKILL are waited for (us): TimeoutStopSec=, but a thousand of them need some seconds on a
slow machine, and one that cannot die is not waited for without end."""

_ABORTS = (Rung.ABORT, Rung.FINAL_ABORT)
_ASKS = (Rung.TERM, Rung.FINAL_TERM)
_STEPS_LEFT: dict[Rung | Stage, int] = {
    Stage.STOP: 6,
    Stage.STOP_POST: 3,
    Rung.ABORT: 5,
    Rung.TERM: 5,
    Rung.KILL: 4,
    Rung.FINAL_ABORT: 2,
    Rung.FINAL_TERM: 2,
    Rung.FINAL_KILL: 1,
}
"""How many steps a stop has from this one on, at most: what a shutdown's limit has to be shared among."""


def stop(turn: Turn) -> None:
    """A stop was asked for; nothing restarts the service by itself from here on."""
    turn.set(no_restart=True)
    match turn.service.phase:
        case Dead() | Killing() | Commands(stage=Stage.STOP | Stage.STOP_POST):
            pass
        case AutoRestart():
            turn.set(phase=Dead())
        case Commands() | Starting():
            signal(turn, Rung.TERM, Result.SUCCESS)
        case _:
            run_stop(turn, Result.SUCCESS)


def limit(turn: Turn, limit: int) -> None:
    """A shutdown's cap: no deadline of the stop lies beyond it, neither the present one nor a later one."""
    turn.set(limit=min(limit, turn.service.limit))
    match turn.service.phase:
        case Killing(rung=rung, deadline=until):
            turn.set(phase=Killing(rung, min(until, _deadline(turn, rung, INFINITY))))
        case Commands(stage=Stage.STOP | Stage.STOP_POST as stage, index=index, deadline=until):
            turn.set(phase=Commands(stage, index, min(until, _deadline(turn, stage, INFINITY))))
        case _:
            pass


def _deadline(turn: Turn, step: Rung | Stage, span: int) -> int:
    """The instant `span` from now, but early enough before the limit for the steps that may follow."""
    limit, steps = turn.service.limit, _STEPS_LEFT[step]
    if limit >= INFINITY:
        return later(turn.now, span)
    left = max(0, limit - turn.now)
    reserve = min(MOST_A_STEP, left // (2 * steps)) * (steps - 1)
    return min(later(turn.now, span), limit - reserve)


def run_stop(turn: Turn, result: Result) -> None:
    """ExecStop=, then the ladder."""
    turn.fail(result)
    turn.set(control=None, watchdog_at=0)
    if not turn.run_stage(Stage.STOP, 0, _deadline(turn, Stage.STOP, turn.conf.stop_timeout)):
        signal(turn, Rung.TERM, Result.SUCCESS)


def signal(turn: Turn, rung: Rung, result: Result) -> None:
    """Step on a rung of the ladder; when nobody has to be waited for, go on at once."""
    turn.fail(result)
    turn.set(watchdog_at=0)
    # A timeout is no reason to kill without a look at what keeps them.
    waits = _send(turn, rung, examine=rung.is_kill and result is Result.TIMEOUT)
    if waits:
        turn.set(phase=Killing(rung, _deadline(turn, rung, _span(turn.conf, rung))))
    else:
        turn.set(phase=Killing(rung, turn.now))
        _next(turn, rung)


def _span(conf: ServiceConf, rung: Rung) -> int:
    """How long the rung may take by the unit's own rules."""
    if rung.is_kill:
        return max(LEAST_AFTER_KILL, min(conf.stop_timeout, MOST_AFTER_KILL))
    return conf.abort_timeout if rung in _ABORTS else conf.stop_timeout


def resend(turn: Turn) -> None:
    """A process came into being after the signal of the present rung was sent: it gets its own."""
    if isinstance(turn.service.phase, Killing):
        _send(turn, turn.service.phase.rung)


def _send(turn: Turn, rung: Rung, *, examine: bool = False) -> bool:
    """Signal whom KillMode= means; whether somebody has to be waited for."""
    service, kill = turn.service, turn.conf.kill
    named = tuple(p.pid for p in (service.control, service.main) if p is not None and p.pid)
    everybody = kill.mode == "control-group" or (kill.mode == "mixed" and rung.is_kill)
    if kill.mode == "none" or gone(turn, everybody=everybody):
        return False
    number = {
        Rung.ABORT: kill.watchdog_signal,
        Rung.TERM: kill.restart_signal if service.restarting else kill.signal,
        Rung.FINAL_ABORT: kill.watchdog_signal,
        Rung.FINAL_TERM: kill.signal,
    }.get(rung, kill.final_signal)
    if everybody or named:
        turn.add(
            Kill(
                unit=turn.name,
                signal=number,
                scope=Scope.ALL if everybody else Scope.NAMED,
                pids=named,
                cont=number not in (SIGKILL, SIGCONT),
                hup=kill.send_sighup and rung in _ASKS and number != SIGHUP,
                sure=everybody and rung.is_kill and number == SIGKILL,
                examine=examine,
            )
        )
    return True


def gone(turn: Turn, *, everybody: bool) -> bool:
    """Whether main and control process are gone, and with `everybody` the rest of the cgroup too."""
    service = turn.service
    if service.main is not None or service.control is not None:
        return False
    return not (everybody and service.populated)


def settle(turn: Turn) -> None:
    """Somebody left: go on when the rung has nobody to wait for any more."""
    phase = turn.service.phase
    if isinstance(phase, Killing):
        mode = turn.conf.kill.mode
        if gone(turn, everybody=mode == "control-group" or (mode == "mixed" and phase.rung.is_kill)):
            _next(turn, phase.rung)


def _next(turn: Turn, rung: Rung) -> None:
    """The rung's people are gone (or are not to be waited for)."""
    if rung is Rung.FINAL_KILL:
        rest(turn, Result.SUCCESS)
    elif turn.conf.kill.mode == "mixed" and not rung.is_kill and turn.service.populated:
        # The main process obeyed; the others are not asked, they are ended (systemd.kill(5), mixed).
        if turn.conf.kill.send_sigkill:
            signal(turn, Rung.FINAL_KILL if rung.is_final else Rung.KILL, Result.SUCCESS)
        else:
            _after(turn, rung)
    else:
        _after(turn, rung)


def _after(turn: Turn, rung: Rung) -> None:
    if rung.is_final:
        rest(turn, Result.SUCCESS)
    else:
        run_stop_post(turn, Result.SUCCESS)


def expired(turn: Turn, rung: Rung) -> None:
    """The rung's deadline has passed and somebody is still there."""
    match rung:
        case Rung.TERM | Rung.FINAL_TERM if turn.conf.stop_failure == "abort":
            turn.log(Level.WARNING, f"{turn.name} did not end in time after the stop signal: aborting it")
            signal(turn, Rung.FINAL_ABORT if rung.is_final else Rung.ABORT, Result.TIMEOUT)
        case Rung.ABORT | Rung.TERM | Rung.FINAL_ABORT | Rung.FINAL_TERM:
            if turn.conf.kill.send_sigkill:
                turn.log(Level.WARNING, f"{turn.name} did not end in time after the stop signal: killing it")
                signal(turn, Rung.FINAL_KILL if rung.is_final else Rung.KILL, Result.TIMEOUT)
            else:
                spare(turn, rung)
        case Rung.KILL | Rung.FINAL_KILL:
            # The answer to one more SIGKILL names who is left.
            turn.log(Level.ERR, f"cannot stop all of {turn.name}: processes are left after SIGKILL")
            _send(turn, rung, examine=True)
            turn.fail(Result.TIMEOUT)
            turn.set(main=None, control=None)
            _after(turn, rung)


def spare(turn: Turn, rung: Rung) -> None:
    """Time is up, and nobody may be killed: what is left stays (SendSIGKILL=no)."""
    turn.log(Level.WARNING, f"{turn.name} did not end in time after the stop signal; SendSIGKILL=no spares it")
    turn.fail(Result.TIMEOUT)
    turn.set(main=None, control=None)
    _after(turn, rung)


def run_stop_post(turn: Turn, result: Result) -> None:
    """ExecStopPost=, then whatever is left is ended."""
    turn.fail(result)
    turn.set(control=None)
    if not turn.run_stage(Stage.STOP_POST, 0, _deadline(turn, Stage.STOP_POST, turn.conf.stop_timeout)):
        signal(turn, Rung.FINAL_TERM, Result.SUCCESS)


def post_expired(turn: Turn) -> None:
    """ExecStopPost= hangs (TimeoutStopFailureMode=)."""
    mode, kill = turn.conf.stop_failure, turn.conf.kill
    if mode == "kill" and not kill.send_sigkill:
        spare(turn, Rung.FINAL_TERM)
        return
    rung = {"terminate": Rung.FINAL_TERM, "abort": Rung.FINAL_ABORT, "kill": Rung.FINAL_KILL}[mode]
    signal(turn, rung, Result.TIMEOUT)


def rest(turn: Turn, result: Result) -> None:
    """Everything is over: fail or not, and start again or not."""
    turn.fail(result)
    service, conf = turn.service, turn.conf
    again = restarting.wanted(conf, service)
    failed = restarting.is_failure(service.result)
    turn.set(
        phase=AutoRestart(restarting.due(conf, service, turn.now)) if again else Dead(failed),
        main=None,
        control=None,
        bus_name_owned=False,
        said="",
        forget_restarts=not again,
        no_restart=False,
        restarting=False,
        watchdog_at=0,
    )
    if conf.pid_file:
        turn.add(UnwatchPidFile(turn.name, conf.pid_file, remove=True))
    keep = again and not conf.volatile_on_restart
    runtime = turn.context.bases["Runtime"]
    directories = () if keep else tuple(f"{runtime}/{name}" for name in conf.volatile)
    turn.add(Release(turn.name, directories, spared=service.populated))
