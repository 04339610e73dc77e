"""Which waiting job waits for which unit's job: kept up to date pair by pair, so that nothing is ever scanned.

Invariants: `_blockers` and `_holds` are each other's inverse; a unit in `_stale` is looked at again before anything
is answered. The cost of a change at a unit is the number of its ordering dependencies. Rests on systemd.unit(5),
Before=.
"""

from collections.abc import Mapping

from unitd.jobs.algebra import compare
from unitd.jobs.job import Job
from unitd.jobs.port import Graph
from unitd.model.dependencies import Atom


class Waits:
    """Who waits for whom, by unit; `jobs` are the installed jobs by unit, owned by the queue."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._blockers: dict[str, set[str]] = {}
        self._holds: dict[str, set[str]] = {}
        self._stale: dict[str, None] = dict.fromkeys(jobs)

    def blockers(self, unit: str) -> list[str]:
        """Units whose jobs the unit's job waits for, sorted."""
        return sorted(self._blockers.get(unit, ()))

    def holds(self, unit: str) -> list[str]:
        """Units whose jobs wait for the unit's job, sorted."""
        return sorted(self._holds.get(unit, ()))

    def is_free(self, unit: str) -> bool:
        return not self._blockers.get(unit)

    def changed(self, unit: str) -> list[str]:
        """Told that a unit's job came, went or changed; the units that no longer wait for anybody, sorted."""
        for blocker in self._blockers.pop(unit, ()):
            self._holds[blocker].discard(unit)
        freed = []
        for held in self._holds.pop(unit, ()):
            waiting_for = self._blockers[held]
            waiting_for.discard(unit)
            if not waiting_for:
                freed.append(held)
        if unit in self._jobs:
            self._stale[unit] = None
        else:
            self._stale.pop(unit, None)
        return sorted(freed)

    def settle(self, graph: Graph) -> list[str]:
        """Looks again at all that changed; the units looked at that wait for nobody, in the order of change."""
        looked_at = list(self._stale)
        while self._stale:
            unit = next(iter(self._stale))
            del self._stale[unit]
            self._look(unit, self._jobs[unit], graph)
        return [unit for unit in looked_at if self.is_free(unit)]

    def _look(self, unit: str, job: Job, graph: Graph) -> None:
        for atom in (Atom.BEFORE, Atom.AFTER):
            for name in graph.related(unit, atom):
                other = self._jobs.get(name)
                # A pair of which the other end is stale too is looked at once, from there.
                if other is None or name in self._stale:
                    continue
                order = compare(job, other, atom)
                if order > 0:
                    self._hold(name, unit)
                elif order < 0:
                    self._hold(unit, name)

    def _hold(self, blocker: str, held: str) -> None:
        self._blockers.setdefault(held, set()).add(blocker)
        self._holds.setdefault(blocker, set()).add(held)
