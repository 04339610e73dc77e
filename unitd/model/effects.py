"""All that the engine can ask of the rim. Effects are carried out in the order given; answers come back as events."""

from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

from unitd.model.claims import Claim
from unitd.model.events import Caller, Leaving
from unitd.model.exec_plan import ExecPlan, Role
from unitd.model.processes import Left
from unitd.model.report import Report
from unitd.model.states import JobResult, JobType

# --- processes and cgroups ------------------------------------------------------------------------


class Spawn(Struct, frozen=True):
    """Make the cgroup if need be and start the process in it; answered by Spawned and Execed, or SpawnFailed."""

    plan: ExecPlan


class Adoptee(Struct, frozen=True):
    """A process that an earlier daemon started, or was to start: pid 0, and then `plan` is what to start if it did not.

    Without a plan it is not started any more. `program`: what its log lines are marked with; "": its own name.
    """

    serial: int
    pid: int
    birth: int
    role: Role
    execed: bool
    program: str
    plan: ExecPlan | None = None


class Adopt(Struct, frozen=True):
    """Take over what an earlier daemon started for the unit in its cgroup, and answer what that one was not told.

    Answered by ProcessExited for who is gone, CgroupEmpty if nobody is left; for who had no pid as for a Spawn.
    `since`: when the invocation began (monotonic us).
    """

    unit: str
    cgroup: str
    invocation: str
    since: int
    processes: tuple[Adoptee, ...] = ()


class Scope(StrEnum):
    """Whom a Kill reaches: every process of the unit, or only those named in `pids`."""

    ALL = "all"
    NAMED = "named"


class Kill(Struct, frozen=True):
    """Signal the unit's processes, deepest first, `pids` (main, control) last; answered by Signalled.

    `cont`: SIGCONT after it; `hup`: SIGHUP after it (SendSIGHUP=); `sure`: cgroup.kill after the ordered pass,
    so that nothing born meanwhile escapes. For Scope.ALL the cgroup is frozen meanwhile. `examine`: first look at what
    keeps them (Signalled.evidence), for their time was up.
    """

    unit: str
    signal: int
    scope: Scope
    pids: tuple[int, ...] = ()
    cont: bool = False
    hup: bool = False
    sure: bool = False
    examine: bool = False


class Release(Struct, frozen=True):
    """The unit rests: remove its cgroup, close its log, remove `directories` (RuntimeDirectoryPreserve=no).

    `spared`: processes of it may live on (KillMode=); answered by LeftBehind if they do.
    """

    unit: str
    directories: tuple[str, ...] = ()
    spared: bool = False


class GuessMain(Struct, frozen=True):
    """Look for the main process of a forking service in its cgroup; answered by MainGuessed."""

    unit: str


class WatchPidFile(Struct, frozen=True):
    """Read the file now and whenever it changes; each time answered by PidFileRead, until UnwatchPidFile."""

    unit: str
    path: str


class UnwatchPidFile(Struct, frozen=True):
    """`remove`: also delete the file, if it is still there (the unit is dead)."""

    unit: str
    path: str
    remove: bool = False


class WatchBusName(Struct, frozen=True):
    """Tell who owns the name now and whenever that changes (BusNameChanged)."""

    name: str


# --- conditions and sockets -------------------------------------------------------------------------


class Condition(Struct, frozen=True):
    """`kind` without Condition/Assert ("PathExists"); `trigger`: one of the |-group; `negate`: a leading !."""

    kind: str
    parameter: str
    negate: bool = False
    trigger: bool = False


class CheckConditions(Struct, frozen=True):
    """Evaluate them all now; answered by ConditionsChecked within the same turn of the loop."""

    unit: str
    serial: int
    conditions: tuple[Condition, ...]
    asserts: tuple[Condition, ...]


class SocketPlan(Struct, frozen=True):
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


class Listen(Struct, frozen=True):
    """Open the sockets (no-op for those already open); answered by Listening or ListenFailed."""

    plan: SocketPlan


class WatchSockets(Struct, frozen=True):
    """Tell of traffic once (Incoming)."""

    unit: str


class UnwatchSockets(Struct, frozen=True):
    unit: str


class CloseSockets(Struct, frozen=True):
    """`remove`: delete the paths and symlinks too (RemoveOnStop=)."""

    unit: str
    remove: bool = False


# --- to whom it concerns ----------------------------------------------------------------------------


class Answer(Struct, frozen=True):
    """What became of the request with this token: a value, or a refusals.Refusal."""

    token: int
    value: Any


class UnitNew(Struct, frozen=True):
    unit: str


class UnitGone(Struct, frozen=True):
    unit: str


class UnitChanged(Struct, frozen=True):
    """Something that a client can see of the unit changed; told once per turn of the loop."""

    unit: str


class JobNew(Struct, frozen=True):
    id: int
    unit: str
    type: JobType


class JobChanged(Struct, frozen=True):
    id: int


class JobGone(Struct, frozen=True):
    id: int
    unit: str
    type: JobType
    result: JobResult


class Reloading(Struct, frozen=True):
    """daemon-reload begins (True) or is done (False)."""

    active: bool


class StartupFinished(Struct, frozen=True):
    """The job of the first target is done; times are microseconds since the daemon's start."""

    userspace: int


class Level(StrEnum):
    """syslog(3)'s levels that the engine uses."""

    ERR = "err"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


class Log(Struct, frozen=True):
    """A line of the daemon's own log; with a unit it is also kept in the unit's log."""

    level: Level
    text: str
    unit: str = ""


# --- the end ------------------------------------------------------------------------------------------


class KillEverything(Struct, frozen=True):
    """The end of a shutdown: the signal, deepest first, to all that is left of us; with SIGKILL cgroup.kill too.

    `claims`: whose foreign holders get it as well, if they may (OnConflict=kill); a SIGTERM before any SIGKILL.
    """

    signal: int
    claims: tuple[Claim, ...] = ()


class Verify(Struct, frozen=True):
    """Look for any process that we started and that lives, and for who holds the claims; answered by Survivors."""

    claims: tuple[Claim, ...] = ()


class StageChanged(Struct, frozen=True):
    """A shutdown is in another of its last stages, or knows better what is left."""


class Reexec(Struct, frozen=True):
    """Go on as the program that is on disk now, if that can be; answered by who carries it out."""

    token: int
    by: Caller


class KeepReport(Struct, frozen=True):
    """A shutdown begins: keep this for the next start, unless the report of its end follows (Leave.report)."""

    report: Report


class LookForOrphans(Struct, frozen=True):
    """Look for processes of ours outside of units that are `up`, and who holds claims; answered by OrphansFound."""

    token: int
    claims: tuple[Claim, ...]
    up: frozenset[str]


class Leave(Struct, frozen=True):
    """All is stopped: end the daemon so. `survivors` could not be stopped (exit status 1).

    `until`: as long as clients may take to read of it (monotonic us). `report`: to be kept for the next start.
    """

    leaving: Leaving
    code: int
    survivors: tuple[Left, ...] = ()
    until: int = 0
    report: Report | None = None


Effect: TypeAlias = (
    Spawn
    | Adopt
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
    | LookForOrphans
    | StageChanged
    | KeepReport
    | Reexec
    | Leave
)
