"""What the bus needs of the rest of the daemon, as protocols; the runtime hands in what satisfies them.

Instants are monotonic microseconds, 0 for never. Nothing here blocks for long or changes anything: a question asked
over the bus is answered from these alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from unitd.model.dependencies import Dep
from unitd.model.processes import Left, Straggler
from unitd.model.states import Active, JobState, JobType
from unitd.model.unit import Unit
from unitd.wire.dialects import Dialect


class Job(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def unit(self) -> str: ...
    @property
    def type(self) -> JobType: ...
    @property
    def state(self) -> JobState: ...


class Times(Protocol):
    """When the unit last crossed each of these lines."""

    @property
    def state_change(self) -> int: ...
    @property
    def inactive_exit(self) -> int: ...
    @property
    def active_enter(self) -> int: ...
    @property
    def active_exit(self) -> int: ...
    @property
    def inactive_enter(self) -> int: ...
    @property
    def condition(self) -> int: ...
    @property
    def assert_(self) -> int: ...


class CommandStatus(Protocol):
    """The last run of one command; `code` 0 (did not end), 1 exited, 2 killed, 3 dumped (waitid(2))."""

    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def pid(self) -> int: ...
    @property
    def code(self) -> int: ...
    @property
    def status(self) -> int: ...


class ServiceStatus(Protocol):
    """`commands`: by setting ("ExecStart"), one entry for each of its commands that ran."""

    @property
    def main_pid(self) -> int: ...
    @property
    def control_pid(self) -> int: ...
    @property
    def exec_main_pid(self) -> int: ...
    @property
    def exec_main_start(self) -> int: ...
    @property
    def exec_main_exit(self) -> int: ...
    @property
    def exec_main_code(self) -> int: ...
    @property
    def exec_main_status(self) -> int: ...
    @property
    def result(self) -> str: ...
    @property
    def reload_result(self) -> str: ...
    @property
    def status_text(self) -> str: ...
    @property
    def status_errno(self) -> int: ...
    @property
    def restarts(self) -> int: ...
    @property
    def watchdog_time(self) -> int: ...
    @property
    def commands(self) -> Mapping[str, Sequence[CommandStatus]]: ...
    @property
    def stragglers(self) -> Sequence[Straggler]:
        """Who got SIGKILL at the end of the latest stop, because its time was up."""

    @property
    def waited(self) -> int:
        """How long after the stop began (us)."""


class Status(Protocol):
    """A unit and what it is doing.

    `result`: of a unit that is no service; `reason`: why it failed, in words, "" when it did not; `hint`: what
    to do; `cgroup`: below the
    daemon's sub-tree, "" when it has none.
    """

    @property
    def unit(self) -> Unit: ...
    @property
    def active(self) -> Active: ...
    @property
    def sub(self) -> str: ...
    @property
    def times(self) -> Times: ...
    @property
    def invocation(self) -> str: ...
    @property
    def conditions(self) -> Sequence[int]: ...
    @property
    def asserts(self) -> Sequence[int]: ...
    @property
    def job(self) -> int: ...
    @property
    def service(self) -> ServiceStatus | None: ...
    @property
    def result(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def hint(self) -> str: ...
    @property
    def cgroup(self) -> str: ...


class Stopping(Protocol):
    """One unit that is being stopped: its phase, when `next` follows (0 or INFINITY: never), and what that is.

    `pids`: the processes that matter most. Unit "": all that is left at the end of a shutdown, each named in `left`.
    """

    @property
    def unit(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def deadline(self) -> int: ...
    @property
    def next(self) -> str: ...
    @property
    def pids(self) -> Sequence[int]: ...
    @property
    def left(self) -> Sequence[Left]: ...


class Whole(Protocol):
    """A shutdown: the instants of its begin and of its cap, and how many units are not at rest."""

    @property
    def began(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def units_left(self) -> int: ...


class View(Protocol):
    """The engine, read only. Names may be aliases; those that come back are real."""

    def units(self) -> Sequence[str]: ...
    def status(self, name: str) -> Status | None:
        """None: not loaded."""

    def deps(self, name: str, kind: Dep) -> Sequence[str]: ...
    def jobs(self) -> Sequence[Job]: ...
    def job(self, id: int) -> Job | None: ...
    def job_of(self, unit: str) -> Job | None: ...
    def jobs_before(self, id: int) -> Sequence[Job]:
        """The jobs that a queued job waits for."""

    def jobs_after(self, id: int) -> Sequence[Job]:
        """The jobs that wait for a queued job."""

    def unit_of_invocation(self, id: str) -> str | None: ...
    def system_state(self) -> str: ...
    def times(self) -> Mapping[str, int]:
        """Instants of the start by D-Bus name: "Userspace", "Finish", "UnitsLoadStart" ..."""

    def failed_count(self) -> int: ...
    def is_stopping(self) -> bool: ...
    def stopping(self, among: Collection[str] | None = None, most: int = 50) -> Sequence[Stopping]: ...
    def shutdown(self) -> Whole | None: ...
    def need_reload(self, name: str) -> bool: ...


class Gauges(Protocol):
    """Live readings of a unit's processes; None: nothing to read."""

    def memory(self, unit: str) -> int | None: ...
    def cpu(self, unit: str) -> int | None:
        """Nanoseconds."""

    def tasks(self, unit: str) -> int | None: ...
    def processes(self, unit: str) -> Sequence[tuple[str, int, str]]:
        """(cgroup as in /proc/PID/cgroup, pid, command line)."""

    def situations(
        self, units: Mapping[str, Sequence[int]], most: int
    ) -> Mapping[str, tuple[int, Sequence[tuple[int, str]]]]:
        """Of each unit how many processes, and some as (pid, `COMMAND, S (sleeping) in WCHAN`), its given pids first.

        `most`: of how many in all.
        """

    def in_order(self, unit: str, last: Sequence[int]) -> Sequence[int]:
        """The unit's processes in the order in which they would be signalled: deepest first, `last` last."""

    def unit_of(self, pid: int) -> str:
        """Whose process it is; "" when no unit's."""


