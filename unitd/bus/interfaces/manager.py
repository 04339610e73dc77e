"""The interface of the daemon itself: units, jobs, unit files, logs, reload and shutdown."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

from unitd.bus.calls import Call, Enrol, ExitWith, Fault, Outcome, Reply
from unitd.bus.interfaces import requests
from unitd.bus.interfaces.table import Emits, Interface, Method, Property, Signal, arguments, interface
from unitd.bus.interfaces.unit import description
from unitd.bus.interfaces.values import constant
from unitd.bus.policy import Action
from unitd.bus.ports import Status, World
from unitd.model.events import Leaving
from unitd.model.refusals import Kind
from unitd.model.states import JobState, JobType
from unitd.syntax import unit_name

UNIT_ROWS: Final = "a(ssssssouso)"
JOB_ROWS: Final = "a(usssoo)"
_MOST_LINES: Final = 100_000
_SEEN: Final = ("Firmware", "Loader", "Kernel", "InitRD", "Userspace", "Finish")
_STEPS: Final = (
    "SecurityStart",
    "SecurityFinish",
    "GeneratorsStart",
    "GeneratorsFinish",
    "UnitsLoadStart",
    "UnitsLoadFinish",
    "UnitsLoad",
)


def _look(name: str, takes: str, gives: str, run: Callable[[Call, World, Any], Outcome], doc: str) -> Method:
    return Method(name, arguments(takes), arguments(gives), run, doc, Action.LOOK)


def _change(name: str, takes: str, gives: str, run: Callable[[Call, World, Any], Outcome], doc: str) -> Method:
    return Method(name, arguments(takes), arguments(gives), run, doc, Action.CHANGE)


# --- units ----------------------------------------------------------------------------------------


def _path(world: World, name: str) -> Reply:
    return Reply("o", (world.dialect.unit_path(name),))


def _get_unit(call: Call, world: World, _: None) -> Outcome:
    (name,) = call.body
    if not name:
        return _unit_of_pid(world, call.by.pid)
    if not unit_name.valid(name):
        return requests.invalid(f"cannot find {name[:300]!r}: it is not the name of a unit")
    status = world.view.status(name)
    if status is None:
        return Fault(Kind.NO_SUCH_UNIT, f"Unit {name} not loaded.")
    return _path(world, status.unit.name)


def _load_unit(call: Call, world: World, _: None) -> Outcome:
    return requests.loaded(world, call.body[0], lambda status: _path(world, status.unit.name))


def _unit_of_pid(world: World, pid: int) -> Outcome:
    name = world.view.unit_of_pid(pid)
    if name is None:
        return Fault(Kind.NO_UNIT_FOR_PID, f"PID {pid} does not belong to any loaded unit.")
    return _path(world, name)


def _get_unit_by_pid(call: Call, world: World, _: None) -> Outcome:
    return _unit_of_pid(world, call.body[0] or call.by.pid)


def _get_unit_by_invocation(call: Call, world: World, _: None) -> Outcome:
    id = call.body[0].hex()
    name = world.view.unit_of_invocation(id) if id else world.view.unit_of_pid(call.by.pid)
    if name is None:
        return Fault(Kind.NO_UNIT_FOR_INVOCATION_ID, f"No unit with the invocation id {id} known.")
    return _path(world, name)


def _row(world: World, status: Status) -> tuple[Any, ...]:
    unit = status.unit
    job = world.view.job(status.job) if status.job else None
    return (
        unit.name,
        description(status),
        unit.load.value,
        status.active.value,
        status.sub,
        "",
        world.dialect.unit_path(unit.name),
        job.id if job else 0,
        job.type.value if job else "",
        world.dialect.job_path(job.id if job else 0),
    )


def _rows(world: World, states: Iterable[str] = (), patterns: Iterable[str] = ()) -> Reply:
    wanted, globs = frozenset(states), tuple(patterns)
    rows = []
    for name in world.view.units():
        status = world.view.status(name)
        if status is None or (wanted and wanted.isdisjoint((status.unit.load, status.active, status.sub))):
            continue
        if globs and not any(fnmatchcase(each, glob) for each in (name, *status.unit.aliases) for glob in globs):
            continue
        rows.append(_row(world, status))
    return Reply(UNIT_ROWS, (rows,))


def _list_by_names(call: Call, world: World, _: None) -> Outcome:
    """Loads them one after the other, then lists them."""
    names = tuple(dict.fromkeys(call.body[0]))
    for name in names:
        if not unit_name.valid(name):
            return requests.invalid(f"cannot list {name[:300]!r}: it is not the name of a unit")

    def rest(at: int) -> Outcome:
        for index in range(at, len(names)):
            if world.view.status(names[index]) is None:
                return requests.loaded(world, names[index], after(index))
        found = [status for name in names if (status := world.view.status(name)) is not None]
        return Reply(UNIT_ROWS, ([_row(world, status) for status in found],))

    def after(index: int) -> Callable[[Status], Outcome]:
        return lambda _: rest(index + 1)

    return rest(0)


def _get_processes(call: Call, world: World, _: None) -> Outcome:
    status = world.view.status(call.body[0])
    if status is None:
        return Fault(Kind.NO_SUCH_UNIT, f"Unit {call.body[0]} not loaded.")
    return Reply("a(sus)", (world.gauges.processes(status.unit.name),))


def _get_logs(call: Call, world: World, _: None) -> Outcome:
    name, lines, since = call.body
    if not unit_name.valid(name):
        return requests.invalid(f"cannot read the log of {name[:300]!r}: it is not the name of a unit")
    status = world.view.status(name)
    real = status.unit.name if status else name
    return Reply("a(tsis)", (world.logs.tail(real, min(lines, _MOST_LINES), since),))


_UNITS: Final = (
    _look("GetUnit", "name:s", "unit:o", _get_unit, 'The object of a unit that is loaded; "": of the caller.'),
    _look("LoadUnit", "name:s", "unit:o", _load_unit, "The object of a unit, which is loaded if need be."),
    _look("GetUnitByPID", "pid:u", "unit:o", _get_unit_by_pid, "The unit that a process belongs to; 0: the caller."),
    _look("GetUnitByInvocationID", "invocation_id:ay", "unit:o", _get_unit_by_invocation, "The unit of one start."),
    _look(
        "ListUnits",
        "",
        f"units:{UNIT_ROWS}",
        lambda call, world, _: _rows(world),
        "All loaded units: name, description, load, active and sub state, the unit it follows, object, job (0 for "
        "none), job type, job object.",
    ),
    _look(
        "ListUnitsFiltered",
        "states:as",
        f"units:{UNIT_ROWS}",
        lambda call, world, _: _rows(world, call.body[0]),
        "As ListUnits, but only units in one of these load, active or sub states.",
    ),
    _look(
        "ListUnitsByPatterns",
        "states:as patterns:as",
        f"units:{UNIT_ROWS}",
        lambda call, world, _: _rows(world, *call.body),
        "As ListUnitsFiltered, but only units one of whose names matches one of the globs.",
    ),
    _look("ListUnitsByNames", "names:as", f"units:{UNIT_ROWS}", _list_by_names, "As ListUnits, for these units."),
    _look(
        "GetUnitProcesses",
        "name:s",
        "processes:a(sus)",
        _get_processes,
        "The processes of a unit: cgroup, pid, command line.",
    ),
    Method(
        "GetLogs",
        arguments("unit:s lines:u since_us:t"),
        arguments("lines:a(tsis)"),
        _get_logs,
        "The last lines of a unit's log, not older than since_us: realtime microseconds, program, pid, line. For root, "
        "the daemon's user and the group adm.",
        Action.READ_LOGS,
    ),
)

# --- jobs -----------------------------------------------------------------------------------------


def _job(name: str, type: JobType, doc: str, *, if_possible: bool = False) -> Method:
    def run(call: Call, world: World, _: None) -> Outcome:
        return requests.job(call, world, call.body[0], type, call.body[1], if_possible=if_possible)

    return _change(name, "name:s mode:s", "job:o", run, doc)


def _list_jobs(call: Call, world: World, _: None) -> Outcome:
    path = world.dialect
    rows = [
        (job.id, job.unit, job.type.value, job.state.value, path.job_path(job.id), path.unit_path(job.unit))
        for job in sorted(world.view.jobs(), key=lambda job: job.id)
    ]
    return Reply(JOB_ROWS, (rows,))


def _get_job(call: Call, world: World, _: None) -> Outcome:
    (id,) = call.body
    if world.view.job(id) is None:
        return Fault(Kind.NO_SUCH_JOB, f"Job {id} does not exist.")
    return Reply("o", (world.dialect.job_path(id),))


def _cancel_job(call: Call, world: World, _: None) -> Outcome:
    (id,) = call.body
    if world.view.job(id) is None:
        return Fault(Kind.NO_SUCH_JOB, f"Job {id} does not exist.")
    return requests.cancel(call, id)


_JOBS: Final = (
    _job("StartUnit", JobType.START, "Queue a start job and what it needs; the mode is replace, fail, isolate ..."),
    _job("StopUnit", JobType.STOP, "Queue a stop job, and stop jobs of what depends on the unit."),
    _job("ReloadUnit", JobType.RELOAD, "Have a running unit read its configuration again."),
    _job("RestartUnit", JobType.RESTART, "Stop and start; a start when the unit is down."),
    _job("TryRestartUnit", JobType.TRY_RESTART, "As RestartUnit, but nothing when the unit is down."),
    _job("ReloadOrRestartUnit", JobType.RESTART, "Reload where the unit can, or else restart.", if_possible=True),
    _job(
        "ReloadOrTryRestartUnit",
        JobType.TRY_RESTART,
        "Reload where it can, or else TryRestart.",
        if_possible=True,
    ),
    _change(
        "EnqueueUnitJob",
        "name:s job_type:s job_mode:s",
        "job_id:u job_path:o unit_id:s unit_path:o job_type:s affected_jobs:a(uosos)",
        lambda call, world, _: requests.enqueue(call, world, *call.body),
        "Queue a job of any type, and tell of all that were queued with it.",
    ),
    _change(
        "KillUnit",
        "name:s whom:s signal:i",
        "",
        lambda call, world, _: requests.kill(call, *call.body),
        "Send a signal to processes of the unit: all, main or control.",
    ),
    _change(
        "ResetFailedUnit",
        "name:s",
        "",
        lambda call, world, _: requests.reset_failed(call, call.body[0]),
        "Forget the unit's failure, restart counter and start limit.",
    ),
    _change("ResetFailed", "", "", lambda call, world, _: requests.reset_failed(call, ""), "The same for all units."),
    _look("GetJob", "id:u", "job:o", _get_job, "The object of a job."),
    _look("ListJobs", "", f"jobs:{JOB_ROWS}", _list_jobs, "All jobs: id, unit, type, state, job object, unit object."),
    _change("CancelJob", "id:u", "", _cancel_job, "Take a job out of the queue."),
    _change("ClearJobs", "", "", lambda call, world, _: requests.cancel(call, 0), "Take all jobs out of the queue."),
)

# --- unit files -----------------------------------------------------------------------------------


def _files(world: World, states: Iterable[str] = (), patterns: Iterable[str] = ()) -> Reply:
    wanted, globs = frozenset(states), tuple(patterns)
    rows = [
        (path, state)
        for path, state in world.files.list_files()
        if (not wanted or state in wanted)
        and (not globs or any(fnmatchcase(path.rpartition("/")[2], glob) for glob in globs))
    ]
    return Reply("a(ss)", (rows,))


def _list_files(call: Call, world: World, _: None) -> Outcome:
    return _files(world)


def _file_state(call: Call, world: World, _: None) -> Outcome:
    (name,) = call.body
    state = world.files.file_state(name) if unit_name.valid(name) else ""
    if not state:
        return Fault(Kind.FILE_NOT_FOUND, f"cannot tell the state of {name[:300]}: there is no such unit file")
    return Reply("s", (state,))


_FILES: Final = (
    _look("GetUnitFileState", "file:s", "state:s", _file_state, "enabled, disabled, static, masked ..."),
    _look("ListUnitFiles", "", "unit_files:a(ss)", _list_files, "All unit files: path and state."),
    _look(
        "ListUnitFilesByPatterns",
        "states:as patterns:as",
        "unit_files:a(ss)",
        lambda call, world, _: _files(world, *call.body),
        "As ListUnitFiles, but only those in one of the states whose name matches one of the globs.",
    ),
)

# --- the daemon -----------------------------------------------------------------------------------


def _leave(name: str, leaving: Leaving, doc: str) -> Method:
    def run(call: Call, world: World, _: None) -> Outcome:
        return requests.shutdown(call, leaving, world.exit_code if leaving is Leaving.EXIT else 0)

    return _change(name, "", "", run, doc)


_DAEMON: Final = (
    _look("Subscribe", "", "", lambda *_: Enrol(True), "Ask for signals; on the private socket they come anyway."),
    _look("Unsubscribe", "", "", lambda *_: Enrol(False), "Ask for no more signals."),
    _change("Reload", "", "", lambda call, world, _: requests.reload(call), "Read all unit files again."),
    _leave("PowerOff", Leaving.POWEROFF, "Stop everything, then switch the machine off (PID 1) or exit (any other)."),
    _leave("Reboot", Leaving.REBOOT, "The same, and start the machine again."),
    _leave("Halt", Leaving.HALT, "The same, and leave the machine halted."),
    _leave("KExec", Leaving.KEXEC, "The same, and start the loaded kernel."),
    _leave("Exit", Leaving.EXIT, "Stop everything, then exit with the status that SetExitCode gave."),
    _change("SetExitCode", "number:y", "", lambda call, world, _: ExitWith(call.body[0]), "The exit status for Exit."),
)


def _about(name: str, type: str, attribute: str, emits: Emits = Emits.CONST, doc: str = "") -> Property:
    return Property(name, type, emits, lambda world, _: getattr(world.about, attribute), doc)


def _timestamp(name: str) -> tuple[Property, Property]:
    def monotonic(world: World, _: None) -> int:
        return world.view.times().get(name, 0)

    def realtime(world: World, _: None) -> int:
        return world.clock.realtime(monotonic(world, None))

    doc = f"When the step {name} of the start was reached, 0 if it was not"
    return (
        Property(f"{name}Timestamp", "t", Emits.CONST, realtime, f"{doc}; realtime."),
        Property(f"{name}TimestampMonotonic", "t", Emits.CONST, monotonic, f"{doc}; monotonic."),
    )


def _progress(world: World, _: None) -> float:
    jobs = world.view.jobs()
    return sum(job.state is JobState.RUNNING for job in jobs) / len(jobs) if jobs else 1.0


_PROPERTIES: Final = (
    _about("Version", "s", "version", doc="unitd's version."),
    _about("Features", "s", "features", doc="What was built in."),
    _about("Architecture", "s", "architecture", doc="As ConditionArchitecture= has it."),
    _about("Virtualization", "s", "virtualization", doc="As ConditionVirtualization= has it; empty: none."),
    constant("Tainted", "s", "", doc="What is odd about the machine; nothing is looked for."),
    _about("UnitPath", "as", "unit_path", doc="The directories that unit files are read from, first wins."),
    _about("Environment", "as", "environment", Emits.NONE, "What every service's environment begins with."),
    _about("ControlGroup", "s", "cgroup", Emits.NONE, "The cgroup below which everything runs; empty for the root."),
    _about("LogLevel", "s", "log_level", Emits.NONE, "The least urgent level of the daemon's own log."),
    _about("LogTarget", "s", "log_target", Emits.NONE, "Where the daemon's own log goes."),
    constant("ShowStatus", "b", False, Emits.NONE, "Progress on the console."),
    Property("ExitCode", "y", Emits.NONE, lambda world, _: world.exit_code, "The status that SetExitCode gave."),
    Property(
        "SystemState",
        "s",
        Emits.NONE,
        lambda world, _: world.view.system_state(),
        "initializing, starting, running, degraded, maintenance or stopping.",
    ),
    Property("NNames", "u", Emits.NONE, lambda world, _: len(world.view.units()), "Loaded units."),
    Property("NFailedUnits", "u", Emits.CHANGE, lambda world, _: world.view.failed_count(), "Units that failed."),
    Property("NJobs", "u", Emits.NONE, lambda world, _: len(world.view.jobs()), "Jobs in the queue."),
    Property("Progress", "d", Emits.NONE, _progress, "The share of the jobs that run; 1 for no jobs."),
    *(row for name in _SEEN + _STEPS for row in _timestamp(name)),
)

_SIGNALS: Final = (
    Signal("UnitNew", arguments("id:s unit:o"), "A unit is loaded."),
    Signal("UnitRemoved", arguments("id:s unit:o"), "A unit is forgotten."),
    Signal("JobNew", arguments("id:u job:o unit:s"), "A job is queued."),
    Signal("JobRemoved", arguments("id:u job:o unit:s result:s"), "A job left the queue; done, failed, dependency ..."),
    Signal(
        "StartupFinished",
        arguments("firmware:t loader:t kernel:t initrd:t userspace:t total:t"),
        "The first target is reached; lengths in microseconds.",
    ),
    Signal("Reloading", arguments("active:b"), "A daemon-reload begins, or is done."),
    Signal(
        "ShutdownProgress",
        arguments("progress:a{sv}"),
        "How far the stop of one unit is: unit s, phase s, pids a(us) (pid, command line), left_us t (all ones: no "
        'limit), next s. The last one, before the daemon leaves, is of unit "" in phase done or survivors.',
    ),
)

MANAGER: Final[Interface] = interface(
    "Manager", _UNITS + _JOBS + _FILES + _DAEMON, _PROPERTIES, _SIGNALS, doc="The daemon: units, jobs, files, shutdown."
)
