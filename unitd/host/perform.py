"""Carries out effects: one way in for all that the engine asks of Linux. What goes wrong comes back as an event."""

import asyncio
import errno
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from unitd.host import processes, trees
from unitd.host.cgroups import Cgroups, open_cgroups
from unitd.host.children import Child, Children, Given
from unitd.host.children import Kept as KeptChildren
from unitd.host.forensics import Forensics
from unitd.host.inotify import Inotify
from unitd.host.keeper import Shelf
from unitd.host.kill import Killer
from unitd.host.kin import Kin, Kinship
from unitd.host.orphans import Orphans
from unitd.host.ports import Groups, KeptGroups, LogSink, Post, SocketSource, Surroundings
from unitd.host.processes import Process
from unitd.host.reaper import Reaper
from unitd.host.spawn import Spawner, in_words
from unitd.host.sweep import Sweep
from unitd.host.without_cgroups import WithoutCgroups
from unitd.model.effects import (
    Adoptee,
    CheckConditions,
    CloseSockets,
    Effect,
    GuessMain,
    Kill,
    KillEverything,
    Listen,
    LookForOrphans,
    Release,
    SocketPlan,
    Spawn,
    UnwatchPidFile,
    UnwatchSockets,
    Verify,
    WatchPidFile,
    WatchSockets,
)
from unitd.model.events import ConditionsChecked, MainGuessed, Signalled, SpawnFailed
from unitd.model.processes import Target


class Logs(LogSink, Protocol):
    def printed(self, unit: str, count: int) -> list[str]:
        """The last `count` lines that the unit itself printed, oldest first."""

    def reopen(self, unit: str, *, labelled: bool) -> bool:
        """Read again what an earlier daemon read, `labelled` by what follows; False when there is nothing to read."""

    def close_fifo(self, unit: str) -> None:
        """The unit rests."""


class Sockets(SocketSource, Protocol):
    def listen(self, plan: SocketPlan) -> None:
        """Open what is not open; answered by Listening or ListenFailed."""

    def watch(self, unit: str) -> None: ...

    def unwatch(self, unit: str) -> None: ...

    def close_unit(self, unit: str, remove: bool) -> None: ...


class PidFiles(Protocol):
    def watch(self, unit: str, path: str) -> None:
        """Read it now and whenever it changes; answered by PidFileRead."""

    def unwatch(self, unit: str, path: str, remove: bool) -> None: ...


class Kept(Struct, frozen=True):
    """What another program image needs beside what the kernel shows. `server`: the fork server of this one; `nofile`:
    the limits that the daemon was started with; `earlier`: who was its child before it was a daemon (host/kin)."""

    groups: KeptGroups
    nofile: tuple[int, int]
    server: int
    earlier: tuple[tuple[int, int], ...]
    children: KeptChildren


