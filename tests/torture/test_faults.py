"""What breaks under the daemon: its fork server, its disk, its services' patience; and graphs that are very deep."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import (
    Daemon,
    command_line,
    is_alive,
    parent,
    program,
    small_file_system,
    until_gone,
    watch_for,
)

pytestmark = [pytest.mark.host, pytest.mark.slow]

SLEEP = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"


def fork_server(daemon: Daemon) -> int:
    """The pid of the daemon's fork server; 0 while there is none."""
    for word in Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split():
        if "unitd/executor" in command_line(int(word)) and is_alive(int(word)):
            return int(word)
    return 0


@pytest.mark.parametrize("deaths", [1, 2, 10])
def test_the_fork_server_dies_while_a_hundred_units_start(deaths: int, launch: Launch) -> None:
    """Every unit is started once, and its main process is what the kernel says."""
    units = {f"u{number}.service": SLEEP for number in range(100)}
    daemon = launch({**units, "first.service": SLEEP})
    daemon.must("start", "first.service")
    link = daemon.link
    for unit in units:
        link.send("/org/pyzinit/Manager", "org.pyzinit.Manager", "StartUnit", "ss", unit, "replace")
    for number in range(deaths):
        watch_for(lambda: fork_server(daemon) > 0 or len(daemon.living()) >= 101, "a fork server")
        if victim := fork_server(daemon):
            os.kill(victim, signal.SIGKILL)
            until_gone(victim)
        watch_for(lambda least=5 * number: len(daemon.living()) > least, "some services")  # type: ignore[misc]
    for unit in units:
        daemon.until(unit, "active")
    watch_for(lambda: len(daemon.living()) == 101, "one process for each")
    shown = daemon.must("show", *units, "-p", "MainPID", "--value").split()
    assert {int(word) for word in shown} < daemon.living().keys()
    daemon.must("restart", "first.service")
    daemon.shut_down()


def test_a_service_that_kills_the_fork_server_again_and_again(launch: Launch) -> None:
    script = "while :; do for p in $(cat /proc/$PPID/task/$PPID/children); do grep -q unitd/executor /proc/$p/cmdline "
    script += "&& kill -9 $p; done; sleep 0.02; done"
    text = f"[Service]\nType=exec\nExecStart=/bin/sh -c '{script.replace('$', '$$')}'\n"
    daemon = launch({"killer.service": text, **{f"u{number}.service": SLEEP for number in range(30)}})
    daemon.must("start", "killer.service")
    for number in range(30):
        daemon.must("start", f"u{number}.service")
    assert len([words for words in daemon.living().values() if words == "/bin/sleep 1000"]) == 30
    daemon.shut_down()


def test_the_fork_server_dies_in_the_middle_of_a_shutdown(launch: Launch) -> None:
    """ExecStop= and ExecStopPost= are started all the same."""
    text = SLEEP + "ExecStop=/bin/sleep 0.2\nExecStopPost=/bin/sleep 0.1\n"
    daemon = launch({f"u{number}.service": text for number in range(20)})
    daemon.must("start", *(f"u{number}.service" for number in range(20)))
    daemon.send(signal.SIGTERM)
    daemon.until_line("asked for by SIGTERM")
    if victim := fork_server(daemon):
        os.kill(victim, signal.SIGKILL)
    assert daemon.wait_for_end() == 0
    assert daemon.living() == {}


def test_a_stopped_service_is_stopped(launch: Launch) -> None:
    """SIGSTOP does not keep it from ending, politely: SIGCONT goes with the stop signal."""
    daemon = launch({"a.service": SLEEP, "b.service": f"[Service]\nType=exec\nExecStart={program('slowly', 0)}\n"})
    daemon.must("start", "a.service", "b.service")
    for unit in ("a.service", "b.service"):
        os.kill(int(daemon.must("show", unit, "-p", "MainPID", "--value")), signal.SIGSTOP)
    daemon.must("stop", "a.service")
    assert daemon.state("a.service") == "inactive/dead"
    assert daemon.shut_down() < 20
    assert "SIGKILL" not in daemon.log()


def test_a_frozen_service_is_stopped(launch: Launch) -> None:
    """Somebody froze its cgroup: what it runs does not hear, but the stop thaws it."""
    daemon = launch({"a.service": SLEEP + "TimeoutStopSec=2\n"})
    daemon.must("start", "a.service")
    (daemon.groups() / "system.slice/a.service/cgroup.freeze").write_text("1")
    daemon.must("stop", "a.service")
    assert daemon.living() == {}
    daemon.shut_down()


def test_a_frozen_service_with_commands_to_run_is_stopped(launch: Launch) -> None:
    """ExecStop= is started into the frozen cgroup, and so never runs; its timeout ends it all the same."""
    daemon = launch({"a.service": SLEEP + "TimeoutStopSec=1\nExecStop=/bin/true\nExecStopPost=/bin/true\n"})
    daemon.must("start", "a.service")
    (daemon.groups() / "system.slice/a.service/cgroup.freeze").write_text("1")
    daemon.must("stop", "a.service")
    assert daemon.living() == {}
    daemon.must("start", "a.service")
    assert daemon.shut_down() < 20


def test_starts_and_stops_by_turns_leave_nothing_frozen(launch: Launch) -> None:
    """Each cancels the one before, while its processes are frozen, killed or not even there yet."""
    daemon = launch({"a.service": "[Unit]\nStartLimitIntervalSec=0\n" + SLEEP})
    for _ in range(5):
        for _ in range(60):
            daemon.link.manager("StartUnit", "ss", "a.service", "replace")
            daemon.link.manager("StopUnit", "ss", "a.service", "replace")
        daemon.must("stop", "a.service")
        assert daemon.living() == {}
        daemon.must("start", "a.service")
    assert daemon.shut_down() < 20


