"""Orders and cycles in a graph of names. Walks, never recurses: a user's chain may be 5000 units long.

Depth-first search with three colours; Kahn's algorithm with the smallest name first, so that the same input gives the
same order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

After = Callable[[str], Iterable[str]]
"""What a name comes after."""


class Cyclic(Exception):
    """There is no order; `cycle` is a path that ends where it begins."""

    def __init__(self, cycle: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(cycle))
        self.cycle = cycle


def find_cycle(names: Iterable[str], after: After) -> tuple[str, ...] | None:
    """The first cycle that a walk over the sorted names meets, as a path a, b, a; None: there is none."""
    done: set[str] = set()
    for start in sorted(names):
        if start in done:
            continue
        path, place = [start], {start: 0}
        waiting = [iter(sorted(after(start)))]
        while waiting:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                last = path.pop()
                del place[last]
                done.add(last)
            elif following in place:
                return (*path[place[following] :], following)
            elif following not in done:
                place[following] = len(path)
                path.append(following)
                waiting.append(iter(sorted(after(following))))
    return None


def ordered(names: Sequence[str], after: After) -> list[str]:
    """The names so that each comes after what it must, the smallest first where it does not matter; raises Cyclic."""
    inside = set(names)
    left = {name: {one for one in after(name) if one in inside and one != name} for name in names}
    following = _inverted(left)
    ready = [name for name, before in left.items() if not before]
    heapify(ready)
    result = []
    while ready:
        name = heappop(ready)
        result.append(name)
        for one in following.get(name, ()):
            left[one].discard(name)
            if not left[one]:
                heappush(ready, one)
    if len(result) < len(inside):
        stuck = [name for name in left if left[name]]
        cycle = find_cycle(stuck, lambda name: left[name])
        raise Cyclic(cycle or tuple(stuck))
    return result


def _inverted(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, others in edges.items():
        for other in others:
            found.setdefault(other, []).append(name)
    return found
