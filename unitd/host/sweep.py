"""The end of a shutdown: who of those that we started still lives, and the last signals to all of them.

Who is ours is kin's to say. Foreign processes that hold what a unit claims (Ports=, ProcessFilter=) are ended too where
the unit says so (OnConflict=kill), each asked by SIGTERM first; all others, and look-alikes, are named and left alone.
Nobody is signalled by a number alone, but by pid and start time. PID 1, and whoever we run below, never is.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from msgspec.structs import replace

from unitd.host import kin, processes
from unitd.host.holders import Holder, holders, unseen
from unitd.host.kill import in_order
from unitd.host.kin import CGROUP, Kin, Kinship, Look, at_once
from unitd.host.ports import Groups
from unitd.host.processes import Process
from unitd.model.claims import Claim
from unitd.model.events import Survivors
from unitd.model.processes import Left

LEFT_ALONE = "left alone"
_PASSES = 16
_ASKINGS = 2
_LOOKS = 3
_GRACE_S = 0.3
"""The least time between SIGTERM and SIGKILL for a foreign process."""


class Sweep:
    """`placed`: who is in our cgroups; `examine` looks at those who are about to get SIGKILL, deepest first."""

    def __init__(
        self,
        kinship: Kinship,
        groups: Groups,
        placed: Callable[[], Mapping[int, str]],
        examine: Callable[[Sequence[Kin]], None],
    ) -> None:
        self._kinship, self._groups, self._placed, self._examine = kinship, groups, placed, examine
        self._is_last = False
        self._asked: dict[tuple[int, int], float] = {}

    def survivors(self, claims: Sequence[Claim] = ()) -> Survivors:
        """Who is to be ended and lives, and who is left alone; after a SIGKILL to everyone they get it again first."""
        if self._is_last:
            self.signal_everyone(signal.SIGKILL, claims)
        try:
            look = self._look()
            found = list(self._foreign(look, claims))
        except OSError as error:
            return Survivors((Left(0, note=f"cannot look for processes that are left: {error.strerror}"),))
        left = [kin.described(each) for _, each in sorted(look.ours.items())]
        left += [foreign for foreign in found if not foreign.note]
        named = [foreign for foreign in found if foreign.note]
        for _, alike in sorted(look.alike.items()):
            named.append(kin.described(alike, ours=False, note=f"{alike.note}; {LEFT_ALONE}"))
        return Survivors(tuple(left), tuple(named))

    def signal_everyone(self, number: int, claims: Sequence[Claim] = ()) -> None:
        """The signal to all, deepest first, until nobody new is found; SIGKILL at once to whole cgroups too."""
        self._is_last = number == signal.SIGKILL
        with contextlib.suppress(OSError):
            look = self._look()
            foreign = [left for left in self._foreign(look, claims) if not left.note]
            if self._is_last:
                self._kill(look)
            else:
                self._ask(number, look)
            for left in foreign:
                self._signal_foreign(number, left)
        if self._is_last:
            self._groups.kill_everyone()

    # --- looking ------------------------------------------------------------------------------------

    def _look(self) -> Look:
        """One look can miss who is born behind it while its parent ends: so nobody has to be seen thrice."""
        for _ in range(_LOOKS - 1):
            if (look := self._look_once()).ours:
                return look
        return self._look_once()

    def _look_once(self, *, marks: bool = True) -> Look:
        return at_once(self._kinship.look(self._placed, marks=marks))

    def _foreign(self, look: Look, claims: Collection[Claim]) -> Iterator[Left]:
        """Foreign holders of claims; a note says why one is left alone, without it is to be ended."""
        for holder in at_once(holders(claims, look.everyone)) if claims else ():
            process = holder.process
            if process is None:
                left = unseen(holder)
                yield replace(left, note=f"{left.note}; {LEFT_ALONE}")
            elif process.pid not in look.ours and process.pid not in look.daemon:
                found = Kin(process, holder.claim.unit, holder.found)
                yield kin.described(found, ours=False, note=_immunity(holder, process, look))

    # --- signals ------------------------------------------------------------------------------------

    def _ask(self, number: int, look: Look) -> None:
        """Who is born meanwhile is asked too; a stopped one hears nothing before SIGCONT."""
        asked: set[tuple[int, int]] = set()
        for _ in range(_ASKINGS):
            found = {pid: each.process for pid, each in look.ours.items() if (pid, each.process.birth) not in asked}
            for target in in_order(found, ()):
                asked.add((target.pid, found[target.pid].birth))
                _send(found[target.pid], number, signal.SIGCONT)
            look = self._look_once(marks=False)

    def _kill(self, look: Look) -> None:
        """Who is outside of cgroups is stopped before anybody is killed, or could fork on while others die."""
        found = {pid: each.process for pid, each in look.ours.items()}
        self._examine([look.ours[target.pid] for target in in_order(found, ())])
        stopped: set[tuple[int, int]] = set()
        for _ in range(_PASSES):
            outside = [each.process for each in look.ours.values() if each.found != CGROUP]
            fresh = [process for process in outside if (process.pid, process.birth) not in stopped]
            if not fresh:
                break
            for process in fresh:
                found[process.pid] = process
                stopped.add((process.pid, process.birth))
                _send(process, signal.SIGSTOP)
            look = self._look_once(marks=False)
        for target in in_order(found, ()):
            _send(found[target.pid], signal.SIGKILL)

    def _signal_foreign(self, number: int, foreign: Left) -> None:
        """SIGTERM at first, whatever the others get."""
        key, now = (foreign.pid, foreign.birth), time.monotonic()
        asked = self._asked.setdefault(key, now)
        if asked == now or number != signal.SIGKILL:
            processes.send(*key, signal.SIGTERM)
            processes.send(*key, signal.SIGCONT)
        elif now - asked >= _GRACE_S:
            processes.send(*key, number)


def _send(process: Process, *numbers: int) -> None:
    for number in numbers:
        processes.send(process.pid, process.birth, number)


def _immunity(holder: Holder, process: Process, look: Look) -> str:
    """Why a foreign process is not ended; "" when it is to be."""
    if not holder.claim.kill:
        return LEFT_ALONE
    if process.pid == 1 or process.pid in look.ancestors:
        return f"unitd runs below it; {LEFT_ALONE}"
    refused = processes.refusal(process)
    return f"{refused}; {LEFT_ALONE}" if refused else ""
