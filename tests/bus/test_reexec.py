"""A connection to a real bus daemon changes hands, as when the daemon re-executes itself: nobody on the bus notices."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from tests.bus.clients import MANAGER, client
from tests.bus.conftest import BusDaemon
from tests.bus.fakes import Daemon, View, world
from tests.bus.test_link import NAME, library, send, until
from unitd.bus.bus import Kept
from unitd.bus.stream import Stream
from unitd.model import effects, events
from unitd.model.effects import Answer
from unitd.model.refusals import Kind, Refusal
from unitd.wire import message
from unitd.wire.message import Message, Type

__all__ = ["library"]
pytestmark = pytest.mark.bus

BUS = "org.freedesktop.DBus"


def image(kept: Kept | None = None) -> Daemon:
    view = View()
    return Daemon(asyncio.get_running_loop(), world(view=view), view, kept)


async def quiet(daemon: Daemon) -> Kept:
    """What is handed over by a daemon that takes no more calls."""
    daemon.bus.pause()
    await until(lambda: daemon.bus.is_quiet)
    return daemon.bus.kept()


def gone(old: Daemon, kept: Kept) -> Kept:
    """What execve(2) leaves of an image: copies of the descriptors, and nobody who reads them."""
    assert kept.link is not None
    fd = os.dup(kept.link.stream.fd)
    old.bus.close()
    return replace(kept, sockets={}, link=replace(kept.link, stream=replace(kept.link.stream, fd=fd)))


def begun(kept: Kept, bus: str) -> Daemon:
    """The next image."""
    new = image(kept)
    new.bus.join(bus)
    return new


def succeed(old: Daemon, kept: Kept, bus: str) -> Daemon:
    return begun(gone(old, kept), bus)


@pytest_asyncio.fixture
async def old(bus_daemon: BusDaemon) -> AsyncIterator[Daemon]:
    """A daemon that owns its name on the bus."""
    found = image()
    found.bus.join(bus_daemon.address)
    await until(lambda: any("joined the bus" in line for line in found.log))
    yield found
    found.bus.close()
    await asyncio.sleep(0)


class Watcher:
    """A client that has subscribed, and what it heard."""

    def __init__(self, connection: Any, fast: Any) -> None:
        self.connection, self._fast = connection, fast
        self.heard: list[tuple[str, Any]] = []
        connection.add_message_handler(self._hear)

    def _hear(self, got: Any) -> None:
        if got.message_type is self._fast.MessageType.SIGNAL and got.path == MANAGER:
            self.heard.append((got.member, got.body[0]))

    async def call(self, to: str, path: str, member: str, *body: str) -> list[Any]:
        asked = self._fast.Message(to, path, to, member, signature="s" * len(body), body=list(body))
        answer = await self.connection.call(asked)
        assert answer.message_type is self._fast.MessageType.METHOD_RETURN, answer.body
        found: list[Any] = answer.body
        return found

    async def owner(self) -> str:
        (found,) = await self.call(BUS, "/org/freedesktop/DBus", "GetNameOwner", NAME)
        return str(found)


Watch = Callable[[], Awaitable[Watcher]]


@pytest_asyncio.fixture
async def watch(bus_daemon: BusDaemon) -> AsyncIterator[Watch]:
    fast = pytest.importorskip("dbus_fast")
    made: list[Any] = []

    async def subscribed() -> Watcher:
        connection = await fast.aio.MessageBus(bus_address=bus_daemon.address).connect()
        made.append(connection)
        found = Watcher(connection, fast)
        await found.call(BUS, "/org/freedesktop/DBus", "AddMatch", f"type='signal',sender='{NAME}'")
        await found.call(NAME, MANAGER, "Subscribe")
        return found

    yield subscribed
    for connection in made:
        connection.disconnect()
        await connection.wait_for_disconnect()


async def test_name_and_subscribers_stay(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    watcher = await watch()
    before = await watcher.owner()
    new = succeed(old, await quiet(old), bus_daemon.address)
    assert await watcher.owner() == before
    new.bus.tell(effects.UnitNew("x.service"))
    new.bus.flush()
    await until(lambda: ("UnitNew", "x.service") in watcher.heard)
    status, text = await send(bus_daemon, "GetUnit", "string:a.service")
    assert (status, text.strip()) == (0, "/org/pyzinit/unit/a_2eservice")
    assert not any("joined" in line or "cannot" in line for line in new.log)
    new.bus.close()


async def test_a_call_made_meanwhile_is_answered_after_it(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    """The first of them was read already; the second lies in the socket."""
    watcher = await watch()
    old.bus.pause()
    calls = [asyncio.create_task(watcher.call(NAME, MANAGER, "GetUnit", "a.service"))]
    await asyncio.sleep(0.05)
    kept = await quiet(old)
    assert kept.link is not None
    assert len(kept.link.stream.unread) > 0
    calls.append(asyncio.create_task(watcher.call(NAME, MANAGER, "GetUnit", "a.service")))
    new = succeed(old, kept, bus_daemon.address)
    assert await asyncio.gather(*calls) == [["/org/pyzinit/unit/a_2eservice"]] * 2
    new.bus.close()


async def test_who_asked_for_it_is_answered_by_the_new_image(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    watcher = await watch()
    asked = asyncio.create_task(watcher.call(NAME, MANAGER, "Reexecute"))
    await until(lambda: any(isinstance(event, events.ReexecAsked) for event in old.events))
    new = succeed(old, await quiet(old), bus_daemon.address)
    assert await asked == []
    new.bus.close()


async def test_who_asked_something_that_takes_time_is_heard_again(
    old: Daemon, bus_daemon: BusDaemon, watch: Watch
) -> None:
    watcher = await watch()
    asked = asyncio.create_task(watcher.call(NAME, MANAGER, "Orphans"))
    await until(lambda: any(isinstance(event, events.OrphansAsked) for event in old.events))
    new = succeed(old, await quiet(old), bus_daemon.address)
    await until(lambda: any(isinstance(event, events.OrphansAsked) for event in new.events))
    assert not asked.done()
    new.bus.close()
    asked.cancel()


async def test_who_asked_is_refused_when_it_cannot_be(old: Daemon, bus_daemon: BusDaemon) -> None:
    asked = asyncio.create_task(send(bus_daemon, "Reexecute"))
    await until(lambda: any(isinstance(event, events.ReexecAsked) for event in old.events))
    old.bus.pause()
    old.bus.go_on()
    token = next(event.token for event in old.events if isinstance(event, events.ReexecAsked))
    old.bus.tell(Answer(token, Refusal(Kind.FAILED, "", "cannot re-execute: no such program")))
    old.bus.flush()
    status, text = await asked
    assert status == 1
    assert "cannot re-execute: no such program" in text


async def test_a_subscriber_that_left_meanwhile_is_forgotten(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    watcher = await watch()
    name = watcher.connection.unique_name
    kept = gone(old, await quiet(old))
    assert kept.link is not None
    assert name in kept.link.subscribed
    watcher.connection.disconnect()
    await watcher.connection.wait_for_disconnect()
    new = begun(kept, bus_daemon.address)
    await until(lambda: new.bus.is_quiet and name not in getattr(new.bus.kept().link, "subscribed", (name,)))
    new.bus.close()


async def test_a_watched_name_is_watched_on(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    old.bus.watch_name("org.example.Name")
    await until(lambda: events.BusNameChanged("org.example.Name", "", 0) in old.events)
    new = succeed(old, await quiet(old), bus_daemon.address)
    new.bus.watch_name("org.example.Name")
    watcher = await watch()
    await watcher.connection.request_name("org.example.Name")
    owned = events.BusNameChanged("org.example.Name", watcher.connection.unique_name, os.getpid())
    await until(lambda: owned in new.events)
    new.bus.close()


async def test_references_stay_with_who_has_them(old: Daemon, bus_daemon: BusDaemon, watch: Watch) -> None:
    watcher = await watch()
    await watcher.call(NAME, MANAGER, "RefUnit", "a.service")
    new = succeed(old, await quiet(old), bus_daemon.address)
    await watcher.call(NAME, MANAGER, "UnrefUnit", "a.service")
    with pytest.raises(AssertionError, match="there is none"):
        await watcher.call(NAME, MANAGER, "UnrefUnit", "a.service")
    new.bus.close()


async def test_a_bus_that_is_not_joined_is_joined_by_the_new_image(bus_daemon: BusDaemon) -> None:
    await bus_daemon.stop()
    old = image()
    old.bus.join(bus_daemon.address)
    await asyncio.sleep(0.05)
    kept = await quiet(old)
    assert kept.link is None
    old.bus.close()
    await bus_daemon.start()
    new = image(kept)
    new.bus.join(bus_daemon.address)
    await until(lambda: any("joined the bus" in line for line in new.log))
    new.bus.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize("cut", [1, 15, 16, 40])
async def test_a_message_that_is_half_there_is_kept(cut: int) -> None:
    """Both ways: what came in part, and what the other side did not read yet."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    heard: list[Message] = []
    whole = message.encode(Message(Type.CALL, "/x", "a.b", "Ping", serial=7, signature="s", body=("y" * 100,)))
    first = Stream(loop, ours, lambda: 1, heard.append, lambda reason: None)
    theirs.sendall(whole + whole[:cut])
    await until(lambda: len(heard) == 1)
    sent = b"x" * 4_000_000
    first.send(sent)
    kept = first.kept()
    assert kept.unread == whole[:cut]
    second = Stream(loop, socket.socket(fileno=os.dup(kept.fd)), lambda: 1, heard.append, lambda reason: None)
    first.close()
    second.resume(kept)
    theirs.setblocking(False)
    await loop.sock_sendall(theirs, whole[cut:])
    await until(lambda: len(heard) == 2)
    came = 0
    while came < len(sent):
        came += len(await loop.sock_recv(theirs, 1 << 20))
    assert came == len(sent)
    assert heard[0] == heard[1]
    second.close()
    theirs.close()


