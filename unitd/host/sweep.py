"""The end of a shutdown: who of those that we started still lives, and the last signals to all of them.

Ours is who is in the daemon's sub-tree, who descends from the daemon (orphans come back to it, prctl(2),
PR_SET_CHILD_SUBREAPER), and who carries the invocation id of a unit of ours. Not ours are the fork server, and what
was the daemon's child before it was a daemon (a shell may exec it).
"""

import os
import signal
from collections.abc import Callable

from unitd.host import processes
from unitd.host.children import Children
from unitd.host.kill import in_order
from unitd.host.ports import Groups
from unitd.model.events import Left

_PASSES = 16
_LOOKS = 3
_KTHREADD = 2


class Sweep:
    """`server`: the fork server's pid."""

    def __init__(self, children: Children, groups: Groups, server: Callable[[], int]) -> None:
        self._children, self._groups, self._server = children, groups, server
        self._is_last = False
        everyone = processes.everyone()
        self._earlier = {(pid, everyone[pid].birth) for pid in _children_of(os.getpid(), everyone)}

    def left(self) -> dict[int, str]:
        """The living processes that are ours, with their unit as far as it is known.

        A look through /proc can miss one that is born behind it while its parent ends: so none has to be seen thrice.
        """
        for _ in range(_LOOKS - 1):
            if found := self._look():
                return found
        return self._look()

    def _look(self) -> dict[int, str]:
        found = self._groups.everyone()
        everyone = processes.everyone()
        units = {invocation: unit for unit, invocation in sorted(self._children.invocations.items())}
        outside = {child.pid: child.unit for child in self._children}
        for pid in processes.descendants(os.getpid(), _without(everyone, self._earlier)):
            outside.setdefault(pid, "")
        for pid in everyone.keys() - found.keys() - outside.keys() if units else ():
            if everyone[pid].is_alive and (unit := units.get(processes.invocation(pid))):
                outside[pid] = unit
        for pid, unit in outside.items():
            # A cgroup is empty just before its last process is a zombie.
            if pid in everyone and not everyone[pid].is_ending:
                found.setdefault(pid, unit)
        excepted = (os.getpid(), self._server(), _KTHREADD)
        return {
            pid: unit or units.get(processes.invocation(pid), "")
            for pid, unit in sorted(found.items())
            if pid in everyone and pid not in excepted and everyone[pid].is_alive and everyone[pid].parent != _KTHREADD
        }

    def survivors(self) -> tuple[Left, ...]:
        """The same, described; after a SIGKILL to everyone they get it again."""
        if self._is_last:
            self.signal_everyone(signal.SIGKILL)
        return tuple(Left(pid, unit=unit, command=processes.command_line(pid)) for pid, unit in self.left().items())

    def signal_everyone(self, number: int) -> None:
        """The signal to all, deepest first, until nobody new is found; SIGKILL at once to whole cgroups too."""
        self._is_last = number == signal.SIGKILL
        seen: set[int] = set()
        for _ in range(_PASSES):
            fresh = [pid for pid in self.left() if pid not in seen]
            if not fresh:
                break
            found = {pid: process for pid in fresh if (process := processes.read(pid)) is not None}
            for target in in_order(found, ()):
                seen.add(target.pid)
                for each in (number,) if number == signal.SIGKILL else (number, signal.SIGCONT):
                    processes.send(target.pid, found[target.pid].birth, each)
            if number == signal.SIGKILL:
                self._groups.kill_everyone()


def _children_of(parent: int, everyone: dict[int, processes.Process]) -> list[int]:
    return [pid for pid, process in everyone.items() if process.parent == parent]


def _without(everyone: dict[int, processes.Process], excepted: set[tuple[int, int]]) -> dict[int, processes.Process]:
    return {pid: process for pid, process in everyone.items() if (pid, process.birth) not in excepted}
