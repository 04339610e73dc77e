"""The daemon is killed at chosen moments, each worse than the other: in every stage of a shutdown, in every phase of a
service, in a great transaction, together with its keeper, twice in a row, with a disk that takes nothing any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import PYTHON, Daemon, command_line, is_alive, program, until_gone, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

REST = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
DEAF = f"[Service]\nType=notify\nNotifyAccess=all\nExecStart={program('stubborn')}\n"


def shown(daemon: Daemon, unit: str, name: str) -> str:
    return daemon.must("show", unit, "-P", name).strip()


def again(daemon: Daemon, between: Callable[[], object] = lambda: None) -> None:
    """Kill the daemon, do something, start the next one."""
    daemon.crash()
    between()
    daemon.__enter__()


# --- in a shutdown ------------------------------------------------------------------------------------


def test_in_the_waves(launch: Launch) -> None:
    units = {
        "late.service": f"[Unit]\nBefore=deaf.service\n{REST}",
        "deaf.service": DEAF + "TimeoutStopSec=1h\n",
        "gone.service": f"[Unit]\nAfter=deaf.service\n{REST}",
    }
    daemon = launch(units, config="[Manager]\nShutdownTimeoutSec=1h\n")
    daemon.must("start", *units)
    late = shown(daemon, "late.service", "MainPID")
    daemon.send(signal.SIGTERM)
    daemon.until_line("SIGTERM to deaf.service")
    again(daemon)
    daemon.until_line("the exit under way ended with the daemon before: 5 units not stopped, and kept")
    assert daemon.state("gone.service") == "inactive/dead"
    assert daemon.state("deaf.service") == "deactivating/stop-sigterm"
    assert shown(daemon, "late.service", "MainPID") == late
    daemon.must("kill", "--kill-whom=all", "-s", "KILL", "deaf.service")
    watch_for(lambda: daemon.state("deaf.service") in ("failed/failed", "inactive/dead"), "its end")
    daemon.must("start", *units)
    daemon.must("kill", "--kill-whom=all", "-s", "KILL", "deaf.service")
    daemon.shut_down()


@pytest.mark.parametrize("kind", ["KillMode=none", "SendSIGKILL=no"])
def test_after_the_waves_when_who_was_spared_is_asked(kind: str, launch: Launch) -> None:
    daemon = launch({"a.service": f"{DEAF}TimeoutStopSec=1\n{kind}\n"})
    daemon.must("start", "a.service")
    pids = daemon.members("a.service")
    assert len(pids) == 2
    daemon.send(signal.SIGTERM)
    daemon.until_line("was spared, and is asked to end now")
    again(daemon)
    assert all(is_alive(pid) for pid in pids)
    assert any("a.service" in line and str(pids[0]) in line for line in daemon.lines())
    daemon.shut_down()


def test_between_the_last_proof_and_the_end(launch: Launch) -> None:
    """Nothing runs any more: the next daemon begins afresh."""
    daemon = launch({"a.service": REST, "all.target": "[Unit]\nWants=a.service\n"}, target="all.target")
    daemon.until("a.service", "active/running")
    daemon.send(signal.SIGTERM)
    daemon.until_line("shutdown took")
    again(daemon)
    daemon.until("a.service", "active/running")
    daemon.shut_down()


# --- in a phase of a service ----------------------------------------------------------------------------

HOLD = "/bin/sh -c 'exec 3<>{hold}; read -r line <&3'"
RUNS = "ExecStart=/bin/sleep 1000\n"
PHASES = {
    "condition": ("activating/condition", f"ExecCondition={HOLD}\n{RUNS}"),
    "pre": ("activating/start-pre", f"ExecStartPre={HOLD}\n{RUNS}"),
    "mute": ("activating/start", f"Type=notify\nTimeoutStartSec=infinity\n{RUNS}"),
    "forks": ("activating/start", f"Type=forking\nExecStart={HOLD}\n"),
    "once": ("activating/start", f"Type=oneshot\nExecStart={HOLD}\n"),
    "post": ("activating/start-post", f"{RUNS}ExecStartPost={HOLD}\n"),
    "again": ("activating/auto-restart", "Restart=always\nRestartSec=1h\nExecStart=/bin/true\n"),
    "reloads": ("reloading/reload", f"Type=exec\n{RUNS}ExecReload={HOLD}\n"),
    "stop": ("deactivating/stop", f"Type=exec\n{RUNS}ExecStop={HOLD}\n"),
    "term": ("deactivating/stop-sigterm", "Type=notify\nNotifyAccess=all\nTimeoutStopSec=1h\nExecStart={deaf}\n"),
    "stop-post": ("deactivating/stop-post", f"Type=exec\n{RUNS}ExecStopPost={HOLD}\n"),
    "final": (
        "deactivating/final-sigterm",
        f"Type=exec\nTimeoutStopSec=1h\n{RUNS}"
        "ExecStopPost=/bin/sh -c '{deaf} & until [ -e {ready} ]; do sleep 0.01; done'\n",
    ),
}
SHOWN = ("ActiveState", "SubState", "MainPID", "ControlPID", "InvocationID", "NRestarts", "Job")
READY = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
signal.alarm(120)
signal.pause()
"""
ENDS = {
    **dict.fromkeys(("condition", "pre", "post", "reloads"), ("active/running",)),
    # Nobody knows how it ended, unless the kernel tells.
    "once": ("failed/failed", "inactive/dead"),
    **dict.fromkeys(("stop", "stop-post"), ("inactive/dead", "failed/failed")),
}


