"""Waves and shares: who stops when, and until when it may take."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.model.states import SECOND
from unitd.shutdown import budget
from unitd.shutdown.waves import Waves, waves


def plan(later: Mapping[str, Sequence[str]], idle: str = "") -> Waves:
    """`later`: by unit, those that are ordered after it; `idle`: those that need no time."""
    return waves(later, lambda name: later[name], lambda name: name not in idle.split())


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({}, []),
        ({"a": [], "b": []}, ["ab"]),
        ({"a": ["b"], "b": []}, ["b", "a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ["d", "bc", "a"]),
        ({"a": ["gone"], "b": ["b"]}, ["ab"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}, ["b", "ac", "d"]),
    ],
)
def test_waves(later: Mapping[str, Sequence[str]], expected: Sequence[str]) -> None:
    found = plan(later).waves
    assert sorted("".join(wave) for wave in found) == sorted(expected)
    stopped = [name for wave in found for name in wave]
    assert sorted(stopped) == sorted(later)


def test_a_cycle_is_named_with_its_path() -> None:
    assert plan({"c": ["a"], "a": ["b"], "b": ["c"]}).broken == {"a": ("a", "b", "c")}


def test_only_what_needs_time_counts_in_the_depth() -> None:
    later = {"slice": ["a", "b", "target"], "target": ["a"], "a": [], "b": ["a"]}
    assert plan(later, "slice target").depth == {"slice": 0, "target": 0, "b": 1, "a": 2}


NAMES = "abcdefgh"


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=4), max_size=8))
def test_every_unit_stops_once_and_after_those_that_hold_it_up(later: Mapping[str, Sequence[str]]) -> None:
    found = plan(later)
    place = {name: i for i, wave in enumerate(found.waves) for name in wave}
    assert sum(len(wave) for wave in found.waves) == len(later) == len(place)
    for name, others in later.items():
        for other in others:
            if other in place and other != name and name not in found.broken:
                assert place[other] < place[name]


@given(st.integers(0, 10**12), st.integers(0, 3600 * SECOND))
def test_the_bounds_lie_within_the_cap(now: int, cap: int) -> None:
    found = budget.bounds(now, cap)
    assert now <= found.waves_end <= found.end <= now + cap


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 50))
def test_shares_one_after_another_end_in_time(now: int, span: int, depth: int) -> None:
    end = now + span
    for left in range(depth, 0, -1):
        now = budget.share(now, end, left)
    assert now <= end


def test_a_chain_of_five_in_thirty_seconds_gets_an_even_share_each() -> None:
    assert budget.share(0, 27 * SECOND, 5) == 27 * SECOND // 5
    assert budget.share(0, 27 * SECOND, 1) == 27 * SECOND
    assert budget.share(0, 27 * SECOND, 0) == 27 * SECOND
    assert budget.share(28 * SECOND, 27 * SECOND, 3) == 28 * SECOND
