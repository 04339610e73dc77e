"""How a service comes up: ExecCondition=, ExecStartPre=, ExecStart= and what makes it count, ExecStartPost=.

What makes it count is the type's business (systemd.service(5), Type=): exec for simple and exec (so that a missing
program fails the job), the first process' exit for forking and oneshot, READY=1 for notify, the name's
owner for dbus.
"""

from msgspec.structs import replace

from unitd.machines import restarting, stopping
from unitd.machines.conf import later
from unitd.machines.phases import (
    AutoRestart,
    Exited,
    Killing,
    Process,
    ReloadingByNotify,
    Run,
    Rung,
    Running,
    Stage,
    Starting,
)
from unitd.machines.turn import Turn
from unitd.model.effects import GuessMain, Level, UnwatchPidFile, WatchBusName, WatchPidFile
from unitd.model.exec_plan import Role
from unitd.model.states import INFINITY, Result


def start(turn: Turn) -> None:
    """A start job runs on a service at rest."""
    service = turn.service
    restarted = isinstance(service.phase, AutoRestart)
    turn.set(
        result=Result.SUCCESS,
        reload_result=Result.SUCCESS,
        restarts=0 if service.forget_restarts and not restarted else service.restarts,
        forget_restarts=False,
        no_restart=False,
        restarting=False,
        up_since=0,
        last_main=Run(),
        runs={},
        fault=None,
        status_text="",
        status_errno=0,
        said="",
        watchdog=turn.conf.watchdog,
        watchdog_at=0,
        bus_name_owned=False,
        limit=INFINITY,
    )
    if turn.conf.bus_name:
        turn.add(WatchBusName(turn.conf.bus_name))
    if not turn.run_stage(Stage.CONDITION, 0, _deadline(turn)):
        run_start_pre(turn)


def _deadline(turn: Turn) -> int:
    return later(turn.now, turn.conf.start_timeout)


def run_start_pre(turn: Turn) -> None:
    if not turn.run_stage(Stage.START_PRE, 0, _deadline(turn)):
        run_start(turn)


def run_start(turn: Turn) -> None:
    """The service proper."""
    turn.set(control=None)
    if not turn.commands(Stage.START):
        run_start_post(turn)
        return
    turn.set(phase=Starting(_deadline(turn)))
    turn.spawn(Stage.START, 0, Role.CONTROL if turn.conf.type == "forking" else Role.MAIN)
    if turn.conf.type == "idle":
        turn.set(phase=Starting(INFINITY))


def execed(turn: Turn, serial: int) -> None:
    """A program runs."""
    service = turn.service
    for name in ("main", "control"):
        process: Process | None = getattr(service, name)
        if process is not None and process.serial == serial:
            turn.set(**{name: replace(process, execed=True)})
            if name == "main" and isinstance(service.phase, Starting) and turn.conf.type in ("simple", "exec", "idle"):
                run_start_post(turn)


def ready(turn: Turn) -> None:
    """READY=1 came while starting, or the bus name has its owner."""
    if isinstance(turn.service.phase, Starting):
        run_start_post(turn)


def forked(turn: Turn) -> None:
    """The first process of Type=forking ended well: the main process has to be found."""
    phase = turn.service.phase
    if isinstance(phase, Starting):
        turn.set(phase=replace(phase, forked=True))
    if turn.conf.pid_file:
        turn.add(WatchPidFile(turn.name, turn.conf.pid_file))
    elif turn.conf.guess_main:
        turn.add(GuessMain(turn.name))
    else:
        run_start_post(turn)


def main_found(turn: Turn, pid: int, birth: int) -> None:
    """The PIDFile= or the cgroup tells who the main process is; pid 0: nobody knows."""
    service = turn.service
    if pid and (service.main is None or service.main.pid != pid):
        turn.set(main=Process(service.serial + 1, pid, birth, execed=True, started=turn.now), serial=service.serial + 1)
        turn.set(last_main=Run(pid=pid, started=turn.now))
    if isinstance(service.phase, Starting) and service.phase.forked:
        run_start_post(turn)


