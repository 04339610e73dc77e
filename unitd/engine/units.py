"""The loaded units: definitions, relations and states; loads what is named and not known yet.

Answers what jobs ask of a graph (jobs/port.py). A unit is loaded with all that it names, and what those name, so
that relations which only the other side states are known.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from unitd.engine.record import Record, first_state
from unitd.graph.index import Index
from unitd.jobs.job import Job
from unitd.jobs.queue import Queue
from unitd.model.dependencies import INVERSE, Atom, Dep
from unitd.model.states import Active
from unitd.model.unit import Unit


class UnitSource(Protocol):
    """Where definitions come from; reads what is on disk now or as of the last refresh."""

    def load(self, name: str) -> Unit:
        """The unit that bears the name; never fails for what files contain."""

    def refresh(self) -> None:
        """Look at the directories again."""

    def afresh(self) -> "UnitSource":
        """Another source that reads what is on disk now; this one goes on as it is."""

    def is_gone(self, unit: Unit) -> bool:
        """Whether the unit had a file that is not there any more."""

    def changed_since_load(self, unit: Unit) -> bool:
        """Whether a file of the unit changed on disk (NeedDaemonReload=)."""


class Units:
    def __init__(self, source: UnitSource) -> None:
        self.source = source
        self.index = Index()
        self.records: dict[str, Record] = {}
        self.queue = Queue()
        self.fresh: list[str] = []
        """Names of the units that were loaded since somebody last asked."""

    # --- jobs.port.Graph ---------------------------------------------------------------------------

    def find(self, name: str) -> Unit:
        return self.record(name).unit

    def related(self, name: str, atom: Atom) -> Sequence[str]:
        return self.index.related(name, atom)

    def active(self, name: str) -> Active:
        record = self.records.get(name)
        return record.active if record is not None else Active.INACTIVE

    def job(self, name: str) -> Job | None:
        return self.queue.job_of(name)

    def loaded(self) -> Iterable[str]:
        return self.records

    # -------------------------------------------------------------------------------------------------

    def known(self, name: str) -> Record | None:
        """The record of a loaded unit, by any of its names."""
        record = self.records.get(name)
        if record is not None:
            return record
        unit = self.index.find(name)
        return self.records.get(unit.name) if unit is not None else None

    def record(self, name: str) -> Record:
        """The record of a unit, which is loaded with all that it names if need be."""
        record = self.known(name)
        return record if record is not None else self._load(name)

    def _load(self, name: str) -> Record:
        """Load the closure of `name`."""
        first: Record | None = None
        todo = [name]
        while todo:
            wanted = todo.pop()
            if self.known(wanted) is not None:
                continue
            unit = self.source.load(wanted)
            record = self.records.get(unit.name)
            if record is None:
                record = self.records[unit.name] = Record(unit, first_state(unit))
                self.fresh.append(unit.name)
            else:
                record.unit = unit
                record.cached_conf = record.cached_context = None
            self.index.add(unit)
            todo.extend(other for names in unit.deps.values() for other in names)
            first = first or record
        if first is None:
            raise LookupError(name)
        return first

    def replace(self, record: Record, unit: Unit) -> None:
        """Take over a new definition of a loaded unit."""
        self.index.remove(record.name)
        record.unit = unit
        record.cached_conf = record.cached_context = None
        self.index.add(unit)

    def forget(self, name: str) -> None:
        """Drop a unit that nothing needs."""
        self.index.remove(name)
        self.records.pop(name, None)

    def is_needed(self, name: str) -> bool:
        """Whether another loaded unit names this one."""
        unit = self.index.find(name)
        names = {name} if unit is None else {unit.name, *unit.aliases}
        for kind in Dep:
            for other in self.index.deps(name, kind):
                found = self.index.find(other)
                if found is not None and not names.isdisjoint(found.deps.get(INVERSE[kind], ())):
                    return True
        return False


def slice_path(name: str) -> str:
    """The cgroup of a slice, relative to the sub-tree: a-b.slice -> a.slice/a-b.slice (systemd.slice(5))."""
    if name == "-.slice":
        return ""
    parts = name.removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))
