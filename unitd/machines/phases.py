"""All that a service can be: a phase, and what is remembered across phases.

The phase is a union of frozen values; a deadline is a field of the phase that waits for it, so leaving the phase
drops it. Sub-state names are systemd's (systemctl --state=help). The values carry their names when they are written
down, for the daemon that comes after this one.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

from unitd.model.events import Exit
from unitd.model.states import INFINITY, Active, Result


class Stage(StrEnum):
    """The lists of commands of a service, in the order of its life; the value is the sub-state."""

    CONDITION = "condition"
    START_PRE = "start-pre"
    START = "start"
    START_POST = "start-post"
    RELOAD = "reload"
    STOP = "stop"
    STOP_POST = "stop-post"


SETTING_OF: Mapping[Stage, str] = {
    Stage.CONDITION: "ExecCondition",
    Stage.START_PRE: "ExecStartPre",
    Stage.START: "ExecStart",
    Stage.START_POST: "ExecStartPost",
    Stage.RELOAD: "ExecReload",
    Stage.STOP: "ExecStop",
    Stage.STOP_POST: "ExecStopPost",
}


class Rung(StrEnum):
    """The kill ladder. ABORT and TERM ask, KILL does not; the last three come after ExecStopPost=."""

    ABORT = "stop-watchdog"
    TERM = "stop-sigterm"
    KILL = "stop-sigkill"
    FINAL_ABORT = "final-watchdog"
    FINAL_TERM = "final-sigterm"
    FINAL_KILL = "final-sigkill"

    @property
    def is_final(self) -> bool:
        return self in (Rung.FINAL_ABORT, Rung.FINAL_TERM, Rung.FINAL_KILL)

    @property
    def is_kill(self) -> bool:
        return self in (Rung.KILL, Rung.FINAL_KILL)


class Dead(Struct, frozen=True, tag=True, omit_defaults=True):
    """At rest. `failed`: the last run ended badly, and nobody has asked for a stop or a reset since."""

    failed: bool = False


class Commands(Struct, frozen=True, tag=True, omit_defaults=True):
    """The commands of `stage` run one after another; number `index` is running as the control process."""

    stage: Stage
    index: int
    deadline: int


class Starting(Struct, frozen=True, tag=True, omit_defaults=True):
    """ExecStart= is under way, and what makes the service started (exec, READY=1, a name, a pid) has not come."""

    deadline: int
    index: int = 0
    """Which ExecStart= of a oneshot."""
    forked: bool = False
    """Type=forking: the first process is gone, the main process is looked for."""


class Running(Struct, frozen=True, tag=True, omit_defaults=True):
    """`deadline`: RuntimeMaxSec=."""

    since: int
    deadline: int = INFINITY


class ReloadingByNotify(Struct, frozen=True, tag=True, omit_defaults=True):
    """The service said RELOADING=1, and has not said READY=1 since."""

    deadline: int


class Exited(Struct, frozen=True, tag=True, omit_defaults=True):
    """Active without a process (RemainAfterExit=)."""


class Killing(Struct, frozen=True, tag=True, omit_defaults=True):
    """A signal was sent, and processes are left."""

    rung: Rung
    deadline: int


class AutoRestart(Struct, frozen=True, tag=True, omit_defaults=True):
    """Waits for RestartSec= before it asks to be started again."""

    deadline: int


Phase: TypeAlias = Dead | Commands | Starting | Running | ReloadingByNotify | Exited | Killing | AutoRestart


class Process(Struct, frozen=True, omit_defaults=True):
    """A process of the service; pid 0: asked for, and the kernel has not answered yet."""

    serial: int
    pid: int = 0
    birth: int = 0
    execed: bool = False
    started: int = 0


class Run(Struct, frozen=True, omit_defaults=True):
    """One run of one command: when it began and ended, and how (0 and None: not yet)."""

    pid: int = 0
    started: int = 0
    exited: int = 0
    exit: Exit | None = None


class SpawnFault(Struct, frozen=True):
    """Why no program ran: the executor's stage, the kernel's errno and a word about what."""

    setting: str
    path: str
    stage: str
    errno: int
    detail: str


class Service(Struct, frozen=True, tag=True, omit_defaults=True):
    phase: Phase = Dead()
    main: Process | None = None
    control: Process | None = None
    populated: bool = False
    """The cgroup holds processes, as far as we were told."""
    result: Result = Result.SUCCESS
    reload_result: Result = Result.SUCCESS
    serial: int = 0
    last_main: Run = Run()
    runs: Mapping[str, tuple[Run, ...]] = field(default_factory=dict)
    """By setting, one for each command; replaced as a whole, never changed."""
    fault: SpawnFault | None = None
    status_text: str = ""
    status_errno: int = 0
    restarts: int = 0
    forget_restarts: bool = False
    no_restart: bool = False
    """A stop was asked for: this end is not followed by a restart."""
    restarting: bool = False
    """That stop is the first half of a restart (RestartKillSignal=)."""
    up_since: int = 0
    """When this run became active; 0: not yet."""
    watchdog: int = 0
    """WATCHDOG_USEC in force; 0: none."""
    watchdog_at: int = 0
    """When the service last gave a sign of life; 0: the watchdog is off."""
    said: str = ""
    """The last of READY, RELOADING, STOPPING that the service itself said."""
    bus_name_owned: bool = False
    limit: int = INFINITY
    """No deadline of a stop lies beyond this instant (a shutdown's cap)."""


def sub_state(service: Service) -> str:
    """systemd's sub-state."""
    match service.phase:
        case Dead(failed=failed):
            return "failed" if failed else "dead"
        case Commands(stage=stage):
            return stage
        case Starting():
            return "start"
        case Running():
            return "running"
        case ReloadingByNotify():
            return "reload"
        case Exited():
            return "exited"
        case Killing(rung=rung):
            return rung
        case AutoRestart():
            return "auto-restart"


def is_stopping(phase: Phase) -> bool:
    """It is on its way down."""
    return isinstance(phase, Killing) or (isinstance(phase, Commands) and phase.stage in (Stage.STOP, Stage.STOP_POST))


_ACTIVE = {
    "dead": Active.INACTIVE,
    "failed": Active.FAILED,
    "condition": Active.ACTIVATING,
    "start-pre": Active.ACTIVATING,
    "start": Active.ACTIVATING,
    "start-post": Active.ACTIVATING,
    "auto-restart": Active.ACTIVATING,
    "running": Active.ACTIVE,
    "exited": Active.ACTIVE,
    "reload": Active.RELOADING,
}


def active_state(service: Service, *, idle: bool = False) -> Active:
    """The state that other units look at; a Type=idle service counts as active from its first command on."""
    sub = sub_state(service)
    if idle and sub in ("condition", "start-pre", "start", "start-post"):
        return Active.ACTIVE
    return _ACTIVE.get(sub, Active.DEACTIVATING)
