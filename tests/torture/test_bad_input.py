"""What nobody should send: unit files, requests, bytes, datagrams and files that are wrong. The daemon lives."""

from __future__ import annotations

import os
import random
import re
import socket
import struct
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import Daemon, program
from unitd.ctl import message
from unitd.ctl.connection import MANAGER, MANAGER_PATH, PROPERTIES, UNIT, Refused, unit_path

pytestmark = [pytest.mark.host, pytest.mark.slow]

SLEEP = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
AUTH = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n"


def must_live(daemon: Daemon) -> None:
    """It answers, starts and stops as ever; and no traceback has been written."""
    assert daemon.is_alive()
    daemon.add({"probe.service": SLEEP})
    daemon.must("daemon-reload")
    daemon.must("start", "probe.service")
    daemon.must("stop", "probe.service")
    assert "Traceback" not in daemon.log()
    assert "internal error" not in daemon.log()


# --- unit files -------------------------------------------------------------------------------------------


def test_every_file_that_once_broke_a_parser_loads_or_is_refused(launch: Launch, conformance: Path) -> None:
    cases = sorted((conformance / "fuzz-unit-file").iterdir())
    daemon = launch()
    names = []
    for number, case in enumerate(cases):
        suffixes = [case.suffix] if case.suffix in (".service", ".socket", ".mount") else [".service", ".socket"]
        for suffix in suffixes:
            name = f"fuzz{number}{suffix}"
            (daemon.units / name).write_bytes(case.read_bytes())
            names.append(name)
        folder = daemon.units / f"dropped{number}.service.d"
        folder.mkdir()
        (folder / "fuzz.conf").write_bytes(case.read_bytes())
        (daemon.units / f"dropped{number}.service").write_text(SLEEP)
        names.append(f"dropped{number}.service")
    daemon.must("daemon-reload")
    states = {name: load_state(daemon, name) for name in names}
    assert set(states.values()) <= {"loaded", "bad-setting", "error"}
    for name, state in states.items():
        if state != "loaded":
            stem = name.partition(".")[0]
            assert re.search(rf"err: cannot use {stem}\.[^:\n]*: /[^:\n]*:\d+: ", daemon.log()), name
    must_live(daemon)
    for name in [name for name, state in states.items() if state != "loaded"]:
        with pytest.raises(Refused, match="cannot") as caught:
            daemon.link.manager("StartUnit", "ss", name, "replace")
        assert name in caught.value.text
    daemon.shut_down()


def load_state(daemon: Daemon, name: str) -> str:
    return str(daemon.link.ask(unit_path(name), PROPERTIES, "Get", "ss", UNIT, "LoadState")[0][1])


BROKEN = {
    "binary": random.Random(1).randbytes(100_000),
    "one-line": b"[Service]\nExecStart=/bin/" + b"x" * 2_000_000,
    "sections": b"[Service]\n" * 100_000,
    "settings": b"[Unit]\n" + b"Wants=a.service\n" * 50_000 + b"[Service]\nExecStart=/bin/true\n",
    "continued": b"[Service]\nExecStart=/bin/true" + b" \\\n a" * 100_000,
    "nul": b"[Service]\nExecStart=/bin/true\0 x\nUser=a\0b\n",
    "quotes": b"[Service]\nExecStart=/bin/sh -c '" + b"\\x41" * 50_000,
    "percent": b"[Service]\nExecStart=/bin/echo " + b"%n" * 50_000,
    "itself": b"[Unit]\nRequires=itself.service\nAfter=itself.service\n[Service]\nExecStart=/bin/true\n",
    "empty": b"",
    "byte-order": "\ufeff[Service]\nExecStart=/bin/true\n".encode("utf-16"),
}


def test_broken_files_hurt_nobody_else(launch: Launch) -> None:
    daemon = launch()
    for kind, raw in BROKEN.items():
        (daemon.units / f"{kind}.service").write_bytes(raw)
    daemon.must("daemon-reload")
    for kind in BROKEN:
        done = daemon.ctl("start", f"{kind}.service")
        assert done.code == 0 or f"{kind}.service" in done.out
        daemon.ctl("status", f"{kind}.service")
    must_live(daemon)
    daemon.shut_down()


