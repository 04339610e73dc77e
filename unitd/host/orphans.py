"""Processes of ours that are not where they belong, at any time, and who else holds what units claim.

A whole look through /proc is made in portions, one at a time, when somebody asks. After a unit's stop a small one is
enough, for what left a cgroup that is empty now has come to us: only the daemon's own children are looked at, once for
all units that came to rest within a moment. What such a look finds is named and not killed: whoever put it elsewhere
had the right to (a container runtime, a login), and a stop under systemd spares it too. A shutdown ends it.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator, Mapping
from typing import Any

from unitd.host import kin, processes
from unitd.host.children import Children
from unitd.host.holders import Holder, holders, unseen
from unitd.host.kin import BESIDE, CGROUP, CHILD, Kin, Kinship, Look
from unitd.host.ports import Groups, Post
from unitd.model.claims import Claim
from unitd.model.events import LeftBehind, OrphansFound
from unitd.model.processes import Left

_SOON_S = 0.1
_DOWN = "its unit is down"
_AWAY = "it left its cgroup"


class Orphans:
    """`placed`: who is in our cgroups; None: there are none. `is_unborn(pid)`: we may be about to be told of it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        children: Children,
        kinship: Kinship,
        groups: Groups,
        placed: Callable[[], Mapping[int, str]] | None,
        is_unborn: Callable[[int], bool],
    ) -> None:
        self._loop, self._post, self._children, self._kinship, self._groups = loop, post, children, kinship, groups
        self._placed, self._is_unborn = placed, is_unborn
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rested: set[str] = set()
        self._asked: dict[int, tuple[Collection[Claim], Collection[str]]] = {}
        self._told: set[tuple[int, int]] = set()
        self._due: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        if self._due is not None:
            self._due.cancel()

    # --- when somebody asks ---------------------------------------------------------------------------

    def look(self, token: int, claims: Collection[Claim], up: Collection[str]) -> None:
        """Look for processes that belong nowhere, or to a unit that is not `up`; answered by OrphansFound.

        All who ask before a look begins have the same answer.
        """
        self._asked[token] = (claims, up)
        if len(self._asked) == 1:
            self._start(self._answer())

    async def _answer(self) -> None:
        async with self._turn:
            asked, self._asked = self._asked, {}
            claims, up = next(reversed(asked.values()))
            try:
                look = await self._looked()
                held = await in_portions(holders(claims, look.everyone)) if claims else []
                found = (*self._astray(look, up), *_foreign(look, held))
            except OSError as error:
                found = (Left(0, note=f"cannot look for orphans: {error.strerror}"),)
        for token in asked:
            self._post(OrphansFound(token, found))

    async def _looked(self) -> Look:
        """A look, after which is forgotten what nobody can carry any more."""
        before = list(self._children.given)
        look = await in_portions(self._kinship.look(self._placed or dict))
        units = {each.unit for each in look.ours.values()}
        sessions = {process.session for process in look.everyone.values()}
        self._children.forget(before, look.carried, units, sessions)
        return look

    def _astray(self, look: Look, up: Collection[str]) -> Iterator[Left]:
        for pid, each in sorted(look.ours.items()):
            if self._is_unborn(pid) or each.found == BESIDE:
                continue
            is_held = each.found == CGROUP or (self._placed is None and each.found == CHILD)
            if is_held and each.unit in up:
                continue
            why = _DOWN if is_held else _AWAY if self._placed is not None else ""
            yield kin.described(each, note=why if each.unit else "")

    # --- after a unit's stop --------------------------------------------------------------------------

    def rested(self, unit: str, spared: Collection[int]) -> None:
        """The unit came to rest; `spared`: who lives on in it. Whoever else it left is looked for soon."""
        if spared:
            found = (process for pid in spared if (process := processes.read(pid)) is not None)
            self._post(LeftBehind(unit, tuple(kin.described(Kin(each, unit, CGROUP)) for each in found)))
        self._rested.add(unit)
        if self._due is None:
            self._due = self._loop.call_later(_SOON_S, self._look_at_children)

    def _look_at_children(self) -> None:
        self._due = None
        rested, self._rested = self._rested, set()
        if self._children.has_much_to_forget and not self._tasks:
            self._start(self._forget())
        found: dict[str, list[Left]] = {}
        seen: set[tuple[int, int]] = set()
        for each in self._escaped():
            key = (each.process.pid, each.process.birth)
            seen.add(key)
            if key not in self._told and each.unit in (*rested, ""):
                found.setdefault(each.unit, []).append(kin.described(each))
        self._told = (self._told & seen) | {(left.pid, left.birth) for lefts in found.values() for left in lefts}
        for unit, lefts in sorted(found.items()):
            self._post(LeftBehind(unit, tuple(lefts)))

    def _escaped(self) -> Iterator[Kin]:
        """Children of the daemon that it did not start, and that are in no cgroup of ours."""
        for pid in _children():
            process = processes.read(pid)
            if process is None or not process.is_alive or process.is_ending:
                continue
            if self._children.get(pid) or self._is_unborn(pid) or self._kinship.is_excepted(process):
                continue
            if self._placed is not None and self._groups.unit_of(pid):
                continue
            unit = self._kinship.unit(process)
            # Without cgroups a unit still holds those that are known for its own. To the first process of a namespace
            # come also those that never were a unit's.
            if self._placed is not None if unit else os.getpid() != 1:
                yield Kin(process, unit, CHILD)

    async def _forget(self) -> None:
        async with self._turn:
            with contextlib.suppress(OSError):
                await self._looked()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _foreign(look: Look, held: Collection[Holder]) -> Iterator[Left]:
    """Who holds a claim and is not ours; then who only looks as if it were."""
    for each in held:
        if each.process is None:
            yield unseen(each)
        elif each.process.pid not in look.ours and each.process.pid not in look.daemon:
            yield kin.described(Kin(each.process, each.claim.unit, each.found), ours=False, note=_fate(each.claim))
    for alike in look.alike.values():
        yield kin.described(alike, ours=False)


def _fate(claim: Claim) -> str:
    return "a shutdown ends it (OnConflict=kill)" if claim.kill else "a shutdown leaves it alone (OnConflict=block)"


async def in_portions(look: Generator[None, None, kin.T]) -> kin.T:
    """What a look finds, while others get their turn."""
    while True:
        try:
            next(look)
        except StopIteration as end:
            found: kin.T = end.value
            return found
        await asyncio.sleep(0)


def _children() -> list[int]:
    """Our own children, without a look at everybody where the kernel lists them (proc_pid_children(5))."""
    found: list[int] = []
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        ourselves = os.getpid()
        return [process.pid for process in processes.everyone().values() if process.parent == ourselves]
    return found
