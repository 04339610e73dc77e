"""The stops under way as the bus tells of them: the view of the engine, the processes of now, the time that is left.

Bounded: so many units, and so many processes looked at in /proc, however many there are. For signals, and for the
console of PID 1.
"""

from collections.abc import Collection
from typing import Final

from unitd.bus.ports import Stopping, World
from unitd.model.processes import Left
from unitd.model.states import INFINITY, in_state
from unitd.wire.progress import NEVER, Progress

UNITS: Final = 50
PROCESSES: Final = 128


def under_way(world: World, among: Collection[str] | None = None, units: int = UNITS) -> list[Progress]:
    """The most urgent ones first; of units in `among` alone if it is given, else also of those that wait."""
    found = world.view.stopping(among, units)
    if not found:
        return []
    seen = world.gauges.situations({one.unit: one.pids for one in found if one.unit}, PROCESSES)
    now, whole = world.clock.now(), world.view.shutdown()
    told = []
    for one in found:
        pids = tuple(seen[one.unit][1] if one.unit else ((left.pid, _words(left)) for left in one.left[:PROCESSES]))
        told.append(
            Progress(
                one.unit,
                one.phase,
                pids,
                _left(one, now),
                one.next,
                processes=seen[one.unit][0] if one.unit else len(one.left),
                units_left=whole.units_left if whole is not None else 0,
                elapsed_us=now - whole.began if whole is not None else 0,
                cap_left_us=max(whole.end - now, 0) if whole is not None else NEVER,
            )
        )
    return told


def _left(one: Stopping, now: int) -> int:
    return NEVER if one.deadline in (0, INFINITY) else max(0, one.deadline - now)


def _words(left: Left) -> str:
    """`COMMAND of UNIT, D (disk sleep) in WCHAN`."""
    of = f" of {left.unit}" if left.unit else ""
    place = f", {in_state(left.state)}" if left.state else ""
    return f"{left.command}{of}{place}" + (f" in {left.channel}" if left.channel else "")
