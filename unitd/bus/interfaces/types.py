"""One interface for each type of unit: what its type adds to a unit."""

from collections.abc import Callable
from typing import Any, Final

from unitd.bus.calls import Call, Outcome, Reply
from unitd.bus.interfaces.table import Emits, Interface, Method, Property, arguments, interface
from unitd.bus.interfaces.values import constant, of_settings
from unitd.bus.policy import Action
from unitd.bus.ports import CommandStatus, ServiceStatus, Status, World
from unitd.model import settings
from unitd.model.states import INFINITY

_NOBODY: Final = 2**32 - 1
_NEVER_RUN: Final = (0, 0, 0, 0, 0, 0, 0)
COMMANDS: Final = (
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
    "ExecStopPre",
)


def _ran(world: World, run: CommandStatus) -> tuple[int, ...]:
    real = world.clock.realtime
    return (real(run.start), run.start, real(run.stop), run.stop, run.pid, run.code, run.status)


def _commands(setting: str) -> Callable[[World, Status, Any], Any]:
    """Commands with how each ended last: path, argv, ignore, start, stop (realtime, monotonic), pid, code, status."""

    def show(world: World, status: Status, commands: Any) -> Any:
        runs = status.service.commands.get(setting, ()) if status.service else ()
        past = [_ran(world, run) for run in runs] + [_NEVER_RUN] * len(commands)
        return [
            (command.path, command.argv, command.ignore_failure, *run)
            for command, run in zip(commands, past, strict=False)
        ]

    return show


def _service(name: str, type: str, unset: Any, get: Callable[[ServiceStatus], Any], doc: str = "") -> Property:
    """A property of what the service is doing; `unset` while it never did anything."""

    def read(world: World, status: Status) -> Any:
        return unset if status.service is None else get(status.service)

    return Property(name, type, Emits.CHANGE, read, doc)


def _service_instant(
    name: str, emits: Emits, get: Callable[[ServiceStatus], int], doc: str
) -> tuple[Property, Property]:
    def monotonic(world: World, status: Status) -> int:
        return 0 if status.service is None else get(status.service)

    return (
        Property(
            name, "t", emits, lambda world, status: world.clock.realtime(monotonic(world, status)), f"{doc}; realtime."
        ),
        Property(f"{name}Monotonic", "t", emits, monotonic, f"{doc}; monotonic."),
    )


def _stragglers(service: ServiceStatus) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (one.pid, one.command, service.waited, one.state, one.channel, one.sockets) for one in service.stragglers
    )


def _gauge(name: str, read: Callable[[World, str], int | None], doc: str) -> Property:
    def get(world: World, status: Status) -> int:
        value = read(world, status.unit.name) if status.cgroup else None
        return INFINITY if value is None else value

    return Property(name, "t", Emits.NONE, get, doc)


def _slice(world: World, status: Status) -> str:
    slice = status.unit.settings.get("Slice") or status.cgroup.rpartition("/")[0].rpartition("/")[2]
    return str(slice)


def _group(world: World, status: Status) -> str:
    root = world.about.cgroup
    if root is None or not (status.cgroup or status.unit.name == "-.slice"):
        return ""
    return f"{root}/{status.cgroup}".rstrip("/") or "/"


_GROUP: Final = (
    Property("ControlGroup", "s", Emits.NONE, _group, "Its cgroup, as /proc/PID/cgroup has it; empty for none."),
    Property("Slice", "s", Emits.NONE, _slice, "The slice that its cgroup is in."),
    _gauge("MemoryCurrent", lambda world, unit: world.gauges.memory(unit), "Bytes in use."),
    _gauge("CPUUsageNSec", lambda world, unit: world.gauges.cpu(unit), "Processor time since the start."),
    _gauge("TasksCurrent", lambda world, unit: world.gauges.tasks(unit), "Processes and threads."),
)
_SERVICE: Final = (
    _service("MainPID", "u", 0, lambda service: service.main_pid, "The main process; 0: none."),
    _service(
        "ControlPID", "u", 0, lambda service: service.control_pid, "The process of another Exec...= line; 0: none."
    ),
    _service("ExecMainPID", "u", 0, lambda service: service.exec_main_pid, "The main process, also after its end."),
    _service("ExecMainCode", "i", 0, lambda service: service.exec_main_code, "1 exited, 2 killed, 3 dumped core."),
    _service("ExecMainStatus", "i", 0, lambda service: service.exec_main_status, "Exit status or signal."),
    *_service_instant(
        "ExecMainStartTimestamp", Emits.CHANGE, lambda service: service.exec_main_start, "When the main process started"
    ),
    *_service_instant("ExecMainExitTimestamp", Emits.CHANGE, lambda service: service.exec_main_exit, "When it ended"),
    *_service_instant("WatchdogTimestamp", Emits.NONE, lambda service: service.watchdog_time, "The last sign of life"),
    _service("Result", "s", "success", lambda service: service.result, "Why the service ended as it did."),
    _service(
        "ReloadResult", "s", "success", lambda service: service.reload_result, "Why the last reload ended as it did."
    ),
    constant("CleanResult", "s", "success", Emits.CHANGE, "Nothing is cleaned yet."),
    _service("StatusText", "s", "", lambda service: service.status_text, "What the service said last by STATUS=."),
    _service("StatusErrno", "i", 0, lambda service: service.status_errno, "What the service said last by ERRNO=."),
    _service("NRestarts", "u", 0, lambda service: service.restarts, "Restarts by Restart= since the last start."),
    _service(
        "Stragglers",
        "a(ustssas)",
        (),
        _stragglers,
        "Processes that outlived their time at the latest stop, as they were just before SIGKILL: pid, command line, "
        "microseconds after the stop began, state, the kernel function that they slept in, sockets; unitd's own.",
    ),
    constant("NFileDescriptorStore", "u", 0, Emits.NONE, "Descriptors kept for the service; none yet."),
    constant("UID", "u", _NOBODY, Emits.CHANGE, "The uid of DynamicUser=; unset."),
    constant("GID", "u", _NOBODY, Emits.CHANGE, "The gid of DynamicUser=; unset."),
)
_SOCKET: Final = (
    Property("Result", "s", Emits.CHANGE, lambda world, status: status.result or "success", "Why it ended as it did."),
    constant("ControlPID", "u", 0, Emits.CHANGE, "The process of an Exec...= line; 0: none."),
    constant("NConnections", "u", 0, Emits.NONE, "Connections open now, with Accept=yes."),
    constant("NAccepted", "u", 0, Emits.NONE, "Connections so far, with Accept=yes."),
    constant("NRefused", "u", 0, Emits.NONE, "Connections refused, with Accept=yes."),
)


