"""Who was started for which unit, until reaped: the one table that spawn, reaper and kill go by."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from msgspec import Struct

from unitd.host.processes import Process


@dataclass(slots=True, eq=False)
class Child:
    """One process that we started or took over. `settled`: exec was told of, or its failure was (`failed`).

    `command`: what it was started as.
    """

    unit: str
    pid: int
    birth: int
    serial: int = 0
    invocation: str = ""
    command: str = ""
    settled: bool = False
    failed: bool = False


class Given(Struct, frozen=True):
    """An invocation id or a session: whose it is, and when its first process was born (clock ticks since boot)."""

    unit: str
    birth: int


MOST_GIVEN = 4096
"""Ids that are kept without asking whether anybody still carries them."""


class Kept(Struct, frozen=True):
    """Of whom there is a memory beside the living children: invocation ids, and sessions by number."""

    given: dict[str, Given]
    leaders: dict[int, Given]


class Children:
    """All living children by pid; a zombie is in it until it is reaped."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Child] = {}
        self._by_unit: dict[str, dict[int, Child]] = {}
        self.given: dict[str, Given] = {}
        """By invocation id: what a process may carry in its environment, also when its unit has started anew since."""
        self._leaders: dict[int, Given] = {}
        self._most = MOST_GIVEN

    def add(self, child: Child) -> None:
        self._by_pid[child.pid] = child
        self._by_unit.setdefault(child.unit, {})[child.pid] = child
        if child.invocation:
            self.given.setdefault(child.invocation, Given(child.unit, child.birth))
        self._leaders[child.pid] = Given(child.unit, child.birth)

    def get(self, pid: int) -> Child | None:
        return self._by_pid.get(pid)

    def remove(self, pid: int) -> Child | None:
        """Forget a pid, because it was reaped; whom it was."""
        child = self._by_pid.pop(pid, None)
        if child is not None:
            siblings = self._by_unit[child.unit]
            del siblings[pid]
            if not siblings:
                del self._by_unit[child.unit]
        return child

    def of(self, unit: str) -> list[Child]:
        """The unit's own children, oldest first."""
        return list(self._by_unit.get(unit, {}).values())

    # --- whose a process may be that is not a child -----------------------------------------------------

    def led(self, process: Process, leader: Process | None) -> str:
        """The unit in whose session the process is, for each child of ours leads one (setsid(2)); "" when in none.

        `leader`: who has the session's number as its pid now. While a session has members, nobody new gets it.
        """
        known = self._leaders.get(process.session)
        if known is None or process.birth < known.birth:
            return ""
        return known.unit if leader is None or leader.birth == known.birth else ""

    @property
    def has_much_to_forget(self) -> bool:
        """More is remembered of what was started than should be without a look at who still lives."""
        return len(self.given) + len(self._leaders) > self._most

    def forget(self, before: Collection[str], ids: Collection[str], units: Collection[str], sessions: set[int]) -> None:
        """Of the ids `before` keep those carried and those of these units; of sessions those that have processes."""
        running = {child.invocation for child in self}
        for id in before:
            if id not in ids and id not in running and self.given[id].unit not in units:
                del self.given[id]
        for pid in self._leaders.keys() - self._by_pid.keys() - sessions:
            del self._leaders[pid]
        self._most = max(MOST_GIVEN, 2 * (len(self.given) + len(self._leaders)))

    def kept(self) -> Kept:
        """What another program image of this process cannot see any more."""
        return Kept(dict(self.given), dict(self._leaders))

    def take_up(self, kept: Kept) -> None:
        """Go on where another program image stopped."""
        self.given.update(kept.given)
        self._leaders.update(kept.leaders)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)
