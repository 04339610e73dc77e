"""The private socket: who gets in, what is answered, and that a bad client hurts only itself."""

import asyncio
import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bus.clients import MANAGER, PROPERTIES, Failed, client, connect, run
from tests.bus.fakes import Daemon, Stopping
from unitd.bus import bus, outbox, private
from unitd.model import effects, events
from unitd.wire import message
from unitd.wire.dialects import SYSTEMD1
from unitd.wire.message import Message, Type

UNIT = "/org/pyzinit/unit/a_2eservice"


async def test_the_socket_is_for_everybody_and_leaves_nothing_behind(daemon: Daemon) -> None:
    mode = os.stat(daemon.path).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o666
    assert not os.path.exists(daemon.path + ".new")
    daemon.bus.close()
    assert not os.path.exists(daemon.path)


async def test_a_stale_socket_is_replaced(daemon: Daemon) -> None:
    before = os.stat(daemon.path).st_ino
    daemon.bus.listen(daemon.path)
    assert os.stat(daemon.path).st_ino != before
    found = await client(daemon.path)
    assert await found.call("GetUnit", "s", "a.service") == (UNIT,)
    await found.close()


async def test_a_pipelining_client_without_identity_gets_in(daemon: Daemon) -> None:
    found = await connect(daemon.path)
    found.writer.write(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    serial = found.write("GetUnit", "s", "a.service")
    lines = [(await found.reader.readline()).split()[0] for _ in range(3)]
    assert lines == [b"DATA", b"OK", b"ERROR"]
    got = await found.read()
    assert (got.reply_serial, got.body) == (serial, (UNIT,))
    await found.close()


async def test_one_is_who_the_kernel_says(daemon: Daemon) -> None:
    found = await connect(daemon.path)
    assert await found.authenticate(os.getuid() + 1) == "REJECTED EXTERNAL"
    found.writer.write(b"AUTH\r\n")
    assert await found.reader.readline() == b"REJECTED EXTERNAL\r\n"
    await found.close()


@pytest.mark.parametrize(
    "bytes_",
    [
        b"x",
        b"\0BEGIN\r\n",
        b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n" + b"\xff" * 16,
        b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl\1\0\1\0\0\0\0\1\0\0\0\0\0\0\0",
        b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl\1\0\1\0\0\xf0\0\1\0\0\0\0\0\0\0",
        b"\0" + b"A" * 20_000,
    ],
)
async def test_a_client_that_breaks_the_protocol_is_dropped_alone(daemon: Daemon, bytes_: bytes) -> None:
    good, bad = await client(daemon.path), await connect(daemon.path)
    bad.writer.write(bytes_)
    async with asyncio.timeout(30):
        await bad.reader.read()
    assert any("cannot go on with client" in line for line in daemon.log)
    assert await good.call("GetUnit", "s", "a.service") == (UNIT,)
    await good.close()
    await bad.close()


async def test_a_message_in_pieces_is_put_together(daemon: Daemon) -> None:
    found = await client(daemon.path)
    asked = Message(Type.CALL, MANAGER, "org.pyzinit.Manager", "GetUnit", signature="s", body=("a.service",), serial=9)
    for byte in message.encode(asked):
        found.writer.write(bytes((byte,)))
        await found.writer.drain()
        await asyncio.sleep(0)
    assert (await found.read()).body == (UNIT,)
    await found.close()


async def test_no_reply_where_none_is_wanted(daemon: Daemon) -> None:
    found = await client(daemon.path)
    found.write("GetUnit", "s", "a.service", flags=1)
    assert await found.call("Ping", interface="org.freedesktop.DBus.Peer") == ()
    assert not found.seen
    await found.close()


async def test_the_order_of_a_start_on_the_wire(daemon: Daemon) -> None:
    found = await client(daemon.path)
    serial = found.write("StartUnit", "ss", "a.service", "replace")
    got = [await found.read() for _ in range(2)]
    got += await found.signals("JobRemoved")
    assert got[0].member == "JobNew"
    assert got[0].body == (1, "/org/pyzinit/job/1", "a.service")
    assert (got[1].reply_serial, got[1].body) == (serial, ("/org/pyzinit/job/1",))
    assert [each.member for each in got[2:-1]] == ["PropertiesChanged"] * (len(got) - 3)
    assert got[-1].body == (1, "/org/pyzinit/job/1", "a.service", "done")
    changed = {each.body[0]: each.body[1] for each in got[2:-1]}
    assert changed["org.pyzinit.Unit"]["ActiveState"] == ("s", "active")
    await found.close()


async def test_only_what_changed_is_told(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("StartUnit", "ss", "a.service", "replace")
    await found.signals("JobRemoved")
    daemon.bus.tell(effects.UnitChanged("a.service"))
    daemon.bus.flush()
    await found.call("StartUnit", "ss", "a.service", "replace")
    assert [each.member for each in await found.signals("JobRemoved")] == ["JobNew", "JobRemoved"]
    await found.close()


async def test_ten_thousand_signals_reach_a_slow_reader(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    for number in range(10_000):
        daemon.bus.tell(effects.UnitNew(f"u{number}.service"))
        daemon.bus.flush()
    await asyncio.sleep(0)
    got = [(await found.read()).body[0] for _ in range(10_000)]
    assert got == [f"u{number}.service" for number in range(10_000)]
    await found.close()


async def test_a_burst_reaches_who_reads_it(daemon: Daemon) -> None:
    """What one turn of the loop brings may be more than may wait for somebody who does not read."""
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    for number in range(40_000):
        daemon.bus.tell(effects.UnitNew(f"u{number}.service"))
    daemon.bus.flush()
    for _ in range(39_999):
        await found.read()
    assert (await found.read()).body[0] == "u39999.service"
    assert daemon.log == []
    await found.close()


@pytest.mark.parametrize(("name", "value"), [("_PATIENCE_S", 0.0), ("_BURST", 1)])
async def test_who_never_reads_is_dropped_and_nobody_else(
    name: str, value: float, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because it has not read for long, or because far too much waits for it."""
    monkeypatch.setattr(outbox, name, value)
    deaf, good = await client(daemon.path), await client(daemon.path)
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await good.call("GetUnit", "s", "a.service")
    for number in range(60_000):
        daemon.bus.tell(effects.UnitNew(f"u{number}.service"))
        if number % 100 == 0:
            daemon.bus.flush()
            await asyncio.sleep(0)
            await _drain(good.reader)
    assert any("it does not read" in line for line in daemon.log)
    await good.close()
    await deaf.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    while reader._buffer:  # type: ignore[attr-defined]
        await reader.read(2**20)


async def test_calls_without_reading_the_answers_are_left_waiting(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    wanted = 300
    for _ in range(wanted):
        found.write("GetAll", "s", "", path=UNIT, interface=PROPERTIES)
    for _ in range(50):
        await asyncio.sleep(0)
    for _ in range(wanted):
        assert (await found.read()).type == Type.RETURN
    assert not daemon.log
    await found.close()


async def test_a_client_that_goes_while_it_is_waited_for(daemon: Daemon) -> None:
    daemon.done = lambda event, id: []
    found = await client(daemon.path)
    found.write("StartUnit", "ss", "a.service", "replace")
    while not daemon.events:
        await asyncio.sleep(0)
    await found.close()
    other = await client(daemon.path)
    assert await other.call("GetUnit", "s", "a.service") == (UNIT,)
    daemon.bus.tell(effects.Answer(1, 1))
    daemon.bus.flush()
    await other.close()


async def test_a_client_that_leaves_is_no_news(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    await found.close()
    for _ in range(3):
        daemon.bus.tell(effects.UnitNew("x.service"))
        daemon.bus.flush()
        await asyncio.sleep(0)
    assert daemon.log == []


async def test_no_descriptor_left_is_said_and_waited_out(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_RETRY_S", 0.001)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, limits[1]))
    try:
        found = await connect(daemon.path)
        async with asyncio.timeout(30):
            while not daemon.log:
                await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "cannot accept a client" in daemon.log[0]
    assert (await found.authenticate()).startswith("OK ")
    assert await found.call("GetUnit", "s", "a.service") == (UNIT,)
    await found.close()


async def test_a_bug_in_one_answer_is_an_error_for_its_caller(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.view, "units", lambda: 1 // 0)
    found = await client(daemon.path)
    with pytest.raises(Failed, match=r"DBus\.Error\.Failed"):
        await found.call("ListUnits")
    assert "ZeroDivisionError" in daemon.log[0]
    assert await found.call("GetUnit", "s", "a.service") == (UNIT,)
    await found.close()


async def test_busctl(daemon: Daemon) -> None:
    address = f"--address=unix:path={daemon.path}"
    name = "org.pyzinit.Manager"
    status, text = await run("busctl", address, "call", name, MANAGER, name, "GetUnit", "s", "a.service")
    assert (status, text) == (0, f'o "{UNIT}"\n')
    status, text = await run("busctl", address, "call", name, MANAGER, name, "StartUnit", "ss", "a.service", "replace")
    assert (status, text) == (0, 'o "/org/pyzinit/job/1"\n')
    assert await run("busctl", address, "get-property", name, UNIT, "org.pyzinit.Unit", "ActiveState") == (
        0,
        's "active"\n',
    )
    status, text = await run("busctl", address, "tree", name)
    assert status == 0
    assert UNIT in text
    status, text = await run("busctl", address, "introspect", name, UNIT)
    assert status == 0
    assert "org.pyzinit.Service" in text
    assert ".MainPID" in text


async def test_gdbus(daemon: Daemon) -> None:
    where = ("--address", f"unix:path={daemon.path}", "--dest", "org.pyzinit.Manager", "--object-path", MANAGER)
    status, text = await run("gdbus", "call", *where, "--method", "org.pyzinit.Manager.GetUnit", "a.service")
    assert (status, text) == (0, f"(objectpath '{UNIT}',)\n")
    status, text = await run("gdbus", "introspect", *where)
    assert status == 0
    assert "StartUnit" in text


@pytest.mark.parametrize("way", ["--peer", "--bus"])
async def test_dbus_send(daemon: Daemon, way: str) -> None:
    status, text = await run(
        "dbus-send",
        f"{way}=unix:path={daemon.path}",
        "--print-reply",
        "--dest=org.pyzinit.Manager",
        MANAGER,
        "org.pyzinit.Manager.GetUnit",
        "string:a.service",
    )
    assert status == 0
    assert f'object path "{UNIT}"' in text


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="unitd-test-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_may_look_but_not_touch(daemon: Daemon, open_folder: Path) -> None:
    path = f"{open_folder}/private"
    daemon.bus.listen(path)
    call = ("busctl", f"--address=unix:path={path}", "call", "org.pyzinit.Manager", MANAGER, "org.pyzinit.Manager")
    assert (await run(*call, "GetUnit", "s", "a.service", user=65534)) == (0, f'o "{UNIT}"\n')
    status, text = await run(*call, "StartUnit", "ss", "a.service", "replace", user=65534)
    assert status == 1
    assert "Access denied" in text
    assert not [event for event in daemon.events if isinstance(event, events.JobAsked)]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_a_socket_for_root_only(daemon: Daemon, open_folder: Path) -> None:
    path = f"{open_folder}/systemd"
    daemon.bus.listen(path, SYSTEMD1, root_only=True)
    name = SYSTEMD1.bus_name
    call = ("busctl", f"--address=unix:path={path}", "call", name, SYSTEMD1.object, f"{name}.Manager")
    wanted = (0, f'o "{SYSTEMD1.unit_path("a.service")}"\n')
    assert (await run(*call, "GetUnit", "s", "a.service")) == wanted
    assert (await run(*call, "GetUnit", "s", "a.service", user=65534))[0] == 1


async def test_progress_is_told_while_time_passes(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "_PROGRESS_EVERY_S", 0.001)
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    daemon.view.leaving = (Stopping("a.service", "stop-sigterm", 9_000_000, "SIGKILL"),)
    daemon.bus.tell(effects.UnitChanged("a.service"))
    daemon.bus.flush()
    for _ in range(3):
        assert (await found.signals("ShutdownProgress"))[-1].body[0]["unit"] == ("s", "a.service")
    daemon.view.leaving = ()
    await found.close()
