"""The interface of the daemon itself: units, jobs, unit files, logs, reload and shutdown."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, Final

from unitd.bus.calls import Call, Enrol, ExitWith, Fault, Outcome, Reply
from unitd.bus.interfaces import job, requests
from unitd.bus.interfaces.facts import PROPERTIES, SIGNALS
from unitd.bus.interfaces.table import Interface, Method, arguments, interface
from unitd.bus.interfaces.unit import description
from unitd.bus.policy import Action
from unitd.bus.ports import Status, World
from unitd.model.events import Leaving
from unitd.model.refusals import Kind
from unitd.model.states import JobType
from unitd.syntax import unit_name

UNIT_ROWS: Final = "a(ssssssouso)"
_MOST_LINES: Final = 100_000


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
    name = world.gauges.unit_of(pid)
    if not name or world.view.status(name) is None:
        return Fault(Kind.NO_UNIT_FOR_PID, f"PID {pid} does not belong to any loaded unit.")
    return _path(world, name)


def _get_unit_by_pid(call: Call, world: World, _: None) -> Outcome:
    return _unit_of_pid(world, call.body[0] or call.by.pid)


def _get_unit_by_invocation(call: Call, world: World, _: None) -> Outcome:
    id = call.body[0].hex()
    name = world.view.unit_of_invocation(id) if id else world.gauges.unit_of(call.by.pid)
    if not name:
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


def _of_job(run: Callable[[Call, World, int], Outcome]) -> Callable[[Call, World, Any], Outcome]:
    """A method whose only argument is the id of a job."""

    def checked(call: Call, world: World, _: None) -> Outcome:
        (id,) = call.body
        if world.view.job(id) is None:
            return Fault(Kind.NO_SUCH_JOB, f"Job {id} does not exist.")
        return run(call, world, id)

    return checked


_get_job: Final = _of_job(lambda call, world, id: Reply("o", (world.dialect.job_path(id),)))
_cancel_job: Final = _of_job(lambda call, world, id: requests.cancel(call, id))
_jobs_before: Final = _of_job(lambda call, world, id: job.rows(world, world.view.jobs_before(id)))
_jobs_after: Final = _of_job(lambda call, world, id: job.rows(world, world.view.jobs_after(id)))


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
        "RefUnit",
        "name:s",
        "",
        lambda call, world, _: requests.hold(world, call.body[0], True),
        "Refer to a unit until UnrefUnit, or until the caller leaves.",
    ),
    _change(
        "UnrefUnit",
        "name:s",
        "",
        lambda call, world, _: requests.hold(world, call.body[0], False),
        "Take back one reference.",
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
    _look("GetJobBefore", "id:u", f"jobs:{job.ROWS}", _jobs_before, job.BEFORE),
    _look("GetJobAfter", "id:u", f"jobs:{job.ROWS}", _jobs_after, job.AFTER),
    _look(
        "ListJobs",
        "",
        f"jobs:{job.ROWS}",
        lambda call, world, _: job.rows(world, world.view.jobs()),
        "All jobs: id, unit, type, state, job object, unit object.",
    ),
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


def _default_target(call: Call, world: World, _: None) -> Outcome:
    name = world.files.real_name("default.target")
    if not name:
        return Fault(Kind.FILE_NOT_FOUND, "cannot tell the default target: there is no default.target")
    return Reply("s", (name,))


_FILES: Final = (
    _look("GetDefaultTarget", "", "name:s", _default_target, "The real name of default.target."),
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


def _last_shutdown(call: Call, world: World, _: None) -> Outcome:
    text = world.last_shutdown()
    if not text:
        return Fault(Kind.FILE_NOT_FOUND, "cannot tell of the last shutdown: no report of one is kept")
    return Reply("s", (text,))


_DAEMON: Final = (
    _look("Subscribe", "", "", lambda *_: Enrol(True), "Ask for signals; on the private socket they come anyway."),
    _look("Unsubscribe", "", "", lambda *_: Enrol(False), "Ask for no more signals."),
    _change(
        "ReloadDiff",
        "",
        "diff:s",
        lambda call, world, _: requests.reload_diff(call),
        "What Reload would change, as json: the names of units added, removed and changed.",
    ),
    _change("Reload", "", "", lambda call, world, _: requests.reload(call), "Read all unit files again."),
    _change(
        "Reexecute",
        "",
        "",
        lambda call, world, _: requests.reexecute(call),
        "Go on as the program that is on disk now, with all units, jobs and this connection to the bus. Answered when "
        "that runs; on a private socket the connection ends instead.",
    ),
    _look(
        "Orphans",
        "",
        "orphans:s",
        lambda call, world, _: requests.orphans(call),
        "Processes that the daemon started and that are not in a unit that is up, as json; then those that are not its "
        "own (ours: false), and hold a port or run a program that a unit claims, or carry an invocation id of its.",
    ),
    Method(
        "LastShutdown",
        (),
        arguments("report:s"),
        _last_shutdown,
        "How the last shutdown went, as json, unit by unit; kept over a reboot. FileNotFound when there was none. For "
        "root, the daemon's user and the group adm: there are lines of logs in it.",
        Action.READ_LOGS,
    ),
    _look(
        "Plan",
        "verb:s unit:s",
        "plan:s",
        lambda call, world, _: requests.plan(call, world, *call.body),
        "What a verb of unitctl would do, as json: who is stopped in which order, by which steps and signals, and for "
        "how long at most. Several units are named with blanks between; a shutdown (poweroff, exit ...) takes none.",
    ),
    _look(
        "PlanShutdown",
        "",
        "plan:s",
        lambda call, world, _: requests.plan(call, world, Leaving.POWEROFF, ""),
        "The same for PowerOff; while a shutdown goes on, what is left of it.",
    ),
    _leave("PowerOff", Leaving.POWEROFF, "Stop everything, then switch the machine off (PID 1) or exit (any other)."),
    _leave("Reboot", Leaving.REBOOT, "The same, and start the machine again."),
    _leave("Halt", Leaving.HALT, "The same, and leave the machine halted."),
    _leave("KExec", Leaving.KEXEC, "The same, and start the loaded kernel."),
    _leave("Exit", Leaving.EXIT, "Stop everything, then exit with the status that SetExitCode gave."),
    _change(
        "Force",
        "how:s",
        "",
        lambda call, world, _: requests.force(call, call.body[0], world.exit_code),
        "Kill everything without stopping it, then leave: poweroff, reboot, halt, kexec or exit.",
    ),
    _change("SetExitCode", "number:y", "", lambda call, world, _: ExitWith(call.body[0]), "The exit status for Exit."),
)


MANAGER: Final[Interface] = interface(
    "Manager", _UNITS + _JOBS + _FILES + _DAEMON, PROPERTIES, SIGNALS, doc="The daemon: units, jobs, files, shutdown."
)
