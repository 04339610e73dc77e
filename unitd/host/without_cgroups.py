"""Holds units' processes together where there is no writable cgroup2: by descent, and by the mark that each carries.

A process is a unit's when it was started for it, descends from such a one, carries the unit's INVOCATION_ID in its
environment, or was one of these when last seen (pid and start time). An orphan comes to the daemon, its sub-reaper.
What escapes: a process that cleared its environment and lost its parent before it was ever seen, until the unit's
PIDFile= names it. Needs no privileges.
"""

import asyncio
import os
import signal
from collections.abc import Callable

from unitd.host import processes
from unitd.host.children import Children
from unitd.host.ports import Post
from unitd.host.processes import Process
from unitd.model.events import CgroupEmpty

_PASSES = 16


class WithoutCgroups:
    """`server`: the fork server's pid, which is no unit's."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, post: Post, children: Children, server: Callable[[], int]
    ) -> None:
        self._loop, self._post, self._children, self._server = loop, post, children, server
        self._seen: dict[tuple[int, int], str] = {}
        self._populated: set[str] = set()
        self._doomed: set[str] = set()
        self._due: asyncio.Handle | None = None
        self._stopped: dict[str, dict[int, int]] = {}

    def realise(self, unit: str, path: str) -> str:
        """Nothing to make, nothing to join."""
        return ""

    def release(self, unit: str) -> None:
        """Nothing to remove; whom we have seen stays known while it lives."""

    def units(self) -> dict[str, str]:
        """None: nothing but the mark in the environment outlives the daemon."""
        return {}

    def joined(self, unit: str) -> None:
        """A process of the unit exists: the next time that none is left is worth an event."""
        self._populated.add(unit)
        self._doomed.discard(unit)

    def unit_of(self, pid: int) -> str:
        """Whose process it is or, as a zombie, was when last seen alive; "" when no unit's."""
        process = processes.read(pid)
        if process is None:
            return ""
        known = self._seen.get((pid, process.birth))
        if known is None and process.is_alive:
            known = self.everyone().get(pid)
        return known or ""

    def claim(self, unit: str, pid: int) -> bool:
        """Take an orphan that came to us, and is nobody's, for the unit whose file names it; False: it is not such."""
        process = processes.read(pid)
        ours = process is not None and process.parent == os.getpid() and process.is_alive
        if process is None or not ours or pid == self._server() or self._children.get(pid) or self.unit_of(pid):
            return False
        self._seen[pid, process.birth] = unit
        self._populated.add(unit)
        return True

    def members(self, unit: str) -> list[int]:
        """The unit's living processes, by a look at all that there are."""
        return [pid for pid, of in self.everyone().items() if of == unit]

    def everyone(self) -> dict[int, str]:
        """Every living process of a unit, with its unit."""
        running = processes.everyone()
        units = {invocation: unit for unit, invocation in sorted(self._children.invocations.items())}
        found: dict[int, str] = {}
        for pid, process in running.items():
            child = self._children.get(pid)
            known = child.unit if child is not None else self._seen.get((pid, process.birth))
            unit = known or (units.get(processes.invocation(pid)) if units else None)
            if unit and process.is_alive:
                found[pid] = unit
        self._add_descendants(found, running)
        for pid in (os.getpid(), self._server()):
            found.pop(pid, None)
        # What was seen of zombies is kept until they are reaped, for their end is told then.
        self._seen = {key: unit for key, unit in self._seen.items() if key[0] in running}
        self._seen.update(((pid, running[pid].birth), unit) for pid, unit in found.items())
        return found

    @staticmethod
    def _add_descendants(found: dict[int, str], running: dict[int, Process]) -> None:
        children: dict[int, list[int]] = {}
        for process in running.values():
            children.setdefault(process.parent, []).append(process.pid)
        ancestors = list(found)
        for pid in ancestors:
            for below in children.get(pid, ()):
                if below not in found and running[below].is_alive:
                    found[below] = found[pid]
                    ancestors.append(below)

    def check(self, unit: str) -> None:
        """Look, once in this turn of the loop, at which units have nobody left."""
        if self._due is None and self._populated:
            self._due = self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._due = None
        running = self.everyone()
        for pid, unit in running.items():
            if unit in self._doomed:
                processes.send(pid, processes.birth(pid), signal.SIGKILL)
        living = set(running.values())
        for unit in sorted(self._populated):
            if unit not in living and not self._children.of(unit):
                self._populated.discard(unit)
                self._doomed.discard(unit)
                self._post(CgroupEmpty(unit))

    async def freeze(self, unit: str) -> bool:
        """SIGSTOP to all, until a look finds nobody new; False when there is no end to it."""
        stopped = self._stopped.setdefault(unit, {})
        for _ in range(_PASSES):
            fresh = [pid for pid in self.members(unit) if pid not in stopped]
            if not fresh:
                return True
            for pid in fresh:
                stopped[pid] = processes.birth(pid)
                processes.send(pid, stopped[pid], signal.SIGSTOP)
            await asyncio.sleep(0)
        return False

    def thaw(self, unit: str) -> None:
        """SIGCONT to whom freeze stopped."""
        for pid, birth in self._stopped.pop(unit, {}).items():
            processes.send(pid, birth, signal.SIGCONT)

    def kill(self, unit: str) -> None:
        """SIGKILL to all, until a look finds nobody new, and to whoever was born meanwhile at the next look."""
        self._doomed.add(unit)
        self._kill({unit})

    def kill_everyone(self) -> None:
        """SIGKILL to every unit's processes."""
        self._doomed |= self._populated
        self._kill(self._doomed)

    def _kill(self, units: set[str]) -> None:
        seen: set[int] = set()
        for _ in range(_PASSES):
            fresh = [pid for pid, unit in self.everyone().items() if unit in units and pid not in seen]
            if not fresh:
                return
            for pid in fresh:
                seen.add(pid)
                processes.send(pid, processes.birth(pid), signal.SIGKILL)

    def close(self) -> None:
        """Look no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