def test_directories_full_of_traps(launch: Launch, tmp_path: Path) -> None:
    """Symlinks by the thousand, in circles, to nowhere and to devices; FIFOs and directories named like units."""
    daemon = launch({"real.service": SLEEP})
    for number in range(2000):
        (daemon.units / f"alias{number}.service").symlink_to("real.service")
    (daemon.units / "round.service").symlink_to("about.service")
    (daemon.units / "about.service").symlink_to("round.service")
    (daemon.units / "nowhere.service").symlink_to(tmp_path / "nowhere.service")
    (daemon.units / "zero.service").symlink_to("/dev/zero")
    (daemon.units / "null.service").symlink_to("/dev/null")
    os.mkfifo(daemon.units / "pipe.service")
    (daemon.units / "folder.service").mkdir()
    (daemon.units / "real.service.d").mkdir()
    (daemon.units / "real.service.d" / "folder.conf").mkdir()
    os.mkfifo(daemon.units / "real.service.d" / "pipe.conf")
    daemon.must("daemon-reload")
    for name in ("round", "about", "nowhere", "zero", "null", "pipe", "folder"):
        refused = daemon.ctl("start", f"{name}.service")
        assert refused.code != 0, name
        assert f"{name}.service" in refused.out
    daemon.must("start", "alias1999.service")
    assert daemon.state("real.service") == "active/running"
    must_live(daemon)
    daemon.shut_down()


def test_files_that_change_under_a_running_unit(launch: Launch) -> None:
    daemon = launch({"a.service": SLEEP, "b.service": SLEEP, "c.service": SLEEP})
    daemon.must("start", "a.service", "b.service", "c.service")
    (daemon.units / "a.service").write_bytes(BROKEN["binary"])
    (daemon.units / "b.service").unlink()
    (daemon.units / "c.service").unlink()
    (daemon.units / "c.service").symlink_to("/dev/null")
    daemon.must("daemon-reload")
    for name in "abc":
        assert daemon.state(f"{name}.service") == "active/running"
        assert daemon.ctl("status", f"{name}.service").code == 0
    assert daemon.ctl("restart", "b.service").code != 0
    must_live(daemon)
    daemon.must("stop", "a.service", "b.service")
    assert len(daemon.living()) == 1
    daemon.shut_down()


# --- requests -----------------------------------------------------------------------------------------------


