"""What the daemon tells of itself: the properties and the signals of its interface."""

from typing import Final

from unitd.bus.calls import LogAt, Outcome
from unitd.bus.interfaces import requests
from unitd.bus.interfaces.table import Emits, Property, Signal, arguments
from unitd.bus.interfaces.values import constant
from unitd.bus.ports import World
from unitd.model.states import LOG_LEVELS, JobState

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


def _log_level(value: str) -> Outcome:
    if value not in LOG_LEVELS:
        return requests.invalid(f"cannot set LogLevel to {value[:40]!r}: the levels are {', '.join(LOG_LEVELS)}")
    return LogAt(value)


PROPERTIES: Final = (
    _about("Version", "s", "version", doc="unitd's version."),
    _about("Features", "s", "features", doc="What was built in."),
    _about("Architecture", "s", "architecture", doc="As ConditionArchitecture= has it."),
    _about("Virtualization", "s", "virtualization", doc="As ConditionVirtualization= has it; empty: none."),
    constant("Tainted", "s", "", doc="What is odd about the machine; nothing is looked for."),
    _about("UnitPath", "as", "unit_path", doc="The directories that unit files are read from, first wins."),
    _about("Environment", "as", "environment", Emits.NONE, "What every service's environment begins with."),
    Property(
        "ControlGroup",
        "s",
        Emits.NONE,
        lambda world, _: world.about.cgroup or "",
        "The cgroup below which everything runs; empty for the root, and where units have none.",
    ),
    Property(
        "LogLevel",
        "s",
        Emits.NONE,
        lambda world, _: world.journal.level,
        "The least urgent level of the daemon's own log, emerg to debug; it may be set.",
        _log_level,
    ),
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

SIGNALS: Final = (
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
        "How far the stop of one unit is, at every change and every second: unit s, phase s, pids a(us) (pid, and "
        '"COMMAND, S (sleeping) in WCHAN"; a bounded number of them), processes u (how many there are), left_us t (all '
        "ones: no limit), next s (what follows then). Phase waiting: it stops only after others. In a shutdown also "
        'units_left u, elapsed_us t, cap_left_us t. Of unit "" is what is about all that is left: in phase spared or '
        "killed towards the end, done or survivors in the last one before the daemon leaves.",
    ),
)
