"""Passes 1 to 9 of a transaction over a draft, but for the ordering, which is jobs/ordering.

Each pass is linear in the jobs and edges of the draft, and its result does not depend on the order in which jobs
were added, save where two jobs could equally well be dropped. Rests on systemctl(1), "--job-mode=".
"""

from collections.abc import Iterator

from unitd.jobs.algebra import RISING, conflicts, is_redundant, join
from unitd.jobs.draft import MATTERS, Draft, Prospect
from unitd.jobs.port import Graph
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import JobMode, JobType


def mark(draft: Draft) -> None:
    """1: marks the jobs without which the anchor makes no sense."""
    draft.anchor.matters = True
    found = [draft.anchor]
    while found:
        for needed, flags in found.pop().needs.items():
            if flags & MATTERS and not needed.matters:
                needed.matters = True
                found.append(needed)


def minimise(graph: Graph, draft: Draft) -> None:
    """2, mode fail: drops what the anchor can do without and would stop a running unit or reverse a queued job."""
    for job in draft:
        if job in draft and not job.matters:
            stops = job.type is JobType.STOP and graph.active(job.unit) in RISING
            if stops or _reverses(graph, job):
                draft.remove(job, cascade=True)


def drop_redundant(graph: Graph, draft: Draft) -> None:
    """3 and 8: drops the jobs of units that are already as all their jobs would leave them."""
    for jobs in list(draft.units.values()):
        if all(
            job is not draft.anchor and is_redundant(job.type, graph.active(job.unit)) and not _reverses(graph, job)
            for job in jobs
        ):
            for job in list(jobs):
                draft.remove(job, cascade=False)


def collect(draft: Draft) -> list[Prospect]:
    """4 and 7: drops the jobs that no job needs any more, and then those that only they needed; the dropped ones."""
    dropped = []
    while draft.orphans:
        job = draft.orphans.pop()
        if job is not draft.anchor and not job.needed_by and job in draft:
            dropped += draft.remove(job, cascade=False)
    return dropped


def clash(draft: Draft, unit: str) -> tuple[Prospect, Prospect] | None:
    """6: two jobs of one unit that contradict each other, the later added first."""
    jobs = draft.units.get(unit, [])[::-1]
    for position, job in enumerate(jobs):
        for other in jobs[position + 1 :]:
            if conflicts(job.type, other.type):
                return job, other
    return None


def weaker(a: Prospect, b: Prospect) -> Prospect | None:
    """Of two contradicting jobs the one to drop; None when the anchor needs both.

    Starts are kept rather than stops, unless the stop is on behalf of a conflicting unit.
    """
    if a.matters and b.matters:
        return None
    if a.matters != b.matters:
        return b if a.matters else a
    for stop, other in ((a, b), (b, a)):
        if stop.type is JobType.STOP:
            return other if stop.is_conflicted else stop
    return a


def merged_type(graph: Graph, jobs: list[Prospect]) -> JobType:
    """The one type for all jobs of a unit, which do not contradict one another."""
    active = graph.active(jobs[0].unit)
    type = jobs[-1].type
    for job in reversed(jobs[:-1]):
        joined = join(type, job.type, active)
        if joined is None:
            raise ValueError(f"cannot merge {type} and {job.type} of {job.unit}: they contradict each other")
        type = joined
    return type


def merge(graph: Graph, draft: Draft) -> None:
    """6, at the end: makes one job of all jobs of a unit; edges have no meaning from here on."""
    for jobs in draft.units.values():
        if len(jobs) > 1:
            kept = draft.anchor if draft.anchor in jobs else jobs[-1]
            kept.type = merged_type(graph, jobs)
            kept.matters = any(job.matters for job in jobs)
            jobs[:] = [kept]


def refuse_destruction(graph: Graph, draft: Draft, mode: JobMode) -> None:
    """9: refuses to reverse queued jobs in mode fail, and irreversible ones in any mode."""
    for job in draft:
        queued = graph.job(job.unit)
        if queued is None or not conflicts(queued.type, job.type):
            continue
        if mode is JobMode.FAIL or queued.irreversible:
            anchor = draft.anchor
            irreversible = "irreversible " if queued.irreversible else ""
            raise Refusal(
                Kind.IS_DESTRUCTIVE,
                anchor.unit,
                f"cannot {anchor.type} {anchor.unit}: {job.unit} would get a {job.type} job, but"
                f" its {irreversible}{queued.type} job {queued.id} is queued",
                "wait for that job, or cancel it",
            )


def _reverses(graph: Graph, job: Prospect) -> bool:
    queued = graph.job(job.unit)
    return queued is not None and conflicts(job.type, queued.type)


def contradictions(draft: Draft) -> Iterator[str]:
    """Units with more than one job, as long as they have them; the draft may be changed meanwhile."""
    for unit in list(draft.units):
        if len(draft.units.get(unit, ())) > 1:
            yield unit
