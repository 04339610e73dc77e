"""What signals ask of the daemon (systemd(1), "Signals"). To PID 1 of a machine each means an end of its own.

Everywhere else all of them mean: stop everything and exit; and SIGHUP means daemon-reload to everybody.
"""

import asyncio
import signal
from collections.abc import Callable

from unitd.host import power
from unitd.host.clock import Clock
from unitd.host.facts import Place
from unitd.host.ports import Post
from unitd.model.events import Caller, Leaving, ReloadAsked, ShutdownAsked
from unitd.model.states import SECOND
from unitd.syntax.signals import signal_name

_OF_A_MACHINE = {
    signal.SIGINT: Leaving.REBOOT,
    signal.SIGTERM: Leaving.POWEROFF,
    signal.SIGPWR: Leaving.POWEROFF,
    signal.SIGRTMIN + 3: Leaving.HALT,
    signal.SIGRTMIN + 4: Leaving.POWEROFF,
    signal.SIGRTMIN + 5: Leaving.REBOOT,
}
OBEYED = (*_OF_A_MACHINE, signal.SIGHUP)
_PRESSES, _IMPATIENCE = 7, 2 * SECOND


class Signals:
    """Posts what signals ask for, from obey() on."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        place: Place,
        post: Post,
        clock: Clock,
        warn: Callable[[str], None],
    ) -> None:
        self._loop, self._by_machine, self._post, self._clock, self._warn = (
            loop,
            place is Place.MACHINE,
            post,
            clock,
            warn,
        )
        self._presses: list[int] = []

    def obey(self) -> None:
        """From now on."""
        for number, leaving in _OF_A_MACHINE.items():
            self._loop.add_signal_handler(number, self._leave, number, leaving if self._by_machine else Leaving.EXIT)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _leave(self, number: int, leaving: Leaving) -> None:
        if self._by_machine and number == signal.SIGINT and self._is_impatient():
            self._warn("Ctrl-Alt-Del seven times: rebooting at once")
            power.leave(Leaving.REBOOT)
        self._post(ShutdownAsked(0, leaving, by=Caller(what=f"SIG{signal_name(number)}")))

    def _is_impatient(self) -> bool:
        """Whether Ctrl-Alt-Del was pressed seven times within two seconds (systemd(1), SIGINT)."""
        now = self._clock.monotonic()
        self._presses = [press for press in self._presses if now - press < _IMPATIENCE] + [now]
        return len(self._presses) >= _PRESSES

    def _reload(self) -> None:
        self._post(ReloadAsked(0, by=Caller(what="SIGHUP")))
