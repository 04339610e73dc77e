"""Large graphs: walked without recursion, at a cost in proportion to their size. Cost is counted in questions asked."""

from collections.abc import Sequence

import pytest

from unitd.model.dependencies import Atom
from unitd.model.states import Active, JobResult
from unitd.model.unit import Unit

from .graph import Units, planned, unit


class Counting(Units):
    """Counts how many relations it was asked for."""

    asked = 0

    def related(self, name: str, atom: Atom) -> Sequence[str]:
        found = super().related(name, atom)
        self.asked += 1 + len(found)
        return found


def chain(size: int) -> list[Unit]:
    names = [f"u{number:05}.service" for number in range(size)]
    needs = ["", *names[:-1]]
    return [unit(name, Requires=need, After=need) for name, need in zip(names, needs, strict=True)]


def star(size: int) -> list[Unit]:
    names = [f"u{number:05}.service" for number in range(size)]
    every = " ".join(names)
    return [*(unit(name) for name in names), unit("top.target", {}, Wants=every, After=every)]


def layers(count: int, width: int) -> list[Unit]:
    """Each unit of a layer needs all units of the layer below."""
    found = [unit("top.target", {}, Requires=" ".join(f"l{count - 1}-{place}.service" for place in range(width)))]
    for layer in range(count):
        below = " ".join(f"l{layer - 1}-{place}.service" for place in range(width)) if layer else ""
        found += [unit(f"l{layer}-{place}.service", Requires=below, After=below) for place in range(width)]
    return found


def run_all(units: Units) -> int:
    count = 0
    while (job := units.queue.next_runnable(units)) is not None:
        units.queue.started(job.id, 0)
        units.states[job.unit] = Active.ACTIVE
        units.queue.finish(job.id, JobResult.DONE, units)
        count += 1
    return count


@pytest.mark.parametrize(
    ("found", "anchor", "edges"),
    [
        (chain(5000), "u04999.service", 5000),
        (star(5000), "top.target", 5000),
        (layers(20, 50), "top.target", 47_550),
    ],
    ids=["chain", "star", "layers"],
)
def test_cost_is_linear(found: list[Unit], anchor: str, edges: int) -> None:
    units = Counting(found)
    installed = units.ask("start", anchor)
    assert len(installed.added) == len(found)
    assert run_all(units) == len(found)
    assert len(units.queue) == 0
    assert units.asked < 20 * len(found) + 10 * edges


def test_a_long_chain_falls_without_recursion() -> None:
    units = Counting(chain(5000))
    units.ask("start", "u04999.service")
    assert len(units.finish("u00000.service", JobResult.FAILED)) == 5000
    assert len(units.queue) == 0


def test_a_long_chain_with_a_missing_end_is_refused_or_tolerated() -> None:
    units = Units([*chain(5000)[1:], unit("top.target", {}, Wants="u04999.service")])
    assert len(planned(units.build("start", "top.target"))) == 5000
