"""A measurement with what it may be, and how both are shown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement and what it may be."""

    what: str
    value: float
    unit: str
    budget: float


def report(figures: Iterable[Figure]) -> bool:
    """Print each figure as it comes; whether all keep their budgets."""
    kept = True
    for figure in figures:
        late = figure.value > figure.budget
        kept = kept and not late
        verdict = "OVER" if late else "ok"
        print(
            f"{figure.what:40} {figure.value:9.2f} {figure.unit:8} budget {figure.budget:7.1f}  {verdict}", flush=True
        )
    return kept
