"""What unitd is to the machine: the first process of a container or one beside others, with cgroups or without."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.daemons.lab import BOUND_S, Lab, packaged

pytestmark = [pytest.mark.daemons, pytest.mark.host]

NOBODY = 65534
TREE = """
[Unit]
Description=A tree that falls apart: its parts leave their parent and their session
[Service]
ExecStart=/bin/sh -c 'setsid sh -c "sleep 1001 & sleep 1002 & exit" & (sleep 1003 &) ; exec sleep 1004'
"""
ORPHANS = """
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=process
ExecStart=/bin/sh -c 'for i in 1 2 3 4 5; do (sh -c "exit $$i" &) ; done; (sleep 1005 &)'
"""
STUBBORN = """
[Service]
TimeoutStopSec=1
ExecStart=/bin/sh -c 'trap "" TERM; while :; do sleep 1006; done'
"""
UNITS = {"tree.service": TREE, "orphans.service": ORPHANS, "stubborn.service": STUBBORN}
SLEEPS = {f"sleep {number}" for number in range(1001, 1007)}


def sleeping(lab: Lab) -> set[str]:
    return SLEEPS & set(lab.processes().values())


def start_all(lab: Lab) -> None:
    lab.must("start", *UNITS)
    # The daemon knows no more than that the shells run; they may still be about to start theirs.
    lab.until(lambda: sleeping(lab) == SLEEPS, "all that the shells start")


@pytest.mark.parametrize("cgroups", ["writable", "read-only", "none"])
def test_first_process_of_a_container(cgroups: str, tmp_path: Path, cgroup: Path) -> None:
    """Orphans are reaped; `exit CODE` stops everything and exits with CODE."""
    with Lab(tmp_path, cgroup, UNITS, role="init", cgroups=cgroups) as lab:
        start_all(lab)
        lab.until(lambda: not lab.zombies(), "the end of all orphans")
        lab.unitctl("exit", "7")
        assert lab.wait_for_end() == 7
        assert "nothing is left" in lab.log()
        assert lab.log().count("cannot use cgroups") == (cgroups != "writable")


@pytest.mark.parametrize("cgroups", ["writable", "none"])
def test_who_was_put_beside_a_first_process_is_ended_too(cgroups: str, tmp_path: Path, cgroup: Path) -> None:
    """As a shell of `docker exec`: nobody's child in there. Who only follows the end is not in its way."""
    with Lab(tmp_path, cgroup, UNITS, role="init", cgroups=cgroups) as lab:
        start_all(lab)
        with lab.begin("/bin/sh", "-c", "trap 'exit 3' TERM; sleep 1007 & wait") as beside:
            lab.until(lambda: "sleep 1007" in lab.processes().values(), "the shell beside")
            assert "sleep 1007" not in lab.must("orphans")
            done = lab.unitctl("exit", "7")
            assert done.code == 0, done.out
            assert lab.wait_for_end() == 7
            # It was asked, not killed: it ends by its trap, or because its child was asked just before.
            assert beside.wait(BOUND_S) in (0, 3)
        assert "nothing is left" in lab.log()
        assert re.search(r"asked to end now: .*\(sleep 1007\) .*pid namespace", lab.log())


@pytest.mark.parametrize(("role", "uid"), [("init", 0), ("beside", 0), ("beside", NOBODY)])
@pytest.mark.parametrize("cgroups", ["writable", "none"])
def test_reexecuted(cgroups: str, role: str, uid: int, tmp_path: Path, cgroup: Path) -> None:
    """The same process, and all that it started; orphans still come to it, and nothing is left at the end."""
    with Lab(tmp_path, cgroup, UNITS, role=role, cgroups=cgroups, uid=uid) as lab:
        start_all(lab)
        daemon, running = lab.daemon_pid(), {pid for pid, words in lab.processes().items() if words in SLEEPS}
        for _ in range(3):
            assert "re-executed itself" in lab.must("daemon-reexec")
        assert lab.daemon_pid() == daemon
        assert {pid for pid, words in lab.processes().items() if words in SLEEPS} == running
        lab.must("restart", "orphans.service")
        lab.until(lambda: not lab.zombies(), "the end of all orphans")
        lab.must("stop", "tree.service", "stubborn.service")
        assert sleeping(lab) == {"sleep 1005"}
        assert lab.unitctl("exit", "7").code == 0
        assert lab.wait_for_end() == 7
        assert "nothing is left" in lab.log()
        assert lab.processes() == {}


