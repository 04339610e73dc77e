"""The verbs that ask one thing, those that order one, and cat: output and exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.ctl import logs


@pytest.mark.parametrize(
    ("state", "active", "failed"),
    [("active", 0, 1), ("reloading", 0, 1), ("inactive", 3, 1), ("failed", 3, 0), ("activating", 3, 1)],
)
def test_states_and_exit_status(peer: Peer, run: Run, state: str, active: int, failed: int) -> None:
    peer.add("a.service", ActiveState=state)
    assert run("is-active", "a") == (active, f"{state}\n", "")
    assert run("is-failed", "a") == (failed, f"{state}\n", "")


def test_one_active_of_several_is_enough(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active")
    assert run("is-active", "nowhere", "a") == (0, "inactive\nactive\n", "")


def test_quiet_says_nothing(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active")
    assert run("is-active", "-q", "a") == (0, "", "")


@pytest.mark.parametrize(
    ("state", "status"),
    [("enabled", 0), ("static", 0), ("indirect", 0), ("alias", 0), ("disabled", 1), ("masked", 1), ("linked", 1)],
)
def test_is_enabled(peer: Peer, run: Run, state: str, status: int) -> None:
    peer.answers["GetUnitFileState"] = lambda name: ("s", (state,))
    assert run("is-enabled", "a") == (status, f"{state}\n", "")
    assert peer.asked("GetUnitFileState") == [("a.service",)]


def test_is_enabled_of_an_unknown_unit(peer: Peer, run: Run) -> None:
    def refuse(name: str) -> tuple[str, tuple[Any, ...]]:
        raise Error("org.freedesktop.DBus.Error.FileNotFound", "No such file.")

    peer.answers["GetUnitFileState"] = refuse
    assert run("is-enabled", "a").status == 1


@pytest.mark.parametrize(("state", "status"), [("running", 0), ("degraded", 1), ("starting", 1), ("stopping", 1)])
def test_is_system_running(peer: Peer, run: Run, state: str, status: int) -> None:
    peer.manager["SystemState"] = ("s", state)
    assert run("is-system-running") == (status, f"{state}\n", "")


def test_get_default(peer: Peer, run: Run) -> None:
    peer.answers["GetDefaultTarget"] = lambda: ("s", ("multi-user.target",))
    assert run("get-default").out == "multi-user.target\n"


def test_cat_shows_every_file_under_its_path(peer: Peer, run: Run, tmp_path: Path) -> None:
    main, drop_in = tmp_path / "a.service", tmp_path / "over.conf"
    main.write_text("[Service]\nExecStart=/bin/a\n")
    drop_in.write_text("[Service]\nNice=1\n")
    peer.add("a.service", FragmentPath=str(main), DropInPaths=[str(drop_in)])
    assert run("cat", "a").out == f"# {main}\n{main.read_text()}\n# {drop_in}\n{drop_in.read_text()}"


def test_cat_of_an_unknown_unit(peer: Peer, run: Run) -> None:
    assert run("cat", "a") == (1, "", "No files found for a.service.\n")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], ("a.service", "all", 15)),
        (["-s", "HUP"], ("a.service", "all", 1)),
        (["--signal=SIGUSR1", "--kill-whom=main"], ("a.service", "main", 10)),
        (["-s9", "--kill-who=control"], ("a.service", "control", 9)),
    ],
)
def test_kill(peer: Peer, run: Run, options: list[str], asked: tuple[str, str, int]) -> None:
    peer.answers["KillUnit"] = lambda *_: ("", ())
    assert run("kill", "a", *options) == (0, "", "")
    assert peer.asked("KillUnit") == [asked]


def test_unknown_signal_is_named(peer: Peer, run: Run) -> None:
    said = run("kill", "-s", "SIGFOO", "a")
    assert said.status == 1
    assert "'SIGFOO'" in said.err
    assert peer.calls == []


def test_kill_of_a_unit_without_processes(peer: Peer, run: Run) -> None:
    def refuse(*_: Any) -> tuple[str, tuple[Any, ...]]:
        raise Error("NoSuchProcess", "No process to kill.")

    peer.answers["KillUnit"] = refuse
    assert run("kill", "a") == (1, "", "cannot send a signal to a.service: No process to kill.\n")


def test_reset_failed_of_all_and_of_one(peer: Peer, run: Run) -> None:
    peer.answers["ResetFailed"] = peer.answers["ResetFailedUnit"] = lambda *_: ("", ())
    assert run("reset-failed").status == run("reset-failed", "a").status == 0
    assert [name for name, _ in peer.calls] == ["ResetFailed", "ResetFailedUnit"]


def test_cancel(peer: Peer, run: Run) -> None:
    peer.answers["CancelJob"] = lambda number: ("", ())
    assert run("cancel", "12").status == 0
    assert peer.asked("CancelJob") == [(12,)]
    assert run("cancel", "a").status == 1


def test_daemon_reload(peer: Peer, run: Run) -> None:
    peer.answers["Reload"] = lambda: ("", ())
    assert run("daemon-reload") == (0, "", "")


def test_logs_in_the_order_of_time(peer: Peer, run: Run) -> None:
    second = 1_000_000
    lines = {
        "a.service": [(1 * second, "a", 4, "one"), (3 * second, "a", 4, "three\x1b[2J")],
        "b.service": [(2 * second, "b", 5, "two")],
    }
    peer.answers["GetLogs"] = lambda unit, count, since: ("a(tsis)", (lines[unit],))
    assert run("logs", "-n", "20", "--since=@2", "a", "b").out.splitlines() == [
        "a.service: Jan 01 00:00:01 a[4]: one",
        "b.service: Jan 01 00:00:02 b[5]: two",
        "a.service: Jan 01 00:00:03 a[4]: three\\x1b[2J",
    ]
    assert peer.asked("GetLogs") == [("a.service", 20, 2 * second), ("b.service", 20, 2 * second)]


def test_logs_json(peer: Peer, run: Run) -> None:
    peer.answers["GetLogs"] = lambda *_: ("a(tsis)", ([(5, "a", 4, "one")],))
    assert json.loads(run("logs", "-o", "json", "a").out) == [
        {"time_us": 5, "unit": "a.service", "program": "a", "pid": 4, "line": "one"}
    ]


def test_following_shows_each_line_once(peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "TICK_S", 0.0)
    lines: list[tuple[int, str, int, str]] = [(1, "a", 4, "one")]
    asked = 0

    def answer(unit: str, count: int, since: int) -> tuple[str, tuple[Any, ...]]:
        nonlocal asked
        asked += 1
        if asked == 2:
            lines.append((1, "a", 4, "two, in the same microsecond"))
        if asked == 3:
            raise Error("Stop", "enough")
        return "a(tsis)", ([line for line in lines if line[0] >= since],)

    peer.answers["GetLogs"] = answer
    said = run("logs", "-f", "-o", "cat", "a")
    assert said.out.splitlines() == ["one", "two, in the same microsecond"]
    assert "enough" in said.err


@pytest.mark.parametrize(
    ("load", "said"),
    [("loaded", (0, "-- No entries --\n", "")), ("not-found", (4, "", "Unit a.service could not be found.\n"))],
)
def test_a_unit_without_lines_is_told_from_one_that_is_not_there(
    peer: Peer, run: Run, load: str, said: tuple[int, str, str]
) -> None:
    peer.add("a.service", LoadState=load)
    peer.answers["GetLogs"] = lambda unit, lines, since: ("a(tsis)", ([],))
    assert run("logs", "a") == said
