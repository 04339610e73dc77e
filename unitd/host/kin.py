"""Who of all processes is ours: by place, by descent, by the mark that each carries; and who only looks as if.

Ours is who is in one of our cgroups; who descends from the daemon, to which orphans come back (prctl(2),
PR_SET_CHILD_SUBREAPER), except the fork server and what was the daemon's child before it was a daemon (a shell may
exec it); and what a daemon before this one left, which was orphaned away from us: it carries an invocation id that was
given, is not older than that invocation, and is below PID 1 or an ancestor of ours in a session that is not theirs.
The id alone proves nothing, since environments are copied: such a one is a look-alike, named and never killed.
For the first process of a pid namespace all in it are ours, also those put beside it (setns(2); their parent is 0).

A look is made in portions, and one that fails says so: who cannot be looked at counts as alive.
"""

import os
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec import Struct

from unitd.host import processes
from unitd.host.children import Children
from unitd.host.processes import Process
from unitd.model.processes import Left

CGROUP, CHILD, MARK, BESIDE = "cgroup", "child", "invocation id", "pid namespace"
"""How a process is known for ours."""
PORTION = 64
"""Processes looked at before others get their turn."""

T = TypeVar("T")


class Kin(Struct, frozen=True):
    """One that is ours, or looks as if; `unit` "": of no known unit; `note`: why it is not ours."""

    process: Process
    unit: str
    found: str
    note: str = ""


@dataclass(slots=True)
class Look:
    """All living processes at about one moment; `ours` and `alike` by pid, `carried`: the ids seen outside of cgroups.

    `daemon`: the daemon and its fork server; `excepted`: beside them those that were its children before it was one.
    """

    everyone: dict[int, Process] = field(default_factory=dict)
    children: dict[int, list[int]] = field(default_factory=dict)
    ours: dict[int, Kin] = field(default_factory=dict)
    alike: dict[int, Kin] = field(default_factory=dict)
    ancestors: list[int] = field(default_factory=list)
    carried: set[str] = field(default_factory=set)
    daemon: set[int] = field(default_factory=set)
    excepted: set[int] = field(default_factory=set)


