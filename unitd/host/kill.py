"""Sends signals to units: to a frozen cgroup, deepest process first, the named ones last, through pidfds.

Frozen, no process can act on another's death, nor fork away, before its own signal is pending; what happens after
the thaw is in any order. Who is signalled is decided by the cgroup and by the children that we know by pid and start
time, never by a pid alone (cgroup-v2.rst "cgroup.freeze", pidfd_open(2)). One kill of a unit at a time, in order, and
who is started later than it was asked for is none of its business; different units do not wait for each other.
"""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from unitd.host import processes, reserve
from unitd.host.children import Children
from unitd.host.forensics import Forensics
from unitd.host.ports import Groups, Post
from unitd.host.processes import Process
from unitd.model.effects import Kill, Scope
from unitd.model.events import Signalled
from unitd.model.processes import Evidence, Target

_AT_A_TIME = 64
"""Processes looked at or signalled in one turn of the loop."""
_JOIN_BOUND_S = 1.0
"""How long a kill waits for who is just being started; who comes later gets a signal of its own."""
_PASSES = 16
"""How often an unfrozen unit is looked through for processes born meanwhile."""


@dataclass(slots=True, eq=False)
class _Pass:
    """What one kill has done so far."""

    kill: Kill
    frozen: bool
    sent: list[Target]
    left: list[str]
    seen: set[int]


