"""Pass 5 of a transaction: the order of its jobs, and of the installed ones, has no cycle.

A cycle is broken by dropping a job that the anchor can do without, and all jobs that make no sense without that one;
when the anchor needs every job of the cycle, the transaction is refused. Walked with an explicit stack; what is
known to be free of cycles stays known as long as only jobs disappear. Rests on systemd.unit(5), Before=.
"""

from unitd.jobs.algebra import STOPPING, compare
from unitd.jobs.draft import Draft, Prospect
from unitd.jobs.job import Job
from unitd.jobs.port import Graph
from unitd.model.dependencies import Atom

_SHOWN = 20


class Order:
    """Looks for cycles in a draft that may lose jobs between two looks."""

    def __init__(self, graph: Graph, draft: Draft) -> None:
        self._graph = graph
        self._draft = draft
        self._cleared: set[str] = set()
        self._roots = list(reversed(draft.units))

    def cycle(self) -> tuple[str, ...]:
        """Units of one cycle, each to run before the next, the last before the first; () when there is none."""
        while self._roots:
            unit = self._roots[-1]
            if unit in self._draft.units and unit not in self._cleared and (found := self._search(unit)):
                return found
            self._roots.pop()
        return ()

    def lost(self, jobs: list[Prospect]) -> None:
        """Told which jobs were dropped; where another job comes to the fore in their place, all is open again."""
        if any(self._job(job.unit) is not None for job in jobs):
            self._cleared.clear()
            self._roots = list(reversed(self._draft.units))

    def _search(self, root: str) -> tuple[str, ...]:
        trail = {root: self._successors(root)}
        while trail:
            unit = next(reversed(trail))
            successors = trail[unit]
            if not successors:
                del trail[unit]
                self._cleared.add(unit)
                continue
            following = successors.pop()
            if following in trail:
                units = list(trail)
                return tuple(units[units.index(following) :])
            if following not in self._cleared:
                trail[following] = self._successors(following)
        return ()

    def _successors(self, unit: str) -> list[str]:
        """Units whose job runs after this unit's, the first one last."""
        job = self._job(unit)
        found: list[str] = []
        if job is None or job.ignore_order:
            return found
        # Only what stops runs before a unit that it is ordered after.
        atoms = (Atom.BEFORE, Atom.AFTER) if job.type in STOPPING else (Atom.BEFORE,)
        for atom in atoms:
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


def path(cycle: tuple[str, ...]) -> str:
    """The cycle in words, "a -> b -> a": begun at its smallest name, the middle of a very long one left out."""
    start = cycle.index(min(cycle))
    units = [*cycle[start:], *cycle[:start], cycle[start]]
    if len(units) > _SHOWN:
        half = _SHOWN // 2
        units[half:-half] = [f"({len(units) - 2 * half} more)"]
    return " -> ".join(units)
