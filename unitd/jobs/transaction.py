"""From a request to the jobs that carry it out, or to a refusal.

The passes are systemd's: 0 pull in, 1 mark what matters to the anchor, 2 minimise the impact (mode fail), 3 drop what
is redundant, 4 drop what nobody needs, 5 verify the order, 6 merge, 7 as 4, 8 as 3, 9 refuse destruction. The draft is
the only thing that changes; the result is a frozen value, installed by jobs/queue.
"""

from msgspec import Struct

from unitd.jobs import passes
from unitd.jobs.admission import check_mode, is_spared
from unitd.jobs.algebra import collapse, conflicts, is_redundant, join
from unitd.jobs.closure import Closure
from unitd.jobs.draft import Draft, Prospect
from unitd.jobs.ordering import Order, path, to_drop
from unitd.jobs.port import Graph
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import INFINITY, JobMode, JobType

__all__ = ["Dropped", "Graph", "Planned", "Transaction", "build"]


class Planned(Struct, frozen=True):
    """One job of a transaction; `merged` is its type together with the installed job, None when it replaces it.

    Timeouts are lengths in microseconds, from queueing and from running (JobTimeoutSec=, JobRunningTimeoutSec=).
    """

    unit: str
    type: JobType
    merged: JobType | None = None
    ignore_order: bool = False
    timeout: int = INFINITY
    running_timeout: int = INFINITY


class Dropped(Struct, frozen=True):
    """A job that was left out to break a cycle or a contradiction; `reason` says which."""

    unit: str
    type: JobType
    reason: str

    def __str__(self) -> str:
        return f"cannot {self.type} {self.unit}: {self.reason}"


class Transaction(Struct, frozen=True):
    """Jobs to install, the anchor's first; `cleared`: units whose jobs are canceled (isolate, flush).

    `dropped` and `notes` (why merely wanted jobs are missing) are for the log.
    """

    anchor: str
    jobs: tuple[Planned, ...]
    irreversible: bool = False
    cleared: frozenset[str] = frozenset()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()


def build(graph: Graph, unit: str, type: JobType, mode: JobMode) -> Transaction:
    """The transaction for a request; raises Refusal. Installs nothing. (systemctl(1), --job-mode=)"""
    target = graph.find(unit)
    check_mode(target, type, mode)
    closure = Closure(graph, target.name, collapse(type, graph.active(target.name)), mode)
    if mode is JobMode.ISOLATE:
        closure.isolate()
    elif mode is JobMode.TRIGGERING:
        closure.stop_triggers()
    draft = closure.draft
    passes.mark(draft)
    if mode is JobMode.FAIL:
        passes.minimise(graph, draft)
    passes.drop_redundant(graph, draft)
    garbage = mode is not JobMode.ISOLATE
    dropped = _order(graph, draft, garbage) + _merge(graph, draft, garbage)
    passes.drop_redundant(graph, draft)
    passes.refuse_destruction(graph, draft, mode)
    jobs = tuple(_plan(graph, job) for job in draft)
    cleared = _cleared(graph, draft) if mode in (JobMode.ISOLATE, JobMode.FLUSH) else frozenset()
    draft.dissolve()
    return Transaction(
        anchor=target.name,
        jobs=jobs,
        irreversible=mode is JobMode.REPLACE_IRREVERSIBLY,
        cleared=cleared,
        dropped=tuple(dropped),
        notes=tuple(f"cannot add to the {type} of {target.name}: {note}" for note in closure.notes),
    )


def _order(graph: Graph, draft: Draft, garbage: bool) -> list[Dropped]:
    """Passes 4 and 5, until there is no cycle."""
    if garbage:
        passes.collect(draft)
    order = Order(graph, draft)
    dropped: list[Dropped] = []
    while True:
        cycle = order.cycle()
        if not cycle:
            return dropped
        unit = to_drop(draft, cycle)
        if unit is None:
            raise Refusal(
                Kind.ORDER_IS_CYCLIC,
                draft.anchor.unit,
                f"cannot {draft.anchor.type} {draft.anchor.unit}: ordering cycle {path(cycle)}",
                "take one of the Before= or After= of these units away",
            )
        gone = _remove(graph, draft, draft.units[unit], f"ordering cycle {path(cycle)}", dropped)
        if garbage:
            gone += passes.collect(draft)
        order.lost(gone)


def _merge(graph: Graph, draft: Draft, garbage: bool) -> list[Dropped]:
    """Passes 6 and 7, until each unit has one job."""
    dropped: list[Dropped] = []
    for unit in passes.contradictions(draft):
        while pair := passes.clash(draft, unit):
            a, b = pair
            victim = passes.weaker(a, b)
            if victim is None:
                anchor = draft.anchor
                raise Refusal(
                    Kind.JOBS_CONFLICTING,
                    anchor.unit,
                    f"cannot {anchor.type} {anchor.unit}: contradicting jobs of {unit}: {_needing(b)}, {_needing(a)}",
                    "its requirements contradict each other",
                )
            other = b if victim is a else a
            reason = f"contradicts the {_needing(other)}"
            _remove(graph, draft, [victim], reason, dropped)
            if garbage:
                passes.collect(draft)
    passes.merge(graph, draft)
    return dropped


def _needing(job: Prospect) -> str:
    """A job and for whom it is, in words."""
    needing = sorted({other.unit for other in job.needed_by})
    return f"{job.type} for {', '.join(needing)}" if needing else f"{job.type} that was asked for"


def _remove(graph: Graph, draft: Draft, jobs: list[Prospect], reason: str, dropped: list[Dropped]) -> list[Prospect]:
    """Removes jobs and all that make no sense without them; writes down those that had something to do."""
    gone = []
    for job in list(jobs):
        if job not in draft:
            continue
        removed = draft.remove(job, cascade=True)
        gone += removed
        for lost in removed:
            if not is_redundant(lost.type, graph.active(lost.unit)):
                why = reason if lost is job else f"makes no sense without the {job.type} of {job.unit}: {reason}"
                dropped.append(Dropped(lost.unit, lost.type, why))
    return gone


def _plan(graph: Graph, job: Prospect) -> Planned:
    queued = graph.job(job.unit)
    merged = None
    if queued is not None and job.type is not JobType.NOP and not conflicts(queued.type, job.type):
        merged = join(queued.type, job.type, graph.active(job.unit))
    settings = graph.find(job.unit).settings
    timeout = settings.get("JobTimeoutSec", INFINITY)
    return Planned(
        unit=job.unit,
        type=job.type,
        merged=merged,
        ignore_order=job.ignore_order,
        timeout=timeout,
        running_timeout=settings.get("JobRunningTimeoutSec", timeout),
    )


def _cleared(graph: Graph, draft: Draft) -> frozenset[str]:
    """Units outside of the transaction whose jobs are canceled by isolate and flush."""
    return frozenset(name for name in graph.loaded() if name not in draft.units and not is_spared(graph.find(name)))
