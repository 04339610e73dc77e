"""daemon-reexec again and again while the daemon is busy, with a hundred clients on the bus: nobody notices.

UNITD_ROUNDS and UNITD_SEED as for test_crash.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bus.conftest import CONFIG
from tests.torture.conftest import Launch
from tests.torture.daemon import BOUND_S
from tests.torture.load import Load, units
from tests.torture.test_crash import ROUNDS, SEED
from unitd.ctl.connection import BUS, BUS_NAME, Connection, open_path

pytestmark = [pytest.mark.host, pytest.mark.slow]

CLIENTS = 100
SLOW = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStartPre=/bin/sleep 1\nExecStart=/bin/sleep 1000\n"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Path]:
    """The socket of a dbus-daemon of the test's own."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    folder = tmp_path / "bus"
    folder.mkdir()
    (folder / "conf").write_text(CONFIG.format(path=folder / "socket"))
    argv = ["dbus-daemon", "--nofork", "--print-address", f"--config-file={folder / 'conf'}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline()
            yield folder / "socket"
        finally:
            running.kill()


def owner(link: Connection) -> str:
    """The unique name behind the daemon's name."""
    found: str = link.call(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", "s", BUS_NAME)[0]
    return found


def hear(link: Connection, unit: str) -> None:
    """The job of the unit is told of to this client."""
    while (told := link.signal(BOUND_S)) is not None:
        if told.member == "JobRemoved" and told.body[2] == unit:
            return
    raise AssertionError("a client hears nothing any more")


def test_reexecuted_again_and_again_under_load(launch: Launch, tmp_path: Path, bus: Path) -> None:
    print(f"UNITD_SEED={SEED}")
    files = {**units(tmp_path), "slow.service": SLOW}
    daemon = launch(files, target="all.target", arguments=("--bus", f"unix:path={bus}"))
    daemon.until_line("org.pyzinit.Manager")
    load = Load(daemon, SEED)
    load.settle()
    load.check()
    with ExitStack() as stack:
        clients = [open_path(str(bus), "the bus", bus=True) for _ in range(CLIENTS)]
        for client in clients:
            stack.callback(client.close)
            client.subscribe(("JobRemoved",))
        known = owner(clients[0])
        for number in range(ROUNDS):
            load.begin()
            slow = stack.enter_context(daemon.start("start", "slow.service"))
            said = daemon.must("daemon-reexec")
            out, _ = slow.communicate(timeout=BOUND_S)
            assert slow.returncode == 0, out
            load.pause()
            daemon.link.close()
            daemon._link = None
            load.settle()
            load.check()
            assert owner(clients[0]) == known
            for client in clients:
                client._signals.clear()
            daemon.must("stop", "slow.service")
            for client in clients:
                hear(client, "slow.service")
            print(f"round {number}: {load.asked} asked, {len(load.starts())} starts: {said.strip()}")
    assert daemon.shut_down() < 30
