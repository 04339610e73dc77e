"""poweroff and its kin: followed to the last report, and success only when it names nobody."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.ctl import shutdown
from unitd.ctl.connection import Disconnected
from unitd.ctl.session import Session
from unitd.wire.progress import Progress

Script = list[Any]


def play(peer: Peer, method: str, *messages: Any) -> None:
    """Accept the request, then send these."""
    peer.answers[method] = lambda: ("", ())
    peer.after[method] = lambda: messages


def stopped(peer: Peer, unit: str) -> Any:
    return peer.signal("JobRemoved", "uoss", 1, "/org/pyzinit/job/1", unit, "done")


@pytest.mark.parametrize(
    ("verb", "method"), [("poweroff", "PowerOff"), ("reboot", "Reboot"), ("halt", "Halt"), ("exit", "Exit")]
)
def test_a_connection_that_drops_after_done_is_success(peer: Peer, run: Run, verb: str, method: str) -> None:
    play(peer, method, peer.progress("", "done"), None)
    said = run(verb)
    assert said.status == 0
    assert said.out == "all is stopped: no unit was active, no process is left\n"


def test_each_step_is_one_line(peer: Peer, run: Run) -> None:
    play(
        peer,
        "PowerOff",
        peer.progress("a.service", "stop-sigterm", [(2**22 + 1, "/bin/a -x")], 5_000_000, "SIGKILL"),
        peer.progress("a.service", "stop-sigterm", [(2**22 + 1, "/bin/a -x")], 4_900_000, "SIGKILL"),
        peer.progress("a.service", "stop-sigkill", [(2**22 + 1, "/bin/a -x")]),
        stopped(peer, "a.service"),
        peer.progress("", "done"),
        None,
    )
    assert run("poweroff").out.splitlines()[:3] == [
        "a.service: stop-sigterm, 5 s left, then SIGKILL: pid 4194305 /bin/a -x",
        "a.service: stop-sigkill: pid 4194305 /bin/a -x",
        "a.service: stopped",
    ]


def test_what_never_had_a_process_is_no_line(peer: Peer, run: Run) -> None:
    failed = peer.signal("JobRemoved", "uoss", 2, "/org/pyzinit/job/2", "b.target", "timeout")
    units = [stopped(peer, unit) for unit in ("a.service", "a.target", "a.slice")]
    play(peer, "PowerOff", *units, failed, peer.progress("", "done"), None)
    assert run("poweroff").out.splitlines()[:-1] == ["a.service: stopped", "b.target: stop job timeout"]


def test_survivors_are_named(peer: Peer, run: Run) -> None:
    play(peer, "PowerOff", peer.progress("", "survivors", [(2**22 + 1, "/bin/stuck")]), None)
    said = run("poweroff")
    assert said.status == 1
    assert said.err == "cannot stop all: 1 process is left\n  pid 4194305 /bin/stuck\n"


def test_a_connection_that_drops_before_the_last_report_is_no_success(peer: Peer, run: Run) -> None:
    play(peer, "PowerOff", peer.progress("a.service", "stop-sigterm"), None)
    said = run("poweroff")
    assert said.status == 1
    assert "before its last report" in said.err


def test_json_is_one_object(peer: Peer, run: Run) -> None:
    play(peer, "PowerOff", stopped(peer, "a.service"), peer.progress("", "done"), None)
    said = json.loads(run("-o", "json", "poweroff").out)
    assert said["result"] == "done"
    assert said["stopped"] == ["a.service"]
    assert said["survivors"] == []


def test_refused_shutdown(peer: Peer, run: Run) -> None:
    def refuse() -> tuple[str, tuple[Any, ...]]:
        raise Error("org.freedesktop.DBus.Error.AccessDenied", "Not yours.")

    peer.answers["PowerOff"] = refuse
    said = run("poweroff")
    assert said.status == 4
    assert "cannot power off: Not yours." in said.err


def test_exit_gives_its_code_first(peer: Peer, run: Run) -> None:
    play(peer, "Exit", peer.progress("", "done"), None)
    peer.answers["SetExitCode"] = lambda code: ("", ())
    assert run("exit", "7").status == 0
    assert [name for name, _ in peer.calls] == ["SetExitCode", "Exit"]
    assert peer.asked("SetExitCode") == [(7,)]


def test_exit_code_is_checked(peer: Peer, run: Run) -> None:
    assert run("exit", "256") == (1, "", "cannot exit with '256': it is no exit status (0 to 255)\n")


def test_force_skips_the_waves(peer: Peer, run: Run) -> None:
    peer.answers["Force"] = lambda how: ("", ())
    assert run("--no-block", "poweroff", "-f").status == 0
    assert peer.asked("Force") == [("poweroff",)]


def test_force_twice_is_refused(peer: Peer, run: Run) -> None:
    assert run("poweroff", "-ff").status == 1
    assert peer.calls == []


def test_no_block_returns_when_accepted(peer: Peer, run: Run) -> None:
    play(peer, "PowerOff")
    assert run("--no-block", "poweroff") == (0, "", "")


def test_who_waits_for_others_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [
        Progress("a.service", "stop-sigterm", left_us=5_000_000, next="SIGKILL"),
        Progress("b.service", "waiting", next="SIGTERM after a.service"),
    ]
    script = [*(SimpleNamespace(member="ShutdownProgress", body=[report.values]) for report in reports), None, None]

    def signal(timeout: float) -> Any:
        if not script:
            raise Disconnected
        return script.pop(0)

    monkeypatch.setattr(shutdown, "TICK_S", 0.0)
    options = SimpleNamespace(json=False, quiet=False)
    shutdown.Follower(cast(Session, SimpleNamespace(link=SimpleNamespace(signal=signal), options=options))).follow()
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in said] == [
        "a.service",
        "b.service",
        *2 * ["still waiting for a.service"],
    ]
