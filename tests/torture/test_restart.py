"""The daemon is killed, and the next one goes on: the same processes, the same states, and nobody else's pid is hit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import BOUND_S, Daemon, adopting, command_line, is_alive, program, until_gone, watch_for

pytestmark = pytest.mark.host

EXEC = "[Service]\nType=exec\n"
REST = f"{EXEC}ExecStart=/bin/sleep 1000\n"
DEAF = f"[Service]\nType=notify\nNotifyAccess=all\nExecStart={program('stubborn')}\n"
SHOWN = ("ActiveState", "SubState", "MainPID", "ControlPID", "InvocationID", "NRestarts", "Result", "StatusText")
TIMES = ("ActiveEnterTimestampMonotonic", "InactiveExitTimestampMonotonic", "StateChangeTimestampMonotonic")


def shown(daemon: Daemon, unit: str, *names: str) -> dict[str, str]:
    """Properties of the unit."""
    lines = daemon.must("show", unit, *(f"-p{name}" for name in names or (*SHOWN, *TIMES))).splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def main_pid(daemon: Daemon, unit: str) -> int:
    """The unit's main process, which there has to be."""
    pid = int(shown(daemon, unit, "MainPID")["MainPID"])
    assert pid > 1, unit
    return pid


def restart(daemon: Daemon, between: Callable[[], object] = lambda: None) -> None:
    """Kill the daemon, do something, and start the next one."""
    daemon.crash()
    between()
    daemon.__enter__()


def record(daemon: Daemon) -> Path:
    return daemon.runtime / "state" / "started"


def rewrite(daemon: Daemon, change: Callable[[dict[str, Any]], object]) -> None:
    """Change every line of the start record."""
    lines = [json.loads(line) for line in record(daemon).read_text().splitlines()]
    for line in lines:
        change(line)
    record(daemon).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that is none of the daemon's."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process.pid
        assert process.poll() is None, "it was signalled"
        process.kill()