class Host:
    """The processes of the daemon's units, and the parts of the rim that effects are for.

    `warn` gets words for the daemon's log; `cgroup`: --cgroup PATH, or "" for the daemon's own; `shelf`: what outlives
    a daemon that is killed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Post,
        inotify: Inotify,
        *,
        runtime_dir: str,
        logs: Logs,
        sockets: Sockets,
        pid_files: PidFiles,
        conditions: Callable[[CheckConditions], ConditionsChecked],
        environment: Mapping[str, str],
        notify: str,
        warn: Callable[[str], None],
        shelf: Shelf,
        cgroup: str = "",
        boot_id: str = "",
    ) -> None:
        self._post, self._logs, self._sockets, self._pid_files = post, logs, sockets, pid_files
        self._conditions, self._warn = conditions, warn
        self.children = Children()
        self.kinship = Kinship(self.children, lambda: self.spawner.fork_server.pid)
        self.groups: Groups
        try:
            self.groups = open_cgroups(
                inotify, post, self.children, runtime_dir=runtime_dir, below=cgroup, boot_id=boot_id
            )
        except OSError as error:
            why = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            warn(f"cannot use cgroups ({why}): units are held together by descent and invocation id instead")
            self.groups = WithoutCgroups(loop, post, self.children, self.kinship)
        self.spawner = Spawner(
            loop,
            post,
            self.children,
            Surroundings(logs, sockets, environment, notify),
            joined=self.groups.joined,
            settled=self._settled,
            shelf=shelf,
        )
        placed = self.groups.everyone if isinstance(self.groups, Cgroups) else None
        self._forensics = Forensics(self._remembered, logs.printed)
        self._examined: set[tuple[int, int]] = set()
        self._sweep = Sweep(self.kinship, self.groups, placed or dict, self._examine)
        self._orphans = Orphans(loop, post, self.children, self.kinship, self.groups, placed, self.is_unborn)
        self.reaper = Reaper(
            loop,
            post,
            self.children,
            unit_of=self.groups.unit_of,
            is_waiting=lambda: self.spawner.is_waiting,
            reaped=self._reaped,
            server=lambda: self.spawner.fork_server.pid,
        )
        self.killer = Killer(loop, post, self.children, self.groups, self.spawner.joined, self._forensics)

    def unit_of(self, pid: int) -> str:
        """The unit that a living process belongs to; "" when none."""
        child = self.children.get(pid)
        return child.unit if child is not None else self.groups.unit_of(pid)

    def remember(self, unit: str, invocation: str, since: int) -> None:
        """An earlier daemon started the unit under this id at `since` (monotonic us): who carries it is the unit's."""
        ago = (time.monotonic_ns() // 1000 - since) // processes.TICK_US
        self.children.given.setdefault(invocation, Given(unit, max(1, processes.ticks() - ago - 1)))

    def members(self, unit: str) -> list[int]:
        """The pids of the unit's living processes."""
        return self.groups.members(unit)

    def adopt(self, unit: str, invocation: str, adoptee: Adoptee) -> bool:
        """Take over a process that an earlier daemon started; False when it is gone, or another one has its pid.

        Where its start time was not known it has to be of the unit. One that nobody shows us counts as alive.
        """
        process = processes.inspect(adoptee.pid)
        if process is None or (process.birth and adoptee.birth not in (0, process.birth)):
            return False
        if not adoptee.birth and self.groups.unit_of(process.pid) != unit:
            return False
        program = adoptee.program or process.command
        birth = process.birth or adoptee.birth
        self.children.add(Child(unit, process.pid, birth, adoptee.serial, invocation, program, settled=True))
        self.groups.joined(unit)
        if self._logs.reopen(unit, labelled=True):
            self._logs.label(unit, program, process.pid)
        self.reaper.watch(unit, process.pid)
        return True

    def watch(self, unit: str) -> None:
        """Some of the unit's processes live, whoever started them: tell when none does any more."""
        self.groups.joined(unit)
        self.groups.check(unit)

    def jobs_done(self) -> None:
        """No job waits: Type=idle services go on."""
        self.spawner.jobs_done()

    def perform(self, effect: Effect) -> bool:
        """Carry it out; False when it is not the host's. Answers are posted, some of them before this returns."""
        match effect:
            case Spawn(plan=plan):
                self.killer.afterwards(plan.unit, lambda: self._spawn(effect))
            case Kill():
                self.killer.kill(effect)
            case Release():
                self._release(effect)
            case GuessMain(unit=unit):
                self._guess_main(unit)
            case KillEverything(signal=number, claims=claims):
                self._sweep.signal_everyone(number, claims)
            case Verify(claims=claims):
                self._post(self._sweep.survivors(claims))
            case LookForOrphans(token=token, claims=claims, up=up):
                self._orphans.look(token, claims, up)
            case CheckConditions():
                self._post(self._conditions(effect))
            case WatchPidFile(unit=unit, path=path):
                self._pid_files.watch(unit, path)
            case UnwatchPidFile(unit=unit, path=path, remove=remove):
                self._pid_files.unwatch(unit, path, remove)
            case Listen(plan=plan):
                self._sockets.listen(plan)
            case WatchSockets(unit=unit):
                self._sockets.watch(unit)
            case UnwatchSockets(unit=unit):
                self._sockets.unwatch(unit)
            case CloseSockets(unit=unit, remove=remove):
                self._sockets.close_unit(unit, remove)
            case _:
                return False
        return True

    @property
    def under_way(self) -> str:
        """What is to come to its end before another program image can go on, in words; "": nothing."""
        if unit := self.spawner.under_way:
            return f"a process of {unit} is between fork and exec"
        if unit := self.killer.under_way:
            return f"{unit} is being signalled"
        return "the end of a process is being told" if self.reaper.is_telling else ""

    def kept(self) -> Kept:
        """What another program image needs to go on."""
        earlier = tuple(sorted(self.kinship.earlier))
        server = self.spawner.fork_server.pid
        return Kept(self.groups.kept(), self.spawner.nofile, server, earlier, self.children.kept())

    def take_up(self, kept: Kept) -> None:
        """Go on where another program image stopped."""
        self.groups.take_up(kept.groups)
        self.children.take_up(kept.children)
        self.kinship.earlier = set(kept.earlier)
        self.spawner.nofile = kept.nofile

    async def close(self) -> None:
        """End the fork server, give back every descriptor, and remove the sub-tree as far as it is empty."""
        self._orphans.close()
        await self.killer.close()
        self.spawner.close()
        await self.reaper.close(self.spawner.fork_server.pid)
        self.groups.close()

    def is_unborn(self, pid: int) -> bool:
        """It may be a process that was asked for, and the answer with its pid is still under way."""
        return self.spawner.is_waiting and self.children.get(pid) is None

    def _examine(self, order: Sequence[Kin]) -> None:
        """The last of all are about to get SIGKILL: each is looked at once, and told of with its unit."""
        of: dict[str, list[Process]] = {}
        for each in order:
            if (who := (each.process.pid, each.process.birth)) not in self._examined:
                self._examined.add(who)
                of.setdefault(each.unit, []).append(each.process)
        for unit, found in of.items():
            evidence = self._forensics.look_now(found)
            sent = tuple(Target(process.pid, 0, process.command) for process in found)
            self._post(Signalled(unit, signal.SIGKILL, sent, evidence=evidence))

    def _remembered(self, pid: int) -> str:
        child = self.children.get(pid)
        return child.command if child is not None else ""

    def _settled(self) -> None:
        self.reaper.hear()
        self.reaper.look()

    def _reaped(self, pid: int, unit: str) -> None:
        if pid == self.spawner.fork_server.pid:
            self.spawner.fork_server.pid = 0
        self._logs.ended(unit, pid)
        self.groups.check(unit)

    def _spawn(self, effect: Spawn) -> None:
        plan = effect.plan
        try:
            procs = self.groups.realise(plan.unit, plan.cgroup)
        except OSError as error:
            number = error.errno or errno.EIO
            words = in_words(number, str(error.filename or plan.cgroup))
            self._post(SpawnFailed(plan.unit, plan.serial, "cgroup", number, words))
            return
        self.spawner.spawn(plan, procs)

    def _release(self, effect: Release) -> None:
        unit = effect.unit
        self.groups.release(unit)
        self._logs.close_fifo(unit)
        self._orphans.rested(unit, self.groups.members(unit) if effect.spared else ())
        for directory in effect.directories:
            trees.remove(directory, lambda text: self._warn(f"{unit}: {text}"))

    def _guess_main(self, unit: str) -> None:
        """The one process of the unit that was orphaned, if it is one (systemd.service(5)).

        Orphans come to us, or to PID 1 where a daemon before us had started them: out of the unit in any case.
        """
        members = self.groups.members(unit)
        found = [process for pid in members if (process := processes.read(pid)) is not None]
        orphans = [each for each in found if each.parent not in members and not self.children.get(each.pid)]
        main = orphans[0] if len(orphans) == 1 else None
        self._post(MainGuessed(unit, main.pid if main else 0, main.birth if main else 0))
