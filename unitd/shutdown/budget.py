"""How the time of a shutdown is shared, so that nobody starves: one level for all, like water in connected vessels.

A unit that wants less than the level gets what it wants; the others get the level. The level is as high as it can be
while the units of every path, one after another, still end in time. What units that end early leave over is shared
evenly by those that come after them on their path.

Invariants: the allotments of no path exceed the time there is, whatever the units do; a unit that begins earlier never
ends later; a unit that wants time gets some as long as there is any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from unitd.model.states import INFINITY, SECOND
from unitd.shutdown.waves import Waves

RESERVE_PART = 5
RESERVE_MOST = 3 * SECOND
GRACE = 5 * SECOND
"""How long what was spared may take to obey SIGTERM at most (us)."""
LATENCY, LATENCY_PER_UNIT = SECOND, SECOND // 100
"""What the machine itself may take beside the units: to start programs, to hear of their ends (us)."""


class Need(Struct, frozen=True):
    """Lengths (us): `want` is what is planned for; `most`, what is taken when there is more than enough."""

    want: int
    most: int


class Bounds(Struct, frozen=True):
    """Instants: at `waves_end` what is left is killed, at `end` the daemon leaves, by `bound` it is gone."""

    waves_end: int
    end: int
    bound: int


def reserve(cap: int) -> int:
    """What a shutdown that may take `cap` keeps for the time after its waves (us)."""
    return min(cap // RESERVE_PART, RESERVE_MOST)


def for_waves(cap: int) -> int:
    """What is left of the cap for the waves (us)."""
    return INFINITY if cap >= INFINITY else cap - reserve(cap)


def bounds(now: int, cap: int, waves: int, *, units: int, spares: bool) -> Bounds:
    """The instants for a shutdown of so many units that begins now, whose waves take `waves` by its plan.

    `spares`: it may spare some processes, which are asked to end in the time after the waves.
    """
    kept = reserve(cap)
    waves_span = min(for_waves(cap), waves + LATENCY + units * LATENCY_PER_UNIT)
    if waves_span >= INFINITY:
        return Bounds(INFINITY, INFINITY, INFINITY)
    span = min(cap, waves_span + kept + (GRACE if spares else 0))
    return Bounds(now + waves_span, now + span - kept // 3, now + span)


def level(total: int, wants: Sequence[int]) -> int:
    """The greatest level at which sum(min(want, level)) is no more than `total`; INFINITY when all get their want."""
    left = max(0, total)
    ordered = sorted(wants)
    for index, want in enumerate(ordered):
        even = left // (len(ordered) - index)
        if want > even:
            return even
        left -= want
    return INFINITY


def first_share(total: int, needs: Sequence[Need]) -> int:
    """What the first of several steps gets that follow one another: its want or the level, and of the rest its part."""
    first = needs[0]
    wants = [need.want for need in needs]
    found = level(total, wants)
    if found < INFINITY:
        return min(first.want, found)
    more = level(total - sum(wants), [need.most - need.want for need in needs])
    return min(first.most, first.want + more)


@dataclass(frozen=True, slots=True)
class Budget:
    """`tails`: what the longest path takes from a unit on, at the level; `sharers`: how many there want more."""

    level: int
    needs: Mapping[str, Need]
    tails: Mapping[str, int]
    sharers: Mapping[str, int]

    def allotment(self, unit: str, left: int) -> int:
        """How long a unit may take that begins now, `left` before the waves have to be over; all for an unknown one."""
        need, left = self.needs.get(unit), max(0, left)
        if need is None:
            return left
        share, tail = min(need.want, self.level), self.tails[unit]
        if left < tail:
            return share * left // tail
        return min(need.most, share + (left - tail) // max(1, self.sharers[unit]))


def divide(total: int, waves: Waves, needs: Mapping[str, Need]) -> Budget:
    """The budget of units that have `total` microseconds for all their waves.

    The level of the longest path, again and again until the longest path fits: each time the level falls, and no
    further than it must.
    """
    order = waves.order
    found = INFINITY
    tails = _sums(waves, order, {name: needs[name].want for name in order})
    while tails and max(tails.values()) > total:
        found = level(total, [needs[name].want for name in _longest(waves, order, tails)])
        tails = _sums(waves, order, {name: min(needs[name].want, found) for name in order})
    sharers = _sums(waves, order, {name: int(needs[name].most > min(needs[name].want, found)) for name in order})
    return Budget(found, needs, tails, sharers)


def _sums(waves: Waves, order: Sequence[str], own: Mapping[str, int]) -> dict[str, int]:
    """By unit, the greatest sum of `own` along a path that begins there."""
    sums: dict[str, int] = {}
    for name in reversed(order):
        sums[name] = own[name] + max((sums[other] for other in waves.then[name]), default=0)
    return sums


def _longest(waves: Waves, order: Sequence[str], tails: Mapping[str, int]) -> list[str]:
    """The units of a path that takes longest."""
    path = [max(order, key=lambda name: tails[name])]
    while following := waves.then[path[-1]]:
        path.append(max(following, key=lambda name: tails[name]))
    return path


class Slot(Struct, frozen=True):
    """When a unit begins to stop at the latest, and when it has ended then; microseconds after the beginning."""

    begins: int
    ends: int


def timeline(
    waves: Waves, takes: Callable[[str, int], int], under_way: frozenset[str] = frozenset()
) -> dict[str, Slot]:
    """The slots when every unit takes as long as it may: `takes(unit, begins)`; those under way have begun already."""
    ready = dict.fromkeys(waves.then, 0)
    slots: dict[str, Slot] = {}
    for name in waves.order:
        begins = 0 if name in under_way else ready[name]
        ends = min(INFINITY, max(ready[name], begins + takes(name, begins)))
        slots[name] = Slot(begins, ends)
        for other in waves.then[name]:
            ready[other] = max(ready[other], ends)
    return slots