def test_every_kind_of_service_goes_on_as_if_nothing_had_been(launch: Launch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    units = {
        "simple.service": REST,
        "notify.service": f"[Service]\nType=notify\nWatchdogSec=60\n"
        f"ExecStart={program('counted', tmp_path / 'starts', 'notify', 'alive')}\n",
        "fork.service": f"[Service]\nType=forking\nPIDFile={tmp_path}/pid\n"
        f"ExecStart={program('counted', tmp_path / 'starts', 'fork', 'daemonize', tmp_path / 'pid')}\n",
        "once.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
        "by.socket": f"[Socket]\nListenStream={tmp_path}/socket\n",
        "by.service": REST,
        "pre.service": f"{EXEC}ExecStartPre=/bin/sh -c 'until [ -e {go} ]; do sleep 0.05; done'\n"
        f"ExecStart=/bin/sleep 1000\n",
        "stopping.service": f"{DEAF}TimeoutStopSec=1h\n",
        "again.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nRestart=on-failure\nRestartSec=1h\n"
        "ExecStart=/bin/false\n",
        "broken.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    }
    daemon = launch(units)
    daemon.must("start", "simple.service", "notify.service", "fork.service", "once.service", "by.socket")
    daemon.must("start", "stopping.service")
    for unit in ("pre.service", "again.service", "broken.service"):
        daemon.must("start", "--no-block", unit)
    daemon.until("pre.service", "activating/start-pre")
    daemon.until("again.service", "activating/auto-restart")
    daemon.until("broken.service", "failed/failed")
    daemon.must("stop", "--no-block", "stopping.service")
    daemon.until("stopping.service", "deactivating/stop-sigterm")
    watch_for(lambda: shown(daemon, "pre.service")["ControlPID"] != "0", "a pid")
    names = [name for name in units if name != "by.service"]
    before = {name: shown(daemon, name) for name in names}

    restart(daemon)
    assert {name: shown(daemon, name) for name in names} == before
    restart(daemon)
    assert {name: shown(daemon, name) for name in names} == before

    go.touch()
    daemon.until("pre.service", "active/running")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{tmp_path}/socket")
        daemon.until("by.service", "active/running")
    daemon.must("kill", "-s", "KILL", "stopping.service")
    # Whether the kernel still tells how a process ended that was not ours depends on its version.
    watch_for(lambda: daemon.state("stopping.service") in ("failed/failed", "inactive/dead"), "an end")
    daemon.must("stop", "simple.service", "notify.service", "fork.service", "by.socket", "by.service", "pre.service")
    assert [name for name in units if daemon.members(name)] == []
    assert daemon.state("simple.service") == "inactive/dead"
    assert daemon.state("fork.service") == "inactive/dead"
    daemon.shut_down()
    assert not record(daemon).exists()


def test_the_end_of_a_process_that_was_taken_over_is_seen(launch: Launch) -> None:
    unit = f"[Unit]\nStartLimitIntervalSec=0\n{EXEC}Restart=always\nRestartSec=10ms\nExecStart=/bin/sleep 1000\n"
    daemon = launch({"a.service": unit})
    daemon.must("start", "a.service")
    restart(daemon)
    for count in ("1", "2"):
        pid = main_pid(daemon, "a.service")
        os.kill(pid, signal.SIGKILL)
        watch_for(lambda: shown(daemon, "a.service")["NRestarts"] == count, "a restart")  # noqa: B023
        daemon.until("a.service", "active/running")
    restart(daemon)
    assert shown(daemon, "a.service")["NRestarts"] == "2"


def test_who_ended_while_no_daemon_watched_failed_and_is_started_again(launch: Launch) -> None:
    rest = "ExecStart=/bin/sleep 1000\n"
    daemon = launch({"a.service": f"{EXEC}Restart=on-failure\nRestartSec=10ms\n{rest}", "b.service": f"{EXEC}{rest}"})
    daemon.must("start", "a.service", "b.service")
    first, other = main_pid(daemon, "a.service"), main_pid(daemon, "b.service")

    def kill() -> None:
        for pid in (first, other):
            os.kill(pid, signal.SIGKILL)
            # As long as it is a zombie the kernel tells its next parent how it ended.
            os.waitpid(pid, 0)

    with adopting():
        restart(daemon, kill)
    daemon.until("b.service", "failed/failed")
    assert "it ended while no daemon watched" in daemon.ctl("status", "b.service").out
    watch_for(lambda: shown(daemon, "a.service")["NRestarts"] == "1", "a restart")
    daemon.until("a.service", "active/running")
    assert main_pid(daemon, "a.service") != first


def test_what_is_printed_meanwhile_is_kept(launch: Launch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "say")
    # It holds the FIFO both ways: no writer finds nobody there, none makes an end of file.
    unit = f"{EXEC}ExecStart=/bin/sh -c 'exec 3<>{tmp_path}/say; while read -r line <&3; do echo \"$line\"; done'\n"
    daemon = launch({"a.service": unit})

    def say(word: str) -> None:
        (tmp_path / "say").write_text(f"{word}\n")

    daemon.must("start", "a.service")
    say("one")
    restart(daemon, lambda: say("two"))
    say("three")
    log = daemon.runtime / "state" / "logs" / "a.service.log"
    watch_for(lambda: log.exists() and "three" in log.read_text(), "a line in the log")
    said = [
        line.split(" ", 2)[1:]
        for line in log.read_text().splitlines()
        if line.split(" ", 2)[2] in ("one", "two", "three")
    ]
    assert [text for _, text in said] == ["one", "two", "three"]
    assert {label for label, _ in said} == {f"sh[{main_pid(daemon, 'a.service')}]:"}


def test_jobs_in_flight_go_on_and_keep_their_order(launch: Launch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    wait = f"/bin/sh -c 'until [ -e {go} ]; do sleep 0.05; done'"
    first = f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre={wait}\n"
    units = {
        "first.service": f"{first}ExecStart=/bin/true\n",
        "second.service": f"[Unit]\nRequires=first.service\nAfter=first.service\n{EXEC}ExecStart=/bin/sleep 1000\n",
    }
    daemon = launch(units)
    daemon.must("start", "--no-block", "second.service")
    daemon.until("first.service", "activating/start-pre")
    jobs = daemon.must("list-jobs")
    restart(daemon)
    assert daemon.must("list-jobs") == jobs
    go.touch()
    daemon.until("second.service", "active/running")


def test_an_interrupted_stop_goes_on_with_its_signal_and_its_deadline(launch: Launch) -> None:
    daemon = launch({"a.service": f"{DEAF}TimeoutStopSec=3\n"})
    daemon.must("start", "a.service")
    pid = main_pid(daemon, "a.service")
    daemon.must("stop", "--no-block", "a.service")
    daemon.until_line("SIGTERM to a.service")
    restart(daemon)
    daemon.until_line("SIGTERM to a.service", 2)
    daemon.until("a.service", "failed/failed")
    until_gone(pid)
    assert shown(daemon, "a.service")["Result"] == "timeout"


def test_what_an_admin_stopped_stays_stopped(launch: Launch) -> None:
    units = {
        "all.target": "[Unit]\nWants=a.service b.service\n",
        "a.service": REST,
        "b.service": REST,
    }
    daemon = launch(units, target="all.target")
    daemon.until("a.service", "active/running")
    daemon.until("b.service", "active/running")
    daemon.must("stop", "a.service")
    restart(daemon)
    assert daemon.state("a.service") == "inactive/dead"
    assert daemon.state("b.service") == "active/running"


def test_a_shutdown_that_was_under_way_is_told_of(launch: Launch) -> None:
    deaf = f"{DEAF}TimeoutStopSec=20\n"
    rest = f"[Unit]\nBefore=a.service\n{EXEC}ExecStart=/bin/sleep 1000\n"
    daemon = launch({"a.service": deaf, "b.service": rest})
    daemon.must("start", "a.service", "b.service")
    daemon.send(signal.SIGTERM)
    daemon.until_line("SIGTERM to a.service")
    restart(daemon)
    daemon.until_line("the exit under way ended with the daemon before")
    assert daemon.state("b.service") == "active/running"
    assert daemon.state("a.service") == "deactivating/stop-sigterm"


# --- the record is lost, or not to be believed ----------------------------------------------------------


def test_without_its_fork_server_either(launch: Launch) -> None:
    daemon = launch({"a.service": REST})
    daemon.must("start", "a.service")
    before = shown(daemon, "a.service")

    def end_fork_server() -> None:
        scope = daemon.groups() / "init.scope" / "cgroup.procs"
        for pid in map(int, scope.read_text().split()):
            assert "unitd/executor" in command_line(pid)
            os.kill(pid, signal.SIGKILL)
            until_gone(pid)

    restart(daemon, end_fork_server)
    assert shown(daemon, "a.service") == before
    daemon.must("stop", "a.service")
    daemon.shut_down()


def lost(daemon: Daemon) -> None:
    record(daemon).unlink()


def corrupt(daemon: Daemon) -> None:
    lines = record(daemon).read_bytes().split(b"\n")
    record(daemon).write_bytes(b"\n".join(line[:-9] if b"a.service" in line else line for line in lines))


def garbage(daemon: Daemon) -> None:
    record(daemon).write_bytes(os.urandom(2000))


def of_another_boot(daemon: Daemon) -> None:
    rewrite(daemon, lambda line: line.update(boot="0" * 32) if "boot" in line else None)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lost, "no record tells of a.service, which has 1 processes"),
        (corrupt, "started:"),
        (garbage, "line 1 is not what it should be"),
        (of_another_boot, "it is of another boot"),
    ],
)
def test_a_service_without_a_record_is_found_by_its_cgroup(
    launch: Launch, spoil: Callable[[Daemon], None], told: str
) -> None:
    unit = f"{EXEC}Restart=always\nRestartSec=10ms\nExecStart=/bin/sleep 1000\n"
    daemon = launch({"a.service": unit})
    daemon.must("start", "a.service")
    before = shown(daemon, "a.service", *SHOWN)
    restart(daemon, lambda: spoil(daemon))
    assert shown(daemon, "a.service", *SHOWN) == before
    daemon.until_line(told)
    daemon.until_line("no record tells of a.service")
    os.kill(int(before["MainPID"]), signal.SIGKILL)
    watch_for(lambda: shown(daemon, "a.service")["NRestarts"] == "1", "a restart")
    daemon.until("a.service", "active/running")
    daemon.must("stop", "a.service")
    daemon.shut_down()


