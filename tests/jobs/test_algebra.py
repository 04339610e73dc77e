"""The tables of job types, over all their cases."""

from dataclasses import dataclass
from itertools import product

import pytest

from unitd.jobs.algebra import (
    RISING,
    UP,
    Move,
    collapse,
    compare,
    conflicts,
    is_expected,
    is_redundant,
    is_superset,
    join,
    merge,
    opening,
    outcome,
)
from unitd.model.dependencies import Atom
from unitd.model.states import Active, JobResult, JobType

START, VERIFY, STOP, RELOAD, RESTART, NOP, TRY_RESTART, TRY_RELOAD, RELOAD_OR_START = (
    JobType(word)
    for word in (
        "start",
        "verify-active",
        "stop",
        "reload",
        "restart",
        "nop",
        "try-restart",
        "try-reload",
        "reload-or-start",
    )
)
MERGING = (START, VERIFY, STOP, RELOAD, RESTART)
QUEUED = (*MERGING, NOP)


@dataclass(frozen=True)
class Plain:
    type: JobType
    ignore_order: bool = False


@pytest.mark.parametrize(("a", "b"), list(product(MERGING, MERGING)))
def test_merge_is_commutative(a: JobType, b: JobType) -> None:
    assert merge(a, b) is merge(b, a)


@pytest.mark.parametrize("one", MERGING)
def test_merge_with_itself_changes_nothing(one: JobType) -> None:
    assert merge(one, one) is one


@pytest.mark.parametrize(("active", "a", "b", "c"), list(product(Active, MERGING, MERGING, MERGING)))
def test_join_is_associative_and_closed(active: Active, a: JobType, b: JobType, c: JobType) -> None:
    left = join(a, b, active)
    right = join(b, c, active)
    one = None if left is None else join(left, c, active)
    two = None if right is None else join(a, right, active)
    assert one is two
    assert one is None or one in MERGING


@pytest.mark.parametrize(("active", "a", "b", "c"), list(product(Active, MERGING, MERGING, MERGING)))
def test_what_does_not_merge_with_a_merged_pair_does_not_merge_with_one_of_it(
    active: Active, a: JobType, b: JobType, c: JobType
) -> None:
    joined = join(a, b, active)
    if joined is not None and merge(joined, c) is None:
        assert merge(a, c) is None or merge(b, c) is None


def test_only_stop_contradicts_and_nop_contradicts_nothing() -> None:
    contradicting = {(a, b) for a, b in product(QUEUED, QUEUED) if conflicts(a, b)}
    others = (START, VERIFY, RELOAD, RESTART)
    assert contradicting == {(STOP, b) for b in others} | {(b, STOP) for b in others}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (START, RELOAD, RELOAD_OR_START),
        (START, VERIFY, START),
        (VERIFY, RELOAD, RELOAD),
        (RELOAD, RESTART, RESTART),
        (START, STOP, None),
        (NOP, NOP, NOP),
        (NOP, START, None),
    ],
)
def test_merge(a: JobType, b: JobType, expected: JobType | None) -> None:
    assert merge(a, b) is expected


@pytest.mark.parametrize(
    ("type", "within", "otherwise", "states"),
    [
        (TRY_RESTART, RESTART, NOP, RISING),
        (TRY_RELOAD, RELOAD, NOP, UP),
        (RELOAD_OR_START, RELOAD, START, UP),
        (START, START, START, UP),
        (NOP, NOP, NOP, UP),
    ],
)
def test_collapse(type: JobType, within: JobType, otherwise: JobType, states: frozenset[Active]) -> None:
    assert {collapse(type, active) for active in states} == {within}
    assert {collapse(type, active) for active in set(Active) - states} == {otherwise}


@pytest.mark.parametrize(
    ("type", "states"),
    [
        (START, "active reloading"),
        (VERIFY, "active reloading"),
        (STOP, "inactive failed"),
        (RELOAD, ""),
        (RESTART, ""),
        (NOP, "active reloading inactive failed activating deactivating"),
    ],
)
def test_redundant_in(type: JobType, states: str) -> None:
    assert {active for active in Active if is_redundant(type, active)} == set(states.split())


def test_superset() -> None:
    assert is_superset(RESTART, START)
    assert is_superset(START, VERIFY)
    assert is_superset(START, START)
    assert not is_superset(START, RELOAD)
    assert not is_superset(START, RESTART)
    assert not is_superset(START, STOP)


