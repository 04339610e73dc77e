"""Whether the conditions and asserts of a unit hold now (systemd.unit(5) "Conditions and Asserts").

A test is a function of the parameter in TESTS that says yes, no, or None where it cannot tell: None is "not met",
negated or not. Evaluation stops at the first plain condition that is not met; those behind it stay untried.
"""

from collections.abc import Callable, Sequence
from typing import Final

from unitd.host import machine_conditions, path_conditions, system_conditions
from unitd.model.effects import CheckConditions, Condition
from unitd.model.events import ConditionsChecked

Test = Callable[[str], bool | None]

MET, NOT_MET, NOT_TRIED = 1, -1, 0

TESTS: Final[dict[str, Test]] = {
    **path_conditions.TESTS,
    **machine_conditions.TESTS,
    **system_conditions.TESTS,
}


def evaluate(condition: Condition) -> bool:
    """Whether one condition holds, its `!` considered; an unknown kind and one that fails to be tested do not."""
    test = TESTS.get(condition.kind)
    try:
        answer = test(condition.parameter) if test is not None else None
    except (OSError, ValueError):
        answer = None
    return answer is not None and answer != condition.negate


def states(conditions: Sequence[Condition]) -> tuple[int, ...]:
    """One state per condition, in their order: MET, NOT_MET or NOT_TRIED."""
    found: list[int] = []
    triggered = False
    for condition in conditions:
        met = evaluate(condition)
        found.append(MET if met else NOT_MET)
        triggered = triggered or (condition.trigger and met)
        if not met and not condition.trigger:
            break
    return (*found, *(NOT_TRIED for _ in conditions[len(found) :]))


def check(asked: CheckConditions) -> ConditionsChecked:
    """The answer to the engine's question."""
    return ConditionsChecked(asked.unit, asked.serial, states(asked.conditions), states(asked.asserts))