def run_start_post(turn: Turn) -> None:
    """ExecStart= has done its part."""
    if turn.service.watchdog:
        turn.set(watchdog_at=turn.now)
    if not turn.run_stage(Stage.START_POST, 0, _deadline(turn)):
        enter_running(turn, Result.SUCCESS)


def enter_running(turn: Turn, result: Result) -> None:
    """Up, unless something failed or nothing is left that could be up."""
    turn.fail(result)
    turn.set(control=None)
    if turn.service.result is not Result.SUCCESS:
        stopping.signal(turn, Rung.TERM, Result.SUCCESS)
    elif is_good(turn):
        if turn.service.said == "reloading":
            enter_reload_by_notify(turn)
        elif turn.service.said == "stopping":
            stopping_by_itself(turn)
        else:
            since = turn.service.up_since or turn.now
            turn.set(phase=Running(since, later(since, turn.conf.runtime_max)), up_since=since)
    elif turn.conf.remain:
        turn.set(phase=Exited(), watchdog_at=0)
    else:
        stopping.run_stop(turn, Result.SUCCESS)


def is_good(turn: Turn) -> bool:
    """Whether the service has what an active one needs: its name, and its main process or at least some process."""
    service, conf = turn.service, turn.conf
    if conf.type == "dbus" and not service.bus_name_owned:
        return False
    if service.main is not None:
        return True
    knows_main = conf.type != "forking" or bool(service.last_main.pid)
    if knows_main and conf.exit_type == "main":
        return False
    return service.populated


def enter_reload_by_notify(turn: Turn) -> None:
    turn.set(phase=ReloadingByNotify(_deadline(turn)), reload_result=Result.SUCCESS)


def stopping_by_itself(turn: Turn) -> None:
    """The service said STOPPING=1: it is given its stop timeout, and nobody signals it before."""
    turn.set(phase=Killing(Rung.TERM, later(turn.now, turn.conf.stop_timeout)), watchdog_at=0)


def reload(turn: Turn) -> None:
    """A reload job runs."""
    if not isinstance(turn.service.phase, Running | Exited):
        return
    turn.set(reload_result=Result.SUCCESS)
    if not turn.run_stage(Stage.RELOAD, 0, _deadline(turn)):
        enter_running(turn, Result.SUCCESS)


def reloaded(turn: Turn, result: Result) -> None:
    """ExecReload= is done; a daemon may have a new main process now."""
    turn.set(reload_result=result)
    if turn.conf.pid_file and result is Result.SUCCESS:
        turn.add(WatchPidFile(turn.name, turn.conf.pid_file))
    enter_running(turn, Result.SUCCESS)


def expired(turn: Turn) -> None:
    """The start took too long (TimeoutStartFailureMode=)."""
    turn.log(Level.WARNING, f"{turn.name} did not start in time")
    if turn.conf.pid_file:
        turn.add(UnwatchPidFile(turn.name, turn.conf.pid_file))
    abandon(turn, turn.conf.start_failure)


def abandon(turn: Turn, mode: str) -> None:
    """End it because a timeout passed: terminate, abort or kill."""
    if mode == "kill" and not turn.conf.kill.send_sigkill:
        stopping.spare(turn, Rung.TERM)
        return
    rung = {"terminate": Rung.TERM, "abort": Rung.ABORT, "kill": Rung.KILL}[mode]
    stopping.signal(turn, rung, Result.TIMEOUT)


def restart_due(turn: Turn) -> None:
    """RestartSec= is over."""
    turn.set(phase=AutoRestart(INFINITY), restarts=turn.service.restarts + 1)


def forget_if_stable(turn: Turn) -> None:
    """A long enough run clears the restart counter."""
    phase = turn.service.phase
    if isinstance(phase, Running) and restarting.is_stable(turn.conf, phase.since, turn.now):
        turn.set(restarts=0)