@pytest.mark.parametrize("keeper", ["kept", "killed"])
@pytest.mark.parametrize("below", ["", "/there/is/none/such"], ids=["cgroups", "none"])
def test_in_every_phase(keeper: str, below: str, launch: Launch, tmp_path: Path) -> None:
    """All are where they were, with the same processes, twice; then each goes on to its end."""
    hold, ready = tmp_path / "hold", tmp_path / "is-deaf"
    os.mkfifo(hold)
    (tmp_path / "deaf.py").write_text(READY)
    units = {}
    for name, (_, text) in PHASES.items():
        deaf = program("stubborn") if name == "term" else f"{PYTHON} -I -S {tmp_path}/deaf.py {ready}"
        section = text.format(hold=hold, deaf=deaf, ready=ready)
        units[f"{name}.service"] = f"[Unit]\nStartLimitIntervalSec=0\n[Service]\n{section}"
    daemon = launch(units, below=below)

    def of(active: str) -> list[str]:
        return [f"{name}.service" for name, (state, _) in PHASES.items() if state.startswith(active)]

    daemon.must("start", *of("reloading"), *of("deactivating"))
    daemon.must("start", "--no-block", *of("activating"))
    daemon.must("reload", "--no-block", *of("reloading"))
    daemon.must("stop", "--no-block", *of("deactivating"))
    for name, (state, _) in PHASES.items():
        daemon.until(f"{name}.service", state)
        if name not in ("again", "final"):
            watch_for(lambda: has_pid(daemon, f"{name}.service"), "a pid")  # noqa: B023
    for name in ("term", "final"):
        daemon.until_line(f"SIGTERM to {name}.service")

    def look() -> dict[str, str]:
        return {unit: daemon.must("show", unit, *(f"-p{name}" for name in SHOWN)) for unit in units}

    def between() -> None:
        for pid in executors(daemon) if keeper == "killed" else ():
            os.kill(pid, signal.SIGKILL)
            until_gone(pid)

    before, living = look(), daemon.living()
    for _ in range(2):
        again(daemon, between)
        assert look() == before
        assert daemon.living() == living
    fd = os.open(hold, os.O_RDWR)
    os.write(fd, b"go\n" * 50)
    for name, ends in ENDS.items():
        watch_for(lambda: daemon.state(f"{name}.service") in ends, name)  # noqa: B023
    os.close(fd)
    daemon.must("kill", "--kill-whom=all", "-s", "KILL", "term.service", "final.service")
    for name in ("term", "final"):
        watch_for(lambda: daemon.state(f"{name}.service") in ("failed/failed", "inactive/dead"), name)  # noqa: B023
    daemon.shut_down()


def has_pid(daemon: Daemon, unit: str) -> bool:
    return (shown(daemon, unit, "MainPID"), shown(daemon, unit, "ControlPID")) != ("0", "0")


def executors(daemon: Daemon) -> list[int]:
    """The fork servers, with and without a daemon."""
    pids = [int(word) for file in daemon.cgroup.rglob("cgroup.procs") for word in file.read_text().split()]
    return [pid for pid in pids if "unitd/executor" in command_line(pid)]


# --- in a great transaction ------------------------------------------------------------------------------