def test_requests_for_what_there_is_not(launch: Launch) -> None:
    """Row B2: each a clear answer that names the thing."""
    daemon = launch({"a.service": SLEEP})
    for verb, word, expected in [
        (("start", "none.service"), "none.service", 5),
        (("stop", "none.service"), "none.service", 5),
        (("status", "none.service"), "none.service", 4),
        (("kill", "none.service"), "none.service", 1),
        (("kill", "--signal=NONE", "a.service"), "NONE", 1),
        (("kill", "--signal=9999", "a.service"), "9999", 1),
        (("kill", "a.service"), "a.service", 1),
        (("start", "a b.service"), "a", 1),
        (("start", "x" * 300 + ".service"), "xxx", 1),
        (("start", "@.service"), "@", 1),
        (("start", "a.nonsense"), "nonsense", 1),
        (("isolate", "a.service"), "a.service", 4),
        (("cancel", "999999"), "999999", 1),
    ]:
        done = daemon.ctl(*verb)
        assert done.code != 0, verb
        assert word in done.out, verb
        assert "Traceback" not in done.out
        assert expected, verb
    must_live(daemon)
    link = daemon.link
    for path, interface, member, signature, values in [
        (unit_path("a.service"), PROPERTIES, "Get", "ss", (UNIT, "NoSuchProperty")),
        (unit_path("a.service"), PROPERTIES, "Get", "ss", ("no.such.Interface", "Id")),
        (unit_path("a.service"), PROPERTIES, "Set", "ssv", (UNIT, "Id", ("s", "b"))),
        (unit_path("a.service"), PROPERTIES, "Get", "s", (UNIT,)),
        (MANAGER_PATH, MANAGER, "StartUnit", "s", ("a.service",)),
        (MANAGER_PATH, MANAGER, "StartUnit", "ss", ("a.service", "no-such-mode")),
        (MANAGER_PATH, MANAGER, "StartUnit", "ss", ("", "replace")),
        (MANAGER_PATH, MANAGER, "StartUnit", "ss", ("/etc/passwd", "replace")),
        (MANAGER_PATH, MANAGER, "KillUnit", "ssi", ("a.service", "nobody", 15)),
        (MANAGER_PATH, MANAGER, "KillUnit", "ssi", ("a.service", "all", -1)),
        (MANAGER_PATH, MANAGER, "GetUnitByPID", "u", (2**32 - 1,)),
        (MANAGER_PATH, MANAGER, "NoSuchMethod", "", ()),
        (MANAGER_PATH, "no.such.Interface", "StartUnit", "ss", ("a.service", "replace")),
        ("/no/such/object", MANAGER, "StartUnit", "ss", ("a.service", "replace")),
        ("/org/pyzinit/unit/_zz_", PROPERTIES, "GetAll", "s", ("",)),
        ("/org/pyzinit/job/99999", PROPERTIES, "GetAll", "s", ("",)),
    ]:
        with pytest.raises(Refused) as caught:
            link.ask(path, interface, member, signature, *values)
        assert "internal error" not in caught.value.text, member
    daemon.shut_down()


# --- bytes --------------------------------------------------------------------------------------------------


def stream(daemon: Daemon) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(daemon.runtime / "private"))
    made.settimeout(10)
    return made


def call(serial: int = 1, member: str = "ListUnits") -> bytes:
    return message.encode_call(serial, "", MANAGER_PATH, MANAGER, member, "", ())


def offer(daemon: Daemon, raw: bytes) -> None:
    """Send it, hang up, and take whatever comes meanwhile."""
    with stream(daemon) as made:
        try:
            made.sendall(raw)
            made.shutdown(socket.SHUT_WR)
            while made.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            return


def test_bytes_that_are_no_messages(launch: Launch) -> None:
    """Random ones, before and after authentication; valid calls cut anywhere, and with any one byte changed."""
    daemon = launch()
    dice = random.Random(2)
    whole = call()
    for _ in range(50):
        offer(daemon, dice.randbytes(dice.randrange(1, 4000)))
        offer(daemon, AUTH + dice.randbytes(dice.randrange(1, 4000)))
    for end in range(len(AUTH + whole)):
        offer(daemon, (AUTH + whole)[:end])
    for place in range(len(whole)):
        offer(daemon, AUTH + whole[:place] + bytes([dice.randrange(256)]) + whole[place + 1 :])
    for length in (2**31, 2**32 - 1, 2**27, 2**20 + 1):
        offer(daemon, AUTH + struct.pack("<cBBBIII", b"l", 1, 0, 1, length, 1, 0) + b"x" * 1000)
        offer(daemon, AUTH + struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, 1, length) + b"x" * 1000)
    offer(daemon, b"\0" + b"AUTH " * 10_000)
    offer(daemon, AUTH + call(0))
    must_live(daemon)
    daemon.shut_down()


def test_descriptors_sent_along_are_not_kept(launch: Launch) -> None:
    daemon = launch()
    daemon.must("list-units")

    def open_now() -> int:
        return len(os.listdir(f"/proc/{daemon.pid}/fd"))

    before = open_now()
    with stream(daemon) as made:
        made.sendall(AUTH)
        for serial in range(1, 50):
            socket.send_fds(made, [call(serial, "NoSuchMethod")], [0] * 20)
        made.shutdown(socket.SHUT_WR)
        while made.recv(65536):
            pass
    must_live(daemon)
    assert open_now() <= before + 2
    daemon.shut_down()


