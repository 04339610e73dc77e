"""All that the engine can ask of the rim. Effects are carried out in the order given; answers come back as events."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from unitd.model.events import Leaving
from unitd.model.exec_plan import ExecPlan
from unitd.model.states import JobResult, JobType

# --- processes and cgroups ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spawn:
    """Make the cgroup if need be and start the process in it; answered by Spawned and Execed, or SpawnFailed."""

    plan: ExecPlan


class Scope(StrEnum):
    """Whom a Kill reaches: every process of the unit, or only those named in `pids`."""

    ALL = "all"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Kill:
    """Signal the unit's processes, deepest first, `pids` (main, control) last; answered by Signalled.

    `cont`: SIGCONT after it; `hup`: SIGHUP after it (SendSIGHUP=); `sure`: cgroup.kill after the ordered pass,
    so that nothing born meanwhile escapes. For Scope.ALL the cgroup is frozen meanwhile.
    """

    unit: str
    signal: int
    scope: Scope
    pids: tuple[int, ...] = ()
    cont: bool = False
    hup: bool = False
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """The unit rests: remove its cgroup, close its log, remove `directories` (RuntimeDirectoryPreserve=no).

    `spared`: processes of it may live on (KillMode=); they are named in the daemon's log.
    """

    unit: str
    directories: tuple[str, ...] = ()
    spared: bool = False


@dataclass(frozen=True, slots=True)
class GuessMain:
    """Look for the main process of a forking service in its cgroup; answered by MainGuessed."""

    unit: str


@dataclass(frozen=True, slots=True)
class WatchPidFile:
    """Read the file now and whenever it changes; each time answered by PidFileRead, until UnwatchPidFile."""

    unit: str
    path: str


@dataclass(frozen=True, slots=True)
class UnwatchPidFile:
    """`remove`: also delete the file, if it is still there (the unit is dead)."""

    unit: str
    path: str
    remove: bool = False


@dataclass(frozen=True, slots=True)
class WatchBusName:
    """Tell who owns the name now and whenever that changes (BusNameChanged)."""

    name: str


# --- conditions and sockets -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """`kind` without Condition/Assert ("PathExists"); `trigger`: one of the |-group; `negate`: a leading !."""

    kind: str
    parameter: str
    negate: bool = False
    trigger: bool = False


@dataclass(frozen=True, slots=True)
class CheckConditions:
    """Evaluate them all now; answered by ConditionsChecked within the same turn of the loop."""

    unit: str
    serial: int
    conditions: tuple[Condition, ...]
    asserts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What a socket unit listens on. `addresses` are (kind, address) in systemd's words: ("Stream", "/run/x")."""

    unit: str
    addresses: tuple[tuple[str, str], ...]
    name: str
    backlog: int
    mode: int
    directory_mode: int
    user: str = ""
    group: str = ""
    bind_ipv6_only: str = "default"
    symlinks: tuple[str, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    """Other socket options by directive name: KeepAlive, ReusePort, PassCredentials, FreeBind ..."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Open the sockets (no-op for those already open); answered by Listening or ListenFailed."""

    plan: SocketPlan


@dataclass(frozen=True, slots=True)
class WatchSockets:
    """Tell of traffic once (Incoming)."""

    unit: str


@dataclass(frozen=True, slots=True)
class UnwatchSockets:
    unit: str


@dataclass(frozen=True, slots=True)
class CloseSockets:
    """`remove`: delete the paths and symlinks too (RemoveOnStop=)."""

    unit: str
    remove: bool = False


# --- to whom it concerns ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the request with this token: a value, or a refusals.Refusal."""

    token: int
    value: Any


@dataclass(frozen=True, slots=True)
class UnitNew:
    unit: str


@dataclass(frozen=True, slots=True)
class UnitGone:
    unit: str


@dataclass(frozen=True, slots=True)
class UnitChanged:
    """Something that a client can see of the unit changed; told once per turn of the loop."""

    unit: str


@dataclass(frozen=True, slots=True)
class JobNew:
    id: int
    unit: str
    type: JobType


@dataclass(frozen=True, slots=True)
class JobChanged:
    id: int


@dataclass(frozen=True, slots=True)
class JobGone:
    id: int
    unit: str
    type: JobType
    result: JobResult


@dataclass(frozen=True, slots=True)
class Reloading:
    """daemon-reload begins (True) or is done (False)."""

    active: bool


@dataclass(frozen=True, slots=True)
class StartupFinished:
    """The job of the first target is done; times are microseconds since the daemon's start."""

    userspace: int


class Level(StrEnum):
    """syslog(3)'s levels that the engine uses."""

    ERR = "err"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Log:
    """A line of the daemon's own log; with a unit it is also kept in the unit's log."""

    level: Level
    text: str
    unit: str = ""


# --- the end ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KillEverything:
    """The end of a shutdown: the signal, deepest first, to all that is left of us; with SIGKILL cgroup.kill too."""

    signal: int


@dataclass(frozen=True, slots=True)
class Verify:
    """Look for any process that we started and that lives; answered by Survivors."""


@dataclass(frozen=True, slots=True)
class Leave:
    """All is stopped: end the daemon so. `survivors` names what could not be stopped (exit status 1).

    `until`: as long as clients may take to read of it (monotonic us); nothing that anybody decides by.
    """

    leaving: Leaving
    code: int
    survivors: tuple[str, ...] = ()
    until: int = field(default=0, compare=False)


Effect: TypeAlias = (
    Spawn
    | Kill
    | Release
    | GuessMain
    | WatchPidFile
    | UnwatchPidFile
    | WatchBusName
    | CheckConditions
    | Listen
    | WatchSockets
    | UnwatchSockets
    | CloseSockets
    | Answer
    | UnitNew
    | UnitGone
    | UnitChanged
    | JobNew
    | JobChanged
    | JobGone
    | Reloading
    | StartupFinished
    | Log
    | KillEverything
    | Verify
    | Leave
)
