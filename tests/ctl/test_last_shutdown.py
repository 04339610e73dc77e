"""last-shutdown: the report as text and as JSON, and clear words when there is none."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.model.processes import Evidence, Straggler
from unitd.model.report import DONE, INTERRUPTED, SURVIVORS, Killed, Phase, Report, Signal, Stray, UnitEnd

SLEEPER = Straggler(
    123,
    command="sleep 1000",
    state="S (sleeping)",
    channel="hrtimer_nanosleep",
    sockets=("tcp 0.0.0.0:80 listening",),
)
POLITE = UnitEnd("polite.service", 1, "inactive", "success", 0.02, 0.02, 90.0, signals=(Signal("SIGTERM", 0.0, 1),))
DEAF = UnitEnd(
    "deaf.service",
    2,
    "failed",
    "timeout",
    10.1,
    10.1,
    10.0,
    60.0,
    phases=(Phase("stop-sigterm", 0.1), Phase("stop-sigkill", 10.1)),
    signals=(Signal("SIGTERM", 0.1, 2), Signal("SIGKILL", 10.1, 2)),
    escalated=True,
    waited_s=10.0,
    killed=(Killed(123, "sleep 1000"), Killed(124, "sh")),
    evidence=Evidence((SLEEPER,), 1, ("said last",)),
    exec_stop="exited with status 1",
    hint="let it end on SIGTERM",
)
WHOLE = Report(
    "poweroff", "D-Bus (uid 0, pid 7)", 1_700_000_000_000_000, 30.0, DONE, 12.4, 10.2, (POLITE, DEAF), others=3
)


def serve(peer: Peer, report: Report, state: str = "running") -> dict[str, Any]:
    text = msgspec.json.encode(report).decode()
    peer.answers["LastShutdown"] = lambda: ("s", (text,))
    peer.manager = {"SystemState": ("s", state)}
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_table_then_who_was_killed_then_the_sum(peer: Peer, run: Run) -> None:
    serve(peer, WHOLE)
    status, out, err = run("last-shutdown")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "poweroff, asked for by D-Bus (uid 0, pid 7) on Tue 2023-11-14 22:13:20 UTC",
        "",
        "UNIT           SIGNAL           TIME   ALLOTTED            END",
        "polite.service SIGTERM          0.02 s 90 s                stopped",
        "deaf.service   SIGTERM, SIGKILL 10.1 s 10 s, cut from 60 s killed",
        "",
        "deaf.service was killed after 10 s:",
        "  ExecStop= exited with status 1",
        "  pid 123 sleep 1000, S (sleeping) in hrtimer_nanosleep, tcp 0.0.0.0:80 listening",
        "  SIGKILL also to 124 (sh)",
        "  it printed last:",
        "    said last",
        "  let it end on SIGTERM",
        "",
        "took 10.2 s of 30 s (plan 12.4 s): 2 services, nothing is left",
    ]


def test_who_was_killed_before_it_was_asked_is_told_as_killed(peer: Peer, run: Run) -> None:
    told = serve(
        peer, msgspec.structs.replace(WHOLE, leaving="stay", units=(msgspec.structs.replace(DEAF, state="active"),))
    )
    assert told["units"][0]["state"] == "active"
    lines = run("last-shutdown").out.splitlines()
    assert lines[0].startswith("clean start, asked for by D-Bus")
    assert lines[3].endswith(" killed")


def test_it_is_told_who_lived_on(peer: Peer, run: Run) -> None:
    stuck = Stray(9, "dd", "a.service", "cgroup", note="pid 9 is in uninterruptible sleep")
    spared = Stray(8, "nginx", "b.service", "port 80/tcp", ours=False)
    serve(peer, msgspec.structs.replace(WHOLE, outcome=SURVIVORS, units=(), spared=(spared,), survivors=(stuck,)))
    out = run("last-shutdown").out
    assert "not ours, and left alone:\n  pid 8 nginx of b.service, port 80/tcp\n" in out
    assert "could not be ended:\n  pid 9 dd of a.service, pid 9 is in uninterruptible sleep\n" in out
    assert out.endswith("0 services, 1 process is left\n")


def test_one_without_an_end_was_interrupted_or_is_under_way(peer: Peer, run: Run) -> None:
    report = msgspec.structs.replace(WHOLE, outcome=INTERRUPTED, took_s=None)
    serve(peer, report)
    assert run("last-shutdown").out.endswith(
        "it was interrupted: the daemon or the machine was ended in the middle of it\n"
    )
    serve(peer, report, "stopping")
    assert run("last-shutdown").out.endswith("it is under way, and may take 30 s (plan 12.4 s)\n")


def test_json_is_the_report_itself(peer: Peer, run: Run) -> None:
    told = serve(peer, WHOLE)
    assert json.loads(run("-o", "json", "last-shutdown").out) == told


def test_a_report_of_another_version_is_no_crash(peer: Peer, run: Run) -> None:
    peer.answers["LastShutdown"] = lambda: ("s", ('{"outcome":"done"}',))
    assert run("last-shutdown") == (
        1,
        "",
        "cannot show the last shutdown: another version of unitd wrote it; see -o json\n",
    )


def test_without_a_report_it_says_so(peer: Peer, run: Run) -> None:
    def none() -> tuple[str, tuple[Any, ...]]:
        raise Error("org.freedesktop.DBus.Error.FileNotFound", "cannot tell of the last shutdown: no report is kept")

    peer.answers["LastShutdown"] = none
    assert run("last-shutdown") == (1, "", "cannot tell of the last shutdown: no report is kept\n")
