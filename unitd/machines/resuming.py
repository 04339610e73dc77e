"""How a service goes on under another daemon: who is to be taken over, and what has to be asked for once more.

What the old daemon was told is in the state; what it had asked for, and cannot hear the answer to any more, is asked
for again here. A process that was asked for and has no pid yet is handed over as its plan: whoever takes it over
knows whether it was started, and starts it if not; in a service that is being stopped nothing is started any more.
"""

from msgspec.structs import replace

from unitd.machines import execution, stopping
from unitd.machines.phases import (
    AutoRestart,
    Commands,
    Dead,
    Killing,
    Process,
    ReloadingByNotify,
    Rung,
    Running,
    Service,
    Stage,
    Starting,
)
from unitd.machines.turn import Turn
from unitd.model.effects import Adopt, Adoptee, GuessMain, WatchBusName, WatchPidFile
from unitd.model.exec_plan import ExecPlan, Role


def resume(turn: Turn, *, resend: bool) -> None:
    """Take over who lives; `resend`: nobody knows whether the signal of the present rung was sent, so it is sent."""
    if turn.context.invocation:
        turn.add(_adopt(turn))
    service, conf = turn.service, turn.conf
    if service.watchdog_at:
        turn.set(watchdog_at=turn.now)
    if conf.bus_name and not isinstance(service.phase, Dead | AutoRestart):
        turn.add(WatchBusName(conf.bus_name))
    if _looks_for_main(turn):
        turn.add(WatchPidFile(turn.name, conf.pid_file) if conf.pid_file else GuessMain(turn.name))
    if resend and not _goes_by_itself(service):
        stopping.resend(turn)


def _adopt(turn: Turn) -> Adopt:
    began = min((run.started for runs in turn.service.runs.values() for run in runs), default=turn.now)
    return Adopt(turn.name, turn.context.cgroup, turn.context.invocation, began, _processes(turn))


def _looks_for_main(turn: Turn) -> bool:
    """Type=forking: the main process is not known yet, or is gone and may have a successor."""
    service, conf = turn.service, turn.conf
    match service.phase:
        case Starting(forked=True):
            return bool(conf.pid_file) or conf.guess_main
        case Running() | ReloadingByNotify():
            succeeded = service.main is None and service.last_main.exit is not None
            return succeeded and conf.type == "forking" and bool(conf.pid_file)
        case _:
            return False


def _goes_by_itself(service: Service) -> bool:
    """It said STOPPING=1, and nobody has to ask it again."""
    asked = isinstance(service.phase, Killing) and service.phase.rung in (Rung.TERM, Rung.FINAL_TERM)
    return asked and service.said == "stopping"


def _processes(turn: Turn) -> tuple[Adoptee, ...]:
    service, found = turn.service, []
    for role, process in ((Role.MAIN, service.main), (Role.CONTROL, service.control)):
        if process is None:
            continue
        adoptee = Adoptee(process.serial, process.pid, process.birth, role, process.execed, _program(turn, role))
        found.append(adoptee if process.pid else replace(adoptee, plan=_plan(turn, role, process)))
    return tuple(found)


def _command(turn: Turn, role: Role) -> tuple[Stage, int]:
    """Which command the main or the control process runs, as far as the phase tells."""
    phase = turn.service.phase
    if role is Role.CONTROL and isinstance(phase, Commands):
        return phase.stage, phase.index
    return Stage.START, phase.index if isinstance(phase, Starting) else 0


def _program(turn: Turn, role: Role) -> str:
    """What its lines in the log are marked with; "" where its own name has to do."""
    stage, index = _command(turn, role)
    commands = turn.commands(stage)
    if turn.conf.type == "forking" and role is Role.MAIN:
        return ""
    name: str = turn.conf.unit.settings.get("SyslogIdentifier") or ""
    return name or (commands[index].path.rpartition("/")[2] if index < len(commands) else "")


def _plan(turn: Turn, role: Role, process: Process) -> ExecPlan | None:
    """What is to be started; None: nothing any more, or the command was taken out of the unit."""
    stage, index = _command(turn, role)
    if isinstance(turn.service.phase, Killing) or index >= len(turn.commands(stage)):
        return None
    return execution.plan(turn.context, turn.service, stage, index, role, process.serial)
