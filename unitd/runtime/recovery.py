"""After a crash: what the daemon before has written down, its keeper's last words and what lives, put together.

A process is the one that was written down when it has the same start time, and no other; where only its pid was known
it has to be of the unit. One that was asked for and has no pid in the record is where the keeper says it is. The keeper
knows of every request that was sent, so what it does not name was never started, and is started now. If the keeper
was killed as well, a process that carries the invocation id is the one; without any, it is started: what ran and ended
in these milliseconds left nothing that could tell. Who is gone ended unseen.

Units that have processes and are not in the record are put together from those: the oldest that carries an invocation
id and whose parent is not of the unit is the main process.
"""

import errno
import signal
from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace

from unitd.engine.record import Times
from unitd.engine.snapshot import Saved, Snapshot
from unitd.host import processes
from unitd.host.keeper import LastWord
from unitd.host.perform import Host
from unitd.host.ports import Post
from unitd.host.processes import Process
from unitd.host.reaper import UNKNOWN
from unitd.host.spawn import in_words
from unitd.machines import phases
from unitd.model.effects import Adopt, Adoptee, Spawn
from unitd.model.events import CgroupEmpty, Execed, ProcessExited, Spawned, SpawnFailed

_DIED = "the fork server was killed with the daemon"
_CANCELED = "it was to be stopped before it was started"


class Recovery:
    """Answers Adopt. `words`: of the keepers, oldest first; `killed`: executors that were ended instead of asked.

    `alone`: there was no keeper.
    """

    def __init__(
        self, host: Host, post: Post, words: Iterable[LastWord] = (), killed: Collection[int] = (), *, alone: bool
    ) -> None:
        self._host, self._post, self._killed, self._alone = host, post, frozenset(killed), alone
        self._words = {(word.unit, word.serial, word.invocation): word for word in words}
        self.adopted = 0
        """Processes that were taken over."""

    def adopt(self, effect: Adopt) -> None:
        """Take over who lives, and post what became of the others."""
        unit = effect.unit
        self._host.remember(unit, effect.invocation, effect.since)
        for adoptee in effect.processes:
            found = adoptee if adoptee.pid else self._found(effect, adoptee)
            if found is not None:
                self._take_over(effect, found)
        # The end of a child of ours that is a zombie is told first.
        if self._host.members(unit) or self._host.children.of(unit):
            self._host.watch(unit)
        else:
            self._post(CgroupEmpty(unit))

    def _found(self, effect: Adopt, adoptee: Adoptee) -> Adoptee | None:
        """The process that was asked for; None when there is none, which is posted, or it is started now."""
        unit, serial = effect.unit, adoptee.serial
        word = self._word(effect, adoptee)
        if word is not None and word.pid:
            pid, birth = word.pid, word.birth
        elif word is not None and word.what == "failed":
            self._post(_failure(word))
            return None
        elif self._alone and word is None and (process := self._bearer(effect)) is not None:
            pid, birth = process.pid, process.birth
        elif adoptee.plan is not None:
            self._host.perform(Spawn(adoptee.plan))
            return None
        else:
            self._post(SpawnFailed(unit, serial, "canceled", errno.ECANCELED, _CANCELED))
            return None
        self._post(Spawned(unit, serial, pid, birth))
        return replace(adoptee, pid=pid, birth=birth)

    def _take_over(self, effect: Adopt, adoptee: Adoptee) -> None:
        unit, serial, pid = effect.unit, adoptee.serial, adoptee.pid
        lives = self._host.adopt(unit, effect.invocation, adoptee)
        self.adopted += lives
        if not adoptee.execed:
            word = self._word(effect, adoptee)
            if word is not None and word.what == "failed":
                self._post(_failure(word))
                return
            if pid in self._killed or (word is not None and word.what == "spawned"):
                # Nobody would hear whether it execs.
                processes.send(pid, adoptee.birth, signal.SIGKILL)
                self._post(SpawnFailed(unit, serial, "fork", errno.ECONNRESET, _DIED))
                return
            self._post(Execed(unit, serial))
        if not lives:
            self._post(ProcessExited(unit, pid, UNKNOWN))

    def _word(self, effect: Adopt, adoptee: Adoptee) -> LastWord | None:
        return self._words.get((effect.unit, adoptee.serial, effect.invocation))

    def _bearer(self, effect: Adopt) -> Process | None:
        """The oldest process of the unit that nobody knows and that carries the invocation id."""
        known = {adoptee.pid for adoptee in effect.processes}
        found = [process for process in heads(self._host.members(effect.unit)) if process.pid not in known]
        return next((each for each in found if processes.invocation(each.pid) == effect.invocation), None)


def _failure(word: LastWord) -> SpawnFailed:
    return SpawnFailed(word.unit, word.serial, word.stage, word.errno, in_words(word.errno, word.detail))


def heads(pids: Iterable[int]) -> list[Process]:
    """Those whose parent is not among them, oldest first."""
    found = {pid: process for pid in pids if (process := processes.read(pid)) is not None and process.is_alive}
    return sorted(
        (each for each in found.values() if each.parent not in found), key=lambda each: (each.birth, each.pid)
    )


def completed(
    past: Snapshot, host: Host, is_loadable: Callable[[str], bool], now: int, warn: Callable[[str], None]
) -> Snapshot:
    """With the units that have processes and are not in the record; what belongs to no unit is named."""
    known = {saved.unit: saved for saved in past.units}
    found = []
    for unit in host.groups.units():
        pids = host.groups.members(unit)
        saved = known.get(unit)
        if not pids:
            if saved is None or _rests(saved):
                host.groups.release(unit)
        elif saved is None and unit.endswith(".service") and is_loadable(unit):
            found.append(_put_together(unit, pids, now))
            main = found[-1].state.main  # type: ignore[union-attr]
            who = f"process {main.pid} is taken for its main process" if main is not None else "it has no main process"
            warn(f"no record tells of {unit}, which has {len(pids)} processes: {who}")
        elif saved is None or _rests(saved):
            why = "is no unit that can be loaded" if saved is None else "rests"
            named = ", ".join(processes.described(pid) for pid in pids[:20])
            warn(f"cannot take over what runs in the cgroup of {unit}, which {why}: {named}")
    return replace(past, units=(*past.units, *found))


def _rests(saved: Saved) -> bool:
    """It is a service, and the record knows of no process in its cgroup."""
    match saved.state:
        case phases.Service(phase=phases.Dead() | phases.AutoRestart(), populated=False):
            return True
        case _:
            return False


def _put_together(unit: str, pids: Collection[int], now: int) -> Saved:
    """A service that is taken for running since now."""
    marked = [(process, id) for process in heads(pids) if (id := processes.invocation(process.pid))]
    service = phases.Service(phase=phases.Running(now), populated=True, serial=1, up_since=now)
    invocation = ""
    if marked:
        process, invocation = marked[0]
        run = phases.Run(process.pid, now)
        main = phases.Process(1, process.pid, process.birth, execed=True, started=now)
        service = replace(service, main=main, last_main=run, runs={"ExecStart": (run,)})
    times = Times(state_change=now, inactive_exit=now, active_enter=now)
    return Saved(unit, service, times, invocation)