def _processes(call: Call, world: World, status: Status) -> Outcome:
    return Reply("a(sus)", (world.gauges.processes(status.unit.name),))


_PROCESSES: Final = Method(
    "GetProcesses",
    (),
    arguments("processes:a(sus)"),
    _processes,
    "The processes of the unit: cgroup, pid, command line.",
    Action.LOOK,
)
_SETTABLE: Final = frozenset(
    (
        "CPUQuotaPerSecUSec",
        "CPUQuotaPeriodUSec",
        "CPUWeight",
        "StartupCPUWeight",
        "CPUShares",
        "StartupCPUShares",
        "IOWeight",
        "StartupIOWeight",
        "BlockIOWeight",
        "StartupBlockIOWeight",
        "MemoryMin",
        "MemoryLow",
        "MemoryHigh",
        "MemoryMax",
        "MemorySwapMax",
        "MemoryLimit",
        "DefaultMemoryMin",
        "DefaultMemoryLow",
        "TasksMax",
        "CPUAccounting",
        "MemoryAccounting",
        "TasksAccounting",
        "IOAccounting",
        "IPAccounting",
        "BlockIOAccounting",
        "Delegate",
        "DelegateControllers",
        "DisableControllers",
        "DeviceAllow",
        "DevicePolicy",
        "WatchdogUSec",
        "TimeoutAbortUSec",
        "AllowedCPUs",
        "StartupAllowedCPUs",
        "AllowedMemoryNodes",
        "StartupAllowedMemoryNodes",
        "ManagedOOMSwap",
        "ManagedOOMMemoryPressure",
        "ManagedOOMPreference",
        "FileDescriptorName",
    )
)
"""Settings that systemd lets be set while the unit runs, and of whose changes it sends no signal."""


def _abort_timeout(world: World, status: Status, value: Any) -> Any:
    """TimeoutAbortSec= is TimeoutStopSec= where it is not said."""
    return settings.value(status.unit, "TimeoutStopSec") if value is None else value


def _of_type(type: str, own: tuple[Property, ...]) -> Interface:
    """The interface of a type that has processes: what is told of it, and its settings."""
    taken = {row.name for row in own}
    shown = [
        row
        for row in settings.SETTINGS[type].values()
        if row.section == settings.SECTIONS[type] and row.prop and row.prop[0] not in taken
    ]
    special = {setting: _commands(setting) for setting in COMMANDS} | {"TimeoutAbortUSec": _abort_timeout}
    emits = dict.fromkeys(_SETTABLE, Emits.NONE) | dict.fromkeys(COMMANDS, Emits.INVALIDATES)
    rows = (*own, *of_settings(shown, special, emits))
    return interface(type.capitalize(), (_PROCESSES,), rows, doc=f"What a {type} adds to a unit.")


TYPES: Final[dict[str, Interface]] = {
    "service": _of_type("service", _GROUP + _SERVICE),
    "socket": _of_type("socket", _GROUP + _SOCKET),
    "slice": _of_type("slice", _GROUP),
    "scope": _of_type("scope", _GROUP),
    "target": interface("Target", doc="A target adds nothing to a unit."),
    "mount": interface("Mount", doc="Mounts are not carried out yet."),
    "automount": interface("Automount", doc="Automounts are not carried out yet."),
    "swap": interface("Swap", doc="Swaps are not carried out yet."),
    "timer": interface("Timer", doc="Timers are not carried out yet."),
    "path": interface("Path", doc="Paths are not carried out yet."),
    "device": interface("Device", doc="Devices are not carried out yet."),
}
"""By unit type."""