def test_what_runs_for_no_unit_any_more_is_named(launch: Launch) -> None:
    daemon = launch({"a.service": REST})
    daemon.must("start", "a.service")
    pid = main_pid(daemon, "a.service")

    def forget() -> None:
        (daemon.units / "a.service").unlink()
        lost(daemon)

    restart(daemon, forget)
    daemon.until_line("cannot take over what runs in the cgroup of a.service, which is no unit that can be loaded")
    assert is_alive(pid)
    daemon.shut_down()


def test_a_pid_that_is_another_ones_now_is_never_signalled(launch: Launch, stranger: int) -> None:
    daemon = launch({"a.service": f"{EXEC}Restart=no\nExecStart=/bin/sleep 1000\n"})
    daemon.must("start", "a.service")
    pid = main_pid(daemon, "a.service")

    def reuse() -> None:
        os.kill(pid, signal.SIGKILL)
        until_gone(pid)
        rewrite(daemon, lambda line: _replace_pid(line, pid, stranger))

    restart(daemon, reuse)
    daemon.until("a.service", "failed/failed")
    assert daemon.must("show", "a.service", "-pResult") == "Result=unknown\n"
    daemon.must("start", "a.service")
    daemon.must("stop", "a.service")
    daemon.shut_down()


def _replace_pid(line: dict[str, Any], pid: int, other: int) -> None:
    main = (line.get("state") or {}).get("main")
    if main and main.get("pid") == pid:
        main["pid"] = other


