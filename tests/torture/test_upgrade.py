"""daemon-reexec: what goes on through it, one thing after the other; and what becomes of a program that is no good.

The daemon runs from a copy of the package, which is then the upgrade.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.conftest import ROOT
from tests.torture.conftest import Launch
from tests.torture.daemon import (
    BOUND_S,
    PYTHON,
    Daemon,
    command_line,
    is_alive,
    pids_below,
    program,
    until_gone,
    watch_for,
)

pytestmark = [pytest.mark.host, pytest.mark.slow]

TALKS = """
import os, signal, socket, sys
def tell(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(text, os.environ["NOTIFY_SOCKET"])
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2))
tell(b"READY=1")
sys.stdout.write("first half, ")
sys.stdout.flush()
while signal.sigwait((signal.SIGUSR1, signal.SIGUSR2)) == signal.SIGUSR1:
    tell(b"STATUS=heard")
    print("second half", flush=True)
sys.exit(7)
"""
"""Prints half a line; at SIGUSR1 speaks and prints the other half, at SIGUSR2 ends with 7."""

Upgrade: TypeAlias = Callable[[str, str, str], None]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Where the daemon runs from."""
    found = tmp_path / "source"
    for name in ("unitd", "units"):
        shutil.copytree(ROOT / name, found / name, ignore=shutil.ignore_patterns("*.pyc"))
    return found


@pytest.fixture
def upgrade(source: Path) -> Upgrade:
    """Replace, in a file of the program on disk, one text by another."""

    def replaced(file: str, old: str, new: str) -> None:
        path = source / "unitd" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return replaced


@pytest.fixture
def begin(launch: Launch, source: Path) -> Launch:
    def begun(units: dict[str, str], **options: object) -> Daemon:
        return launch(units, environment={"PYTHONPATH": str(source), "PYTHONSAFEPATH": "1"}, **options)

    return begun


def python(where: Path, text: str) -> str:
    """A service's command line that runs the text."""
    file = where / "service.py"
    file.write_text(text)
    return f"{PYTHON} -I -S {file}"


def shown(daemon: Daemon, unit: str, name: str) -> str:
    return daemon.must("show", unit, "-P", name).strip()


def reexec(daemon: Daemon) -> str:
    """What unitctl said of it; the test's own connection goes on by itself."""
    return daemon.must("daemon-reexec")


