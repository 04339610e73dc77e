"""What one program image of the daemon hands over to the next, and how the daemon comes to rest for it.

Values and numbers of descriptors, nothing else; what the kernel shows is not among it. Nothing is given away: until the
next image is there, this one can go on.
"""

from dataclasses import dataclass

from msgspec import Struct

from unitd import __version__
from unitd.bus.bus import Bus
from unitd.bus.bus import Kept as KeptBus
from unitd.engine.engine import Engine
from unitd.engine.snapshot import Snapshot
from unitd.host.keeper import Shelf
from unitd.host.logs import Kept as KeptLogs
from unitd.host.logs import Logs
from unitd.host.perform import Host
from unitd.host.perform import Kept as KeptHost
from unitd.model.effects import Answer
from unitd.model.refusals import Kind, Refusal
from unitd.runtime.journal import Journal
from unitd.runtime.pump import Pump


class Handover(Struct, frozen=True):
    """All that the next program image gets. `shelf`: sockets by name, and `door` where its keeper is.

    `lock`: what the directory is held by; `level`: of the daemon's own log, if another was asked for meanwhile.
    """

    version: str
    level: str
    lock: int
    door: str
    shelf: dict[str, int]
    host: KeptHost
    logs: KeptLogs
    bus: KeptBus
    units: Snapshot

    def descriptors(self) -> list[int]:
        """Those that have to stay open."""
        link = [self.bus.link.stream.fd] if self.bus.link is not None else []
        logs = [stream.fd for stream in self.logs.streams]
        return [self.lock, *self.shelf.values(), *self.bus.sockets.values(), *logs, *link]


class Unready(Exception):
    """It cannot be done now; the text is a clause that says why."""


@dataclass(slots=True)
class Work:
    """All that the daemon does. `level`: of its log, as it was started with."""

    engine: Engine
    pump: Pump
    host: Host
    bus: Bus
    logs: Logs
    shelf: Shelf
    journal: Journal
    lock: int
    level: str

    def under_way(self, *, patient: bool) -> str:
        """What is to come to its end first, in words; "": nothing. Raises Unready when it is not worth waiting for.

        Not `patient`: leave out what can be done without.
        """
        if self.engine.view.is_ending():
            raise Unready("a shutdown is under way")
        if not self.pump.is_idle:
            return "there is much to do"
        return self.host.under_way or ("the bus daemon does not answer" if patient and not self.bus.is_quiet else "")

    def rest(self) -> None:
        """Begin nothing new that others ask for."""
        self.bus.pause()
        self.host.spawner.rest()

    def go_on(self) -> None:
        """As before."""
        self.host.spawner.go_on()
        self.bus.go_on()

    async def drain(self, seconds: float) -> None:
        """Let clients read what they were told."""
        await self.bus.drain(seconds)

    def handover(self) -> Handover:
        """All of it, as it is now."""
        return Handover(
            version=__version__,
            level=self.journal.level if self.journal.level != self.level else "",
            lock=self.lock,
            door=self.shelf.path,
            shelf=self.shelf.held,
            host=self.host.kept(),
            logs=self.logs.kept(),
            bus=self.bus.kept(),
            units=self.engine.snapshot(),
        )

    def refuse(self, token: int, text: str) -> None:
        """Answer who asked to re-execute."""
        self.bus.tell(Answer(token, Refusal(Kind.FAILED, "", text)))
        self.bus.flush()
