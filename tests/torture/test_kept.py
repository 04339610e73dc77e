"""SIGKILL to the whole daemon: who speaks to it or to its sockets meanwhile is heard by the next one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import BOUND_S, PYTHON, command_line, until_gone, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

ANSWERS = "import socket; k = socket.socket(fileno=3); c, _ = k.accept(); c.sendall(b'hello'); c.recv(1)"


def executors(group: Path) -> list[int]:
    """The fork servers, with and without a daemon."""
    pids = [int(word) for file in group.rglob("init.scope/cgroup.procs") for word in file.read_text().split()]
    return [pid for pid in pids if "unitd/executor" in command_line(pid)]


def test_a_connection_made_meanwhile_is_served(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "s"
    daemon = launch(
        {
            "a.socket": f"[Socket]\nListenStream={path}\n",
            "a.service": f'[Service]\nExecStart={PYTHON} -I -S -c "{ANSWERS}"\n',
            "all.target": "[Unit]\nWants=a.socket\n",
        },
        target="all.target",
    )
    daemon.until("a.socket", "active")
    inode = path.stat().st_ino
    (keeper,) = executors(daemon.cgroup)
    daemon.crash()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(BOUND_S)
        caller.connect(str(path))
        with daemon:
            assert caller.recv(5) == b"hello"
            assert path.stat().st_ino == inode
            until_gone(keeper)
            daemon.shut_down()
    assert executors(daemon.cgroup) == []


def test_nothing_is_left_of_a_daemon_that_ended_well(launch: Launch) -> None:
    daemon = launch({})
    watch_for(lambda: len(executors(daemon.cgroup)) == 1, "the fork server")
    (server,) = executors(daemon.cgroup)
    daemon.shut_down()
    until_gone(server)
    assert not list(daemon.runtime.glob("kept.*"))
