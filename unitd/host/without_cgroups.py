"""Holds units' processes together where there is no writable cgroup2: by descent, and by the mark that each carries.

A process is a unit's when it was started for it, was known as the unit's when last seen (pid and start time), carries
an INVOCATION_ID of the unit in its environment, descends from such a one, or is in the session of one that we started;
an orphan comes to the daemon, its sub-reaper. Who may be ours at all is kin's to say. What escapes a unit's stop: a
process that cleared its environment, left its session, and lost its parent, all before it was ever seen; until the
unit's PIDFile= names it. It is still below the daemon, so that a shutdown ends it. Needs no privileges.

Who came to another parent when an earlier daemon was killed ends without a SIGCHLD to us: of each unit one such process
is watched by its pidfd, and the next one when it has ended.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection

from unitd.host import processes
from unitd.host.children import Children
from unitd.host.kin import CHILD, Kin, Kinship, at_once
from unitd.host.ports import KeptGroups, Post
from unitd.model.events import CgroupEmpty

_PASSES = 16
_LOOK_AGAIN_S = 0.1


class WithoutCgroups:
    def __init__(self, loop: asyncio.AbstractEventLoop, post: Post, children: Children, kinship: Kinship) -> None:
        self._loop, self._post, self._children, self._kinship = loop, post, children, kinship
        kinship.remembered = lambda process: self._seen.get((process.pid, process.birth), "")
        self._seen: dict[tuple[int, int], str] = {}
        self._populated: set[str] = set()
        self._doomed: set[str] = set()
        self._due: asyncio.Handle | None = None
        self._stopped: dict[str, dict[int, int]] = {}
        self._watched: dict[str, int] = {}

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
            with contextlib.suppress(OSError):
                known = self.everyone().get(pid)
        return known or ""

    def claim(self, unit: str, pid: int) -> bool:
        """Take an orphan that came to us, and is nobody's, for the unit whose file names it; False: it is not such."""
        process = processes.read(pid)
        ours = process is not None and process.parent == os.getpid() and process.is_alive
        if (
            process is None
            or not ours
            or self._kinship.is_excepted(process)
            or self._children.get(pid)
            or self.unit_of(pid)
        ):
            return False
        self._seen[pid, process.birth] = unit
        self._populated.add(unit)
        return True

    def members(self, unit: str) -> list[int]:
        """The unit's living processes, by a look at all that there are."""
        return [pid for pid, of in self.everyone().items() if of == unit]

    def everyone(self) -> dict[int, str]:
        """Every living process of a unit, with its unit. OSError when the kernel has nothing left to look with."""
        return {pid: each.unit for pid, each in self._living().items()}

    def _living(self) -> dict[int, Kin]:
        look = at_once(self._kinship.look(dict))
        found = {pid: each for pid, each in look.ours.items() if each.unit}
        # What was seen of zombies is kept until they are reaped, for their end is told then.
        self._seen = {key: unit for key, unit in self._seen.items() if key[0] in look.everyone}
        self._seen.update(((pid, each.process.birth), each.unit) for pid, each in found.items())
        return found

    def check(self, unit: str) -> None:
        """Look, once in this turn of the loop, at which units have nobody left."""
        if self._due is None and self._populated:
            self._due = self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._due = None
        try:
            running = self._living()
        except OSError:
            # Who cannot be looked at counts as alive.
            self._due = self._loop.call_later(_LOOK_AGAIN_S, self._look)
            return
        for each in running.values():
            if each.unit in self._doomed:
                processes.send(each.process.pid, each.process.birth, signal.SIGKILL)
            if each.found != CHILD and each.unit in self._populated and each.unit not in self._watched:
                self._watch(each)
        living = {each.unit for each in running.values()}
        for unit in sorted(self._populated):
            if unit not in living and unit not in self._stopped and not self._children.of(unit):
                self._populated.discard(unit)
                self._doomed.discard(unit)
                self._post(CgroupEmpty(unit))

    def _watch(self, kin: Kin) -> None:
        """Look again when it has ended; soon where it cannot be watched, or has ended already."""
        try:
            pidfd = os.pidfd_open(kin.process.pid)
        except OSError:
            self._due = self._due or self._loop.call_later(_LOOK_AGAIN_S, self._look)
            return
        self._watched[kin.unit] = pidfd
        self._loop.add_reader(pidfd, self._ended, kin.unit)
        if processes.birth(kin.process.pid) != kin.process.birth:
            self._ended(kin.unit)

    def _ended(self, unit: str) -> None:
        self._unwatch(unit)
        self.check(unit)

    def _unwatch(self, unit: str) -> None:
        pidfd = self._watched.pop(unit)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)

    async def freeze(self, unit: str) -> bool:
        """SIGSTOP to all, until a look finds nobody new; False when there is no end to it."""
        stopped = self._stopped.setdefault(unit, {})
        for _ in range(_PASSES):
            if self._is_stopped({unit}, stopped):
                return True
            await asyncio.sleep(0)
        return False

    def _is_stopped(self, units: Collection[str], stopped: dict[int, int]) -> bool:
        """Stop whoever of the units is not yet; True when that was nobody."""
        living = [each.process for each in self._living().values() if each.unit in units]
        fresh = [process for process in living if stopped.get(process.pid) != process.birth]
        for process in fresh:
            stopped[process.pid] = process.birth
            processes.send(process.pid, process.birth, signal.SIGSTOP)
        return not fresh

    def thaw(self, unit: str) -> None:
        """SIGCONT to whom freeze stopped."""
        for pid, birth in self._stopped.pop(unit, {}).items():
            processes.send(pid, birth, signal.SIGCONT)

    def kill(self, unit: str) -> None:
        """Stop all until a look finds nobody new, then SIGKILL; who was born all the same gets it at the next look."""
        self._doomed.add(unit)
        self._kill({unit})

    def kill_everyone(self) -> None:
        """SIGKILL to every unit's processes."""
        self._doomed |= self._populated
        self._kill(self._doomed)

    def _kill(self, units: Collection[str]) -> None:
        """Stopped first, for the dead make room for those who fork as fast as they may."""
        stopped: dict[int, int] = {}
        with contextlib.suppress(OSError):
            for _ in range(_PASSES):
                if self._is_stopped(units, stopped):
                    break
        for pid, birth in stopped.items():
            processes.send(pid, birth, signal.SIGKILL)

    def kept(self) -> KeptGroups:
        """Whom we have seen, and who is to die."""
        self.everyone()
        seen = ((pid, birth, unit) for (pid, birth), unit in self._seen.items())
        return KeptGroups(seen=tuple(seen), doomed=tuple(sorted(self._doomed)))

    def take_up(self, kept: KeptGroups) -> None:
        """Know them again."""
        self._seen.update(((pid, birth), unit) for pid, birth, unit in kept.seen)
        self._populated.update(unit for _, _, unit in kept.seen)
        self._doomed.update(kept.doomed)
        self.check("")

    def close(self) -> None:
        """Look no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for unit in list(self._watched):
            self._unwatch(unit)
