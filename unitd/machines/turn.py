"""One turn of a service's machine: the state while it changes, and the effects gathered on the way.

Everything that starts a process or sends a signal for a service goes through here; phases are left and entered by
starting, stopping and service.
"""

from typing import Any

from msgspec.structs import replace

from unitd.machines import execution
from unitd.machines.conf import Context
from unitd.machines.phases import SETTING_OF, Commands, Process, Run, Service, SpawnFault, Stage, is_stopping
from unitd.machines.step import Ask
from unitd.model.effects import Effect, Level, Log, Spawn
from unitd.model.events import Exit, How, SpawnFailed
from unitd.model.exec_plan import Role
from unitd.model.states import Result
from unitd.syntax.command import Command
from unitd.syntax.errors import Bad
from unitd.syntax.exit_status import parse_exit_status


class Turn:
    def __init__(self, service: Service, context: Context, now: int) -> None:
        self.service = service
        self.context = context
        self.conf = context.conf
        self.now = now
        self.effects: list[Effect] = []
        self.asks: list[Ask] = []

    @property
    def name(self) -> str:
        return self.conf.unit.name

    def set(self, **changes: Any) -> None:
        """Replace fields of the service."""
        self.service = replace(self.service, **changes)

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def log(self, level: Level, text: str) -> None:
        self.effects.append(Log(level, text, self.name))

    def fail(self, result: Result) -> None:
        """The first failure is the service's result."""
        if self.service.result is Result.SUCCESS and result is not Result.SUCCESS:
            self.set(result=result)

    # --- processes ----------------------------------------------------------------------------------

    def commands(self, stage: Stage) -> tuple[Command, ...]:
        return self.conf.commands.get(stage, ())

    def spawn(self, stage: Stage, index: int, role: Role) -> None:
        """Ask for a process that runs command `index` of `stage`."""
        serial = self.service.serial + 1
        plan = execution.plan(self.context, self.service, stage, index, role, serial)
        process = Process(serial, started=self.now)
        if role is Role.MAIN:
            self.set(serial=serial, main=process, last_main=Run(started=self.now), fault=None)
        else:
            self.set(serial=serial, control=process)
        self._put_run(SETTING_OF[stage], index, Run(started=self.now))
        self.add(Spawn(plan))

    def run_stage(self, stage: Stage, index: int, deadline: int) -> bool:
        """Run command `index` of `stage` as control process and wait for it; False: there is no such command."""
        if index >= len(self.commands(stage)):
            return False
        self.spawn(stage, index, Role.CONTROL)
        self.set(phase=Commands(stage, index, deadline))
        return True

    def spawned(self, serial: int, pid: int, birth: int) -> bool:
        """The kernel made the process; False when nobody waits for it any more."""
        known = False
        self.set(populated=True)
        for name in ("main", "control"):
            process: Process | None = getattr(self.service, name)
            if process is not None and process.serial == serial:
                known = True
                self.set(**{name: replace(process, pid=pid, birth=birth)})
                if name == "main":
                    self.set(last_main=replace(self.service.last_main, pid=pid))
                    self.record("ExecStart", getattr(self.service.phase, "index", 0), pid=pid)
                elif isinstance(self.service.phase, Commands):
                    self.record(SETTING_OF[self.service.phase.stage], self.service.phase.index, pid=pid)
                else:
                    self.record("ExecStart", 0, pid=pid)
        return known

    def record(self, setting: str, index: int, **changes: Any) -> None:
        """Note something about a run of a command."""
        known = self.service.runs.get(setting, ())
        self._put_run(setting, index, replace(known[index] if index < len(known) else Run(), **changes))

    def _put_run(self, setting: str, index: int, run: Run) -> None:
        known = self.service.runs.get(setting, ())
        missing = (Run(),) * (index - len(known))
        self.set(runs={**self.service.runs, setting: (*known[:index], *missing, run, *known[index + 1 :])})

    def fault(self, event: SpawnFailed, setting: str, path: str) -> Exit:
        """Note why no program ran; the exit status that stands for it (systemd.exec(5), "Process Exit Codes")."""
        self.set(fault=SpawnFault(setting, path, event.stage, event.errno, event.detail))
        try:
            return Exit(How.EXITED, parse_exit_status(event.stage.upper()))
        except Bad:
            return Exit(How.EXITED, 1)

    def verdict(self, exit: Exit, *, daemon: bool) -> Result:
        """What an exit means for the service."""
        if self.conf.clean(exit, daemon=daemon):
            return Result.SUCCESS
        if exit.how is How.UNKNOWN:
            # Who was asked to end has ended, which is all that was wanted of it.
            return Result.SUCCESS if is_stopping(self.service.phase) else Result.UNKNOWN
        return {How.EXITED: Result.EXIT_CODE, How.KILLED: Result.SIGNAL, How.DUMPED: Result.CORE_DUMP}[exit.how]


def running_command(turn: Turn) -> tuple[str, int, Command | None]:
    """The setting, index and command that the control process runs now."""
    phase = turn.service.phase
    if isinstance(phase, Commands):
        commands = turn.commands(phase.stage)
        return SETTING_OF[phase.stage], phase.index, commands[phase.index] if phase.index < len(commands) else None
    commands = turn.commands(Stage.START)
    return "ExecStart", 0, commands[0] if commands else None