def test_a_cgroup_within_the_cgroup(launch: Launch) -> None:
    """A service may have groups of its own below its own (Delegate=); who is in there is the service's too."""
    script = 'd=$$(sed -n s/^0:://p /proc/self/cgroup); m=$$(grep -m1 cgroup2 /proc/mounts | cut -d\\" \\" -f2); '
    script += 'mkdir -p $$m$$d/x/y; (echo 0 >$$m$$d/x/y/cgroup.procs; trap \\"\\" TERM; setsid sleep 1000) & sleep 1000'
    text = f'[Service]\nType=exec\nDelegate=yes\nTimeoutStopSec=1\nExecStart=/bin/sh -c "{script}"\n'
    daemon = launch({"nest.service": text})
    daemon.must("start", "nest.service")
    deep = daemon.groups() / "system.slice/nest.service/x/y/cgroup.procs"
    watch_for(
        lambda: deep.exists() and "sleep" in " ".join(map(command_line, map(int, deep.read_text().split()))), "it"
    )
    daemon.must("stop", "nest.service")
    assert daemon.living() == {}
    daemon.must("start", "nest.service")
    daemon.shut_down()


# --- output --------------------------------------------------------------------------------------------------


def test_floods_of_output_do_not_hold_up_answers(launch: Launch) -> None:
    """Lines, one endless line, NULs: status answers, the daemon's memory is bounded, and so is the disk's share."""
    floods = {
        "yes.service": "[Service]\nType=exec\nExecStart=/usr/bin/yes\n",
        "line.service": "[Service]\nType=exec\nExecStart=/bin/sh -c \"tr '\\\\000' x </dev/zero\"\n",
        "zero.service": "[Service]\nType=exec\nExecStart=/bin/cat /dev/zero\n",
    }
    daemon = launch({**floods, "a.service": SLEEP})
    daemon.must("start", *floods, "a.service")
    for _ in range(10):
        began = time.monotonic()
        daemon.must("status", "a.service")
        assert time.monotonic() - began < 20
        daemon.ctl("logs", "-n", "5", "yes.service")
    daemon.must("restart", "a.service")
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
    assert resident is not None
    assert int(resident[1]) < 120_000
    assert daemon.shut_down() < 20


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for nothing."""
    with small_file_system(tmp_path / "full", "size=4k,nr_inodes=4") as where:
        (where / "filler").write_bytes(b"x" * 4096)
        yield where


def test_a_full_disk(full_disk: Path, launch: Launch) -> None:
    """Said once; everything else works, logs included, from memory."""
    daemon = launch(
        {"a.service": SLEEP, "talks.service": "[Service]\nType=exec\nExecStart=/bin/sh -c 'echo word; sleep 1000'\n"},
        arguments=["--state-dir", str(full_disk)],
    )
    daemon.must("start", "a.service", "talks.service")
    watch_for(lambda: "word" in daemon.ctl("logs", "talks.service").out, "what it said")
    daemon.must("restart", "a.service", "talks.service")
    daemon.shut_down()
    assert daemon.log().count("cannot write logs") == 1
    assert "Traceback" not in daemon.log()


# --- depth -----------------------------------------------------------------------------------------------------


def test_a_chain_of_five_thousand_units(launch: Launch) -> None:
    """Started and stopped in order, without a step of recursion; targets, for it is the graph that is deep."""
    length = 5000
    units = {
        f"c{n}.target": "[Unit]\nDefaultDependencies=no\n"
        + (f"Requires=c{n + 1}.target\nAfter=c{n + 1}.target\n" if n + 1 < length else "")
        for n in range(length)
    }
    daemon = launch(units)
    daemon.must("start", "c0.target")
    assert daemon.ctl("is-active", f"c{length - 1}.target").code == 0
    assert f"all is stopped: {length} units" in daemon.must("exit")
    assert daemon.wait_for_end() == 0
    stopped = re.findall(r"stop of c(\d+).target: done", daemon.log())[-length:]
    assert stopped == [str(n) for n in range(length)]


def test_a_chain_of_three_hundred_services(launch: Launch) -> None:
    length = 300
    units = {
        f"c{n}.service": (f"[Unit]\nRequires=c{n + 1}.service\nAfter=c{n + 1}.service\n" if n + 1 < length else "")
        + SLEEP
        for n in range(length)
    }
    # So that each has a third of a second, and a busy machine makes nobody late.
    daemon = launch(units, config="[Manager]\nShutdownTimeoutSec=100s\n")
    daemon.must("start", "c0.service")
    assert len(daemon.living()) == length
    daemon.shut_down(bound=100)
    assert [one.unit for one in daemon.signals()] == list(units)


def test_the_parent_of_every_service_is_the_daemon(launch: Launch) -> None:
    """What rests on it: exits are told, and orphans come home."""
    daemon = launch({"a.service": "[Service]\nType=exec\nExecStart=/bin/sh -c '(setsid sleep 1000 &); sleep 1000'\n"})
    daemon.must("start", "a.service")
    watch_for(lambda: len(daemon.living()) == 3, "the orphan")
    watch_for(lambda: sum(parent(pid) == daemon.pid for pid in daemon.living()) == 2, "its new parent")
    daemon.shut_down()