@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("cgroups", ["writable", "read-only", "none"])
def test_killed_and_started_again(cgroups: str, uid: int, tmp_path: Path, cgroup: Path) -> None:
    """As anybody, with a cgroup tree to write in or without: all is taken over, obeys, and nothing is left."""
    with Lab(tmp_path, cgroup, UNITS, cgroups=cgroups, uid=uid) as lab:
        start_all(lab)
        running = {pid for pid, words in lab.processes().items() if words in SLEEPS}
        for _ in range(2):
            lab.crash()
            lab.start_again()
        assert {pid for pid, words in lab.processes().items() if words in SLEEPS} == running
        assert [lab.show(unit, "ActiveState") for unit in UNITS] == ["active"] * 3
        lab.must("restart", "tree.service")
        lab.must("stop", "tree.service", "stubborn.service")
        assert sleeping(lab) == {"sleep 1005"}
        lab.must("stop", "orphans.service")
        lab.must("start", "tree.service", "stubborn.service")
        lab.crash()
        lab.start_again()
        assert lab.unitctl("exit", "7").code == 0
        assert lab.wait_for_end() == 7
        assert "nothing is left" in lab.log()
        assert lab.processes() == {}


def test_who_is_foreign_beside_others_is_left_alone(tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, UNITS) as lab, lab.begin("/bin/sleep", "1007") as beside:
        lab.until(lambda: "/bin/sleep 1007" in lab.processes().values(), "the other")
        start_all(lab)
        assert lab.unitctl("exit").code == 0
        assert lab.wait_for_end() == 0
        assert set(lab.processes().values()) == {"/bin/sleep 1007"}
        beside.kill()


@pytest.mark.parametrize("role", ["init", "beside"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGRTMIN + 4])
def test_a_signal_stops_everything(number: int, role: str, tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, UNITS, role=role) as lab:
        start_all(lab)
        lab.signal_daemon(number)
        assert lab.wait_for_end() == 0
        assert "nothing is left" in lab.log()
        assert lab.processes() == {}


@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("cgroups", ["read-only", "none", "writable"])
def test_beside_others(cgroups: str, uid: int, tmp_path: Path, cgroup: Path) -> None:
    """As anybody, with a cgroup tree to write in or without: a stop and a shutdown leave nothing."""
    with Lab(tmp_path, cgroup, UNITS, cgroups=cgroups, uid=uid) as lab:
        assert lab.log().count("cannot use cgroups") == (uid != 0 or cgroups != "writable")
        start_all(lab)
        lab.must("stop", "tree.service")
        assert sleeping(lab) == {"sleep 1005", "sleep 1006"}
        lab.must("stop", "orphans.service")
        assert sleeping(lab) == {"sleep 1005", "sleep 1006"}
        lab.must("start", "tree.service")
        done = lab.unitctl("poweroff")
        assert done.code == 0, done.out
        assert lab.wait_for_end() == 0
        assert lab.processes() == {}
        assert not lab.path("/run/lab/unitd/private").exists()


def test_a_daemon_as_first_process(tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, packaged("nginx.service", "cron.service"), role="init") as lab:
        lab.must("start", "nginx.service", "cron.service")
        assert lab.probe("http").out.startswith("HTTP/1.1 200")
        done = lab.unitctl("poweroff")
        assert done.code == 0, done.out
        assert lab.wait_for_end() == 0


def test_a_second_daemon_is_refused(tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, UNITS) as lab:
        second = lab.run(*lab.command())
        assert second.code == 1
        assert "pid" in second.out
        assert lab.unitctl("is-system-running").out == "running\n"


def test_the_console_of_a_first_process_says_who_is_waited_for(tmp_path: Path, cgroup: Path) -> None:
    """Unit, phase, time left, next step, process and where it sleeps; and one line for each unit that is stopped."""
    slow = STUBBORN.replace("TimeoutStopSec=1", "TimeoutStopSec=5")
    with Lab(tmp_path, cgroup, {"stubborn.service": slow, "tree.service": TREE}, role="init") as lab:
        lab.must("start", "stubborn.service", "tree.service")
        lab.unitctl("exit")
        assert lab.wait_for_end() == 0
        assert re.search(r"shutting down: \d+ stopped, \d+ left, \d+ s of 30 s", lab.log())
        waited = (
            r"waiting for stubborn\.service: stop-sigterm, \d s left, then SIGKILL: pid \d+ /bin/sh .*, S \(sleeping\)"
        )
        assert re.search(waited, lab.log())
        assert re.search(r"tree\.service is stopped: SIGTERM to pid \d+ and \d more, ", lab.log())
        assert re.search(
            r"stubborn\.service is stopped, but failed \(timeout\): SIGTERM .*, then SIGKILL to pid", lab.log()
        )