def test_a_client_that_never_reads(launch: Launch) -> None:
    """It is dropped when too much waits for it; the memory that it cost is bounded, and others are served."""
    daemon = launch({"a.service": SLEEP})
    with stream(daemon) as silent, stream(daemon) as lazy:
        silent.sendall(AUTH)
        lazy.sendall(AUTH)
        silent.setblocking(False)
        try:
            for serial in range(1, 200_000):
                silent.send(call(serial))
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        for _ in range(100):
            daemon.link.manager("StartUnit", "ss", "a.service", "replace")
            daemon.link.manager("StopUnit", "ss", "a.service", "replace")
        must_live(daemon)
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert resident is not None
    assert int(resident[1]) < 100_000
    daemon.shut_down()


def test_thousands_of_connections(launch: Launch) -> None:
    daemon = launch({"a.service": SLEEP})
    streams: list[socket.socket] = []
    try:
        for _ in range(500):
            streams.append(stream(daemon))
        for made in streams[::2]:
            made.sendall(AUTH + call())
        for made in streams[::2]:
            assert made.recv(4).startswith(b"OK")
        daemon.must("start", "a.service")
    finally:
        for made in streams:
            made.close()
    for _ in range(3000):
        stream(daemon).close()
    must_live(daemon)
    daemon.shut_down()


def test_garbage_on_the_notify_socket(launch: Launch) -> None:
    """From strangers, of any length, with descriptors; a service that waits for its own READY=1 is not deceived."""
    text = "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStartSec=60\nExecStart=/bin/sleep 1000\n"
    daemon = launch({"mute.service": text})
    daemon.must("start", "--no-block", "mute.service")
    daemon.until("mute.service", "activating/start")
    dice = random.Random(3)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(daemon.runtime / "notify"))
        for number in range(3000):
            raw = [dice.randbytes(dice.randrange(5000)), b"READY=1\nMAINPID=1\nSTATUS=x", b""][number % 3]
            if number % 100 == 0:
                socket.send_fds(sender, [raw], [0, 1, 2])
            else:
                sender.send(raw)
    assert daemon.state("mute.service") == "activating/start"
    must_live(daemon)
    daemon.shut_down()


# --- files that services name -----------------------------------------------------------------------------------


def test_environment_files_of_every_kind(launch: Launch, tmp_path: Path) -> None:
    folder, huge, binary = tmp_path / "folder", tmp_path / "huge", tmp_path / "binary"
    folder.mkdir()
    huge.write_bytes(b"A=" + b"x" * 30_000_000 + b"\n")
    binary.write_bytes(random.Random(4).randbytes(200_000))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    daemon = launch()
    for path in (folder, huge, binary, pipe, Path("/dev/zero"), Path("/proc/self/mem")):
        unit = f"env-{path.name}.service"
        daemon.add(
            {unit: f"[Service]\nType=exec\nTimeoutStartSec=5\nEnvironmentFile={path}\nExecStart=/bin/sleep 1000\n"}
        )
        done = daemon.ctl("start", unit)
        assert "Traceback" not in done.out
        assert done.code == 0 or unit in done.out
    must_live(daemon)
    daemon.shut_down()


def test_pid_files_that_lie(launch: Launch, tmp_path: Path) -> None:
    """Neither the machine's first process nor a stranger becomes a main process, nor gets a signal."""
    daemon = launch()
    for name, text in {
        "one": "1\n",
        "stranger": f"{os.getpid()}\n",
        "garbage": "x" * 100_000,
        "huge": "9" * 30,
    }.items():
        path = tmp_path / f"{name}.pid"
        path.write_text(text)
        service = f"[Service]\nType=forking\nTimeoutStartSec=1\nPIDFile={path}\nExecStart={program('leave', 2)}\n"
        daemon.add({f"pid-{name}.service": service})
        done = daemon.ctl("start", f"pid-{name}.service")
        assert daemon.must("show", f"pid-{name}.service", "-p", "MainPID", "--value").strip() in ("0",), done.out
        daemon.ctl("stop", f"pid-{name}.service")
    assert daemon.living() == {}
    must_live(daemon)
    daemon.shut_down()
