"""On a real bus daemon, with either library: the name, who calls, signals, and coming back."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.bus.clients import MANAGER, PATIENCE_S, run
from tests.bus.conftest import BusDaemon
from tests.bus.fakes import Daemon, Status, View, service, world
from unitd.bus import link
from unitd.model import effects, events
from unitd.model.states import Active
from unitd.model.unit import Unit

NAME = "org.pyzinit.Manager"
UNIT = "/org/pyzinit/unit/a_2eservice"
pytestmark = pytest.mark.bus


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.fixture(params=["dbus-fast", "dbus-next"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip(request.param.replace("-", "_"))
    monkeypatch.setenv("UNITD_DBUS", request.param)
    return str(request.param)


@pytest_asyncio.fixture
async def joined(bus_daemon: BusDaemon) -> AsyncIterator[Daemon]:
    """A daemon that owns its name on the bus."""
    view = View()
    found = Daemon(asyncio.get_running_loop(), world(view=view), view)
    found.bus.join(bus_daemon.address)
    await until(lambda: any("joined the bus" in line for line in found.log))
    yield found
    found.bus.close()
    await asyncio.sleep(0.01)


async def send(bus_daemon: BusDaemon, member: str, *arguments: str) -> tuple[int, str]:
    return await run(
        "dbus-send",
        f"--bus={bus_daemon.address}",
        "--print-reply=literal",
        f"--dest={NAME}",
        MANAGER,
        f"{NAME}.{member}",
        *arguments,
    )


async def test_a_call_is_answered(joined: Daemon, bus_daemon: BusDaemon) -> None:
    status, text = await send(bus_daemon, "GetUnit", "string:a.service")
    assert (status, text.strip()) == (0, UNIT)
    status, text = await send(bus_daemon, "StartUnit", "string:a.service", "string:replace")
    assert (status, text.strip()) == (0, "/org/pyzinit/job/1")
    asked = next(event for event in joined.events if isinstance(event, events.JobAsked))
    assert asked.by.uid == os.getuid()
    assert asked.by.pid > 0


async def test_busctl_on_the_bus(joined: Daemon, bus_daemon: BusDaemon) -> None:
    address = f"--address={bus_daemon.address}"
    status, text = await run("busctl", address, "introspect", NAME, UNIT)
    assert status == 0
    assert "org.pyzinit.Service" in text
    status, text = await run("busctl", address, "get-property", NAME, UNIT, "org.pyzinit.Unit", "SubState")
    assert (status, text) == (0, 's "dead"\n')


async def test_a_taken_name_is_not_fought_for(joined: Daemon, bus_daemon: BusDaemon) -> None:
    view = View()
    second = Daemon(asyncio.get_running_loop(), world(view=view), view)
    second.bus.join(bus_daemon.address)
    await until(lambda: any("is taken" in line for line in second.log))
    second.bus.close()
    assert (await send(bus_daemon, "GetUnit", "string:a.service"))[0] == 0
    assert not any("cannot" in line for line in joined.log)


async def test_signals_go_out_only_for_who_asked(joined: Daemon, bus_daemon: BusDaemon) -> None:
    library = pytest.importorskip("dbus_fast.aio")
    fast = pytest.importorskip("dbus_fast")
    client = await library.MessageBus(bus_address=bus_daemon.address).connect()
    heard: list[str] = []
    client.add_message_handler(lambda message: heard.append(message.member) if message.path == MANAGER else None)

    async def call(destination: str, path: str, member: str, *body: str) -> None:
        signature = "s" * len(body)
        interface = destination
        await client.call(fast.Message(destination, path, interface, member, signature=signature, body=list(body)))

    await call("org.freedesktop.DBus", "/org/freedesktop/DBus", "AddMatch", f"type='signal',sender='{NAME}'")
    joined.bus.tell(effects.UnitNew("x.service"))
    joined.bus.flush()
    await call(NAME, MANAGER, "GetUnit", "a.service")
    assert heard == []
    await call(NAME, MANAGER, "StartUnit", "a.service", "replace")
    await until(lambda: "JobRemoved" in heard)
    assert heard == ["JobNew", "JobRemoved"]
    await call(NAME, MANAGER, "Subscribe")
    joined.bus.tell(effects.UnitNew("y.service"))
    joined.bus.flush()
    await until(lambda: "UnitNew" in heard)
    client.disconnect()
    await client.wait_for_disconnect()


async def test_ten_thousand_signals_do_not_cost_the_connection(joined: Daemon, bus_daemon: BusDaemon) -> None:
    """Nothing is read while they are sent, so the socket fills."""
    fast = pytest.importorskip("dbus_fast")
    client = await fast.aio.MessageBus(bus_address=bus_daemon.address).connect()
    heard: list[str] = []
    client.add_message_handler(lambda message: heard.append(message.body[0]) if message.member == "UnitNew" else None)
    rule = f"type='signal',sender='{NAME}'"
    bus = "org.freedesktop.DBus"
    await client.call(fast.Message(bus, "/org/freedesktop/DBus", bus, "AddMatch", signature="s", body=[rule]))
    await client.call(fast.Message(NAME, MANAGER, NAME, "Subscribe"))
    for number in range(10_000):
        joined.bus.tell(effects.UnitNew(f"u{number}.service"))
        joined.bus.flush()
    await until(lambda: len(heard) == 10_000)
    assert heard == [f"u{number}.service" for number in range(10_000)]
    assert not any("cannot" in line for line in joined.log)
    client.disconnect()
    await client.wait_for_disconnect()


async def test_it_comes_back_with_the_bus(joined: Daemon, bus_daemon: BusDaemon) -> None:
    joined.bus.watch_name("org.example.Name")
    await until(lambda: events.BusNameChanged("org.example.Name", "", 0) in joined.events)
    await bus_daemon.stop()
    await until(lambda: any("cannot be on the bus" in line for line in joined.log))
    joined.log.clear()
    await bus_daemon.start()
    await until(lambda: any("joined the bus" in line for line in joined.log))
    assert (await send(bus_daemon, "GetUnit", "string:a.service"))[0] == 0


async def test_a_watched_name_is_told_of(joined: Daemon, bus_daemon: BusDaemon) -> None:
    fast = pytest.importorskip("dbus_fast")
    client = await fast.aio.MessageBus(bus_address=bus_daemon.address).connect()
    joined.bus.watch_name("org.example.Name")
    await client.request_name("org.example.Name")
    owned = events.BusNameChanged("org.example.Name", client.unique_name, os.getpid())
    await until(lambda: owned in joined.events)
    client.disconnect()
    await client.wait_for_disconnect()
    await until(lambda: joined.events[-1] == events.BusNameChanged("org.example.Name", "", 0))


async def test_descriptors_do_not_pile_up(joined: Daemon, bus_daemon: BusDaemon) -> None:
    assert (await send(bus_daemon, "GetUnit", "string:a.service"))[0] == 0
    before = len(os.listdir("/proc/self/fd"))
    fast = pytest.importorskip("dbus_fast")
    client = await fast.aio.MessageBus(bus_address=bus_daemon.address, negotiate_unix_fd=True).connect()
    end, other = os.pipe()
    for _ in range(20):
        message = fast.Message(NAME, MANAGER, NAME, "NoSuch", signature="h", body=[0], unix_fds=[end])
        reply = await client.call(message)
        assert reply.message_type is fast.MessageType.ERROR
    os.close(end)
    os.close(other)
    client.disconnect()
    await client.wait_for_disconnect()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_no_bus_at_all_is_said_once(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[str] = []

    async def count(loop: object, address: str) -> None:
        attempts.append(address)
        raise FileNotFoundError("nobody is there")

    monkeypatch.setattr(link, "_reach", count)
    view = View()
    alone = Daemon(asyncio.get_running_loop(), world(view=view), view)
    alone.bus.join(f"unix:path={tmp_path}/none")
    for wanted in (1, 2, 3):
        await until(lambda wanted=wanted: len(attempts) >= wanted)  # type: ignore[misc]
        alone.bus.tell(effects.UnitChanged("dbus.service"))
    assert len(alone.log) == 1
    alone.bus.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(("daemon_is", "attempted"), [(Active.INACTIVE, False), (Active.ACTIVE, True)])
async def test_a_bus_that_waits_for_its_first_client_is_not_woken(daemon_is: Active, attempted: bool) -> None:
    view = View()
    view.all["dbus.socket"] = Status(Unit("dbus.socket"), Active.ACTIVE, "listening")
    view.all["dbus.service"] = service("dbus.service", active=daemon_is)
    alone = Daemon(asyncio.get_running_loop(), world(view=view), view)
    alone.bus.join("unix:path=/nonexistent/bus")
    for _ in range(20):
        await asyncio.sleep(0)
    assert bool(alone.log) is attempted
    alone.bus.close()
    await asyncio.sleep(0)
