"""Pass 5 of a transaction: the order of its jobs, and of the installed ones, has no cycle.

A cycle is broken by dropping a job that the anchor can do without, and all jobs that make no sense without that one;
when the anchor needs every job of the cycle, the transaction is refused. Walked with an explicit stack; what is
known to be free of cycles stays known as long as only jobs disappear. Rests on systemd.unit(5), Before=.
"""

from unitd.jobs.algebra import compare
from unitd.jobs.draft import Draft, Prospect
from unitd.jobs.job import Job
from unitd.jobs.port import Graph
from unitd.model.dependencies import Atom


class Order:
    """Looks for cycles in a draft that may lose jobs between two looks."""

    def __init__(self, graph: Graph, draft: Draft) -> None:
        self._graph = graph
        self._draft = draft
        self._cleared: set[str] = set()

    def cycle(self) -> tuple[str, ...]:
        """Units of one cycle, each to run before the next, the last before the first; () when there is none."""
        for unit in list(self._draft.units):
            if unit not in self._cleared and (path := self._search(unit)):
                return path
        return ()

    def lost(self, jobs: list[Prospect]) -> None:
        """Told which jobs were dropped; an installed job that comes to the fore in their place makes all open."""
        if any(self._graph.job(job.unit) is not None for job in jobs):
            self._cleared.clear()

    def _search(self, root: str) -> tuple[str, ...]:
        path = {root: self._successors(root)}
        while path:
            unit = next(reversed(path))
            successors = path[unit]
            if not successors:
                del path[unit]
                self._cleared.add(unit)
                continue
            following = successors.pop()
            if following in path:
                units = list(path)
                return tuple(units[units.index(following) :])
            if following not in self._cleared:
                path[following] = self._successors(following)
        return ()

    def _successors(self, unit: str) -> list[str]:
        """Units whose job runs after this unit's, the first one last."""
        job = self._job(unit)
        found = []
        if job is not None and not job.ignore_order:
            for atom in (Atom.BEFORE, Atom.AFTER):
                for name in self._graph.related(unit, atom):
                    other = self._job(name)
                    if other is not None and compare(job, other, atom) < 0:
                        found.append(name)
        found.reverse()
        return found

    def _job(self, unit: str) -> Prospect | Job | None:
        return self._draft.latest(unit) or self._graph.job(unit)


def to_drop(draft: Draft, cycle: tuple[str, ...]) -> str | None:
    """The unit of a cycle that gives way: the last one of which no job matters to the anchor."""
    for unit in reversed(cycle):
        jobs = draft.units.get(unit)
        if jobs and not any(job.matters for job in jobs):
            return unit
    return None


def canonical(cycle: tuple[str, ...]) -> tuple[str, ...]:
    """The cycle, begun at its smallest name and closed: the same whatever unit the search began with."""
    start = cycle.index(min(cycle))
    return (*cycle[start:], *cycle[:start], cycle[start])