@pytest.mark.parametrize(
    ("first", "second", "order"),
    [(START, START, -1), (START, STOP, 1), (STOP, START, -1), (STOP, STOP, 1), (START, RESTART, 1)],
)
def test_stops_go_first_and_backwards(first: JobType, second: JobType, order: int) -> None:
    """`first` is the job of the unit that is ordered before."""
    assert compare(Plain(first), Plain(second), Atom.BEFORE) == order
    assert compare(Plain(second), Plain(first), Atom.AFTER) == -order


@pytest.mark.parametrize("atom", [Atom.BEFORE, Atom.AFTER])
def test_nop_and_ignored_order_have_no_order(atom: Atom) -> None:
    assert compare(Plain(NOP), Plain(START), atom) == 0
    assert compare(Plain(START), Plain(NOP), atom) == 0
    assert compare(Plain(START, ignore_order=True), Plain(START), atom) == 0
    assert compare(Plain(START), Plain(STOP, ignore_order=True), atom) == 0


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        (START, "done done run run run wait"),
        (VERIFY, "done done skipped skipped wait skipped"),
        (STOP, "run run done done run run"),
        (RESTART, "run run done done run run"),
        (RELOAD, "run wait invalid invalid invalid invalid"),
        (NOP, "done done done done done done"),
    ],
)
def test_opening(type: JobType, expected: str) -> None:
    order = (
        Active.ACTIVE,
        Active.RELOADING,
        Active.INACTIVE,
        Active.FAILED,
        Active.ACTIVATING,
        Active.DEACTIVATING,
    )
    got = [opening(type, active) for active in order]
    assert " ".join(move.name.lower() if isinstance(move, Move) else move for move in got) == expected


def test_opening_takes_collapsed_types_only() -> None:
    with pytest.raises(ValueError, match="cannot run a job of type try-restart"):
        opening(TRY_RESTART, Active.ACTIVE)


@pytest.mark.parametrize(
    ("type", "active", "running", "result"),
    [
        (START, Active.ACTIVE, True, JobResult.DONE),
        (START, Active.ACTIVE, False, JobResult.DONE),
        (START, Active.ACTIVATING, True, None),
        (START, Active.FAILED, True, JobResult.FAILED),
        (START, Active.FAILED, False, None),
        (START, Active.INACTIVE, True, JobResult.DONE),
        (START, Active.DEACTIVATING, True, None),
        (VERIFY, Active.ACTIVE, False, JobResult.DONE),
        (STOP, Active.INACTIVE, False, JobResult.DONE),
        (STOP, Active.FAILED, True, JobResult.DONE),
        (STOP, Active.DEACTIVATING, True, None),
        (STOP, Active.ACTIVE, True, JobResult.FAILED),
        (STOP, Active.ACTIVE, False, None),
        (RESTART, Active.INACTIVE, True, JobResult.DONE),
        (RESTART, Active.ACTIVATING, True, JobResult.FAILED),
        (RELOAD, Active.ACTIVE, True, JobResult.DONE),
        (RELOAD, Active.ACTIVE, False, None),
        (RELOAD, Active.RELOADING, True, None),
        (RELOAD, Active.FAILED, True, JobResult.FAILED),
        (RELOAD, Active.INACTIVE, True, JobResult.DONE),
        (NOP, Active.ACTIVE, True, None),
    ],
)
def test_outcome(type: JobType, active: Active, running: bool, result: JobResult | None) -> None:
    assert outcome(type, active, running=running) is result


def test_a_reload_fails_when_the_unit_says_so() -> None:
    assert outcome(RELOAD, Active.ACTIVE, reload_ok=False) is JobResult.FAILED


@pytest.mark.parametrize(
    ("type", "active", "expected"),
    [
        (START, Active.ACTIVATING, True),
        (START, Active.DEACTIVATING, False),
        (START, Active.FAILED, False),
        (STOP, Active.DEACTIVATING, True),
        (STOP, Active.ACTIVE, False),
        (RELOAD, Active.RELOADING, True),
        (RELOAD, Active.INACTIVE, False),
        (RESTART, Active.INACTIVE, True),
    ],
)
def test_expected(type: JobType, active: Active, expected: bool) -> None:
    assert is_expected(type, active) is expected
    assert is_expected(type, active, running=False)
