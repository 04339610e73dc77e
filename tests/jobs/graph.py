"""A make-believe graph of units: relations written down in a table, states set by hand, jobs in a real queue."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unitd.jobs.algebra import outcome
from unitd.jobs.job import Finished, Job
from unitd.jobs.queue import Installed, Queue
from unitd.jobs.transaction import Transaction, build
from unitd.model.dependencies import ATOMS, INVERSE, Atom, Dep
from unitd.model.events import Caller
from unitd.model.states import Active, JobMode, JobResult, JobType, Load
from unitd.model.unit import Origin, Unit

RELOADABLE: Mapping[str, Any] = {"ExecReload": ("/bin/true",)}


class Units:
    """Units by name, with every relation known at both ends."""

    def __init__(self, units: Iterable[Unit], states: Mapping[str, Active] | None = None) -> None:
        self._units = {unit.name: unit for unit in sorted(units, key=lambda unit: unit.name)}
        self._real = {alias: unit.name for unit in self._units.values() for alias in unit.aliases}
        self._related: dict[tuple[str, Atom], dict[str, None]] = {}
        self.states = dict(states or {})
        self.queue = Queue()
        for unit in self._units.values():
            for kind, others in unit.deps.items():
                for other in others:
                    self._relate(unit.name, kind, self._real.get(other, other))

    def find(self, name: str) -> Unit:
        name = self._real.get(name, name)
        return self._units.get(name) or Unit(name, load=Load.NOT_FOUND)

    def related(self, name: str, atom: Atom) -> Sequence[str]:
        return sorted(self._related.get((name, atom), ()))

    def active(self, name: str) -> Active:
        return self.states.get(name, Active.INACTIVE)

    def job(self, name: str) -> Job | None:
        return self.queue.job_of(name)

    def loaded(self) -> Iterable[str]:
        return list(self._units)

    def build(self, type: str, unit: str, mode: str = "replace") -> Transaction:
        return build(self, unit, JobType(type), JobMode(mode))

    def ask(self, type: str, unit: str, mode: str = "replace", by: Caller | None = None, now: int = 0) -> Installed:
        return self.queue.install(self.build(type, unit, mode), by, now)

    def run(self, now: int = 0) -> str:
        """Starts the next runnable job: "type unit", or "" when there is none."""
        job = self.queue.next_runnable(self)
        if job is None:
            return ""
        self.queue.started(job.id, now)
        return f"{job.type} {job.unit}"

    def reach(self, unit: str, state: Active) -> list[Finished]:
        """Puts a unit into a state, and ends its job when that is what the state means."""
        self.states[unit] = state
        job = self.queue.job_of(unit)
        if job is None:
            return []
        result = outcome(job.type, state, running=not job.is_waiting)
        return [] if result is None else self.queue.finish(job.id, result, self)

    def finish(self, unit: str, result: JobResult = JobResult.DONE) -> list[Finished]:
        job = self.queue.job_of(unit)
        assert job is not None
        return self.queue.finish(job.id, result, self)

    @property
    def jobs(self) -> dict[str, str]:
        """Installed jobs, unit to type, irreversible ones marked with "!"."""
        return {job.unit: job.type + "!" * job.irreversible for job in self.queue}

    def _relate(self, name: str, kind: Dep, other: str) -> None:
        for one, dep, two in ((name, kind, other), (other, INVERSE[kind], name)):
            for atom in ATOMS[dep]:
                self._related.setdefault((one, atom), {})[two] = None


def unit(name: str, settings: Mapping[str, Any] = RELOADABLE, /, **deps: str) -> Unit:
    """A unit; `deps` as in a file: Requires="b.service c.service". Reloadable unless settings are given."""
    relations = {Dep(kind): dict.fromkeys(names.split(), Origin.FILE) for kind, names in deps.items()}
    return Unit(name, settings=settings, deps=relations)


def planned(transaction: Transaction) -> dict[str, str]:
    """The jobs of a transaction, unit to type."""
    return {job.unit: str(job.type) for job in transaction.jobs}