# --- torn down instead ------------------------------------------------------------------------------------


def test_with_onrestart_stop_everything_is_stopped_and_the_target_started(launch: Launch) -> None:
    units = {
        "all.target": "[Unit]\nWants=a.service b.service\n",
        "a.service": f"{DEAF}TimeoutStopSec=1\n",
        "b.service": REST,
        "c.service": REST,
    }
    daemon = launch(units, target="all.target", config="[Manager]\nOnRestart=stop\n")
    daemon.until("a.service", "active/running")
    daemon.until("b.service", "active/running")
    daemon.must("start", "c.service")
    before = {unit: main_pid(daemon, unit) for unit in ("a.service", "b.service", "c.service")}
    restart(daemon)
    daemon.until_line("clean start asked for by OnRestart=stop")
    daemon.until_line("shutdown took")
    for pid in before.values():
        until_gone(pid)
    for unit in ("a.service", "b.service"):
        daemon.until(unit, "active/running")
        assert main_pid(daemon, unit) != before[unit]
    assert daemon.state("c.service") == "inactive/dead"
    assert [line for line in daemon.lines() if "not carried out" in line] == []


def test_a_daemon_that_cannot_listen_starts_nothing(tmp_path: Path, cgroup: Path) -> None:
    (tmp_path / "run" / "private").mkdir(parents=True)
    units = {"all.target": "[Unit]\nWants=a.service\n", "a.service": REST}
    daemon = Daemon(tmp_path, cgroup, units, target="all.target")
    with pytest.raises(AssertionError):
        daemon.__enter__()
    assert "cannot start: " in daemon.log()
    assert "SIGTERM" not in daemon.log()
    assert daemon.living() == {}


def failing_python(where: Path, text: str) -> str:
    """An interpreter in which the daemon runs with a mistake."""
    script = where / "python"
    code = f"import sys; {text}; from unitd.runtime.main import main; sys.exit(main())"
    script.write_text(f"#!/bin/sh\nshift 3\nexec {sys.executable} -s -c '{code}' \"$@\"\n")
    script.chmod(0o755)
    return str(script)


def test_a_start_that_fails_half_way_stops_what_it_started(launch: Launch, tmp_path: Path, cgroup: Path) -> None:
    mistake = 'from unitd.runtime import readiness; readiness.tell = lambda text: 1 / (text != "READY=1")'
    units = {"all.target": "[Unit]\nWants=a.service\n", "a.service": REST}
    daemon = Daemon(tmp_path, cgroup, units, target="all.target", python=failing_python(tmp_path, mistake))
    with pytest.raises(AssertionError, match="the daemon ended"):
        daemon.__enter__()
    assert daemon.wait_for_end() == 1
    assert "cannot start: division by zero" in daemon.log()
    assert "nothing is left" in daemon.log()
    assert daemon.living() == {}
    assert not daemon.runtime.joinpath("private").exists()
    assert not record(daemon).exists()


def test_a_daemon_that_cannot_listen_leaves_alone_what_it_did_not_start(launch: Launch) -> None:
    daemon = launch({"a.service": REST})
    daemon.must("start", "a.service")
    before = shown(daemon, "a.service")

    def block() -> None:
        (daemon.runtime / "private").unlink()
        (daemon.runtime / "private").mkdir()

    daemon.crash()
    block()
    with subprocess.Popen(
        daemon._argv, env=daemon._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as failed:
        out, _ = failed.communicate(timeout=BOUND_S)
    assert failed.returncode == 1
    assert "cannot start" in out
    (daemon.runtime / "private").rmdir()
    daemon.__enter__()
    assert shown(daemon, "a.service") == before
