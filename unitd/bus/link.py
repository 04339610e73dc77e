"""The connection to a bus daemon, and the only importer of a D-Bus library.

The library finds the address, authenticates and says Hello; dbus-fast, or dbus-next with UNITD_DBUS=dbus-next. What
is said from then on goes over our own Stream: both libraries take a full socket for a fatal fault, and keep what they
have read of a message where a re-executed daemon could not get at it. The library is imported when the first bus is
joined, since a daemon without a bus does not need it. Descriptors are not negotiated, so a bus daemon delivers none.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from unitd.bus.calls import Credentials
from unitd.bus.dispatch import Dispatch, Log
from unitd.bus.stream import Kept as KeptStream
from unitd.bus.stream import Refused, Stream
from unitd.model.effects import Level
from unitd.model.events import BusNameChanged, Event
from unitd.model.refusals import Kind
from unitd.wire.dialects import DBUS, DBUS_PATH, Dialect
from unitd.wire.message import Message, Type, encode

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_MOST_WAITING: Final = 256
_DO_NOT_QUEUE: Final = 4
_OWNER: Final = 1
_MINE_ALREADY: Final = 4


class Unjoined(Exception):
    """The bus does not let us in: it is not there, or the name is taken."""


def address_of(bus: str) -> str:
    """The address of "system" or "session", or what is an address already; "" when there is none."""
    match bus:
        case "system":
            return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"
        case "session":
            runtime = os.environ.get("XDG_RUNTIME_DIR")
            return os.environ.get("DBUS_SESSION_BUS_ADDRESS") or (f"unix:path={runtime}/bus" if runtime else "")
        case _:
            return bus


class Kept(Struct, frozen=True):
    """A connection that the next program image goes on with. `name`: our unique name; `watched`: name -> owner.

    `jobs`: who is to hear of which job. The bus daemon keeps the name, and what signals we asked for.
    """

    name: str
    stream: KeptStream
    subscribed: tuple[str, ...]
    jobs: dict[int, str]
    known: dict[str, Credentials]
    watched: dict[str, str]


class Link:
    """Joins the bus when it is there, owns the name, and joins again when it comes back.

    `ready`: whether to try at all now; `kept`: what an earlier program image was joined by. A signal goes out while
    somebody subscribed, or waits for a job.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: str,
        dialect: Dialect,
        dispatch: Dispatch,
        post: Callable[[Event], None],
        log: Log,
        ready: Callable[[], bool] = lambda: True,
        kept: Kept | None = None,
    ) -> None:
        self.dialect = dialect
        self.ours = ""
        self._loop = loop
        self._address = address
        self._dispatch = dispatch
        self._post = post
        self._log = log
        self._ready = ready
        self._library: Any = None
        self._stream: Stream | None = None
        self._name = ""
        self._joined = False
        self._subscribed: set[str] = set()
        self._jobs: dict[int, str] = {}
        self._known: dict[str, Credentials] = {}
        self._strangers: dict[str, list[Message]] = {}
        self._watched: dict[str, str] = {}
        self._held: list[Message] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause = _FIRST_PAUSE_S
        self._timer: asyncio.TimerHandle | None = None
        self._said = ""
        if kept is not None:
            self._take_up(kept)
        self._run = self._begin(self._live())

    # --- for the rest of the bus ------------------------------------------------------------------

    @property
    def hears(self) -> bool:
        return self._stream is not None and bool(self._subscribed or self._jobs)

    def send(self, raw: bytes) -> None:
        if self._stream is not None:
            self._stream.send(raw)

    def enrol(self, sender: str, wanted: bool) -> Kind | None:
        if (sender in self._subscribed) is wanted:
            return Kind.ALREADY_SUBSCRIBED if wanted else Kind.NOT_SUBSCRIBED
        (self._subscribed.add if wanted else self._subscribed.discard)(sender)
        return None

    def track(self, sender: str, job: int) -> None:
        self._jobs[job] = sender

    def finished(self, jobs: list[int]) -> None:
        """These jobs were told of for the last time."""
        for id in jobs:
            self._jobs.pop(id, None)

    def watch(self, name: str) -> None:
        """Tell who owns the name, now and whenever that changes."""
        if name not in self._watched:
            self._watched[name] = ""
            if self._stream is not None:
                self._begin(self._ask_owner(name))

    def hurry(self) -> None:
        """The bus may have come: do not wait for the next attempt."""
        self._pause = _FIRST_PAUSE_S
        if self._timer is not None:
            self._timer.cancel()
            self._wake()

    def close(self) -> None:
        """Leave the bus for good."""
        for task in list(self._tasks):
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._leave()

    # --- handing over -----------------------------------------------------------------------------

    def pause(self) -> None:
        """Take no calls: they wait here, or come again in the next program image."""
        self._held = [] if self._held is None else self._held

    def go_on(self) -> None:
        """Take calls again, first those that waited."""
        held, self._held = self._held or [], None
        for asked in held:
            self.take(asked)

    @property
    def is_quiet(self) -> bool:
        """No call of ours waits for its answer."""
        return not self._tasks - {self._run}

    def kept(self) -> Kept | None:
        """What another program image needs to go on with this connection; None: it has to join anew."""
        if self._stream is None or not self._joined or not self.is_quiet:
            return None
        now = self._stream.kept()
        again = b"".join(encode(asked) for asked in self._held or ())
        return Kept(
            self._name,
            replace(now, unread=again + now.unread),
            tuple(sorted(self._subscribed)),
            dict(self._jobs),
            dict(self._known),
            dict(self._watched),
        )

    def _take_up(self, kept: Kept) -> None:
        self._subscribed = set(kept.subscribed)
        self._jobs, self._known, self._watched = dict(kept.jobs), dict(kept.known), dict(kept.watched)
        self._name = kept.name
        self._listen(socket.socket(fileno=kept.stream.fd)).resume(kept.stream)
        self._joined = True

    # --- coming and going -------------------------------------------------------------------------

    def _begin(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _live(self) -> None:
        """Join, stay until the connection ends, pause, and again."""
        while True:
            try:
                if self._joined or self._ready():
                    if not self._joined:
                        await self._join()
                    self._pause = _FIRST_PAUSE_S
                    await self._ended
                    raise Unjoined("the connection ended")
            except Exception as fault:
                self._say(f"cannot be on the bus {self._address}: {str(fault) or type(fault).__name__}")
            self._leave()
            await self._rest()

    async def _rest(self) -> None:
        self._woken = self._loop.create_future()
        self._timer = self._loop.call_later(self._pause, self._wake)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)
        await self._woken
        self._timer = None

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    async def _join(self) -> None:
        await _reach(self._loop, self._address)
        self._library = self._library or _import()
        bus = self._library.aio.MessageBus(bus_address=self._address)
        try:
            await bus.connect()
            self._name = bus.unique_name
            self._listen(bus._sock.dup())
        finally:
            _discard(self._loop, bus)
        reply = await self._ask("RequestName", "su", (self.dialect.bus_name, _DO_NOT_QUEUE))
        if reply[0] not in (_OWNER, _MINE_ALREADY):
            raise Unjoined(f"the name {self.dialect.bus_name} is taken")
        self._joined = True
        self._say(f"joined the bus {self._address} as {self.dialect.bus_name}", Level.INFO)
        for name in list(self._watched):
            self._begin(self._ask_owner(name))

    def _listen(self, sock: socket.socket) -> Stream:
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._stream = Stream(self._loop, sock, self._dispatch.serial, self._heard, self._lost)
        return self._stream

    def _lost(self, reason: str) -> None:
        if reason:
            self._say(f"cannot go on with the bus {self._address}: {reason}")
        if not self._ended.done():
            self._ended.set_result(None)

    def _leave(self) -> None:
        """Forget all that the connection was for."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._joined, self._name = False, ""
        self._dispatch.forget(self)
        self._subscribed.clear()
        self._jobs.clear()
        self._known.clear()
        self._strangers.clear()
        for name, owner in self._watched.items():
            if owner:
                self._watched[name] = ""
                self._post(BusNameChanged(name, ""))

    def _say(self, text: str, level: Level = Level.WARNING) -> None:
        """Into the log, but not the same twice in a row: attempts go on for ever."""
        if text != self._said:
            self._said = text
            self._log(level, text)

    # --- the bus daemon ---------------------------------------------------------------------------

    async def _ask(self, member: str, signature: str, body: tuple[Any, ...]) -> tuple[Any, ...]:
        """The body of the bus daemon's answer; raises Refused."""
        if self._stream is None:
            raise Refused("the connection ended")
        call = Message(Type.CALL, DBUS_PATH, DBUS, member, destination=DBUS, signature=signature, body=body, serial=1)
        return await self._stream.call(call)

    async def _follow(self, name: str) -> None:
        rule = f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{name}'"
        await self._ask("AddMatch", "s", (rule,))

    async def _unfollow(self, name: str) -> None:
        rule = f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{name}'"
        with contextlib.suppress(Exception):
            await self._ask("RemoveMatch", "s", (rule,))

    async def _ask_owner(self, name: str) -> None:
        with contextlib.suppress(Exception):
            await self._follow(name)
            try:
                (owner,) = await self._ask("GetNameOwner", "s", (name,))
            except Refused:
                owner = ""
            await self._tell_owner(name, owner)

    async def _tell_owner(self, name: str, owner: str) -> None:
        pid = 0
        if owner:
            with contextlib.suppress(Exception):
                (pid,) = await self._ask("GetConnectionUnixProcessID", "s", (owner,))
        self._watched[name] = owner
        self._post(BusNameChanged(name, owner, pid))

    def _heard(self, got: Message) -> None:
        if got.type == Type.SIGNAL:
            if (got.sender, got.member, got.signature) == (DBUS, "NameOwnerChanged", "sss"):
                self._owner_changed(*got.body)
        elif self._held is not None:
            self._held.append(got)
        else:
            self.take(got)

    def _owner_changed(self, name: str, old: str, new: str) -> None:
        if name in self._watched:
            self._begin(self._tell_owner(name, new))
        if name.startswith(":") and not new:
            self._subscribed.discard(name)
            self._known.pop(name, None)
            self._strangers.pop(name, None)
            self._jobs = {id: sender for id, sender in self._jobs.items() if sender != name}
            self._dispatch.forget(self, name)
            self._begin(self._unfollow(name))

    # --- callers ----------------------------------------------------------------------------------

    def take(self, asked: Message) -> None:
        """Answer at once who is known; of a stranger first ask the bus daemon who it is."""
        by = self._known.get(asked.sender)
        if by is not None:
            self._dispatch.take(self, asked, by)
        elif asked.sender in self._strangers:
            if len(self._strangers[asked.sender]) < _MOST_WAITING:
                self._strangers[asked.sender].append(asked)
        else:
            self._strangers[asked.sender] = [asked]
            self._begin(self._meet(asked.sender))

    async def _meet(self, sender: str) -> None:
        by = Credentials(-1)
        try:
            await self._follow(sender)
            (facts,) = await self._ask("GetConnectionCredentials", "s", (sender,))
            by = Credentials(
                facts["UnixUserID"][1],
                facts["ProcessID"][1] if "ProcessID" in facts else 0,
                tuple(facts["UnixGroupIDs"][1]) if "UnixGroupIDs" in facts else (),
            )
            self._known[sender] = by
        except (Refused, KeyError):
            self._begin(self._unfollow(sender))
        for asked in self._strangers.pop(sender, ()):
            self._dispatch.take(self, asked, by)


async def _reach(loop: asyncio.AbstractEventLoop, address: str) -> None:
    """Raises OSError when nobody listens: dbus-next would block, and leave a socket open for each attempt."""
    path = next((part[10:] for part in address.split(";") if part.startswith("unix:path=")), "").partition(",")[0]
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            await loop.sock_connect(probe, path)


def _discard(loop: asyncio.AbstractEventLoop, bus: Any) -> None:
    """Have the library read and write no more, and close its ends; the connection lives on in a duplicate, if any."""
    for sock in (bus._stream, bus._sock):
        if sock is not None:
            with contextlib.suppress(OSError, ValueError):
                loop.remove_reader(sock.fileno())
                loop.remove_writer(sock.fileno())
            with contextlib.suppress(OSError):
                sock.close()


def _import() -> Any:
    """dbus-fast, or dbus-next with UNITD_DBUS=dbus-next; ImportError when it is not installed."""
    if os.environ.get("UNITD_DBUS") == "dbus-next":
        import dbus_next
        import dbus_next.aio

        return dbus_next
    import dbus_fast
    import dbus_fast.aio

    return dbus_fast
