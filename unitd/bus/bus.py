"""The bus as the runtime sees it: effects in, events out; one set of answers on every connection.

The runtime calls `tell` with each effect that concerns clients, and `flush` once its turn of the loop is done.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from unitd.bus.changes import Changes, Listener, progress
from unitd.bus.dispatch import Dispatch, Log
from unitd.bus.dispatch import Kept as KeptCalls
from unitd.bus.link import Kept as KeptLink
from unitd.bus.link import Link, address_of
from unitd.bus.ports import World
from unitd.bus.private import Private
from unitd.model.effects import Answer, Effect, JobGone, Level, UnitChanged
from unitd.model.events import Event
from unitd.wire.dialects import PYZINIT, Dialect
from unitd.wire.message import Message, encode

_PROGRESS_EVERY_S: Final = 1.0
_STANDSTILL_S: Final = 0.2
"""Who reads nothing for so long is not waited for at the end."""
_BUS_SOCKET: Final = "dbus.socket"
_BUS_DAEMONS: Final = ("dbus.service", "dbus-broker.service", "dbus.socket")


class Kept(Struct, frozen=True):
    """All that the next program image needs of this one's bus. `sockets`: path -> descriptor that listens there."""

    sockets: dict[str, int]
    calls: KeptCalls
    link: KeptLink | None = None


class Bus:
    """All connections of the daemon. `post` queues an event for the engine; tokens above 0 are the bus' own.

    `kept`: what an earlier program image handed over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        world: World,
        post: Callable[[Event], None],
        log: Log,
        kept: Kept | None = None,
    ) -> None:
        self._loop = loop
        self._post = post
        self._log = log
        self._dispatch = Dispatch(world, post, log)
        self._changes = Changes()
        self._servers: list[Private] = []
        self._link: Link | None = None
        self._names: list[str] = []
        self._ended: list[int] = []
        self._tick: asyncio.TimerHandle | None = None
        self._kept = kept
        if kept is not None:
            self._dispatch.take_up(kept.calls)

    def listen(self, path: str, dialect: Dialect = PYZINIT, *, root_only: bool = False) -> None:
        """Serve a private socket at this path; OSError when it cannot be made."""
        fd = self._kept.sockets.get(path, -1) if self._kept is not None else -1
        self._servers.append(Private(self._loop, path, dialect, self._dispatch, self._log, root_only=root_only, fd=fd))

    def join(self, bus: str) -> None:
        """Be on a bus, "system", "session" or an address, as soon and as long as it is there; "none": on none."""
        address = "" if bus == "none" else address_of(bus)
        if not address:
            if bus != "none":
                self._log(Level.NOTICE, f"cannot join the {bus} bus: its address is not known")
            return
        kept = self._kept.link if self._kept is not None else None
        common = (self._dispatch, self._post, self._log)
        self._link = Link(self._loop, address, PYZINIT, *common, self._bus_is_up, kept)
        for name in self._names:
            self._link.watch(name)
        if self._kept is not None and kept is not None:
            self._dispatch.go_on_with(self._link, self._kept.calls, self._link.take)

    def watch_name(self, name: str) -> None:
        """Tell who owns a bus name, now and whenever that changes (BusNameChanged)."""
        self._names.append(name)
        if self._link is not None:
            self._link.watch(name)

    def tell(self, effect: Effect) -> None:
        """An effect of the engine that clients may wait for or hear of."""
        match effect:
            case Answer():
                self._dispatch.tell(effect)
                return
            case JobGone(id):
                self._ended.append(id)
            case UnitChanged(unit) if unit in _BUS_DAEMONS and self._link is not None:
                self._link.hurry()
        self._changes.note(effect)

    def flush(self) -> None:
        """Send all that this turn of the loop brought: first signals, answers, changes, last signals."""
        listeners = self._listeners()
        if self._changes.is_empty:
            self._dispatch.flush()
            return
        for dialect, ears in listeners.items():
            for signal in self._changes.early(dialect):
                self._say(signal, dialect, ears)
        self._dispatch.flush()
        for dialect, ears in listeners.items():
            for signal in self._changes.late(self._dispatch.world(dialect)):
                self._say(signal, dialect, ears)
        self._changes.end(anyone=bool(listeners))
        if self._link is not None:
            self._link.finished(self._ended)
        self._ended.clear()
        self._watch_shutdown()

    async def drain(self, seconds: float) -> None:
        """Let those who read come to the end of what they were told, for so many seconds at most."""
        until = self._loop.time() + seconds
        while lagging := [client for server in self._servers for client in server.clients if client.unread]:
            unread = sum(client.unread for client in lagging)
            left = min(until - self._loop.time(), _STANDSTILL_S)
            if left <= 0:
                return
            await asyncio.wait([client.has_read() for client in lagging], timeout=left)
            if sum(client.unread for client in lagging) >= unread:
                return

    def peers(self) -> set[int]:
        """The pids of those who are connected to a private socket."""
        return {client.by.pid for server in self._servers for client in server.clients}

    def pause(self) -> None:
        """Take no calls from anybody, until go_on or the next program image."""
        for server in self._servers:
            server.pause()
        if self._link is not None:
            self._link.pause()

    def go_on(self) -> None:
        """Take calls again."""
        for server in self._servers:
            server.go_on()
        if self._link is not None:
            self._link.go_on()

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way between us and a bus daemon."""
        return self._link is None or self._link.is_quiet

    def kept(self) -> Kept:
        """What another program image needs to go on; all goes on all the same. Clients of private sockets are not."""
        sockets = {server.path: server.fileno() for server in self._servers}
        return Kept(sockets, self._dispatch.kept(self._link), self._link.kept() if self._link is not None else None)

    def close(self) -> None:
        """End all connections."""
        if self._tick is not None:
            self._tick.cancel()
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._link is not None:
            self._link.close()
            self._link = None

    def _listeners(self) -> dict[Dialect, list[Listener]]:
        found: dict[Dialect, list[Listener]] = {}
        for listener in self._connections():
            if listener.hears:
                found.setdefault(listener.dialect, []).append(listener)
        return found

    def _connections(self) -> Iterator[Listener]:
        for server in self._servers:
            yield from server.clients
        if self._link is not None:
            yield self._link

    def _bus_is_up(self) -> bool:
        """False while the bus daemon is only to be started by the first who connects: that shall not be us."""
        view = self._dispatch.world(PYZINIT).view
        socket, daemon = view.status(_BUS_SOCKET), view.status(_BUS_DAEMONS[0])
        return socket is None or not socket.active.is_up or (daemon is not None and daemon.active.is_up)

    def _say(self, signal: Message, dialect: Dialect, ears: list[Listener]) -> None:
        """One message for all who hear: the bytes are the same on every connection."""
        raw = encode(replace(signal, serial=self._dispatch.serial(), sender=dialect.bus_name))
        for listener in ears:
            listener.send(raw)

    def _watch_shutdown(self) -> None:
        """While units are being stopped, tell of them now and then, changed or not: time passes and processes go."""
        if self._tick is None and self._listeners() and self._dispatch.world(PYZINIT).view.is_stopping():
            self._tick = self._loop.call_later(_PROGRESS_EVERY_S, self._tell_progress)

    def _tell_progress(self) -> None:
        self._tick = None
        for dialect, ears in self._listeners().items():
            world = self._dispatch.world(dialect)
            for signal in progress(world):
                self._say(signal, dialect, ears)
        self._watch_shutdown()
