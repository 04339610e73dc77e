"""The algebra of job types, in tables: what two jobs make together, what a state makes of a job.

Invariants, proved in tests over all cases: merge is commutative and closed; merge followed by collapse is
associative; of three jobs that do not merge, two do not. Rests on systemd 252's job rules (systemctl(1),
"--job-mode=", and systemd.unit(5)).
"""

from enum import Enum, auto
from typing import Protocol

from unitd.model.dependencies import Atom
from unitd.model.states import Active, JobResult, JobType

_T = JobType
_A = Active

UP = frozenset({_A.ACTIVE, _A.RELOADING})
DOWN = frozenset({_A.INACTIVE, _A.FAILED})
RISING = UP | {_A.ACTIVATING}
FALLING = DOWN | {_A.DEACTIVATING}
STOPPING = frozenset({_T.STOP, _T.RESTART})
"""Types that begin by taking the unit down."""

_MERGED: dict[tuple[JobType, JobType], JobType] = {
    (_T.START, _T.VERIFY_ACTIVE): _T.START,
    (_T.START, _T.RELOAD): _T.RELOAD_OR_START,
    (_T.START, _T.RESTART): _T.RESTART,
    (_T.VERIFY_ACTIVE, _T.RELOAD): _T.RELOAD,
    (_T.VERIFY_ACTIVE, _T.RESTART): _T.RESTART,
    (_T.RELOAD, _T.RESTART): _T.RESTART,
}
_MERGED |= {(b, a): merged for (a, b), merged in _MERGED.items()}
_MERGED |= {(one, one): one for one in (_T.START, _T.VERIFY_ACTIVE, _T.STOP, _T.RELOAD, _T.RESTART, _T.NOP)}

REDUNDANT: dict[JobType, frozenset[Active]] = {
    _T.START: UP,
    _T.VERIFY_ACTIVE: UP,
    _T.STOP: DOWN,
    _T.RELOAD: frozenset(),
    _T.RESTART: frozenset(),
    _T.NOP: frozenset(Active),
}
"""The states in which a job has nothing to do; reloads and restarts always do something."""

_COLLAPSED: dict[JobType, tuple[JobType, JobType, frozenset[Active]]] = {
    _T.TRY_RESTART: (_T.RESTART, _T.NOP, RISING),
    _T.TRY_RELOAD: (_T.RELOAD, _T.NOP, UP),
    _T.RELOAD_OR_START: (_T.RELOAD, _T.START, UP),
}
"""What a conditional type becomes: (in one of these states, otherwise, the states)."""


class Ordered(Protocol):
    """What the order of two jobs depends on."""

    @property
    def type(self) -> JobType: ...
    @property
    def ignore_order(self) -> bool: ...


def merge(a: JobType, b: JobType) -> JobType | None:
    """The one type that does what both do, still to be collapsed; None when they contradict each other."""
    return _MERGED.get((a, b))


def collapse(type: JobType, active: Active) -> JobType:
    """The unconditional type that a type means for a unit in this state."""
    if type not in _COLLAPSED:
        return type
    within, otherwise, states = _COLLAPSED[type]
    return within if active in states else otherwise


def join(a: JobType, b: JobType, active: Active) -> JobType | None:
    """Merge, then collapse; None when the two contradict each other."""
    merged = merge(a, b)
    return None if merged is None else collapse(merged, active)


def conflicts(a: JobType, b: JobType) -> bool:
    """True when a unit cannot have both jobs; nop conflicts with nothing."""
    return _T.NOP not in (a, b) and merge(a, b) is None


def is_superset(a: JobType, b: JobType) -> bool:
    """True when doing `a` does all that `b` asks for."""
    return merge(a, b) is a


def is_redundant(type: JobType, active: Active) -> bool:
    """True when a unit in this state is already as the job would leave it."""
    return active in REDUNDANT[type]


def compare(job: Ordered, other: Ordered, atom: Atom) -> int:
    """Which job runs first when job's unit is BEFORE or AFTER (`atom`) other's: <0 job, >0 other, 0 neither.

    Whatever stops goes first; of two that stop, the unit that was started last. (systemd.unit(5), Before=)
    """
    if job.ignore_order or other.ignore_order or _T.NOP in (job.type, other.type):
        return 0
    if atom is Atom.BEFORE:
        return 1 if other.type in STOPPING else -1
    return -1 if job.type in STOPPING else 1


class Move(Enum):
    """What to do with a job whose turn it is."""

    RUN = auto()
    WAIT = auto()


def opening(type: JobType, active: Active) -> JobResult | Move:
    """The first move of a runnable job: its result when there is nothing to do, else RUN, or WAIT for the unit."""
    match type:
        case _T.NOP:
            return JobResult.DONE
        case _T.VERIFY_ACTIVE:
            if active in UP:
                return JobResult.DONE
            return Move.WAIT if active is _A.ACTIVATING else JobResult.SKIPPED
        case _T.RELOAD:
            if active is _A.RELOADING:
                return Move.WAIT
            return Move.RUN if active is _A.ACTIVE else JobResult.INVALID
        case _T.START:
            if active is _A.DEACTIVATING:
                return Move.WAIT
            return JobResult.DONE if active in UP else Move.RUN
        case _T.STOP | _T.RESTART:
            return JobResult.DONE if active in DOWN else Move.RUN
    raise ValueError(f"cannot run a job of type {type}: it is not collapsed")


def outcome(type: JobType, active: Active, *, running: bool = True, reload_ok: bool = True) -> JobResult | None:
    """The result that a unit's new state means for its job; None while the job goes on. A NOP has none."""
    match type:
        case _T.START | _T.VERIFY_ACTIVE:
            if active in UP:
                return JobResult.DONE
            if running and active in DOWN:
                return JobResult.FAILED if active is _A.FAILED else JobResult.DONE
        case _T.RELOAD if running:
            if active is _A.ACTIVE:
                return JobResult.DONE if reload_ok else JobResult.FAILED
            if active in DOWN:
                return JobResult.FAILED if active is _A.FAILED else JobResult.DONE
        case _T.STOP | _T.RESTART:
            if active in DOWN:
                return JobResult.DONE
            if running and active is not _A.DEACTIVATING:
                return JobResult.FAILED
        case _:
            pass
    return None


_WAY: dict[JobType, frozenset[Active]] = {
    _T.START: RISING,
    _T.VERIFY_ACTIVE: RISING,
    _T.RELOAD: RISING,
    _T.STOP: FALLING,
    _T.RESTART: FALLING,
    _T.NOP: frozenset(Active),
}


def is_expected(type: JobType, active: Active, *, running: bool = True) -> bool:
    """False when a unit left the way of its running job, so that the change carries over to other units.

    A unit without a job changes unexpectedly too: then ask jobs.retroactive without asking here.
    """
    return not running or active in _WAY[type]
