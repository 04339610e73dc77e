"""Who speaks with the daemon while it is killed or becomes another program: nobody hangs, and everybody is told."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import BOUND_S, Daemon

pytestmark = [pytest.mark.host, pytest.mark.slow]

REST = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
SLOW = (
    "[Service]\nType=exec\nExecStartPre=/bin/sh -c 'until [ -e {} ]; do sleep 0.02; done'\nExecStart=/bin/sleep 1000\n"
)
TALKS = "[Service]\nType=exec\nExecStart=/bin/sh -c 'exec 3<>{0}; while read -r line <&3; do echo $line; done'\n"


def test_two_hundred_clients_go_on_behind_a_reexecution(launch: Launch) -> None:
    daemon = launch({"a.service": REST})
    with ExitStack() as stack:
        clients = [daemon.connect() for _ in range(200)]
        for client in clients:
            stack.callback(client.close)
            client.subscribe(("JobRemoved",))
        assert "re-executed" in daemon.must("daemon-reexec")
        assert [len(client.manager("ListUnits")) for client in clients] == [1] * 200
    daemon.shut_down()


def test_half_a_message_is_dropped_and_not_taken_for_a_whole_one(launch: Launch) -> None:
    daemon = launch({"a.service": REST})
    with socket.socket(socket.AF_UNIX) as half:
        half.settimeout(BOUND_S)
        half.connect(str(daemon.runtime / "private"))
        half.sendall(b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\1\0\1\x10\0\0\0")
        daemon.must("daemon-reexec")
        got = b""
        try:
            while chunk := half.recv(4096):
                got += chunk
        except ConnectionResetError:
            pass
        assert got.startswith(b"OK ") or not got
    daemon.must("start", "a.service")
    daemon.shut_down()


@pytest.mark.parametrize("change", ["killed", "reexecuted"])
def test_who_waits_for_a_start_and_who_follows_a_log(change: str, launch: Launch, tmp_path: Path) -> None:
    go, say = tmp_path / "go", tmp_path / "say"
    os.mkfifo(say)
    daemon = launch({"slow.service": SLOW.format(go), "talks.service": TALKS.format(say)})
    daemon.must("start", "talks.service")
    fd = os.open(say, os.O_RDWR)
    with daemon.start("start", "--wait", "slow.service") as start, daemon.start("logs", "-f", "talks.service") as logs:
        daemon.until("slow.service", "activating/start-pre")
        assert logs.stdout is not None
        os.write(fd, b"one\n")
        while "one" not in (line := logs.stdout.readline()):
            assert line
        if change == "killed":
            daemon.crash()
            out, _ = start.communicate(timeout=BOUND_S)
            assert (start.returncode, "the daemon stopped, or died" in out) == (1, True)
            out, _ = logs.communicate(timeout=BOUND_S)
            assert (logs.returncode, "the daemon stopped, or died" in out) == (1, True)
            daemon.__enter__()
        else:
            daemon.must("daemon-reexec")
            os.write(fd, b"two\n")
            while "two" not in (line := logs.stdout.readline()):
                assert line
            logs.send_signal(signal.SIGINT)
        go.touch()
        daemon.until("slow.service", "active/running")
        if change == "reexecuted":
            daemon.must("stop", "slow.service")
            out, _ = start.communicate(timeout=BOUND_S)
            assert start.returncode == 0, out
    os.close(fd)
    daemon.shut_down()


def test_recovered_without_a_descriptor_left(launch: Launch) -> None:
    """Two are wanted for each service; who cannot be watched at first is watched as soon as there is room."""
    units = {f"a{number:02}.service": REST for number in range(40)}
    daemon = launch(units)
    daemon.must("start", *units)
    before = {unit: daemon.members(unit) for unit in units}
    daemon.crash()
    few = Daemon(daemon.runtime.parent, daemon.cgroup, units, descriptors=64)
    with few:
        few.until_line("went on after a crash: took over 40 processes")
        assert {unit: few.members(unit) for unit in units} == before
        assert "Traceback" not in few.log()
        for unit in units:
            for pid in before[unit]:
                os.kill(pid, signal.SIGKILL)
        for unit in units:
            few.until_line(f"main process of {unit} ")
        few.must("start", *units)
        few.shut_down()
