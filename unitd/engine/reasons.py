"""Why a unit is as it is, in words for an operator: the one place that turns results into sentences."""

from unitd.engine.record import Record
from unitd.machines.phases import Run, Service, SpawnFault
from unitd.machines.service import words
from unitd.machines.sockets import Socket
from unitd.model.events import How
from unitd.model.processes import Evidence, Left, Straggler
from unitd.model.states import INFINITY, Active, Result
from unitd.syntax.command import Command
from unitd.syntax.signals import signal_name
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


def hint(record: Record) -> str:
    """What to do about a stop that did not go well, or that left processes behind; "" when all is well."""
    state, course = record.state, record.course
    if not isinstance(state, Service):
        return ""
    if record.active.is_down and state.populated:
        return left_behind(record)
    if course is None or state.result is Result.SUCCESS:
        return ""
    if any(_has_failed(record, run) for run in (*state.runs.get("ExecStop", ()), *state.runs.get("ExecStopPost", ()))):
        return f"see what its stop command printed: unitctl logs {record.name}"
    if state.result is not Result.TIMEOUT or not (course.examined or course.hung):
        return ""
    found = course.evidence.stragglers if course.evidence is not None else ()
    said = next((words for one in found if (words := what_keeps(one))), "")
    if said:
        return said
    if course.hung:
        command = f"{course.hung[0]}="
        return f"see what {command} waits for: unitctl logs {record.name}; TimeoutStopSec= is the time for it"
    asked = f"SIG{signal_name(course.signals[0].signal)}" if course.signals else "its stop signal"
    return f"let it end on {asked}, name another by KillSignal=, or give it more time by TimeoutStopSec="


def _has_failed(record: Record, run: Run) -> bool:
    """Whether a command of the latest stop failed by itself."""
    began = record.course.began if record.course is not None else INFINITY
    return run.exit is not None and run.started >= began and not record.conf.clean(run.exit, daemon=False)


def is_stuck(record: Record) -> bool:
    """Whether a stop came to its end with processes that not even SIGKILL ended, though nothing spares them."""
    state, kill = record.state, record.conf.kill if isinstance(record.state, Service) else None
    if not isinstance(state, Service) or kill is None or not (record.active.is_down and state.populated):
        return False
    return state.result is Result.TIMEOUT and kill.send_sigkill and kill.mode in ("control-group", "mixed")


def unfinished(record: Record) -> str:
    """How far a unit is whose stop nobody follows any more, as the end of a sentence."""
    state = record.state
    if record.active.is_down or not isinstance(state, Service):
        return ""
    pids = [process.pid for process in (state.main, state.control) if process is not None and process.pid]
    who = f" with {', '.join(f'pid {pid}' for pid in pids)}" if pids else ""
    goes = "its stop goes on" if record.active is Active.DEACTIVATING else "it goes on"
    return f"; {record.name} is in {record.sub}{who}, and {goes} (unitctl kill -s KILL {record.name} ends it)"


def in_brackets(hint: str) -> str:
    return f" ({hint})" if hint else ""


def left_behind(record: Record) -> str:
    """Why processes of a unit at rest were left, and what to do; "" when there are none, as far as is known."""
    state, kill = record.state, record.conf.kill
    if not isinstance(state, Service) or not state.populated or not record.active.is_down:
        return ""
    if not kill.send_sigkill and state.result is Result.TIMEOUT:
        why = "SendSIGKILL=no spares what did not end"
    elif kill.mode in ("process", "none"):
        why = f"KillMode={kill.mode} spares what is left"
    else:
        found = record.course.evidence if record.course is not None else None
        said = [words for one in (found.stragglers if found is not None else ()) if (words := what_keeps(one))]
        return said[0] if said else "SIGKILL is sent, and the kernel has not let go of them: see /proc/PID/stack"
    return f"{why}: unitctl kill -s KILL {record.name} ends it"


def straggler(one: Straggler) -> str:
    """In words: `pid 123 sleep 1000, S (sleeping) in hrtimer_nanosleep, tcp 0.0.0.0:80 listening`."""
    doing = f"{one.state} in {one.channel}" if one.channel else one.state
    return ", ".join(part for part in (f"pid {one.pid} {one.command}", doing, *one.sockets) if part)


def evidence_lines(unit: str, evidence: Evidence | None, *, survived: bool) -> list[str]:
    """A line for each process that was looked at before its SIGKILL; `survived`: before another one."""
    if evidence is None:
        return []
    head = f"cannot end all of {unit}, left after SIGKILL is" if survived else f"{unit} did not end in time:"
    lines = []
    for one in evidence.stragglers:
        keeps = what_keeps(one)
        lines.append(f"{head} {straggler(one)}" + (f" ({keeps})" if keeps else ""))
    if evidence.others:
        lines.append(f"{head} {evidence.others} more, which were not looked at")
    return lines


_FROZEN = ("do_freezer_trap", "__refrigerator", "refrigerator", "get_signal")
"""Where a task of a frozen cgroup waits."""


def what_keeps(one: Straggler) -> str:
    """What keeps it from ending, and what to do; "" when it just did not obey."""
    if one.state.startswith("D"):
        places = [frame.partition("+")[0] for frame in one.stack[:5]] or ([one.channel] if one.channel else [])
        where = f": {' < '.join(places)}" if places else ""
        return (
            f"pid {one.pid} is in uninterruptible sleep, and ends when the kernel lets go of it; look at the device or "
            f"file system that it waits for{where}"
        )
    if one.channel in _FROZEN:
        return f"pid {one.pid} is in a frozen cgroup: write 0 to the cgroup.freeze that holds it"
    if one.state.startswith("T"):
        return f"pid {one.pid} was stopped (SIGSTOP), and SIGCONT did not help: see who stops it"
    if one.state.startswith("t"):
        return f"pid {one.pid} is held by a debugger (TracerPid: in /proc/{one.pid}/status)"
    return ""


def survivor(left: Left, seen: Straggler | None) -> str:
    """Who lives on at the end of a shutdown, what keeps it, and what to do."""
    keeps = (what_keeps(seen) or straggler(seen)) if seen is not None else ""
    if not left.pid:
        return str(left)
    return f"cannot end {left}" + (f" ({keeps})" if keeps else "")


def spawn_words(fault: SpawnFault) -> str:
    """Why no program ran: what was wanted, at which step it failed, and the kernel's word."""
    detail = f": {fault.detail}" if fault.detail else f" (errno {fault.errno})"
    return f"{fault.setting}={fault.path} failed at {fault.stage}{detail}"


def _too_long(record: Record) -> str:
    """Which time was up: of the stop or of the whole run when the unit was up in this run, else of the start."""
    conf, times = record.conf, record.times
    if record.course is not None and record.course.hung:
        hung = " and ".join(f"{setting}=" for setting in record.course.hung)
        return f"{hung} did not end in time (TimeoutStopSec= is {format_span(conf.stop_timeout)})"
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