class Killer:
    """Carries out Kill effects. `joined(unit)` waits until whoever was being started for it is where it can be seen."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        children: Children,
        groups: Groups,
        joined: Callable[[str], Awaitable[None]],
        forensics: Forensics,
    ) -> None:
        self._post, self._children, self._groups, self._joined = post, children, groups, joined
        self._loop, self._forensics = loop, forensics
        self._queues: dict[str, deque[Kill | Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def kill(self, kill: Kill) -> None:
        """Queue it; answered by Signalled. One that waits is replaced by a later one of the same signal and scope."""
        queue = self._queues.get(kill.unit)
        if queue is None:
            self._queues[kill.unit] = deque([kill])
            task = self._loop.create_task(self._serve(kill.unit))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        last = queue[-1] if queue else None
        if isinstance(last, Kill) and (last.signal, last.scope) == (kill.signal, kill.scope):
            pids = tuple(dict.fromkeys((*last.pids, *kill.pids)))
            queue[-1] = replace(kill, pids=pids, examine=last.examine or kill.examine)
        else:
            queue.append(kill)

    def afterwards(self, unit: str, start: Callable[[], None]) -> None:
        """Call `start` once the kills that were asked for until now are done; at once when there are none."""
        queue = self._queues.get(unit)
        if queue is None:
            start()
        else:
            queue.append(start)

    @property
    def under_way(self) -> str:
        """A unit that is being signalled; "" when there is none."""
        return next(iter(self._queues), "")

    async def close(self) -> None:
        """Drop what is not done; nothing stays frozen."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, unit: str) -> None:
        queue = self._queues[unit]
        try:
            while queue:
                # Who was started into a cgroup that somebody else froze is never told to be in it.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_JOIN_BOUND_S):
                        await self._joined(unit)
                turn = queue.popleft()
                if isinstance(turn, Kill):
                    await self._carry_out(turn)
                else:
                    turn()
        finally:
            del self._queues[unit]

    async def _carry_out(self, kill: Kill) -> None:
        done = _Pass(kill, frozen=False, sent=[], left=[], seen=set())
        evidence = None
        try:
            if kill.examine:
                evidence = await self._examine(kill)
            if kill.scope is Scope.ALL:
                done.frozen = await self._groups.freeze(kill.unit)
                await self._signal_all(done)
                if kill.sure:
                    self._groups.kill(kill.unit)
            else:
                self._signal_named(done)
        except OSError as error:
            done.left.append(f"cannot look at the processes of {kill.unit}: {error}")
        finally:
            if kill.scope is Scope.ALL:
                self._groups.thaw(kill.unit)
        self._post(Signalled(kill.unit, kill.signal, tuple(done.sent), tuple(done.left), evidence))
        self._groups.check(kill.unit)

    async def _examine(self, kill: Kill) -> Evidence:
        """What keeps those who are about to be killed; frozen, all of them would seem to wait for the freezer."""
        members = self._groups.members(kill.unit)
        pids = [*(members if kill.scope is Scope.ALL else ()), *(p for p in kill.pids if self._is_ours(p, members))]
        found = {pid: process for pid in pids if (process := processes.read(pid)) is not None and process.is_alive}
        return await self._forensics.look(kill.unit, [found[target.pid] for target in in_order(found, kill.pids)])

    def _is_ours(self, pid: int, members: list[int]) -> bool:
        child = self._children.get(pid)
        return pid in members or (child is not None and child.birth in (0, processes.birth(pid)))

    async def _signal_all(self, done: _Pass) -> None:
        """One pass when all are frozen; else again and again, until there is nobody new."""
        for _ in range(1 if done.frozen else _PASSES):
            pids = [pid for pid in self._groups.members(done.kill.unit) if pid not in done.seen]
            named = [pid for pid in done.kill.pids if pid not in done.seen]
            if not pids and not named:
                break
            found: dict[int, Process] = {}
            for start in range(0, len(pids), _AT_A_TIME):
                for pid in pids[start : start + _AT_A_TIME]:
                    process = processes.read(pid)
                    if process is not None and pid != os.getpid():
                        found[pid] = process
                await asyncio.sleep(0)
            ordered = in_order(found, done.kill.pids)
            for start in range(0, len(ordered), _AT_A_TIME):
                for target in ordered[start : start + _AT_A_TIME]:
                    self._send(done, target, found[target.pid].birth, member=True)
                await asyncio.sleep(0)
            self._signal_named(done)

    def _signal_named(self, done: _Pass) -> None:
        """Those of the named that were not among the members: our own children that left, or were never in."""
        for pid in done.kill.pids:
            if pid in done.seen:
                continue
            process = processes.read(pid)
            child = self._children.get(pid)
            if process is None or not process.is_alive:
                done.seen.add(pid)
            elif child is not None and child.birth in (0, process.birth):
                self._send(done, Target(pid, 0, process.command), process.birth, member=False)
            elif pid in self._groups.members(done.kill.unit):
                self._send(done, Target(pid, 0, process.command), process.birth, member=True)
            else:
                done.seen.add(pid)
                done.left.append(f"{pid} ({process.command}): no process of {done.kill.unit} that we know")

    def _send(self, done: _Pass, target: Target, birth: int, *, member: bool) -> None:
        """The signal, and those that go with it, to the process that has this start time, and to no other."""
        done.seen.add(target.pid)
        try:
            pidfd = reserve.sure(os.pidfd_open, target.pid)
        except ProcessLookupError:
            return
        except OSError as error:
            done.left.append(f"{target.pid} ({target.command}): {error.strerror}")
            return
        try:
            # A frozen member cannot end, so that its pid is its own; any other is looked at again, with the pidfd open.
            if not (done.frozen and member) and processes.birth(target.pid) != birth:
                return
            for number in _signals(done.kill):
                signal.pidfd_send_signal(pidfd, number)
            done.sent.append(target)
        except ProcessLookupError:
            return
        except OSError as error:
            done.left.append(f"{target.pid} ({target.command}): {error.strerror}")
        finally:
            os.close(pidfd)


def in_order(found: dict[int, Process], last: tuple[int, ...]) -> list[Target]:
    """Deepest first, of the same depth the youngest first; then those of `last`, in its order."""
    depth = processes.depths(found, found)
    ends = [pid for pid in last if pid in found]
    others = sorted(found.keys() - set(ends), key=lambda pid: (-depth[pid], -found[pid].birth, -pid))
    return [Target(pid, depth[pid], found[pid].command) for pid in (*others, *ends)]


def _signals(kill: Kill) -> list[int]:
    """The signal; SIGCONT, since a stopped process hears nothing before; SIGHUP for shells (systemd.kill(5))."""
    numbers = [kill.signal]
    if kill.cont:
        numbers.append(signal.SIGCONT)
    if kill.hup:
        numbers.append(signal.SIGHUP)
    return numbers
