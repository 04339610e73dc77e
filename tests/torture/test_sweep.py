"""A shutdown with what hides from it: who left the cgroup, look-alikes, strangers that hold what units claim."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import Daemon, is_alive, until_gone, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

LISTEN = """
import signal, socket, sys
held = socket.create_server(("127.0.0.1", 0))
signal.alarm(120)
print(held.getsockname()[1], flush=True)
signal.pause()
"""


@pytest.fixture
def strangers() -> Iterator[list[subprocess.Popen[str]]]:
    """Three listeners that are nobody's but the test's; the last one also runs what a unit says is its program."""
    made = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LISTEN, f"stranger-{os.getpid()}-{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    yield made
    for each in made:
        assert each.stdout is not None
        each.stdout.close()
        each.kill()
        each.wait()


def port_of(stranger: subprocess.Popen[str]) -> int:
    assert stranger.stdout is not None
    return int(stranger.stdout.readline())


def test_each_of_them(launch: Launch, cgroup: Path, strangers: list[subprocess.Popen[str]]) -> None:
    spared, ended, ran = strangers
    mark = f"stranger-{os.getpid()}-2"
    service = "[Service]\nExecStart=/bin/sleep 1000\n[X-Unitd]\n"
    daemon = launch(
        {
            "spares.service": f"{service}Ports=127.0.0.1:{port_of(spared)}\n",
            "ends.service": f"{service}Ports={port_of(ended)}\nOnConflict=kill\n",
            "runs.service": f"{service}ProcessFilter={sys.executable} {mark}\nOnConflict=kill\n",
        }
    )
    port_of(ran)
    daemon.must("start", "spares.service", "ends.service", "runs.service")
    escaped, alike = _escaped(daemon, cgroup, "spares.service"), _look_alike(daemon, "ends.service")
    try:
        found = {row["pid"]: row for row in json.loads(daemon.must("orphans", "-o", "json"))}
        assert (found[escaped]["unit"], found[escaped]["ours"]) == ("spares.service", True)
        assert (found[alike.pid]["unit"], found[alike.pid]["ours"]) == ("ends.service", False)
        assert [found[each.pid]["ours"] for each in strangers] == [False] * 3
        listed = daemon.must("orphans")
        assert all(f"{pid} " in listed for pid in (escaped, alike.pid, spared.pid, ended.pid, ran.pid))
        daemon.send(signal.SIGTERM)
        assert daemon.wait_for_end() == 0
        assert not is_alive(escaped)
        assert [ended.wait(30), ran.wait(30)] == [-signal.SIGTERM, -signal.SIGTERM]
        assert spared.poll() is None
        assert alike.poll() is None
        log = daemon.log()
        assert f"of spares.service is held by {sys.executable}" in log
        assert f"(PID {spared.pid}), which is not ours: left alone" in log
        assert f"(PID {alike.pid}) carries the invocation id of ends.service, and is not ours" in log
    finally:
        alike.kill()
        alike.wait()


def _escaped(daemon: Daemon, cgroup: Path, unit: str) -> int:
    """The unit's main process, in another cgroup now."""
    (pid,) = daemon.members(unit)
    elsewhere = cgroup / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cgroup.procs").write_text(str(pid))
    return pid


def _look_alike(daemon: Daemon, unit: str) -> subprocess.Popen[bytes]:
    """A process of the test's own with the environment of the unit's."""
    (pid,) = daemon.members(unit)
    environment = dict(pair.split("=", 1) for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair)
    return subprocess.Popen(["/bin/sleep", "1000"], env=environment)


def test_no_orphans(launch: Launch) -> None:
    daemon = launch({"a.service": "[Service]\nExecStart=/bin/sh -c 'sleep 1000 & sleep 1000'\n"})
    daemon.must("start", "a.service")
    assert daemon.must("orphans") == "no orphans\n"
    assert json.loads(daemon.must("orphans", "-o", "json")) == []
    daemon.shut_down()


def test_what_a_stop_leaves_behind_is_told_by_status(launch: Launch, cgroup: Path) -> None:
    daemon = launch({"a.service": "[Service]\nExecStart=/bin/sh -c 'setsid sleep 1000 & exec sleep 1001'\n"})
    daemon.must("start", "a.service")
    watch_for(lambda: len(daemon.members("a.service")) == 2, "both processes")
    pid = next(pid for pid in daemon.members("a.service") if "1000" in Path(f"/proc/{pid}/cmdline").read_text())
    elsewhere = cgroup / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cgroup.procs").write_text(str(pid))
    daemon.must("stop", "a.service")
    daemon.until_line(f"a.service leaves behind {pid} (sleep 1000)")
    assert f"leaves behind {pid}" in daemon.ctl("status", "a.service").out
    assert f"{pid} a.service" in daemon.must("orphans")
    daemon.send(signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    until_gone(pid)
