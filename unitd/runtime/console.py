"""What the console shows while a shutdown waits for somebody: unit, phase, processes, time left, next step.

For PID 1, whose stderr is where people look when nothing else works any more, and for whoever runs the daemon on a
terminal; no bus is needed. Every second, as ShutdownProgress: lines, or on a terminal a block below the log.
"""

import asyncio
from typing import Final

from unitd.bus.ports import World
from unitd.bus.progress import under_way
from unitd.runtime.journal import Journal
from unitd.wire.drawing import headline, printable, table

_EVERY_S: Final = 1.0
_UNITS: Final = 8
"""How many are told of at a time."""


class Console:
    """`look` is to be called after each turn of the loop; it costs nothing while no shutdown is under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, world: World, journal: Journal) -> None:
        self._loop, self._world, self._journal = loop, world, journal
        self._tick: asyncio.TimerHandle | None = None
        self._at_first: int | None = None

    def look(self) -> None:
        """Begin to tell, a second after a shutdown began."""
        whole = self._world.view.shutdown()
        if whole is None or self._tick is not None:
            return
        if self._at_first is None:
            self._at_first = whole.units_left
        self._tick = self._loop.call_later(_EVERY_S, self._tell)

    def close(self) -> None:
        """The last line of the log stands alone."""
        if self._tick is not None:
            self._tick.cancel()
        self._journal.show(())

    def _tell(self) -> None:
        self._tick = None
        found = under_way(self._world, units=_UNITS)
        whole = self._world.view.shutdown()
        if found and whole is not None:
            head = headline((self._at_first or 0) - whole.units_left, (found[0], 0), 0)
            if self._journal.is_terminal:
                self._journal.show([head, *table([(one, 0) for one in found], _UNITS + 4)])
            else:
                self._journal.say("notice", head)
                for one in found:
                    self._journal.say("notice", f"waiting for {one.who}: {printable(one.text())}")
        else:
            self._journal.show(())
        self.look()