class Logs(Protocol):
    def tail(self, unit: str, lines: int, since: int) -> Sequence[tuple[int, str, int, str]]:
        """The last lines not older than `since`: (realtime us, program, pid, line)."""


class Clock(Protocol):
    def now(self) -> int:
        """Monotonic microseconds."""

    def realtime(self, monotonic: int) -> int:
        """Microseconds since 1970; 0 for 0."""


class UnitFiles(Protocol):
    """Unit files on disk, loaded or not."""

    def list_files(self) -> Sequence[tuple[str, str]]:
        """(path, state)."""

    def file_state(self, name: str) -> str:
        """The UnitFileState of systemctl(1); "" when there is no such file."""

    def real_name(self, name: str) -> str:
        """Where the links that begin at this name lead to; "" when there is no such file."""


class Journal(Protocol):
    """The daemon's own log."""

    @property
    def level(self) -> str:
        """The name of the least urgent level that is kept (syslog(3))."""

    def set_level(self, level: str) -> None: ...


class About(Struct, frozen=True):
    """What stays the same while the daemon runs."""

    version: str
    uid: int
    features: str = ""
    architecture: str = ""
    virtualization: str = ""
    unit_path: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    cgroup: str | None = ""
    """The daemon's sub-tree, as in /proc/self/cgroup; "" for the root, None where units have no cgroups."""
    log_target: str = "console"
    machine_id: str = ""
    adm_gid: int = -1
    """Who is in this group may read logs; -1: there is no such group."""


class World(Struct, frozen=True):
    """All that an answer may look at, in one dialect."""

    view: View
    gauges: Gauges
    logs: Logs
    clock: Clock
    files: UnitFiles
    journal: Journal
    about: About
    dialect: Dialect
    exit_code: int = 0
    last_shutdown: Callable[[], str] = lambda: ""
    """The report of the last shutdown as JSON; "" when there is none."""
