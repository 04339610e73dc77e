"""What the algebra of jobs needs to know about units: a read-only port, implemented by the engine."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from unitd.jobs.job import Job
from unitd.model.dependencies import Atom
from unitd.model.states import Active
from unitd.model.unit import Unit


class Graph(Protocol):
    """The units, their relations, their states and their installed jobs; constant while it is being asked."""

    def find(self, name: str) -> Unit:
        """The unit that bears this name, an alias resolved; loaded on demand, load NOT_FOUND when there is none."""
        ...

    def related(self, name: str, atom: Atom) -> Sequence[str]:
        """Real names of the units to which `name` has a dependency with this atom, sorted, without duplicates."""
        ...

    def active(self, name: str) -> Active: ...

    def job(self, name: str) -> Job | None:
        """The installed job of a unit, nop jobs left aside."""
        ...

    def loaded(self) -> Iterable[str]:
        """Real names of all loaded units."""
        ...
