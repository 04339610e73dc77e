"""What a service's machine knows beside its state: its settings, typed once per load of the unit, and its place."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from unitd.machines.phases import SETTING_OF, Stage
from unitd.model import settings
from unitd.model.events import Exit, How
from unitd.model.states import INFINITY
from unitd.model.unit import Unit
from unitd.syntax.command import Command
from unitd.syntax.signals import SIGHUP, SIGINT, SIGPIPE, SIGTERM

CLEAN_DAEMON_SIGNALS = frozenset((SIGHUP, SIGINT, SIGPIPE, SIGTERM))
"""A daemon that ends by one of these ended cleanly (systemd.service(5), SuccessExitStatus=)."""


class ExitSet(Struct, frozen=True):
    """A list of exit statuses and signals, as SuccessExitStatus= has it."""

    statuses: frozenset[int]
    signals: frozenset[int]

    def has(self, exit: Exit | None) -> bool:
        if exit is None or exit.how is How.UNKNOWN:
            return False
        return exit.status in (self.statuses if exit.how is How.EXITED else self.signals)


class KillConf(Struct, frozen=True):
    """`mode`: control-group, mixed, process, none; numbers are signals."""

    mode: str
    signal: int
    restart_signal: int
    final_signal: int
    watchdog_signal: int
    send_sigkill: bool
    send_sighup: bool


class ServiceConf(Struct, frozen=True):
    """Times are microseconds, INFINITY for none. `unit` is there for the plan of a process."""

    unit: Unit
    type: str
    commands: Mapping[Stage, tuple[Command, ...]]
    remain: bool
    restart: str
    restart_delay: int
    restart_steps: int
    restart_max_delay: int
    restart_stable: int
    start_timeout: int
    stop_timeout: int
    abort_timeout: int
    runtime_max: int
    start_failure: str
    stop_failure: str
    watchdog: int
    pid_file: str
    guess_main: bool
    bus_name: str
    notify_access: str
    exit_type: str
    kill: KillConf
    success: ExitSet
    no_restart_on: ExitSet
    restart_on: ExitSet
    permissions_start_only: bool
    volatile: tuple[str, ...]
    """RuntimeDirectory= names that go when the service rests (RuntimeDirectoryPreserve=)."""
    volatile_on_restart: bool

    @property
    def oneshot(self) -> bool:
        return self.type == "oneshot"

    def clean(self, exit: Exit, *, daemon: bool) -> bool:
        """Whether the exit is a success; `daemon`: the four polite signals count as such."""
        if exit.how is How.UNKNOWN:
            return False
        if exit.how is How.EXITED:
            return exit.status == 0 or exit.status in self.success.statuses
        if exit.how is How.KILLED and daemon and exit.status in CLEAN_DAEMON_SIGNALS:
            return True
        return exit.status in self.success.signals


class Context(Struct, frozen=True):
    """What a service needs to know beside its own state.

    `cgroup` is relative to the daemon's sub-tree; `sockets` are the socket units whose descriptors it gets.
    """

    conf: ServiceConf
    cgroup: str
    invocation: str
    bases: Mapping[str, str]
    """Where RuntimeDirectory= and its kin live: "Runtime" -> /run ... (systemd.exec(5))."""
    sockets: Callable[[], tuple[str, ...]] = tuple


def _exit_set(value: Any) -> ExitSet:
    statuses, signals = value if value else ((), ())
    return ExitSet(frozenset(statuses), frozenset(signals))


def reader(unit: Unit) -> Callable[[str], Any]:
    """settings.value for many settings of one unit."""
    given, rows = unit.settings, settings.SETTINGS[unit.type]

    def get(name: str) -> Any:
        return given[name] if name in given else rows[name].default

    return get


def read(unit: Unit) -> ServiceConf:
    """The settings of a service unit, typed; the unit is loaded and valid."""
    get = reader(unit)
    signal = get("KillSignal")
    preserve = get("RuntimeDirectoryPreserve")
    stop_timeout = get("TimeoutStopSec")
    abort = get("TimeoutAbortSec")
    return ServiceConf(
        unit=unit,
        type=get("Type"),
        commands={stage: get(name) for stage, name in SETTING_OF.items()},
        remain=get("RemainAfterExit"),
        restart=get("Restart"),
        restart_delay=get("RestartSec"),
        restart_steps=get("RestartSteps"),
        restart_max_delay=get("RestartMaxDelaySec"),
        restart_stable=get("RestartStableSec"),
        start_timeout=get("TimeoutStartSec"),
        stop_timeout=stop_timeout,
        abort_timeout=stop_timeout if abort is None else abort,
        runtime_max=get("RuntimeMaxSec"),
        start_failure=get("TimeoutStartFailureMode"),
        stop_failure=get("TimeoutStopFailureMode"),
        watchdog=get("WatchdogSec"),
        pid_file=get("PIDFile"),
        guess_main=get("GuessMainPID"),
        bus_name=get("BusName"),
        notify_access=get("NotifyAccess"),
        exit_type=get("ExitType"),
        kill=KillConf(
            mode=get("KillMode"),
            signal=signal,
            restart_signal=get("RestartKillSignal") or signal,
            final_signal=get("FinalKillSignal"),
            watchdog_signal=get("WatchdogSignal"),
            send_sigkill=get("SendSIGKILL"),
            send_sighup=get("SendSIGHUP"),
        ),
        success=_exit_set(get("SuccessExitStatus")),
        no_restart_on=_exit_set(get("RestartPreventExitStatus")),
        restart_on=_exit_set(get("RestartForceExitStatus")),
        permissions_start_only=get("PermissionsStartOnly"),
        volatile=() if preserve == "yes" else get("RuntimeDirectory"),
        volatile_on_restart=preserve == "no",
    )


def later(now: int, span: int) -> int:
    """The instant `span` from `now`; INFINITY stays."""
    return INFINITY if span >= INFINITY else now + span
