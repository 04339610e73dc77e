"""Who was started for which unit, until reaped: the one table that spawn, reaper and kill go by."""

from collections.abc import Iterator
from dataclasses import dataclass


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


class Children:
    """All living children by pid; a zombie is in it until it is reaped."""

    def __init__(self) -> None:
        self._by_pid: dict[int, Child] = {}
        self._by_unit: dict[str, dict[int, Child]] = {}
        self.invocations: dict[str, str] = {}
        """The last invocation id of each unit: what its processes carry in their environment."""

    def add(self, child: Child) -> None:
        self._by_pid[child.pid] = child
        self._by_unit.setdefault(child.unit, {})[child.pid] = child
        if child.invocation:
            self.invocations[child.unit] = child.invocation

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

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)
