"""A make-believe daemon: a view of plain values, and a turn of the loop that answers requests."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from unitd.bus import About, Bus, World, bus
from unitd.graph.diff import Diff
from unitd.model import effects, events, processes
from unitd.model.dependencies import Dep
from unitd.model.effects import Level
from unitd.model.processes import Straggler
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import Active, JobResult, JobState, JobType, Load
from unitd.model.unit import Unit
from unitd.syntax.command import Command
from unitd.wire.dialects import PYZINIT

MAIN_PID = 4242


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    unit: str
    type: JobType
    state: JobState = JobState.WAITING


@dataclass(frozen=True, slots=True)
class Times:
    state_change: int = 0
    inactive_exit: int = 0
    active_enter: int = 0
    active_exit: int = 0
    inactive_enter: int = 0
    condition: int = 0
    assert_: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    start: int = 10
    stop: int = 20
    pid: int = 7
    code: int = 1
    status: int = 3


@dataclass(frozen=True, slots=True)
class Service:
    main_pid: int = 0
    control_pid: int = 0
    exec_main_pid: int = 0
    exec_main_start: int = 0
    exec_main_exit: int = 0
    exec_main_code: int = 0
    exec_main_status: int = 0
    result: str = "success"
    reload_result: str = "success"
    status_text: str = ""
    status_errno: int = 0
    restarts: int = 0
    watchdog_time: int = 0
    commands: Mapping[str, Sequence[Ran]] = field(default_factory=dict)
    stragglers: tuple[Straggler, ...] = ()
    waited: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    unit: Unit
    active: Active = Active.INACTIVE
    sub: str = "dead"
    times: Times = Times()
    invocation: str = ""
    conditions: tuple[int, ...] = ()
    asserts: tuple[int, ...] = ()
    job: int = 0
    service: Service | None = None
    result: str = "success"
    reason: str = ""
    hint: str = ""
    cgroup: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    unit: str
    phase: str
    deadline: int
    next: str
    pids: tuple[int, ...] = ()
    left: tuple[processes.Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    began: int
    end: int
    units_left: int


def service(name: str, **more: Any) -> Status:
    """A loaded service with one command."""
    settings = {
        "Description": f"The {name}",
        "Type": "simple",
        "ExecStart": (Command("/bin/true", ("/bin/true", "-x"), ignore_failure=True),),
        "TimeoutStopSec": 5_000_000,
    }
    unit = Unit(name, settings=settings, fragment=f"/etc/unitd/{name}")
    return Status(unit, service=Service(), **more)


class View:
    """The engine's view, filled by a test."""

    def __init__(self) -> None:
        alias = Unit("multi-user.target", aliases=("default.target",), settings={"AllowIsolate": True})
        self.all: dict[str, Status] = {
            "a.service": service("a.service"),
            "multi-user.target": Status(alias, Active.ACTIVE, "active"),
            "-.slice": Status(Unit("-.slice"), Active.ACTIVE, "active"),
        }
        self.queue: dict[int, Job] = {}
        self.leaving: tuple[Stopping, ...] = ()
        self.whole: Whole | None = None

    def units(self) -> Sequence[str]:
        return sorted(self.all)

    def status(self, name: str) -> Status | None:
        found = self.all.get(name)
        return found or next((each for each in self.all.values() if name in each.unit.aliases), None)

    def deps(self, name: str, kind: Dep) -> Sequence[str]:
        return ("b.service",) if (name, kind) == ("a.service", Dep.WANTED_BY) else ()

    def jobs(self) -> Sequence[Job]:
        return list(self.queue.values())

    def job(self, id: int) -> Job | None:
        return self.queue.get(id)

    def job_of(self, unit: str) -> Job | None:
        return next((job for job in self.queue.values() if job.unit == unit), None)

    def jobs_before(self, id: int) -> Sequence[Job]:
        return [job for job in self.jobs() if job.id < id]

    def jobs_after(self, id: int) -> Sequence[Job]:
        return [job for job in self.jobs() if job.id > id]

    def unit_of_invocation(self, id: str) -> str | None:
        return "a.service" if id == "ab" * 16 else None

    def system_state(self) -> str:
        return "running"

    def times(self) -> Mapping[str, int]:
        return {"Userspace": 1000, "Finish": 2000}

    def failed_count(self) -> int:
        return sum(status.active is Active.FAILED for status in self.all.values())

    def is_stopping(self) -> bool:
        return bool(self.leaving)

    def stopping(self, among: Collection[str] | None = None, most: int = 50) -> Sequence[Stopping]:
        return [each for each in self.leaving if among is None or not each.unit or each.unit in among][:most]

    def shutdown(self) -> Whole | None:
        return self.whole

    def need_reload(self, name: str) -> bool:
        return False


