"""Waves and the budget: who stops when, and for how long each may take; for any graph and any wants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.model.states import INFINITY, SECOND
from unitd.shutdown import budget
from unitd.shutdown.budget import Budget, Need, Slot
from unitd.shutdown.waves import Waves, waves

Graph = Mapping[str, Sequence[str]]


def plan(later: Graph) -> Waves:
    """`later`: by unit, those that are ordered after it."""
    return waves(later, lambda name: later[name])


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({}, []),
        ({"a": [], "b": []}, ["ab"]),
        ({"a": ["b"], "b": []}, ["b", "a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ["d", "bc", "a"]),
        ({"a": ["b", "c"], "b": [], "c": ["d"], "d": []}, ["bd", "c", "a"]),
        ({"a": ["gone"], "b": ["b"]}, ["ab"]),
        ({"a": ["b"], "b": ["a"]}, ["ab"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}, ["abc", "d"]),
    ],
)
def test_waves(later: Graph, expected: Sequence[str]) -> None:
    assert ["".join(wave) for wave in plan(later).waves] == list(expected)


def test_a_cycle_is_named_with_its_path() -> None:
    assert plan({"c": ["a"], "a": ["b"], "b": ["c"]}).broken == {"a": ("a", "b", "c")}


NAMES = "abcdefgh"


@st.composite
def graphs(draw: Callable[[Any], Any]) -> tuple[dict[str, list[str]], dict[str, Need]]:
    """Units with any order among them, cycles too, and what each wants; some nothing, some all the time there is."""
    later = draw(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=8))
    wants = st.one_of(st.integers(0, 100), st.integers(0, 100 * SECOND), st.just(INFINITY))
    needs = {name: draw(st.tuples(wants, wants)) for name in later}
    return later, {name: Need(min(pair), max(pair) if min(pair) else 0) for name, pair in needs.items()}


@given(graphs())
def test_every_unit_stops_once_and_after_those_that_hold_it_up(given: tuple[Graph, Mapping[str, Need]]) -> None:
    later, _ = given
    found = plan(later)
    place = {name: i for i, wave in enumerate(found.waves) for name in wave}
    assert sum(len(wave) for wave in found.waves) == len(later) == len(place)
    for name, others in later.items():
        for other in others:
            if other in place and other != name and not {name, other} & found.broken.keys():
                assert place[other] < place[name]
                assert name in found.then[other]


# --- the level ----------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.lists(st.one_of(st.integers(0, 10**9), st.just(INFINITY)), max_size=20))
def test_the_level_is_the_greatest_that_fits(total: int, wants: list[int]) -> None:
    found = budget.level(total, wants)
    if found >= INFINITY:
        assert sum(wants) <= total
    else:
        assert sum(min(want, found) for want in wants) <= total < sum(min(want, found + 1) for want in wants)


def test_the_small_are_not_cut() -> None:
    assert budget.level(27 * SECOND, [20 * SECOND] * 5) == 27 * SECOND // 5
    assert budget.level(27 * SECOND, [20 * SECOND, SECOND, 20 * SECOND, 2 * SECOND]) == 12 * SECOND
    assert budget.level(10, [1, 2, 3]) == INFINITY


@given(st.integers(0, 10**9), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=8))
def test_steps_one_after_another_end_in_time(total: int, pairs: list[tuple[int, int]]) -> None:
    needs = [Need(min(pair), max(pair)) for pair in pairs]
    left = total
    for index, need in enumerate(needs):
        share = budget.first_share(left, needs[index:])
        assert 0 <= share <= min(need.most, left)
        assert share > 0 or not need.want or left < len(needs) - index
        left -= share
    assert left >= 0


# --- the budget -------------------------------------------------------------------------------------------------


def slots(shared: Budget, found: Waves, total: int, takes: Mapping[str, float] | None = None) -> dict[str, Slot]:
    """What happens when each unit takes this part of its allotment, else all of it."""

    def took(name: str, begins: int) -> int:
        allotment = shared.allotment(name, total - begins)
        return allotment if takes is None else int(allotment * takes[name])

    return budget.timeline(found, took)


@given(graphs(), st.integers(0, 60 * SECOND), st.data())
def test_no_path_takes_longer_than_there_is_time(
    given: tuple[Graph, Mapping[str, Need]], total: int, data: st.DataObject
) -> None:
    later, needs = given
    found = plan(later)
    shared = budget.divide(total, found, needs)
    worst = slots(shared, found, total)
    assert all(slot.ends <= total for slot in worst.values())
    parts = {name: data.draw(st.sampled_from([0, 0.01, 0.5, 1])) for name in later}
    real = slots(shared, found, total, parts)
    for name, slot in real.items():
        assert slot.begins <= worst[name].begins
        assert slot.ends <= worst[name].ends
        allotted = shared.allotment(name, total - slot.begins)
        assert allotted <= needs[name].most
        assert allotted >= min(needs[name].want, shared.level)
        assert allotted > 0 or not needs[name].want or total < len(later)


@given(graphs(), st.integers(0, 60 * SECOND), st.integers(0, 100 * SECOND))
def test_a_late_beginning_costs_all_that_follow_their_part(
    given: tuple[Graph, Mapping[str, Need]], total: int, late: int
) -> None:
    later, needs = given
    found = plan(later)
    shared = budget.divide(total, found, needs)
    left = max(0, total - late)
    assert all(slot.ends <= left for slot in slots(shared, found, left).values())


def test_what_the_first_leave_over_is_shared_by_those_that_come_after() -> None:
    found = plan({"a": [], "b": ["a"], "c": ["b"]})
    shared = budget.divide(9 * SECOND, found, dict.fromkeys("abc", Need(10 * SECOND, 10 * SECOND)))
    assert shared.allotment("a", 9 * SECOND) == 3 * SECOND
    assert shared.allotment("b", 9 * SECOND) == 3 * SECOND + 3 * SECOND // 2
    assert shared.allotment("c", 9 * SECOND) == 9 * SECOND


def test_only_the_longest_paths_are_cut_to_the_level() -> None:
    found = plan({"a": [], "b": ["a"], "c": ["b"], "x": []})
    shared = budget.divide(9 * SECOND, found, dict.fromkeys("abcx", Need(8 * SECOND, 8 * SECOND)))
    assert [shared.allotment(name, 9 * SECOND) // SECOND for name in "ax"] == [3, 8]


def test_a_chain_of_five_thousand() -> None:
    names = [f"u{number:04}" for number in range(5_000)]
    later = {name: names[max(0, number - 3) : number] for number, name in enumerate(names)}
    found = plan(later)
    needs = {name: Need((number % 7) * SECOND, (number % 7) * SECOND) for number, name in enumerate(names)}
    shared = budget.divide(27 * SECOND, found, needs)
    assert [len(wave) for wave in found.waves] == [1] * 5_000
    assert max(slot.ends for slot in slots(shared, found, 27 * SECOND).values()) <= 27 * SECOND
    assert 6_000 < shared.level < 6_400


# --- the bounds ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**12), st.integers(0, 3600 * SECOND), st.integers(0, 3600 * SECOND), st.booleans())
def test_the_bounds_lie_within_the_cap(now: int, cap: int, span: int, spares: bool) -> None:
    found = budget.bounds(now, cap, min(span, budget.for_waves(cap)), units=7, spares=spares)
    assert now <= found.waves_end <= found.end <= found.bound <= now + cap
    assert found.waves_end >= now + min(span, budget.for_waves(cap))


def test_without_end_there_is_no_bound() -> None:
    found = budget.bounds(5, 30 * SECOND, 2 * SECOND, units=100, spares=False)
    assert found.bound - 5 == (2 + 1 + 1 + 3) * SECOND
    assert budget.bounds(5, INFINITY, INFINITY, units=1, spares=True).bound == INFINITY
    assert budget.bounds(5, INFINITY, 2 * SECOND, units=1, spares=True).bound < INFINITY
