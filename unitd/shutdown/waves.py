"""Waves: who stops together, dependents before what they depend on; and a cycle never holds anybody up.

A unit waits for every unit that is ordered after it (systemd.unit(5), Before=: "stopped in the reverse order"). Of a
cycle one unit neither waits nor is waited for, as the queue has it (jobs/algebra.compare, `ignore_order`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct


class Waves(Struct, frozen=True):
    """`waves`: a unit is in the first one that is later than those of all that it waits for.

    `then`: by unit, those that wait for it. `broken`: units whose order is not kept, because they are in a cycle, with
    the cycle's path.
    """

    waves: tuple[tuple[str, ...], ...]
    then: Mapping[str, Sequence[str]]
    broken: Mapping[str, tuple[str, ...]]

    @property
    def order(self) -> list[str]:
        """All units, each later than those that it waits for."""
        return [name for wave in self.waves for name in wave]


def waves(units: Iterable[str], later: Callable[[str], Iterable[str]]) -> Waves:
    """The waves of `units`; `later(u)` are the units that are ordered after u, and therefore stop before it."""
    names = sorted(units)
    known = set(names)
    waits_for = {name: {other for other in later(name) if other in known and other != name} for name in names}
    broken = _broken(names, waits_for)
    kept = {
        name: set() if name in broken else {other for other in others if other not in broken}
        for name, others in waits_for.items()
    }
    then = _inverse(names, kept)
    result = []
    left = set(names)
    current = [name for name in names if not kept[name]]
    left.difference_update(current)
    while current:
        result.append(tuple(current))
        current = _freed(current, kept, then, left)
    return Waves(tuple(result), then, broken)


def _broken(names: Sequence[str], waits_for: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    """Units without whose order there is no cycle, each with the path of one."""
    waiting = {name: set(others) for name, others in waits_for.items()}
    then = _inverse(names, waits_for)
    broken: dict[str, tuple[str, ...]] = {}
    current = [name for name in names if not waiting[name]]
    left = set(names) - set(current)
    while current or left:
        if not current:
            path = _cycle(min(left), waiting, left)
            broken[path[0]] = path
            current = [path[0]]
            left.discard(path[0])
        current = _freed(current, waiting, then, left)
    return broken


def _inverse(names: Sequence[str], waits_for: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """By unit those that wait for it, sorted."""
    then: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        for other in waits_for[name]:
            then[other].append(name)
    return then


def _freed(
    gone: Sequence[str], waits_for: Mapping[str, set[str]], then: Mapping[str, Sequence[str]], left: set[str]
) -> list[str]:
    """The units that wait for nobody once `gone` are gone."""
    freed = set()
    for name in gone:
        for waiting in then[name]:
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
