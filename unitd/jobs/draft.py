"""A transaction while it is being worked on: prospective jobs and who needs whom.

Invariants: an edge is known at both ends; a unit is listed exactly while it has a prospective job; the jobs of a
unit are in the order in which they were added, and differ in type.
"""

from collections.abc import Iterator

from unitd.model.states import JobType

MATTERS = 1
"""Edge: without the needed job the needing one makes no sense."""
CONFLICTS = 2
"""Edge: the needed job is a stop on behalf of Conflicts=."""


class Prospect:
    """One prospective job; `needs` and `needed_by` map the other end to the flags of the edge."""

    __slots__ = ("ignore_order", "matters", "needed_by", "needs", "type", "unit")

    def __init__(self, unit: str, type: JobType, ignore_order: bool) -> None:
        self.unit = unit
        self.type = type
        self.ignore_order = ignore_order
        self.matters = False
        self.needs: dict[Prospect, int] = {}
        self.needed_by: dict[Prospect, int] = {}

    @property
    def is_conflicted(self) -> bool:
        """True when a conflicting unit needs this job."""
        return any(flags & CONFLICTS for flags in self.needed_by.values())


class Draft:
    """The prospective jobs by unit, in the order in which units were pulled in; the anchor's unit is first.

    `orphans` are jobs that lost the last job that needed them; they may be gone, or needed again.
    """

    def __init__(self, unit: str, type: JobType, ignore_order: bool) -> None:
        self.anchor = Prospect(unit, type, ignore_order)
        self.units: dict[str, list[Prospect]] = {unit: [self.anchor]}
        self.orphans: list[Prospect] = []

    def __iter__(self) -> Iterator[Prospect]:
        """All prospective jobs; the draft may be changed meanwhile."""
        return iter([job for jobs in self.units.values() for job in jobs])

    def __contains__(self, job: Prospect) -> bool:
        return job in self.units.get(job.unit, ())

    def latest(self, unit: str) -> Prospect | None:
        """The job that was added last for a unit: the one whose order counts until jobs are merged."""
        jobs = self.units.get(unit)
        return jobs[-1] if jobs else None

    def find(self, unit: str, type: JobType) -> Prospect | None:
        for job in self.units.get(unit, ()):
            if job.type is type:
                return job
        return None

    def add(self, unit: str, type: JobType, ignore_order: bool) -> Prospect:
        """Adds a job that is not there yet."""
        job = Prospect(unit, type, ignore_order)
        self.units.setdefault(unit, []).append(job)
        return job

    def link(self, by: Prospect, job: Prospect, flags: int) -> None:
        """Writes down that one job needs another; flags add up."""
        by.needs[job] = job.needed_by[by] = by.needs.get(job, 0) | flags

    def dissolve(self) -> None:
        """Cut all edges: they are circles, which would stay in memory until a collector comes by."""
        for job in self:
            job.needs.clear()
            job.needed_by.clear()

    def remove(self, job: Prospect, *, cascade: bool) -> list[Prospect]:
        """Removes a job and, when it cascades, all that make no sense without it; the removed ones in order."""
        removed = []
        doomed = {job: None}
        while doomed:
            job, _ = doomed.popitem()
            removed.append(job)
            for needing, flags in job.needed_by.items():
                del needing.needs[job]
                if cascade and flags & MATTERS:
                    doomed[needing] = None
            for needed in job.needs:
                del needed.needed_by[job]
                if not needed.needed_by:
                    self.orphans.append(needed)
            job.needs = {}
            job.needed_by = {}
            jobs = self.units[job.unit]
            jobs.remove(job)
            if not jobs:
                del self.units[job.unit]
        return removed