class Rim:
    """Gauges, logs, clock, unit files and the daemon's log in one."""

    level = "info"

    def set_level(self, level: str) -> None:
        self.level = level

    def unit_of(self, pid: int) -> str:
        return "a.service" if pid == MAIN_PID else ""

    def real_name(self, name: str) -> str:
        return {"default.target": "multi-user.target"}.get(name, "")

    def in_order(self, unit: str, last: Sequence[int]) -> Sequence[int]:
        return [MAIN_PID + 1, *last]

    def memory(self, unit: str) -> int | None:
        return 4096

    def cpu(self, unit: str) -> int | None:
        return None

    def tasks(self, unit: str) -> int | None:
        return 2

    def processes(self, unit: str) -> Sequence[tuple[str, int, str]]:
        return [("/system.slice/a.service", MAIN_PID, "/bin/true -x")]

    def situations(
        self, units: Mapping[str, Sequence[int]], most: int
    ) -> Mapping[str, tuple[int, Sequence[tuple[int, str]]]]:
        return {unit: (3, [(MAIN_PID, "/bin/true -x, S (sleeping) in do_wait")]) for unit in units}

    def tail(self, unit: str, lines: int, since: int) -> Sequence[tuple[int, str, int, str]]:
        return [(1_000_000, "true", MAIN_PID, f"a line of {unit}")][:lines]

    def now(self) -> int:
        return 5_000_000

    def realtime(self, monotonic: int) -> int:
        return monotonic + 1_700_000_000_000_000 if monotonic else 0

    def list_files(self) -> Sequence[tuple[str, str]]:
        return [("/etc/unitd/a.service", "enabled"), ("/usr/lib/unitd/basic.target", "static")]

    def file_state(self, name: str) -> str:
        return {"a.service": "enabled"}.get(name, "")


def world(uid: int = 0, view: View | None = None, **about: Any) -> World:
    """A world with three units."""
    rim = Rim()
    facts = About(version="0.1", uid=uid, machine_id="0" * 32, **about)
    return World(view or View(), rim, rim, rim, rim, rim, facts, PYZINIT)


class Daemon:
    """A bus on a make-believe engine: each request is answered in the same turn, which ends with a flush."""

    def __init__(self, loop: asyncio.AbstractEventLoop, world: World, view: View, kept: bus.Kept | None = None) -> None:
        self.view = view
        self.loop = loop
        self.events: list[events.Event] = []
        self.log: list[str] = []
        self.path = ""
        self.done: Callable[[events.JobAsked, int], list[effects.Effect]] = self._finished
        self._next_job = 1
        self.bus = Bus(loop, world, self.post, lambda level, text: self._say(level, text), kept)

    def post(self, event: events.Event) -> None:
        self.events.append(event)
        self.loop.call_soon(self.turn, event)

    def turn(self, event: events.Event) -> None:
        """What the pump does: handle, tell, flush."""
        for effect in self.handle(event):
            self.bus.tell(effect)
        self.bus.flush()

    def handle(self, event: events.Event) -> list[effects.Effect]:
        match event:
            case events.LoadAsked(token, unit):
                if self.view.status(unit) is None:
                    self.view.all[unit] = Status(Unit(unit, load=Load.NOT_FOUND))
                return [effects.UnitNew(unit), effects.Answer(token, unit)]
            case events.JobAsked(token, unit):
                if self.view.status(unit) is None:
                    return [effects.Answer(token, Refusal(Kind.NO_SUCH_UNIT, unit, f"Unit {unit} not found."))]
                id, self._next_job = self._next_job, self._next_job + 1
                return self.done(event, id)
            case events.ReloadAsked(token, dry=True):
                return [effects.Answer(token, Diff(added=("new.service",)))]
            case events.ShutdownAsked(token) | events.ReloadAsked(token) | events.KillAsked(token):
                return [effects.Answer(token, None)]
            case events.ResetFailedAsked(token) | events.CancelAsked(token):
                return [effects.Answer(token, None)]
            case _:
                return []

    def _finished(self, event: events.JobAsked, id: int) -> list[effects.Effect]:
        """A job that is done in the turn in which it was asked for."""
        name = event.unit
        status = self.view.all[name]
        times = replace(status.times, state_change=30, active_enter=30)
        self.view.all[name] = replace(status, active=Active.ACTIVE, sub="running", times=times, invocation="ab" * 16)
        return [
            effects.JobNew(id, name, event.type),
            effects.UnitChanged(name),
            effects.JobGone(id, name, event.type, JobResult.DONE),
            effects.Answer(event.token, id),
        ]

    def _say(self, level: Level, text: str) -> None:
        self.log.append(f"{level}: {text}")
