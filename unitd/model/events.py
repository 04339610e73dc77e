"""All that can happen to the engine. Events of the kernel name the unit they are about; requests carry a token.

The rim makes these and hands them to engine.handle(event, now); nothing else changes the engine's state.
"""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from unitd.model.processes import Evidence, Left, Target
from unitd.model.states import JobMode, JobType


class Caller(Struct, frozen=True):
    """Who asked: for the log, for `why` and for authorization."""

    uid: int = 0
    pid: int = 0
    what: str = ""
    """The request in a word or two: "unitctl", "SIGTERM", "Restart=", "a.socket"."""


OURSELVES = Caller(what="unitd")


class How(StrEnum):
    EXITED = "exited"
    KILLED = "killed"
    DUMPED = "dumped"
    UNKNOWN = "unknown"
    """It ended while no daemon watched, and the kernel does not tell any more; the status is 0."""


class Exit(Struct, frozen=True):
    """How a process ended: its exit status, or the number of the signal that ended it (waitid(2))."""

    how: How
    status: int


# --- what the kernel and the services do ---------------------------------------------------------


class Tick(Struct, frozen=True):
    """Time has come: engine.deadline() is reached."""


class Spawned(Struct, frozen=True):
    """The process exists and is in its cgroup; exec has not happened yet. `birth`: start time in clock ticks."""

    unit: str
    serial: int
    pid: int
    birth: int


class Execed(Struct, frozen=True):
    """The program runs."""

    unit: str
    serial: int


class SpawnFailed(Struct, frozen=True):
    """No program runs: `stage` is the executor's step ("user", "chdir", "exec" ...), `errno` the kernel's word."""

    unit: str
    serial: int
    stage: str
    errno: int
    detail: str = ""


class ProcessExited(Struct, frozen=True):
    """A process of the unit is a zombie, and is reaped after this event was handled."""

    unit: str
    pid: int
    exit: Exit


class CgroupEmpty(Struct, frozen=True):
    """No process is left in the unit's cgroup (populated 0, cgroup-v2.rst)."""

    unit: str


class Signalled(Struct, frozen=True):
    """A Kill was carried out: to whom, in the order of sending. `left`: who could not be signalled, and why.

    `evidence`: what a Kill with `examine` found, or a KillEverything by SIGKILL. Unit "": of no known unit.
    """

    unit: str
    signal: int
    sent: tuple[Target, ...]
    left: tuple[str, ...] = ()
    evidence: Evidence | None = None


class Notified(Struct, frozen=True):
    """A datagram on NOTIFY_SOCKET whose sender is proved to be a process of the unit (sd_notify(3))."""

    unit: str
    pid: int
    fields: tuple[tuple[str, str], ...]


class PidFileRead(Struct, frozen=True):
    """The PIDFile= names this pid, a living process of the unit; 0: not (yet) valid, and `reason` says why."""

    unit: str
    pid: int
    birth: int = 0
    reason: str = ""


class MainGuessed(Struct, frozen=True):
    """The cgroup holds exactly one candidate for the main process of a Type=forking service; 0: none."""

    unit: str
    pid: int
    birth: int = 0


class BusNameChanged(Struct, frozen=True):
    """The bus name has this owner now; "": none. `pid` 0: not known."""

    name: str
    owner: str
    pid: int = 0


class ConditionsChecked(Struct, frozen=True):
    """Answer to CheckConditions: one state per condition and assert: 1 met, -1 not met, 0 not tried."""

    unit: str
    serial: int
    conditions: tuple[int, ...]
    asserts: tuple[int, ...]


class Listening(Struct, frozen=True):
    """The unit's sockets are bound and listen."""

    unit: str


class ListenFailed(Struct, frozen=True):
    """`detail`: the kernel's word for errno, or what else is wrong with the address."""

    unit: str
    address: str
    errno: int
    detail: str = ""


class Incoming(Struct, frozen=True):
    """There is traffic on a socket of the unit; it is not watched any more until the next WatchSockets."""

    unit: str


class UnitFilesChanged(Struct, frozen=True):
    """Unit files came or went (after 200 ms of quiet)."""