@pytest.mark.parametrize(("moment", "keeper"), [(0, "kept"), (1, "killed"), (40, "kept"), (150, "killed")])
def test_in_the_middle_of_two_hundred_starts(moment: int, keeper: str, launch: Launch, tmp_path: Path) -> None:
    """All of them run in the end, and each was started once."""
    starts = tmp_path / "starts"
    text = f"[Service]\nType=exec\nExecStart={program('counted', starts, '%n', 'rest')}\n"
    wants = "".join(f"Wants=a@{number}.service\n" for number in range(200))
    daemon = launch({"a@.service": text.replace('"%%n"', '"%n"'), "all.target": f"[Unit]\n{wants}"})
    daemon.must("start", "--no-block", "all.target")
    watch_for(lambda: len(daemon.living()) >= moment, "so many")

    def between() -> None:
        if keeper == "killed":
            for pid in executors(daemon):
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)

    again(daemon, between)
    daemon.until("all.target", "active")
    watch_for(lambda: len(starts.read_text().splitlines()) >= 200, "all of them at work")
    lines = [line.split() for line in starts.read_text().splitlines()]
    assert len(lines) == 200
    assert len({unit for unit, _, _ in lines}) == 200
    daemon.shut_down()


def test_while_three_hundred_files_are_read_again(launch: Launch) -> None:
    units = {f"a{number:03}.service": REST for number in range(300)}
    daemon = launch(units)
    daemon.must("start", "a000.service", "a001.service")
    pid = shown(daemon, "a000.service", "MainPID")
    for milliseconds in (0, 5, 10, 20, 40, 80):
        daemon.add({"a000.service": f"{REST}TimeoutStopSec={milliseconds + 1}\n"})
        daemon.send(signal.SIGHUP)
        time.sleep(milliseconds / 1000)
        again(daemon)
        assert shown(daemon, "a000.service", "MainPID") == pid
        assert len(daemon.members("a001.service")) == 1
    daemon.shut_down()


# --- again and again, and without a disk -------------------------------------------------------------------


def test_two_daemons_in_a_row(launch: Launch, tmp_path: Path) -> None:
    """The next one is killed while it begins, at several points of its start."""
    units = {"a.service": REST, "b.service": f"{REST}ExecStartPre=/bin/sleep 1000\n"}
    daemon = launch(units)
    daemon.must("start", "a.service")
    daemon.must("start", "--no-block", "b.service")
    daemon.until("b.service", "activating/start-pre")
    watch_for(lambda: has_pid(daemon, "b.service"), "a pid")
    names = ("MainPID", "ControlPID", "InvocationID", "SubState")
    before = [[shown(daemon, unit, name) for name in names] for unit in units]
    for milliseconds in (0, 50, 150, 250, 300, 350, 400, 500):
        daemon.crash()
        with subprocess.Popen(daemon._argv, env=daemon._environment, stdout=subprocess.DEVNULL) as other:
            time.sleep(milliseconds / 1000)
            other.kill()
    daemon.__enter__()
    assert [[shown(daemon, unit, name) for name in names] for unit in units] == before
    daemon.shut_down()


def full(state: Path) -> None:
    mount("tmpfs", state, "size=64k")
    with contextlib.suppress(OSError):
        (state / "fill").write_bytes(b"x" * (1 << 20))


def read_only(state: Path) -> None:
    mount("tmpfs", state, "ro")


def mount(kind: str, where: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, kind, where], check=True)


@pytest.mark.parametrize("spoil", [full, read_only], ids=["full", "read-only"])
def test_without_a_place_for_the_record(spoil: Callable[[Path], None], launch: Launch, tmp_path: Path) -> None:
    """What the record does not tell the cgroups do, and the daemon says that it cannot write."""
    state = tmp_path / "run" / "state"
    state.mkdir(parents=True)
    spoil(state)
    try:
        daemon = launch({"a.service": REST, "b.service": REST})
        daemon.must("start", "a.service")
        pid = shown(daemon, "a.service", "MainPID")
        again(daemon)
        assert any(
            "cannot write" in line and "a daemon that is killed now is not remembered" in line
            for line in daemon.lines()
        )
        assert shown(daemon, "a.service", "MainPID") == pid
        assert daemon.state("a.service") == "active/running"
        daemon.must("start", "b.service")
        daemon.must("stop", "a.service")
        daemon.shut_down()
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)
