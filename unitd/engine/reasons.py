"""Why a unit is as it is, in words for an operator: the one place that turns results into sentences (row C21)."""

from unitd.engine.record import Record
from unitd.machines.phases import Run, Service, SpawnFault
from unitd.machines.service import words
from unitd.machines.sockets import Socket
from unitd.model.states import Result

_WORDS = {
    Result.RESOURCES: "the kernel had not what it needs",
    Result.PROTOCOL: "it did not keep to its protocol: it ended, or forked, before it was ready",
    Result.TIMEOUT: "it took longer than its timeout allows",
    Result.WATCHDOG: "it gave no sign of life in time (watchdog)",
    Result.START_LIMIT: "it was started too often (StartLimitBurst=)",
    Result.EXEC_CONDITION: "its ExecCondition= does not hold",
    Result.INTERNAL: "of a mistake in unitd",
    Result.UNKNOWN: "it ended while nobody watched",
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
    if state.result in (Result.EXIT_CODE, Result.SIGNAL, Result.CORE_DUMP):
        setting, run = _culprit(record, state)
        return f"{setting} {words(run.exit)}" if run.exit is not None else str(state.result)
    return _WORDS.get(state.result, str(state.result))


def spawn_words(fault: SpawnFault) -> str:
    """Why no program ran: what was wanted, at which step it failed, and the kernel's word."""
    detail = f": {fault.detail}" if fault.detail else f" (errno {fault.errno})"
    return f"{fault.setting}={fault.path} failed at {fault.stage}{detail}"


def _culprit(record: Record, state: Service) -> tuple[str, Run]:
    """The process whose end was the failure: the command that failed last, else the main process."""
    failed = [
        (run.exited, setting, run)
        for (setting, _), run in state.runs.items()
        if run.exit is not None and not record.conf.clean(run.exit, daemon=setting == "ExecStart")
    ]
    if failed:
        _, setting, run = max(failed, key=lambda found: found[0])
        return ("its main process" if setting == "ExecStart" else f"{setting}="), run
    return "its main process", state.last_main