class Kinship:
    """`server`: the fork server's pid. `spared`: whom the first process of a namespace leaves to the kernel.

    `remembered`: whose a process was known to be when it was last seen. `earlier`: pid and start time of our children
    from before this program was a daemon.
    """

    def __init__(self, children: Children, server: Callable[[], int]) -> None:
        self._children, self._server = children, server
        self._ourselves = os.getpid()
        everyone = processes.everyone() if self._ourselves != 1 else {}
        self.earlier = {(each.pid, each.birth) for each in everyone.values() if each.parent == self._ourselves}
        self.spared: Callable[[], Collection[int]] = tuple
        self.remembered: Callable[[Process], str] = lambda process: ""

    def look(self, placed: Callable[[], Mapping[int, str]], *, marks: bool = True) -> Generator[None, None, Look]:
        """One look; `placed`: who is in our cgroups, by unit; without `marks` the environment of others is not read.

        OSError when the kernel does not let us look at all.
        """
        look = Look()
        inside = placed()
        for number, pid in enumerate(processes.all_pids()):
            process = processes.inspect(pid)
            if process is not None:
                look.everyone[pid] = process
            if number % PORTION == PORTION - 1:
                yield
        for process in look.everyone.values():
            look.children.setdefault(process.parent, []).append(process.pid)
        look.ancestors = _ancestors(self._ourselves, look.everyone)
        look.daemon = {self._ourselves, self._server()}
        for pid, birth in self.earlier:
            # A program image that goes on without what it was to be handed finds units' processes among its children.
            process = look.everyone.get(pid)
            if process is not None and process.birth == birth and not self._unit(process, look.carried):
                look.excepted.add(pid)
        look.excepted |= look.daemon
        for pid, unit in inside.items():
            if pid in look.everyone and pid not in look.daemon:
                self._add(look, look.everyone[pid], unit, CGROUP)
        yield from self._below(look, (self._ourselves, *look.ours), CHILD)
        if self._ourselves == 1:
            self._beside(look)
        elif marks and self._children.given:
            yield from self._marked(look)
        return look

    def is_excepted(self, process: Process) -> bool:
        """It is no unit's and never was: the fork server, or what was our child before we were a daemon."""
        return process.pid == self._server() or (process.pid, process.birth) in self.earlier

    def unit(self, process: Process) -> str:
        """Whose it is by its mark or its session; "" when that is not known."""
        return self._unit(process, set()) or self._children.led(process, processes.read(process.session))

    def _add(self, look: Look, process: Process, unit: str, found: str) -> None:
        """A zombie is not alive, nor is one that the kernel takes apart: it leaves its cgroup just before it is one."""
        if process.is_alive and not (found != CGROUP and process.is_ending and process.state == "R"):
            look.ours[process.pid] = Kin(process, unit, found)

    def _below(self, look: Look, tops: Collection[int], found: str) -> Generator[None, None, None]:
        """All below `tops`, parents first: a process without a mark of its own is its parent's unit's."""
        units = {top: look.ours[top].unit if top in look.ours else "" for top in tops}
        walk = [pid for top in tops for pid in look.children.get(top, ())]
        for number, pid in enumerate(walk):
            if pid in look.excepted or pid in units:
                continue
            walk.extend(look.children.get(pid, ()))
            process = look.everyone[pid]
            if pid in look.ours:
                units[pid] = look.ours[pid].unit
                continue
            unit = self._unit(process, look.carried) or units[process.parent]
            units[pid] = unit or self._children.led(process, look.everyone.get(process.session))
            self._add(look, process, units[pid], found)
            if number % PORTION == PORTION - 1:
                yield

    def _unit(self, process: Process, carried: set[str]) -> str:
        child = self._children.get(process.pid)
        if child is not None and child.birth in (0, process.birth):
            return child.unit
        if known := self.remembered(process):
            return known
        id = mark(process)
        given = self._children.given.get(id)
        if given is None or process.birth < given.birth:
            return ""
        carried.add(id)
        return given.unit

    def _beside(self, look: Look) -> None:
        """Who shares the pid namespace whose first process we are: no kernel thread, and nobody who follows the end."""
        spared = set(self.spared())
        for pid in list(spared):
            spared.update(_ancestors(pid, look.everyone))
        for pid, process in look.everyone.items():
            if pid not in look.ours and pid not in look.excepted | spared and not process.is_kernel:
                self._add(look, process, "", BESIDE)

    def _marked(self, look: Look) -> Generator[None, None, None]:
        """Who carries an id of ours, and is neither in a cgroup of ours nor below us."""
        suspects = []
        tops = {1, *look.ancestors}
        for number, (pid, process) in enumerate(look.everyone.items()):
            if pid in look.ours or pid in look.excepted or pid in tops or process.is_kernel or not process.is_alive:
                continue
            id = mark(process)
            given = self._children.given.get(id)
            if given is not None:
                look.carried.add(id)
                suspects.append((process, given.unit, process.birth >= given.birth))
            if number % PORTION == PORTION - 1:
                yield
        for process, unit, fits in suspects:
            above = look.everyone.get(process.parent)
            if fits and process.parent in tops and above is not None and above.session != process.session:
                look.ours.setdefault(process.pid, Kin(process, unit, MARK))
                yield from self._below(look, (process.pid,), MARK)
        for process, unit, fits in suspects:
            if process.pid not in look.ours:
                note = f"its parent {process.parent} is no process of ours" if fits else "it is older than that"
                look.alike[process.pid] = Kin(process, unit, MARK, note)


def mark(process: Process) -> str:
    """The invocation id in its environment; "" for one whose memory may be locked, so that reading it would wait."""
    return "" if processes.is_locked(process) else processes.invocation(process.pid)


def _ancestors(pid: int, everyone: Mapping[int, Process]) -> list[int]:
    """From its parent up; bounded, for the look was not made at one moment."""
    found: list[int] = []
    while (process := everyone.get(pid)) is not None and process.parent and process.parent not in found:
        pid = process.parent
        found.append(pid)
    return found


def described(kin: Kin, *, ours: bool = True, note: str = "") -> Left:
    """What there is to say of it now."""
    process = kin.process
    return Left(
        process.pid,
        process.birth,
        kin.unit,
        kin.found,
        processes.arguments(process) or process.command,
        process.state,
        processes.wait_channel(process.pid),
        processes.age_us(process),
        ours,
        note or kin.note,
    )


def at_once(look: Generator[None, None, T]) -> T:
    """What a look in portions finds, without a pause."""
    while True:
        try:
            next(look)
        except StopIteration as end:
            found: T = end.value
            return found