# --- requests: each is answered by effects.Answer(token, ...), in the same handle() unless it says otherwise


class JobAsked(Struct, frozen=True):
    token: int
    unit: str
    type: JobType
    mode: JobMode
    by: Caller = OURSELVES
    reload_if_possible: bool = False
    """Reload instead of restart where the unit can (ReloadOrRestartUnit)."""


class CancelAsked(Struct, frozen=True):
    """Cancel one job, or all for id 0."""

    token: int
    id: int
    by: Caller = OURSELVES


class Whom(StrEnum):
    ALL = "all"
    MAIN = "main"
    CONTROL = "control"


class KillAsked(Struct, frozen=True):
    token: int
    unit: str
    whom: Whom
    signal: int
    by: Caller = OURSELVES


class ResetFailedAsked(Struct, frozen=True):
    """Forget failure, restart counter and start limit of one unit, or of all for ""."""

    token: int
    unit: str
    by: Caller = OURSELVES


class LoadAsked(Struct, frozen=True):
    """Load a unit so that it can be looked at; answered with its real name."""

    token: int
    unit: str


class ReloadAsked(Struct, frozen=True):
    """daemon-reload: read all unit files again. Answered with a graph.diff.Diff; `dry`: with that alone."""

    token: int
    by: Caller = OURSELVES
    dry: bool = False


class ReexecAsked(Struct, frozen=True):
    """daemon-reexec: go on as the program that is on disk now. The answer comes later, from Reexec."""

    token: int
    by: Caller = OURSELVES


class PlanAsked(Struct, frozen=True):
    """What would `verb` do, of units or of all? Answered with a shutdown.plan.Plan; nothing is done."""

    token: int
    verb: str
    units: tuple[str, ...] = ()


class Leaving(StrEnum):
    """What the daemon does once everything is stopped."""

    EXIT = "exit"
    POWEROFF = "poweroff"
    REBOOT = "reboot"
    HALT = "halt"
    KEXEC = "kexec"
    STAY = "stay"
    """It does not leave, but starts its first target (OnRestart=stop)."""

    @property
    def words(self) -> str:
        """What people call it."""
        return "clean start" if self is Leaving.STAY else str(self)


class ShutdownAsked(Struct, frozen=True):
    """Stop everything, then leave. `force`: skip the waves, kill at once."""

    token: int
    leaving: Leaving
    code: int = 0
    force: bool = False
    by: Caller = OURSELVES


class LeftBehind(Struct, frozen=True):
    """The unit came to rest, and these live on: spared by KillMode=, or outside of its cgroup; unit "": of nobody."""

    unit: str
    left: tuple[Left, ...]


class OrphansAsked(Struct, frozen=True):
    """Who of ours is not where it belongs, and who holds what units claim? Answered with a tuple of Left."""

    token: int
    by: Caller = OURSELVES


class OrphansFound(Struct, frozen=True):
    """Answer to LookForOrphans."""

    token: int
    left: tuple[Left, ...]


class Survivors(Struct, frozen=True):
    """Answer to Verify: `left` is to be ended and lives; empty is the proof that all that we started is gone.

    `named`: foreign processes that are left alone, and those that only look like ours.
    """

    left: tuple[Left, ...] = ()
    named: tuple[Left, ...] = ()


Request: TypeAlias = (
    JobAsked
    | CancelAsked
    | KillAsked
    | ResetFailedAsked
    | LoadAsked
    | ReloadAsked
    | ReexecAsked
    | ShutdownAsked
    | OrphansAsked
    | PlanAsked
)
UnitEvent: TypeAlias = (
    Spawned
    | Execed
    | SpawnFailed
    | ProcessExited
    | CgroupEmpty
    | Signalled
    | Notified
    | PidFileRead
    | MainGuessed
    | Listening
    | ListenFailed
    | Incoming
)
Event: TypeAlias = (
    Request
    | UnitEvent
    | Tick
    | ConditionsChecked
    | BusNameChanged
    | UnitFilesChanged
    | LeftBehind
    | OrphansFound
    | Survivors
)
