"""The installed jobs: at most one per unit, and one nop beside it.

Invariants: ids grow and are never used twice; a job's value changes only here; a job is answered as runnable once,
until something that could matter to it changes; a deadline is a job's field, and the heap only finds it. Rests on
systemd 252's job life (systemctl(1), org.freedesktop.systemd1(5), JobTimeoutSec= in systemd.unit(5)).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from msgspec import Struct
from msgspec.structs import replace

from unitd.jobs.algebra import UP, is_superset
from unitd.jobs.job import Finished, Job
from unitd.jobs.port import Graph
from unitd.jobs.transaction import Planned, Transaction
from unitd.jobs.waits import Waits
from unitd.model.dependencies import Atom
from unitd.model.events import Caller
from unitd.model.states import INFINITY, JobResult, JobState, JobType

_CONFIRMING = frozenset({JobType.START, JobType.VERIFY_ACTIVE})


class Installed(Struct, frozen=True):
    """What an installation did; jobs in the order of their ids, `anchor` included in one of the first two.

    `merged`: jobs that were there and now do what was asked for as well.
    """

    anchor: Job
    added: tuple[Job, ...]
    merged: tuple[Job, ...]
    canceled: tuple[Finished, ...]


class Queue:
    """Installed jobs, by id and by unit. Restored from a snapshot by giving its jobs and next id."""

    def __init__(self, jobs: Iterable[Job] = (), next_id: int = 1) -> None:
        self.next_id = next_id
        self._jobs: dict[int, Job] = {}
        self._units: dict[str, Job] = {}
        self._nops: dict[str, Job] = {}
        self._running: set[int] = set()
        self._ready: list[int] = []
        self._deadlines: list[tuple[int, int]] = []
        for job in sorted(jobs, key=lambda job: job.id):
            self._put(job)
        self._waits = Waits(self._units)
        self._ready = [job.id for job in self._nops.values()]

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        """All jobs by id."""
        return iter([self._jobs[id] for id in sorted(self._jobs)])

    def get(self, id: int) -> Job | None:
        return self._jobs.get(id)

    def job_of(self, unit: str) -> Job | None:
        """The unit's job; a nop is not one."""
        return self._units.get(unit)

    def all_of(self, unit: str) -> tuple[Job, ...]:
        """The unit's job and its nop, as far as there are."""
        found = (self._units.get(unit), self._nops.get(unit))
        return tuple(job for job in found if job is not None)

    def install(self, transaction: Transaction, by: Caller | None, now: int) -> Installed:
        """Takes a transaction over; it must have been built on the queue as it is. `by` goes to the anchor's job."""
        doomed = list(self) if transaction.cleared else []
        canceled = [self._cancel(job, because=transaction.anchor) for job in doomed if job.unit in transaction.cleared]
        added = []
        merged = []
        anchor: Job | None = None
        for planned in transaction.jobs:
            caller = by if planned.unit == transaction.anchor else None
            slot = self._nops if planned.type is JobType.NOP else self._units
            installed = slot.get(planned.unit)
            if installed is not None and planned.merged is None and planned.type is not JobType.NOP:
                canceled.append(self._cancel(installed, because=transaction.anchor))
                installed = None
            if installed is None:
                job = self._add(planned, transaction.irreversible, caller, now)
                added.append(job)
            else:
                job = self._join(installed, planned, transaction.irreversible, caller, now)
                merged.append(job)
            if planned.unit == transaction.anchor:
                anchor = job
        if anchor is None:
            raise ValueError(f"cannot install a transaction without a job for {transaction.anchor}")
        return Installed(anchor, tuple(added), tuple(merged), tuple(canceled))

    def next_runnable(self, graph: Graph) -> Job | None:
        """The waiting job with the lowest id whose turn it is; each is answered once until it is woken or changes."""
        for unit in self._waits.settle(graph):
            self._offer(unit)
        while self._ready:
            job = self._jobs.get(heappop(self._ready))
            if job is None or not job.is_waiting:
                continue
            if job.type is JobType.NOP or self._waits.is_free(job.unit):
                while self._ready and self._ready[0] == job.id:
                    heappop(self._ready)
                return job
        return None

    def stuck(self) -> list[Job]:
        """Jobs that wait for one another for ever, each for the next; asked for once next_runnable answered None.

        [] while a job runs or waits for its own unit. Merging can make such a cycle after the order was verified.
        """
        if self._running:
            return []
        blocked = next((job.unit for job in self._units.values() if not self._waits.is_free(job.unit)), None)
        if blocked is None:
            return []
        trail: dict[str, None] = {}
        while blocked not in trail:
            trail[blocked] = None
            blockers = self._waits.blockers(blocked)
            if not blockers:
                return []
            blocked = blockers[0]
        units = list(trail)
        return [self._units[unit] for unit in units[units.index(blocked) :]]

    def release(self, id: int) -> Job:
        """Lets a job neither wait nor be waited for from now on: the way out when jobs are stuck."""
        job = replace(self._jobs[id], ignore_order=True)
        self._put(job)
        self._changed(job.unit)
        return job

    def wake(self, unit: str) -> None:
        """Offers a unit's waiting job again: its state changed, or it can do now what it could not."""
        self._offer(unit)

    def relink(self) -> None:
        """Looks at the order of all jobs again: dependencies may have changed (daemon-reload)."""
        for unit in list(self._units):
            self._changed(unit)

    def blockers(self, id: int) -> list[Job]:
        """The jobs that a job waits for, by id; exact once next_runnable has answered None."""
        job = self._jobs[id]
        return self._listed(self._waits.blockers(job.unit) if job is self._units.get(job.unit) else [])

    def held_by(self, id: int) -> list[Job]:
        """The jobs that wait for a job, by id; exact once next_runnable has answered None."""
        job = self._jobs[id]
        return self._listed(self._waits.holds(job.unit) if job is self._units.get(job.unit) else [])

    def started(self, id: int, now: int) -> Job:
        """Makes a waiting job a running one."""
        job = self._jobs[id]
        expires = min(job.expires_at, _after(now, job.running_timeout))
        job = replace(job, state=JobState.RUNNING, expires_at=expires)
        self._put(job)
        return job

    def turn_into_start(self, id: int, graph: Graph) -> Job:
        """A restart whose unit is down goes on as a start: same id, waiting again."""
        job = replace(self._jobs[id], type=JobType.START, state=JobState.WAITING)
        self._put(job)
        self._changed(job.unit)
        return job

    def finish(self, id: int, result: JobResult, graph: Graph) -> list[Finished]:
        """Ends a job; it, and the jobs that fall with it, in order. A restart that is DONE turns into its start: []."""
        job = self._jobs[id]
        if result is JobResult.DONE and job.type is JobType.RESTART:
            self.turn_into_start(id, graph)
            return []
        finished = [self._drop(Finished(job, result))]
        falling = deque(finished)
        while falling:
            cause = falling.popleft()
            for unit in _let_down(cause, graph):
                other = self._units.get(unit)
                if other is not None and other.type in _CONFIRMING:
                    fallen = self._drop(Finished(other, JobResult.DEPENDENCY, because=cause.job.unit))
                    finished.append(fallen)
                    falling.append(fallen)
        return finished

    def deadline(self) -> int:
        """The instant at which the next job expires, INFINITY when none does."""
        while self._deadlines and not self._is_current(*self._deadlines[0]):
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else INFINITY

    def expired(self, now: int) -> list[int]:
        """Ids of the jobs whose time is up, by id; each is to be finished with TIMEOUT."""
        due = set()
        while self.deadline() <= now:
            due.add(heappop(self._deadlines)[1])
        for id in due:
            heappush(self._deadlines, (self._jobs[id].expires_at, id))
        return sorted(due)

    def _add(self, planned: Planned, irreversible: bool, by: Caller | None, now: int) -> Job:
        job = Job(
            id=self.next_id,
            unit=planned.unit,
            type=planned.type,
            irreversible=irreversible,
            ignore_order=planned.ignore_order,
            by=by,
            running_timeout=planned.running_timeout,
            expires_at=_after(now, planned.timeout),
        )
        self.next_id += 1
        self._put(job)
        self._changed(job.unit)
        return job

    def _join(self, job: Job, planned: Planned, irreversible: bool, by: Caller | None, now: int) -> Job:
        """Merges a planned job into an installed one, which runs anew when it does not do all that is asked for.

        A running reload is never enough for another reload: it may have read the configuration already.
        """
        type = planned.merged or job.type
        enough = planned.type is not JobType.RELOAD and is_superset(job.type, planned.type)
        expires = _after(now, planned.timeout) if job.expires_at == INFINITY else job.expires_at
        joined = replace(
            job,
            type=type,
            state=job.state if enough else JobState.WAITING,
            irreversible=job.irreversible or irreversible,
            ignore_order=job.ignore_order or planned.ignore_order,
            by=job.by if job.by is not None else by,
            expires_at=expires,
        )
        self._put(joined)
        self._changed(joined.unit)
        return joined

    def _put(self, job: Job) -> None:
        known = self._jobs.get(job.id)
        self._jobs[job.id] = job
        (self._nops if job.type is JobType.NOP else self._units)[job.unit] = job
        if job.is_waiting:
            self._running.discard(job.id)
        else:
            self._running.add(job.id)
        if job.expires_at != INFINITY and (known is None or known.expires_at != job.expires_at):
            heappush(self._deadlines, (job.expires_at, job.id))

    def _drop(self, finished: Finished) -> Finished:
        job = finished.job
        del self._jobs[job.id]
        self._running.discard(job.id)
        if job.type is JobType.NOP:
            del self._nops[job.unit]
        else:
            del self._units[job.unit]
            self._changed(job.unit)
        return finished

    def _cancel(self, job: Job, because: str) -> Finished:
        return self._drop(Finished(job, JobResult.CANCELED, because))

    def _changed(self, unit: str) -> None:
        """Follows a change of a unit's job: it, and who waited for it alone, may be runnable."""
        for freed in self._waits.changed(unit):
            self._offer(freed)
        if unit in self._nops:
            self._offer(unit)

    def _offer(self, unit: str) -> None:
        for slot in (self._units, self._nops):
            job = slot.get(unit)
            if job is not None and job.is_waiting:
                heappush(self._ready, job.id)

    def _is_current(self, expires_at: int, id: int) -> bool:
        job = self._jobs.get(id)
        return job is not None and job.expires_at == expires_at

    def _listed(self, units: Iterable[str]) -> list[Job]:
        return sorted((self._units[unit] for unit in units), key=lambda job: job.id)


def _after(now: int, length: int) -> int:
    return INFINITY if length >= INFINITY - now else now + length


def _let_down(cause: Finished, graph: Graph) -> Iterable[str]:
    """Units whose waiting or running starts fall with a job that ended like this, sorted."""
    unit, type, result = cause.job.unit, cause.job.type, cause.result
    if result is JobResult.DONE:
        if type in (JobType.START, JobType.RELOAD) and graph.active(unit) not in UP:
            return graph.related(unit, Atom.PROPAGATE_INACTIVE_START_AS_FAILURE)
    elif type in _CONFIRMING:
        return graph.related(unit, Atom.PROPAGATE_START_FAILURE)
    elif type is JobType.STOP:
        return graph.related(unit, Atom.PROPAGATE_STOP_FAILURE)
    return ()
