"""Pass 0 of a transaction: everything that a job pulls in, and what that pulls in.

A pulled-in job that cannot be is fatal for who requires it, up to the nearest dependency that tolerates it (Wants=,
propagated reloads); what had been added by then stays, as in systemd. Walked with an explicit stack, in the order of
systemd's depth-first search, because the latest job of a unit counts in the ordering pass. Rests on systemd.unit(5).
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from unitd.jobs.admission import is_applicable, is_spared, load_fault, load_refusal
from unitd.jobs.algebra import DOWN, collapse
from unitd.jobs.draft import CONFLICTS, MATTERS, Draft, Prospect
from unitd.jobs.port import Graph
from unitd.model.dependencies import Atom
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import JobMode, JobType


class Pull(NamedTuple):
    """One job that another job asks for; `flags` of the edge; `tolerant` when it may be missing."""

    unit: str
    type: JobType
    flags: int
    tolerant: bool = False


class Fault(Struct, frozen=True):
    """Why a job cannot be added: for `unit`, asked for by the job of unit `by`."""

    kind: Kind
    unit: str
    by: str
    words: str

    def __str__(self) -> str:
        return f"{self.by} needs {self.unit}: {self.words}" if self.by else self.words


# Nobody can act on these when a wanted unit is not there; everything else is worth a line.
_QUIET = frozenset({Kind.NO_SUCH_UNIT, Kind.UNIT_MASKED, Kind.JOB_TYPE_NOT_APPLICABLE})
_REFUSABLE = frozenset({Kind.JOB_TYPE_NOT_APPLICABLE})

_ON_START = (
    (Atom.PULL_IN_START, JobType.START, MATTERS, False),
    (Atom.PULL_IN_START_IGNORED, JobType.START, 0, True),
    (Atom.PULL_IN_VERIFY, JobType.VERIFY_ACTIVE, MATTERS, False),
    (Atom.PULL_IN_STOP, JobType.STOP, MATTERS | CONFLICTS, False),
    (Atom.PULL_IN_STOP_IGNORED, JobType.STOP, 0, True),
)


class Closure:
    """Fills a draft; `notes` collects why jobs that were only wanted are not in it."""

    def __init__(self, graph: Graph, unit: str, type: JobType, mode: JobMode) -> None:
        self._graph = graph
        self._ignore_order = mode is JobMode.IGNORE_DEPENDENCIES
        self.notes: list[str] = []
        refusal = load_refusal(graph.find(unit), type) if type is not JobType.STOP else None
        if refusal is not None:
            raise refusal
        fault = self._fault(Pull(unit, type, MATTERS), "")
        if fault is not None:
            raise _refusal(fault, unit, type)
        self.draft = Draft(unit, type, self._ignore_order)
        if mode not in (JobMode.IGNORE_DEPENDENCIES, JobMode.IGNORE_REQUIREMENTS):
            fault = self._walk(self.draft.anchor)
            if fault is not None:
                raise _refusal(fault, unit, type)

    def isolate(self) -> None:
        """Adds a stop for every unit that is up, or has a job, and is not in the draft."""
        for name in sorted(self._graph.loaded()):
            if not is_spared(self._graph.find(name)):
                self._stop_beside(name)

    def stop_triggers(self) -> None:
        """Adds a stop for every unit that would trigger the anchor again."""
        for name in self._graph.related(self.draft.anchor.unit, Atom.TRIGGERED_BY):
            self._stop_beside(name)

    def _stop_beside(self, name: str) -> None:
        idle = self._graph.active(name) in DOWN and self._graph.job(name) is None
        if idle or name in self.draft.units:
            return
        anchor = self.draft.anchor
        fault = self._attempt(Pull(name, JobType.STOP, MATTERS), anchor)
        if isinstance(fault, Prospect):
            fault = self._walk(fault)
        if fault is not None:
            self._note(fault)

    def _walk(self, first: Prospect) -> Fault | None:
        """Adds all that a job that was just added pulls in; the fault that is fatal for it, if any."""
        stack = [(first, self._pulls(first), False)]
        while stack:
            job, pulls, tolerant = stack[-1]
            pull = next(pulls, None)
            if pull is None:
                stack.pop()
                continue
            added = self._attempt(pull, job)
            if isinstance(added, Prospect):
                stack.append((added, self._pulls(added), pull.tolerant))
            elif added is not None and added.kind not in _REFUSABLE:
                tolerant = pull.tolerant
                while not tolerant:
                    _, _, tolerant = stack.pop()
                    if not stack:
                        return added
                self._note(added)
        return None

    def _attempt(self, pull: Pull, by: Prospect) -> Prospect | Fault | None:
        """Adds one job: the job when it is new, None when it was there, or why it cannot be added."""
        job = self.draft.find(pull.unit, pull.type)
        added = job is None
        if job is None:
            fault = self._fault(pull, by.unit)
            if fault is not None:
                return fault
            job = self.draft.add(pull.unit, pull.type, self._ignore_order)
        self.draft.link(by, job, pull.flags)
        return job if added else None

    def _fault(self, pull: Pull, by: str) -> Fault | None:
        unit = self._graph.find(pull.unit)
        if pull.type is not JobType.STOP and (fault := load_fault(unit)) is not None:
            return Fault(fault[0], pull.unit, by, fault[1])
        if not is_applicable(self._graph, unit, pull.type):
            words = f"a {unit.type} unit like this has no {pull.type}"
            return Fault(Kind.JOB_TYPE_NOT_APPLICABLE, pull.unit, by, words)
        return None

    def _note(self, fault: Fault) -> None:
        if fault.kind not in _QUIET:
            self.notes.append(str(fault))

    def _pulls(self, job: Prospect) -> Iterator[Pull]:
        """What one job asks for, in systemd's order."""
        if job.type in (JobType.START, JobType.RESTART):
            for atom, type, flags, tolerant in _ON_START:
                for name in self._graph.related(job.unit, atom):
                    yield Pull(name, type, flags, tolerant)
        if job.type is JobType.STOP:
            for name in self._graph.related(job.unit, Atom.PROPAGATE_STOP):
                yield Pull(name, JobType.STOP, MATTERS)
        if job.type is JobType.RESTART:
            # What is down stays down: dependents are restarted only when they are up.
            yield from self._conditional(job.unit, Atom.PROPAGATE_RESTART, JobType.TRY_RESTART, MATTERS)
        if job.type is JobType.RELOAD:
            yield from self._conditional(job.unit, Atom.PROPAGATES_RELOAD_TO, JobType.TRY_RELOAD, 0)

    def _conditional(self, unit: str, atom: Atom, type: JobType, flags: int) -> Iterator[Pull]:
        """Pulls of a conditional type; they are tolerant unless the edge matters."""
        for name in self._graph.related(unit, atom):
            collapsed = collapse(type, self._graph.active(name))
            if collapsed is not JobType.NOP:
                yield Pull(name, collapsed, flags, tolerant=not flags & MATTERS)


def _refusal(fault: Fault, unit: str, type: JobType) -> Refusal:
    hint = f"unmask {fault.unit} first" if fault.kind is Kind.UNIT_MASKED else ""
    return Refusal(fault.kind, fault.unit, f"cannot {type} {unit}: {fault}", hint)