async def test_private_clients_are_served_by_the_same_socket(tmp_path: Any) -> None:
    """Who comes while nobody accepts waits in its queue."""
    old, path = image(), str(tmp_path / "private")
    old.bus.listen(path)
    first = await client(path)
    assert await first.call("GetUnit", "s", "a.service")
    kept = await quiet(old)
    late = asyncio.create_task(client(path))
    await asyncio.sleep(0.02)
    assert not late.done()
    kept = replace(kept, sockets={path: os.dup(kept.sockets[path])})
    identity = os.stat(path).st_ino
    os.link(path, f"{path}.saved")
    old.bus.close()
    os.rename(f"{path}.saved", path)
    new = image(kept)
    new.bus.listen(path)
    assert os.stat(path).st_ino == identity
    second = await late
    assert await second.call("GetUnit", "s", "a.service") == ("/org/pyzinit/unit/a_2eservice",)
    for each in (first, second):
        await each.close()
    new.bus.close()


async def test_calls_of_private_clients_wait_while_paused(tmp_path: Any) -> None:
    daemon, path = image(), str(tmp_path / "private")
    daemon.bus.listen(path)
    one = await client(path)
    assert await one.call("GetUnit", "s", "a.service")
    daemon.bus.pause()
    asked = asyncio.create_task(one.call("GetUnit", "s", "a.service"))
    await asyncio.sleep(0.05)
    assert not asked.done()
    daemon.bus.go_on()
    assert await asked == ("/org/pyzinit/unit/a_2eservice",)
    await one.close()
    daemon.bus.close()
