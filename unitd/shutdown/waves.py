"""Waves: who stops together, dependents before what they depend on; and a cycle never holds anybody up.

A unit waits for every unit that is ordered after it (systemd.unit(5), Before=: "stopped in the reverse order").
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct


class Waves(Struct, frozen=True):
    """`depth`: how many units that need time stop one after another at most, from a unit on, itself included.

    `broken`: units whose order is not kept, because they are in a cycle, with the cycle's path.
    """

    waves: tuple[tuple[str, ...], ...]
    depth: Mapping[str, int]
    broken: Mapping[str, tuple[str, ...]]


def waves(
    units: Iterable[str], later: Callable[[str], Sequence[str]], needs_time: Callable[[str], bool] = bool
) -> Waves:
    """The waves of `units`; `later(u)` are the units that are ordered after u, and therefore stop before it.

    `needs_time(u)`: u has processes to end; a target or a slice has none.
    """
    names = sorted(units)
    known = set(names)
    waits_for = {name: {other for other in later(name) if other in known and other != name} for name in names}
    holds_up: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for other in sorted(waits_for[name]):
            holds_up[other].append(name)
    result: list[tuple[str, ...]] = []
    broken: dict[str, tuple[str, ...]] = {}
    current = [name for name in names if not waits_for[name]]
    left = set(names) - set(current)
    while current or left:
        if not current:
            path = _cycle(min(left), waits_for, left)
            broken[path[0]] = path
            current = [path[0]]
            left.discard(path[0])
        result.append(tuple(current))
        current = _freed(current, waits_for, holds_up, left)
    return Waves(tuple(result), _depths(result, holds_up, needs_time), broken)


def _freed(
    gone: Sequence[str], waits_for: Mapping[str, set[str]], holds_up: Mapping[str, list[str]], left: set[str]
) -> list[str]:
    """The units that wait for nobody once `gone` are gone."""
    freed = set()
    for name in gone:
        for waiting in holds_up[name]:
            if waiting in left:
                waits_for[waiting].discard(name)
                if not waits_for[waiting]:
                    freed.add(waiting)
    left -= freed
    return sorted(freed)


def _cycle(start: str, waits_for: Mapping[str, set[str]], left: set[str]) -> tuple[str, ...]:
    """A cycle among the units left, the smallest name first; every unit left waits for another one left."""
    path = [start]
    place = {start: 0}
    while True:
        following = min(other for other in waits_for[path[-1]] if other in left)
        if following in place:
            cycle = path[place[following] :]
            first = cycle.index(min(cycle))
            return tuple(cycle[first:] + cycle[:first])
        place[following] = len(path)
        path.append(following)


def _depths(
    result: Sequence[tuple[str, ...]], holds_up: Mapping[str, list[str]], needs_time: Callable[[str], bool]
) -> dict[str, int]:
    depth: dict[str, int] = {}
    for wave in reversed(result):
        for name in wave:
            depth[name] = needs_time(name) + max((depth.get(other, 0) for other in holds_up[name]), default=0)
    return depth
