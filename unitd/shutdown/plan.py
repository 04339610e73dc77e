"""The plan of a shutdown or of a request, as values and in the shape of `unitctl plan -o json`.

Times are microseconds from the beginning, INFINITY where there is no end; in the shape they are seconds, and null.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from msgspec import Struct

from unitd.model.states import INFINITY, SECOND
from unitd.syntax.signals import signal_name


class Step(Struct, frozen=True):
    """One step of a unit's stop or start: `timeout` is what it gets, `own` what the unit's own rules allow.

    `whom`: "all", "main" or "control", of the unit's processes; `command`: what is run.
    """

    step: str
    timeout: int
    own: int
    signal: int = 0
    whom: str = ""
    command: str = ""


class Reach(Enum):
    """Who of a unit gets signals: nobody, the named ones, these and then the others, or all with these as the last."""

    NOBODY = auto()
    NAMED = auto()
    NAMED_FIRST = auto()
    ALL = auto()


class UnitPlan(Struct, frozen=True):
    """What is done to one unit; `begins`: when at the latest. `named`: its control and main process."""

    unit: str
    begins: int
    steps: tuple[Step, ...] = ()
    reach: Reach = Reach.NOBODY
    named: tuple[int, ...] = ()


class Plan(Struct, frozen=True):
    """`waves`: who is dealt with together; `bound`: how long it takes at most; `cap`: how long it may take."""

    verb: str
    unit: str
    waves: tuple[tuple[UnitPlan, ...], ...]
    bound: int
    cap: int = INFINITY


def shape(plan: Plan, members: Callable[[str, Sequence[int]], Sequence[int]]) -> dict[str, Any]:
    """The plan as plain values; `members(unit, last)` are the unit's processes as they are signalled, `last` last."""
    return {
        "verb": plan.verb,
        "unit": plan.unit,
        "bound_s": _seconds(plan.bound),
        "cap_s": _seconds(plan.cap),
        "waves": [[_unit(each, members) for each in wave] for wave in plan.waves],
    }


def _unit(plan: UnitPlan, members: Callable[[str, Sequence[int]], Sequence[int]]) -> dict[str, Any]:
    return {
        "unit": plan.unit,
        "begins_s": _seconds(plan.begins),
        "steps": [_step(step) for step in plan.steps],
        "pids": _pids(plan, members),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "signal": f"SIG{signal_name(step.signal)}" if step.signal else None,
        "timeout_s": _seconds(step.timeout),
        "cut_from_s": _seconds(step.own) if step.own > step.timeout else None,
        "whom": step.whom or None,
        "command": step.command or None,
    }


def _pids(plan: UnitPlan, members: Callable[[str, Sequence[int]], Sequence[int]]) -> list[int]:
    """Who is signalled, in this order."""
    match plan.reach:
        case Reach.NOBODY:
            return []
        case Reach.NAMED:
            return list(plan.named)
        case Reach.NAMED_FIRST:
            return [*plan.named, *(pid for pid in members(plan.unit, plan.named) if pid not in plan.named)]
        case Reach.ALL:
            return list(members(plan.unit, plan.named))


def _seconds(length: int) -> float | None:
    """Seconds to the millisecond above; None for INFINITY."""
    return -(-length * 1000 // SECOND) / 1000 if length < INFINITY else None
