"""The engine, read only: what a question over the bus or a test may know. Instants are monotonic us, 0 for never."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from unitd.engine import progress
from unitd.engine.core import Core
from unitd.engine.course import Course
from unitd.engine.progress import Stopping, Whole
from unitd.engine.reasons import hint, why_failed
from unitd.engine.record import Record, Times
from unitd.jobs.job import Job
from unitd.machines.phases import Run, Service
from unitd.machines.sockets import Socket
from unitd.model.dependencies import Dep
from unitd.model.events import How
from unitd.model.processes import Straggler
from unitd.model.states import Active, Result
from unitd.model.unit import Unit

_CODE = {How.EXITED: 1, How.KILLED: 2, How.DUMPED: 3, How.UNKNOWN: 0}


class CommandStatus(Struct, frozen=True):
    """`code` as in waitid(2): 1 exited, 2 killed, 3 dumped; 0: not ended, or nobody saw how."""

    start: int
    stop: int
    pid: int
    code: int
    status: int


class ServiceStatus(Struct, frozen=True):
    """See bus/ports."""

    main_pid: int
    control_pid: int
    exec_main_pid: int
    exec_main_start: int
    exec_main_exit: int
    exec_main_code: int
    exec_main_status: int
    result: str
    reload_result: str
    status_text: str
    status_errno: int
    restarts: int
    watchdog_time: int
    commands: Mapping[str, Sequence[CommandStatus]]
    stragglers: Sequence[Straggler] = ()
    """Those of the latest stop that got SIGKILL, because their time was up."""
    waited: int = 0
    """How long after the stop began (us)."""


class Status(Struct, frozen=True):
    unit: Unit
    active: Active
    sub: str
    times: Times
    invocation: str
    conditions: tuple[int, ...]
    asserts: tuple[int, ...]
    job: int
    service: ServiceStatus | None
    result: str
    reason: str
    """Why the unit failed, in words; "" when it did not."""
    hint: str
    """What to do about it, or about processes that a stop left behind."""
    cgroup: str


class View:
    def __init__(self, core: Core) -> None:
        self._core = core

    def units(self) -> Sequence[str]:
        return sorted(self._core.units.records)

    def status(self, name: str) -> Status | None:
        record = self._core.units.known(name)
        return _status(self._core, record) if record is not None else None

    def active(self, name: str) -> Active:
        record = self._core.units.known(name)
        return record.active if record is not None else Active.INACTIVE

    def deps(self, name: str, kind: Dep) -> Sequence[str]:
        return self._core.units.index.deps(name, kind)

    def jobs(self) -> Sequence[Job]:
        return list(self._core.units.queue)

    def has_jobs(self) -> bool:
        return len(self._core.units.queue) > 0

    def job(self, id: int) -> Job | None:
        return self._core.units.queue.get(id)

    def job_of(self, unit: str) -> Job | None:
        return self._core.units.queue.job_of(unit)

    def jobs_before(self, id: int) -> Sequence[Job]:
        """The jobs that a queued job waits for, by id."""
        return self._core.units.queue.blockers(id)

    def jobs_after(self, id: int) -> Sequence[Job]:
        """The jobs that wait for a queued job, by id."""
        return self._core.units.queue.held_by(id)

    def unit_of_invocation(self, id: str) -> str | None:
        for name, record in self._core.units.records.items():
            if id and record.invocation == id:
                return name
        return None

    def system_state(self) -> str:
        """systemctl is-system-running."""
        core = self._core
        if core.ending is not None:
            return "stopping"
        if core.first_job and not core.finished:
            return "starting"
        for target in ("rescue.target", "emergency.target"):
            if self.active(target).is_up:
                return "maintenance"
        return "degraded" if core.failed else "running"

    def times(self) -> Mapping[str, int]:
        return {"Userspace": self._core.began, "Finish": self._core.finished}

    def failed_count(self) -> int:
        return len(self._core.failed)

    def is_stopping(self) -> bool:
        """Whether a unit is on its way down, or a shutdown under way."""
        return progress.is_stopping(self._core)

    def stopping(self, among: Collection[str] | None = None, most: int = 50) -> Sequence[Stopping]:
        """The units on their way down, the most urgent first; without `among` those that wait for them follow."""
        return progress.stopping(self._core, among, most)

    def shutdown(self) -> Whole | None:
        """The shutdown that is under way, as a whole."""
        return progress.whole(self._core)

    def need_reload(self, name: str) -> bool:
        record = self._core.units.known(name)
        return record is not None and self._core.units.source.changed_since_load(record.unit)

    def is_ending(self) -> bool:
        return self._core.ending is not None


def _status(core: Core, record: Record) -> Status:
    state = record.state
    job = core.units.queue.job_of(record.name)
    service = _service(state, record.course) if isinstance(state, Service) else None
    result = state.result if isinstance(state, Service | Socket) else Result.SUCCESS
    has_cgroup = not record.active.is_down or (isinstance(state, Service) and state.populated)
    return Status(
        unit=record.unit,
        active=record.active,
        sub=record.sub,
        times=record.times,
        invocation=record.invocation,
        conditions=record.conditions,
        asserts=record.asserts,
        job=job.id if job is not None else 0,
        service=service,
        result=result,
        reason=why_failed(record),
        hint=hint(record),
        cgroup=core.cgroup(record) if has_cgroup else "",
    )


def _service(state: Service, course: Course | None) -> ServiceStatus:
    last = state.last_main
    return ServiceStatus(
        main_pid=state.main.pid if state.main is not None else 0,
        control_pid=state.control.pid if state.control is not None else 0,
        exec_main_pid=last.pid,
        exec_main_start=last.started,
        exec_main_exit=last.exited,
        exec_main_code=_CODE[last.exit.how] if last.exit is not None else 0,
        exec_main_status=last.exit.status if last.exit is not None else 0,
        result=state.result,
        reload_result=state.reload_result,
        status_text=state.status_text,
        status_errno=state.status_errno,
        restarts=state.restarts,
        watchdog_time=state.watchdog_at,
        commands=_commands(state.runs),
        stragglers=course.evidence.stragglers if course is not None and course.evidence is not None else (),
        waited=course.examined - course.began if course is not None and course.examined else 0,
    )


def _commands(runs: Mapping[str, tuple[Run, ...]]) -> dict[str, list[CommandStatus]]:
    return {setting: [_command(run) for run in of] for setting, of in sorted(runs.items())}


def _command(run: Run) -> CommandStatus:
    code, status = (_CODE[run.exit.how], run.exit.status) if run.exit is not None else (0, 0)
    return CommandStatus(run.started, run.exited, run.pid, code, status)
