"""Why a unit is as it is, in words for an operator: the one place that turns results into sentences."""

from unitd.engine.record import Record
from unitd.machines.phases import Run, Service, SpawnFault
from unitd.machines.service import words
from unitd.machines.sockets import Socket
from unitd.model.events import How
from unitd.model.states import INFINITY, Result
from unitd.syntax.command import Command
from unitd.syntax.spans import format_span

_OF_MAIN = "ExecStart"
_WORDS = {
    Result.RESOURCES: "the kernel had not what it needs",
    Result.PROTOCOL: "it did not keep to its protocol: it ended, or forked, before it was ready",
    Result.WATCHDOG: "it gave no sign of life in time (WatchdogSec=)",
    Result.EXEC_CONDITION: "its ExecCondition= does not hold",
    Result.INTERNAL: "of a mistake in unitd",
    Result.UNKNOWN: "it ended while no daemon watched",
    Result.TRIGGER_LIMIT: "traffic asked for its service too often (TriggerLimitBurst=)",
    Result.SERVICE_START_LIMIT: "its service was started too often",
}


def why_failed(record: Record) -> str:
    """Why the unit failed; "" when it did not."""
    state = record.state
    if isinstance(state, Socket):
        return _WORDS.get(state.result, "")
    if not isinstance(state, Service) or state.result is Result.SUCCESS:
        return ""
    if state.fault is not None:
        return spawn_words(state.fault)
    match state.result:
        case Result.EXIT_CODE | Result.SIGNAL | Result.CORE_DUMP:
            return _ending(record, state)
        case Result.TIMEOUT:
            return _too_long(record) + _killed(state.last_main)
        case Result.START_LIMIT:
            often = "it was started too often in too short a time (StartLimitBurst=)"
            return f"{often}; unitctl reset-failed {record.name} allows it again"
        case result:
            return _WORDS.get(result, str(result))


def spawn_words(fault: SpawnFault) -> str:
    """Why no program ran: what was wanted, at which step it failed, and the kernel's word."""
    detail = f": {fault.detail}" if fault.detail else f" (errno {fault.errno})"
    return f"{fault.setting}={fault.path} failed at {fault.stage}{detail}"


def _too_long(record: Record) -> str:
    """Which time was up: of the stop or of the whole run when the unit was up in this run, else of the start."""
    conf, times = record.conf, record.times
    what, setting, span = "to start", "TimeoutStartSec", conf.start_timeout
    if times.active_enter > times.inactive_exit:
        what, setting, span = "to stop", "TimeoutStopSec", conf.stop_timeout
        if times.active_exit >= times.active_enter + conf.runtime_max:
            return f"it ran as long as it may (RuntimeMaxSec= is {format_span(conf.runtime_max)})"
    limit = f" is {format_span(span)}" if 0 < span < INFINITY else ""
    return f"it took too long {what} ({setting}={limit})"


def _killed(main: Run) -> str:
    if main.exit is None or main.exit.how in (How.EXITED, How.UNKNOWN):
        return ""
    return f", and its main process {words(main.exit)}"


def _ending(record: Record, state: Service) -> str:
    """The process whose end was the failure: the command that failed last, else the main process."""
    failed = [
        (run.exited, setting, command, run)
        for setting, runs in sorted(state.runs.items())
        for index, run in enumerate(runs)
        if run.exit is not None
        and not record.conf.clean(run.exit, daemon=setting == _OF_MAIN)
        and not ((command := _command(record, setting, index)) and command.ignore_failure)
    ]
    if not failed:
        return f"its main process {words(state.last_main.exit)}" if state.last_main.exit else str(state.result)
    _, setting, command, run = max(failed, key=lambda found: found[0])
    assert run.exit is not None
    if setting == _OF_MAIN:
        program = f" ({command.path})" if command else ""
        return f"its main process {run.pid}{program} {words(run.exit)}"
    return f"{setting}={' '.join(command.argv) if command else ''} {words(run.exit)}"


def _command(record: Record, setting: str, index: int) -> Command | None:
    """The command as it is now; a reload may have taken it away."""
    commands = record.unit.settings.get(setting, ())
    return commands[index] if index < len(commands) else None
