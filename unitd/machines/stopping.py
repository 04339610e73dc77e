"""How a service ends: ExecStop=, the kill ladder, ExecStopPost=, the ladder once more, rest (systemd.kill(5)).

The ladder's invariant: a rung is left only when those it asked to go are gone, or its deadline has passed; the
deadline never lies beyond the limit that a shutdown sets.
"""

from unitd.machines import ladder, restarting
from unitd.machines.conf import later
from unitd.machines.ladder import Part
from unitd.machines.phases import AutoRestart, Commands, Dead, Killing, Rung, Stage, Starting
from unitd.machines.turn import Turn
from unitd.model.effects import Kill, Level, Release, Scope, UnwatchPidFile
from unitd.model.states import INFINITY, Result
from unitd.shutdown import budget
from unitd.syntax.signals import SIGCONT, SIGHUP, SIGKILL

_ASKS = (Rung.TERM, Rung.FINAL_TERM)


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
    if limit >= INFINITY:
        return
    turn.set(limit=min(limit, turn.service.limit))
    match turn.service.phase:
        case Killing(rung=rung, deadline=until):
            turn.set(phase=Killing(rung, _deadline(turn, rung, until)))
        case Commands(stage=Stage.STOP | Stage.STOP_POST as stage, index=index, deadline=until):
            turn.set(phase=Commands(stage, index, _deadline(turn, stage, until)))
        case _:
            pass


def _deadline(turn: Turn, part: Part, until: int = INFINITY) -> int:
    """The instant at which a step ends that begins now; `until`: where it would end that is under way.

    A shutdown's limit leaves it its share alone, so that the steps that may follow have theirs.
    """
    limit = turn.service.limit
    steps = ladder.needs(turn.conf, ladder.onward(turn.conf, part), max(0, until - turn.now))
    if limit >= INFINITY:
        return later(turn.now, steps[0].most)
    return min(limit, turn.now + budget.first_share(limit - turn.now, steps))


def run_stop(turn: Turn, result: Result) -> None:
    """ExecStop=, then the ladder."""
    turn.fail(result)
    turn.set(control=None, watchdog_at=0)
    if turn.commands(Stage.STOP):
        turn.run_stage(Stage.STOP, 0, _deadline(turn, Stage.STOP))
    else:
        signal(turn, Rung.TERM, Result.SUCCESS)


def signal(turn: Turn, rung: Rung, result: Result) -> None:
    """Step on a rung of the ladder; when nobody has to be waited for, go on at once."""
    turn.fail(result)
    turn.set(watchdog_at=0)
    # A timeout is no reason to kill without a look at what keeps them.
    waits = _send(turn, rung, examine=rung.is_kill and result is Result.TIMEOUT)
    if waits:
        turn.set(phase=Killing(rung, _deadline(turn, rung)))
    else:
        turn.set(phase=Killing(rung, turn.now))
        _next(turn, rung)


def resend(turn: Turn) -> None:
    """A process came into being after the signal of the present rung was sent: it gets its own."""
    if isinstance(turn.service.phase, Killing):
        _send(turn, turn.service.phase.rung)


def _send(turn: Turn, rung: Rung, *, examine: bool = False) -> bool:
    """Signal whom KillMode= means; whether somebody has to be waited for."""
    service, kill = turn.service, turn.conf.kill
    named = tuple(p.pid for p in (service.control, service.main) if p is not None and p.pid)
    everybody = ladder.means_all(kill, rung)
    if kill.mode == "none" or ladder.gone(service, everybody=everybody):
        return False
    number = ladder.signal(kill, rung, restarting=service.restarting)
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


def settle(turn: Turn) -> None:
    """Somebody left: go on when the rung has nobody to wait for any more."""
    phase = turn.service.phase
    if not isinstance(phase, Killing):
        return
    if ladder.gone(turn.service, everybody=ladder.means_all(turn.conf.kill, phase.rung)):
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
            _give_up(turn, rung)


def spare(turn: Turn, rung: Rung) -> None:
    """Time is up, and nobody may be killed: what is left stays (SendSIGKILL=no)."""
    turn.log(Level.WARNING, f"{turn.name} did not end in time after the stop signal; SendSIGKILL=no spares it")
    _give_up(turn, rung)


def _give_up(turn: Turn, rung: Rung) -> None:
    """Some are left whom nothing ends, or nothing may: ExecStopPost= has its turn, and they are asked once more."""
    turn.fail(Result.TIMEOUT)
    turn.set(main=None, control=None)
    if turn.commands(Stage.STOP_POST):
        _after(turn, rung)
    else:
        rest(turn, Result.SUCCESS)


def run_stop_post(turn: Turn, result: Result) -> None:
    """ExecStopPost=, then whatever is left is ended."""
    turn.fail(result)
    turn.set(control=None)
    if turn.commands(Stage.STOP_POST):
        turn.run_stage(Stage.STOP_POST, 0, _deadline(turn, Stage.STOP_POST))
    else:
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