def test_the_version_becomes_that_on_disk(begin: Launch, upgrade: Upgrade) -> None:
    daemon = begin({"a.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a")
    (pid,) = daemon.members("a.service")
    upgrade("__init__.py", '"0.', '"99.')
    said = reexec(daemon)
    assert f"still pid {daemon.pid}" in said
    assert "became unitd 99." in said
    assert daemon.is_alive()
    assert daemon.members("a.service") == [pid]
    assert shown(daemon, "a", "MainPID") == str(pid)
    daemon.shut_down()


def test_what_a_service_says_and_prints_and_how_it_ends_is_heard(begin: Launch, tmp_path: Path) -> None:
    unit = f"[Service]\nType=notify\nRestart=on-failure\nRestartSec=0\nExecStart={python(tmp_path, TALKS)}\n"
    daemon = begin({"a.service": unit})
    daemon.must("start", "a")
    (pid,) = daemon.members("a.service")
    reexec(daemon)
    os.kill(pid, signal.SIGUSR1)
    watch_for(lambda: shown(daemon, "a", "StatusText") == "heard", "what it said")
    watch_for(lambda: "second half" in daemon.must("logs", "a", "-o", "cat"), "what it printed")
    assert "first half, second half\n" in daemon.must("logs", "a", "-o", "cat")
    assert shown(daemon, "a", "NRestarts") == "0"
    os.kill(pid, signal.SIGUSR2)
    watch_for(lambda: shown(daemon, "a", "NRestarts") == "1", "its restart")
    reexec(daemon)
    assert shown(daemon, "a", "NRestarts") == "1"
    daemon.until("a.service", "active/running")
    (second,) = daemon.members("a.service")
    daemon.must("stop", "a")
    until_gone(second)
    assert any("7" in line and "a.service" in line for line in daemon.lines())
    daemon.shut_down()


def test_jobs_in_flight_end_as_they_would_have(begin: Launch, tmp_path: Path) -> None:
    """One is being started, one stopped, one waits for another, one for its restart; unitctl follows on."""
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    waits = f'/bin/sh -c "read line <{hold}"'
    daemon = begin(
        {
            "starting.service": f"[Service]\nExecStartPre={waits}\nExecStart=/bin/sleep 1000\n",
            "stopping.service": f"[Service]\nExecStart=/bin/sleep 1000\nExecStop={waits}\n",
            "later.service": "[Unit]\nRequires=starting.service\nAfter=starting.service\n"
            "[Service]\nExecStart=/bin/sleep 1000\n",
            "again.service": "[Service]\nRestart=always\nRestartSec=1000\nExecStart=/bin/true\n",
        }
    )
    daemon.must("start", "stopping", "again")
    daemon.until("again.service", "activating/auto-restart")
    runs = [daemon.start("start", "later"), daemon.start("stop", "stopping")]
    daemon.until("starting.service", "activating/start-pre")
    daemon.until("stopping.service", "deactivating/stop")
    before = daemon.must("list-jobs", "--no-legend")
    pids = {unit: daemon.members(f"{unit}.service") for unit in ("starting", "stopping")}
    for _ in range(3):
        reexec(daemon)
    assert daemon.must("list-jobs", "--no-legend") == before
    assert {unit: daemon.members(f"{unit}.service") for unit in pids} == pids
    assert daemon.state("again.service") == "activating/auto-restart"
    with hold.open("w") as end:
        end.write("go\ngo\n")
    for run in runs:
        out, _ = run.communicate(timeout=BOUND_S)
        assert run.returncode == 0, out
    assert daemon.state("later.service") == "active/running"
    assert daemon.state("stopping.service") == "inactive/dead"
    daemon.shut_down()


def test_who_does_not_go_is_killed_when_its_time_is_up(begin: Launch) -> None:
    """The time began under the program before."""
    daemon = begin({"a.service": f"[Service]\nType=notify\nTimeoutStopSec=3\nExecStart={program('tree', 5)}\n"})
    daemon.must("start", "a")
    pids = daemon.members("a.service")
    daemon.must("stop", "--no-block", "a")
    daemon.until("a.service", "deactivating/stop-sigterm")
    for _ in range(2):
        reexec(daemon)
    daemon.until("a.service", "failed/failed")
    assert shown(daemon, "a", "Result") == "timeout"
    for pid in pids:
        until_gone(pid)
    assert sum("SIGTERM to a.service" in line for line in daemon.lines()) == 1
    daemon.shut_down()


def test_sockets_stay_open(begin: Launch, tmp_path: Path) -> None:
    """Who connects while there is no program to answer is served by the next."""
    answers = "import socket; k = socket.socket(fileno=3); c, _ = k.accept(); c.sendall(b'hello'); c.recv(1)"
    path = tmp_path / "s"
    daemon = begin(
        {
            "a.socket": f"[Socket]\nListenStream={path}\n",
            "a.service": f'[Service]\nExecStart={PYTHON} -I -S -c "{answers}"\n',
        }
    )
    daemon.must("start", "a.socket")
    inode = path.stat().st_ino
    reexec(daemon)
    assert path.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(BOUND_S)
        caller.connect(str(path))
        assert caller.recv(5) == b"hello"
    daemon.shut_down()


def test_nothing_piles_up(begin: Launch) -> None:
    """Neither descriptors, nor fork servers, nor files in the runtime directory."""

    def state() -> tuple[int, list[str], list[str]]:
        pids = pids_below(daemon.groups())
        found = sorted(command_line(pid).partition(" /")[0] for pid in pids)
        names = sorted(path.name.partition(".")[0] for path in daemon.runtime.iterdir())
        return len(os.listdir(f"/proc/{daemon.pid}/fd")), found, names

    daemon = begin({"a.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a")
    reexec(daemon)
    before = state()
    for _ in range(3):
        reexec(daemon)
    watch_for(lambda: state() == before, "as before")
    assert "UNITD_HANDED_OVER" not in daemon.must("show", "-p", "Environment")
    daemon.shut_down()


def test_a_broken_program_is_refused(begin: Launch, upgrade: Upgrade) -> None:
    daemon = begin({"a.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a")
    (pid,) = daemon.members("a.service")
    upgrade("runtime/main.py", "import asyncio\n", "raise SystemExit('there is a hole in it')\n")
    said = daemon.ctl("daemon-reexec")
    assert said.code == 1
    assert "cannot re-execute: the program on disk does not start: there is a hole in it" in said.out
    assert daemon.members("a.service") == [pid]
    daemon.must("restart", "a")
    daemon.shut_down()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("runtime/handover.py", "    version: str\n", "    version: str\n    more: int\n"),
        ("runtime/daemon.py", "    self._signals.obey()\n", "    self._signals.obey(); assert not self._handed\n"),
    ],
    ids=["cannot read it", "cannot go on with it"],
)  # fmt: skip
def test_a_program_that_cannot_use_what_it_is_handed_starts_as_after_a_crash(
    begin: Launch, upgrade: Upgrade, file: str, old: str, new: str
) -> None:
    daemon = begin({"a.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a")
    (pid,) = daemon.members("a.service")
    upgrade(file, old, new)
    reexec(daemon)
    daemon.until_line("cannot go on")
    assert daemon.is_alive()
    assert shown(daemon, "a", "MainPID") == str(pid)
    daemon.must("stop", "a")
    until_gone(pid)
    daemon.shut_down()


def test_a_signal_in_between_is_not_lost(begin: Launch, upgrade: Upgrade, tmp_path: Path) -> None:
    """Between the two programs nobody has a way to deal with SIGTERM, which must neither kill nor be forgotten."""
    there, go = tmp_path / "there", tmp_path / "go"
    os.mkfifo(there)
    os.mkfifo(go)
    daemon = begin({"a.service": "[Service]\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a")
    (pid,) = daemon.members("a.service")
    wait = (
        f"if 'UNITD_HANDED_OVER' in os.environ:\n    open({str(there)!r}, 'w').close()\n    open({str(go)!r}).close()\n"
    )
    upgrade("runtime/main.py", "import asyncio\n", f"import os\n{wait}import asyncio\n")
    with daemon.start("daemon-reexec") as asked:
        there.open().close()
        daemon.send(signal.SIGTERM)
        go.open("w").close()
        assert daemon.wait_for_end() == 0
        asked.communicate(timeout=BOUND_S)
    assert not is_alive(pid)
    assert daemon.living() == {}


def test_it_is_refused_while_a_shutdown_is_under_way(begin: Launch, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    unit = f'[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sh -c "read line <{hold}"\n'
    daemon = begin({"a.service": unit})
    daemon.must("start", "a")
    daemon.send(signal.SIGTERM)
    daemon.until("a.service", "deactivating")
    said = daemon.ctl("daemon-reexec")
    assert said.code == 1
    assert "a shutdown is under way" in said.out
    hold.write_text("go\n")
    assert daemon.wait_for_end() == 0


def test_without_cgroups(begin: Launch) -> None:
    """By descent and mark: a process that left its parent is known on."""
    unit = f"[Service]\nType=notify\nTimeoutStopSec=1\nExecStart={program('tree', 9)}\n"
    daemon = begin({"a.service": unit}, below="/there/is/none/such")
    daemon.must("start", "a")
    before = daemon.living()
    assert len(before) >= 9
    reexec(daemon)
    assert daemon.living() == before
    assert shown(daemon, "a", "ActiveState") == "active"
    daemon.must("stop", "a")
    assert daemon.living() == {}
    daemon.shut_down()
