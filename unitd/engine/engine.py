"""The engine: one event in, all that follows from it, effects out.

handle() drains: changes of state first, then what machines ask for, then jobs whose turn it is, to a fixed point.
When very many jobs may run it stops before that, and deadline() says that there is more to do at once.
Nothing else in the program decides anything about units.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from unitd.engine import consequences, ending, left_over, queueing, reasons, reloading, requests, snapshot, work
from unitd.engine.core import Core
from unitd.engine.course import Course
from unitd.engine.record import Record
from unitd.engine.snapshot import Life, Saved, Snapshot
from unitd.engine.units import Units, UnitSource
from unitd.engine.view import View
from unitd.jobs.job import Job
from unitd.machines.phases import Service
from unitd.machines.step import Ask, NameOwner
from unitd.model.config import Config
from unitd.model.dependencies import Atom
from unitd.model.effects import Answer, Effect, Level
from unitd.model.events import (
    BusNameChanged,
    Caller,
    CancelAsked,
    ConditionsChecked,
    Event,
    JobAsked,
    KillAsked,
    LeftBehind,
    LoadAsked,
    OrphansAsked,
    OrphansFound,
    PlanAsked,
    ReexecAsked,
    ReloadAsked,
    ResetFailedAsked,
    ShutdownAsked,
    Signalled,
    Survivors,
    Tick,
    UnitFilesChanged,
)
from unitd.model.states import JobMode, JobResult, JobType

JOBS_AT_ONCE = 32
"""Jobs that are begun in one turn, before their effects are carried out."""


class Engine:
    def __init__(
        self,
        source: UnitSource,
        config: Config,
        bases: Mapping[str, str],
        next_invocation: Callable[[], str],
        now: int,
        *,
        may_exit: bool = True,
    ) -> None:
        """`bases`: where RuntimeDirectory= and kin live; `next_invocation`: 32 hex digits, never the same.

        `may_exit`: False for PID 1 of a machine, which can power off or reboot, but not just go.
        """
        self.core = Core(Units(source), config, bases, next_invocation, may_exit, now=now, began=now)
        self.view = View(self.core)
        self._is_late = False

    def handle(self, event: Event, now: int) -> list[Effect]:
        """What is to be done because of `event` at `now` (monotonic us)."""
        core = self.core
        core.now = max(now, core.now)
        core.effects = []
        requests.forget_looked_at(core)
        self._take(event)
        self._drain()
        self._fall_back()
        return core.effects

    def deadline(self) -> int:
        """The next instant at which Tick is due (monotonic us), INFINITY for none."""
        core = self.core
        if self._is_late:
            return core.now
        return min(core.deadlines.first(), core.units.queue.deadline(), ending.next_instant(core))

    def boot(self, target: str, now: int, otherwise: Sequence[str] = ()) -> list[Effect]:
        """Start the first target, or else the first of `otherwise` that can be; with its job the start-up ends."""
        core = self.core
        core.otherwise = tuple(name for name in otherwise if name != target)
        core.began = now if core.finished else core.began
        core.first_target, core.first_job, core.finished = target, core.units.queue.next_id, 0
        effects = self.handle(_first(target), now)
        if core.units.queue.get(core.first_job) is None and not core.finished:
            record = core.units.known(target)
            job = core.units.queue.job_of(record.name) if record is not None else None
            core.first_job = core.first_job if job is None else job.id
            core.first_failed = job is None
            self._fall_back()
        return effects

    def saved(self, names: Iterable[str]) -> list[Saved]:
        """These units as the next daemon has to know them."""
        return snapshot.saved(self.core, names)

    def life(self) -> Life:
        """What the next daemon has to know beside the units."""
        return snapshot.life(self.core)

    def snapshot(self) -> Snapshot:
        """All that the next daemon has to know."""
        return snapshot.snapshot(self.core)

    def restore(self, past: Snapshot, now: int, *, resend: bool = True) -> list[Effect]:
        """Go on where another daemon stopped; to be called once, first of all, and followed by Tick.

        `resend`: it was killed, so what it had just asked for may not have been done.
        """
        core = self.core
        core.now = now
        core.effects = []
        snapshot.restore(core, past, resend=resend)
        return core.effects

    def _fall_back(self) -> None:
        """Go on to the next target when the one before cannot be started."""
        core = self.core
        while core.first_failed and not core.finished and core.ending is None:
            core.first_failed = False
            if not core.otherwise:
                core.finished = core.now
                return
            target, core.otherwise = core.otherwise[0], core.otherwise[1:]
            core.log(Level.ERR, f"the first target cannot be started: starting {target} instead", target)
            requests.handle(core, _first(target))
            job = core.units.queue.job_of(target)
            core.first_failed = job is None
            core.first_job = core.first_job if job is None else job.id
            self._drain()

    def _take(self, event: Event) -> None:
        core = self.core
        match event:
            case Tick():
                self._tick()
            case ConditionsChecked():
                work.conditions_checked(core, event)
            case BusNameChanged(name=name, owner=owner, pid=pid):
                for unit in sorted(core.bus_names.get(name, ())):
                    record = core.units.known(unit)
                    if record is not None:
                        core.step(record, NameOwner(bool(owner), pid))
            case UnitFilesChanged():
                reloading.files_changed(core)
            case Survivors():
                ending.survivors(core, event)
            case LeftBehind():
                left_over.left_behind(core, event)
            case OrphansAsked():
                left_over.ask(core, event)
            case OrphansFound(token=token, left=left):
                core.emit(Answer(token, left))
            case Signalled():
                self._signalled(event)
            case (
                JobAsked()
                | CancelAsked()
                | KillAsked()
                | ResetFailedAsked()
                | LoadAsked()
                | PlanAsked()
                | ReloadAsked()
                | ReexecAsked()
                | ShutdownAsked()
            ):
                requests.handle(core, event)
            case _:
                record = core.units.known(event.unit)
                if record is not None:
                    core.step(record, event)

    def _signalled(self, event: Signalled) -> None:
        """Signals were sent; who was killed because its time was up is told of first, with what kept it."""
        core = self.core
        record = core.units.known(event.unit)
        if core.ending is not None:
            core.ending.gathered.examined(event)
        if record is None:
            return
        if record.course is None and event.evidence is not None:
            record.course = Course(core.now)
        survived = record.course is not None and record.course.signalled(event, core.now)
        for text in reasons.evidence_lines(event.unit, event.evidence, survived=survived):
            core.log(Level.ERR if survived else Level.WARNING, text, event.unit)
        core.step(record, event)

    def _tick(self) -> None:
        core = self.core
        for name in core.deadlines.due(core.now):
            core.step(core.units.records[name], Tick())
        queue = core.units.queue
        for id in queue.expired(core.now):
            job = queue.get(id)
            if job is not None:
                queueing.finish(core, job, JobResult.TIMEOUT)

    def _drain(self) -> None:
        """Follow everything up; but begin only so many jobs at a time, so that the first ones are acted on soon."""
        core = self.core
        queue = core.units.queue
        begun = 0
        self._is_late = False
        while True:
            if core.changes:
                consequences.follow(core, core.changes.popleft())
            elif core.fallen:
                consequences.on_failure(core, core.fallen.popleft())
            elif core.asks:
                self._answer_ask(*core.asks.popleft())
            elif begun == JOBS_AT_ONCE:
                self._is_late = True
                break
            elif (job := queue.next_runnable(core.units)) is not None:
                begun += 1
                self._run(job)
            elif stuck := queue.stuck():
                self._release(stuck[0])
            else:
                break
        ending.advance(core)
        core.take_fresh()

    def _release(self, job: Job) -> None:
        """Jobs that wait for each other would wait for ever: one of them goes first."""
        core = self.core
        held = ", ".join(other.unit for other in core.units.queue.blockers(job.id))
        core.log(Level.WARNING, f"cannot keep the order of {job.unit}: it and {held} wait for each other", job.unit)
        core.units.queue.release(job.id)

    def _run(self, job: Job) -> None:
        """A mistake in running a job fails this job alone."""
        try:
            work.run(self.core, job)
        except Exception as fault:
            text = f"cannot {job.type} {job.unit}: internal error {type(fault).__name__}: {fault}"
            self.core.log(Level.ERR, text, job.unit)
            if self.core.units.queue.get(job.id) is not None:
                queueing.finish(self.core, job, JobResult.FAILED)

    def _answer_ask(self, record: Record, ask: Ask) -> None:
        core = self.core
        match ask:
            case Ask.RESTART:
                if isinstance(record.state, Service):
                    queueing.enqueue(core, record.name, JobType.RESTART, JobMode.REPLACE, Caller(what="Restart="))
            case Ask.START_TRIGGERED:
                for other in core.units.related(record.name, Atom.TRIGGERS):
                    queueing.enqueue(core, other, JobType.START, JobMode.REPLACE, Caller(what=record.name))


def _first(target: str) -> JobAsked:
    return JobAsked(0, target, JobType.START, JobMode.REPLACE, Caller(what="start-up"))
