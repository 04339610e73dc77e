"""start, stop and their kin: what is asked, what is waited for, what is said, and the exit status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer, path_of


@pytest.mark.parametrize(
    ("verb", "method"),
    [
        ("start", "StartUnit"),
        ("stop", "StopUnit"),
        ("restart", "RestartUnit"),
        ("try-restart", "TryRestartUnit"),
        ("condrestart", "TryRestartUnit"),
        ("reload", "ReloadUnit"),
        ("reload-or-restart", "ReloadOrRestartUnit"),
        ("force-reload", "ReloadOrRestartUnit"),
        ("try-reload-or-restart", "ReloadOrTryRestartUnit"),
    ],
)
def test_each_verb_has_its_method(peer: Peer, run: Run, verb: str, method: str) -> None:
    peer.add("a.service")
    peer.job_ends(method, "done")
    assert run(verb, "a") == (0, "", "")
    assert peer.asked(method) == [("a.service", "replace")]


def test_isolate_takes_a_target_in_mode_isolate(peer: Peer, run: Run) -> None:
    peer.add("rescue.target")
    peer.job_ends("StartUnit", "done")
    assert run("isolate", "rescue").status == 0
    assert peer.asked("StartUnit") == [("rescue.target", "isolate")]


def test_units_are_asked_for_together_and_all_waited_for(peer: Peer, run: Run) -> None:
    for name in ("a.service", "b.service"):
        peer.add(name)
    peer.job_ends("StartUnit", "done", "done")
    assert run("start", "a", "b").status == 0
    assert [name for name, _ in peer.calls][:2] == ["StartUnit", "StartUnit"]


def test_pattern_means_units_in_memory(peer: Peer, run: Run) -> None:
    for name in ("a1.service", "a2.service", "b.service"):
        peer.add(name)
    peer.job_ends("StopUnit", "done", "done")
    assert run("stop", "a*").status == 0
    assert peer.asked("StopUnit") == [("a1.service", "replace"), ("a2.service", "replace")]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("NoSuchUnit", 5),
        ("LoadFailed", 6),
        ("JobTypeNotApplicable", 3),
        ("OnlyByDependency", 4),
        ("NoIsolation", 4),
        ("TransactionIsDestructive", 4),
        ("org.freedesktop.DBus.Error.AccessDenied", 4),
        ("org.freedesktop.DBus.Error.NotSupported", 3),
        ("UnitMasked", 1),
    ],
)
def test_refusal_has_systemctls_exit_status(peer: Peer, run: Run, name: str, status: int) -> None:
    def refuse(*_: Any) -> tuple[str, tuple[Any, ...]]:
        raise Error(name, "Because.")

    peer.answers["StartUnit"] = refuse
    said = run("start", "a")
    assert said.status == status
    assert said.err.startswith("cannot start a.service: Because.")


def test_one_refused_and_one_done(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.job_ends("StartUnit", "done")
    assert run("start", "nowhere", "a") == (5, "", "cannot start nowhere.service: Unit nowhere.service not found.\n")


def test_failed_main_process_is_told_with_its_last_lines(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="failed", Result="exit-code", Reason="its main process 12 exited with status 3")
    peer.answers["GetLogs"] = lambda *_: ("a(tsis)", ([(1_700_000_000_000_000, "x", 12, "no such table")],))
    peer.job_ends("StartUnit", "failed")
    said = run("start", "a")
    assert said.status == 1
    assert said.err.splitlines() == [
        "cannot start a.service: its main process 12 exited with status 3",
        "  the last lines of the log of a.service:",
        "    Nov 14 22:13:20 x[12]: no such table",
        "  look further: unitctl status a.service; unitctl logs a.service",
    ]


def test_the_last_words_of_the_service_are_told_too(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="failed", Reason="it took too long to start", StatusText="waiting for \033disk")
    peer.job_ends("StartUnit", "failed")
    said = run("start", "a").err
    assert said.startswith('cannot start a.service: it took too long to start; its last status was "waiting for ')
    assert "\033" not in said


def test_why_it_could_not_be_loaded_comes_first(peer: Peer, run: Run) -> None:
    peer.add("a.service", LoadError=("x", "a.service:3: no"), Reason="old", StatusText="old")
    peer.job_ends("StartUnit", "failed")
    assert run("start", "a").err.startswith("cannot start a.service: a.service:3: no\n")


def test_failed_dependency_is_named(peer: Peer, run: Run) -> None:
    peer.add("a.service", Requires=["b.service", "c.service"])
    peer.add("b.service", ActiveState="failed", Reason="its main process exited with status 2")
    peer.add("c.service", ActiveState="active")
    peer.job_ends("StartUnit", "dependency")
    said = run("start", "a")
    assert said.status == 1
    assert said.err.startswith(
        "cannot start a.service: it requires b.service, which failed: its main process exited with status 2\n"
    )
    assert said.err.endswith("look further: unitctl status b.service; unitctl logs b.service\n")


def test_the_way_to_what_failed_is_told(peer: Peer, run: Run) -> None:
    peer.add("a.service", Requires=["b.service"])
    peer.add("b.service", BindsTo=["c.service"])
    peer.add("c.service", ActiveState="failed", Reason="its main process was killed by SIGSEGV")
    peer.job_ends("StartUnit", "dependency")
    assert run("start", "a").err.startswith(
        "cannot start a.service: it requires b.service, which requires c.service, which failed: "
        "its main process was killed by SIGSEGV\n"
    )


def test_a_ring_of_requirements_ends(peer: Peer, run: Run) -> None:
    peer.add("a.service", Requires=["b.service"])
    peer.add("b.service", Requires=["a.service"])
    peer.job_ends("StartUnit", "dependency")
    assert run("start", "a").status == 1


def test_a_stop_that_needed_force_is_done_and_told(peer: Peer, run: Run) -> None:
    peer.add("a.service")

    def fail(name: str) -> None:
        peer.add(name, ActiveState="failed", Reason="it took too long to stop (TimeoutStopSec= is 3s)")

    peer.job_ends("StopUnit", "done", between=fail)
    assert run("stop", "a") == (
        0,
        "",
        "a.service is stopped, but failed: it took too long to stop (TimeoutStopSec= is 3s)\n",
    )


@pytest.mark.parametrize(
    ("result", "why"),
    [("canceled", "the job was canceled"), ("timeout", "the job's own time (JobTimeoutSec=) was up")],
)
def test_a_stop_that_was_given_up_says_how_far_it_is(peer: Peer, run: Run, result: str, why: str) -> None:
    peer.add("a.service", ActiveState="deactivating", SubState="stop-sigterm")
    peer.answers["GetUnitProcesses"] = lambda name: ("a(sus)", ([("/x/a.service", 2**22 + 1, "/bin/rest")],))
    peer.job_ends("StopUnit", result)
    assert run("stop", "a").err == (
        f"cannot stop a.service: {why}; it is deactivating (stop-sigterm)\n"
        "  left: pid 4194305 /bin/rest\n"
        "  unitctl stop a.service asks again, unitctl kill -s KILL a.service ends what is left\n"
    )


def test_a_stop_that_fails_for_a_dependent_names_it(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active", SubState="running", RequiredBy=["b.service"])
    peer.add("b.service", ActiveState="failed", Hint="pid 7 is in uninterruptible sleep")
    peer.answers["GetUnitProcesses"] = lambda name: ("a(sus)", ([],))
    peer.job_ends("StopUnit", "dependency")
    said = run("stop", "a")
    assert said.status == 1
    assert said.err == (
        "cannot stop a.service: b.service, which needs it, is not stopped; it is active (running)\n"
        "  pid 7 is in uninterruptible sleep\n"
    )


def test_what_a_stop_spares_is_named(peer: Peer, run: Run) -> None:
    peer.add("a.service", Hint="KillMode=process spares it: unitctl kill ...")
    rest = [("/x/a.service", 2**22 + 1, "/bin/rest -x")]
    peer.answers["GetUnitProcesses"] = lambda name: ("a(sus)", (rest,))
    peer.job_ends("StopUnit", "done")
    left = "processes of it are left: pid 4194305 /bin/rest -x\n  KillMode=process spares it: unitctl kill ..."
    assert run("stop", "a") == (0, "", f"a.service is stopped, but {left}\n")
    peer.job_ends("StopUnit", "done")
    (told,) = json.loads(run("-o", "json", "stop", "a").out)
    assert told["spared"] == [{"pid": 4194305, "command": "/bin/rest -x"}]


def test_no_block_does_not_wait(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.answers["StartUnit"] = lambda *_: ("o", ("/org/pyzinit/job/7",))
    assert run("--no-block", "start", "a") == (0, "", "")


def test_json_tells_each_outcome(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.job_ends("StartUnit", "done")
    said = run("-o", "json", "start", "nowhere", "a")
    assert said.status == 5
    assert json.loads(said.out) == [
        {
            "unit": "nowhere.service",
            "job": 0,
            "type": "start",
            "result": "refused",
            "error": {"name": "org.pyzinit.Error.NoSuchUnit", "text": "Unit nowhere.service not found."},
        },
        {"unit": "a.service", "job": 1, "type": "start", "result": "done"},
    ]


def test_changed_files_are_warned_of(peer: Peer, run: Run) -> None:
    peer.add("a.service", NeedDaemonReload=True)
    peer.job_ends("StartUnit", "done")
    assert run("start", "a").err.startswith("Warning: the files of a.service changed on disk")


def test_wait_lasts_until_the_unit_is_down(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active")

    def after(name: str, mode: str) -> Any:
        yield peer.signal("JobRemoved", "uoss", 1, "/org/pyzinit/job/1", name, "done")

    def change(interface: str, name: str) -> tuple[str, tuple[Any, ...]]:
        return "v", (peer.units["a.service"][name],)

    def changes(interface: str, name: str) -> Any:
        if name == "ActiveState" and peer.units["a.service"]["ActiveState"][1] == "active":
            peer.units["a.service"]["ActiveState"] = ("s", "failed")
            message = peer.signal(
                "PropertiesChanged", "sa{sv}as", "org.pyzinit.Unit", {}, [], path=path_of("a.service")
            )
            message.header.fields[2] = "org.freedesktop.DBus.Properties"
            yield message

    peer.job_ends("StartUnit", "done")
    peer.answers["Get"] = change
    peer.after["Get"] = changes
    assert run("start", "--wait", "a").status == 1


def test_a_dead_daemon_is_told(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.answers["StartUnit"] = lambda *_: ("o", ("/org/pyzinit/job/7",))
    peer.after["StartUnit"] = lambda *_: peer.vanish()
    said = run("start", "a")
    assert said.status == 1
    assert "closed the connection" in said.err
