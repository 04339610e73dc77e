"""Orders and cycles."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.graph.order import Cyclic, find_cycle, ordered

DEEP = 5000


def test_the_smallest_comes_first_where_it_does_not_matter() -> None:
    assert ordered(["c", "b", "a"], {"b": ["c"], "a": ["c"], "c": []}.__getitem__) == ["c", "a", "b"]


def test_a_cycle_is_named_as_a_path() -> None:
    after = {"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}
    assert find_cycle(after, after.__getitem__) == ("a", "b", "c", "a")
    with pytest.raises(Cyclic, match="a -> b -> c -> a"):
        ordered(list(after), after.__getitem__)


def test_a_chain_may_be_deep() -> None:
    names = [f"{number:05}" for number in range(DEEP)]
    after = {name: names[place + 1 : place + 2] for place, name in enumerate(names)}
    assert ordered(names, after.__getitem__) == names[::-1]
    assert find_cycle(names, after.__getitem__) is None


@given(edges=st.dictionaries(st.integers(0, 9).map(str), st.lists(st.integers(0, 9).map(str))))
def test_there_is_an_order_or_a_cycle(edges: dict[str, list[str]]) -> None:
    after = {str(name): [other for other in edges.get(str(name), []) if other != str(name)] for name in range(10)}
    cycle = find_cycle(after, after.__getitem__)
    if cycle is None:
        result = ordered(list(after), after.__getitem__)
        assert all(result.index(other) < result.index(name) for name in after for other in after[name])
    else:
        assert cycle[0] == cycle[-1]
        assert all(later in after[name] for name, later in pairwise(cycle))
