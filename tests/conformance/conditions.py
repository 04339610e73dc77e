"""Topic condition: the conditions of a unit, evaluated against this machine."""

from pathlib import Path

from unitd.engine.work import hold
from unitd.host.conditions import TESTS, states
from unitd.model.effects import Condition

from .comparison import Case, Comparison, Document


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares whether the unit would start."""
    conditions: list[Condition] = []
    for line in case["lines"]:
        name, _, value = line.partition("=")
        kind = name.removeprefix("Condition")
        if kind not in TESTS:
            raise LookupError(f"cannot test {name}=: no such condition")
        if not value:
            conditions.clear()
            continue
        trigger = value.startswith("|")
        value = value.removeprefix("|").lstrip()
        negate = value.startswith("!")
        conditions.append(Condition(kind, value.removeprefix("!").lstrip(), negate, trigger))
    return Comparison(case["expect_start"], hold(conditions, states(conditions)))
