"""status and show: layout, exit status, and every kind of value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.ctl.values import format_property

SECOND = 1_000_000
THEN = 1_700_000_000 * SECOND
PID = 2**22 + 1
"""No pid is as high (proc(5), pid_max)."""


def test_a_running_service_on_one_screen(peer: Peer, run: Run) -> None:
    peer.add(
        "web.service",
        Description="A Server",
        ActiveState="active",
        SubState="running",
        ActiveEnterTimestamp=THEN,
        InactiveExitTimestamp=THEN,
        MainPID=PID,
        StatusText="at your service",
        ControlGroup="/x/web.service",
        TasksCurrent=3,
        TasksMax=100,
        MemoryCurrent=3 * 1024**2 + 200 * 1024,
        CPUUsageNSec=20_000_000,
        DropInPaths=["/etc/unitd/web.service.d/a.conf"],
        Documentation=["man:web(8)"],
        Problems=["web.service:3: cannot carry out Foo=; unitd.conf lets it run all the same"],
    )
    rows = [
        ("/x/web.service", PID, "web: master"),
        ("/x/web.service/w", PID + 2, "web: other"),
        ("/x/web.service", PID + 1, "web: worker"),
    ]
    peer.answers["GetUnitProcesses"] = lambda unit: ("a(sus)", (rows,))
    peer.answers["GetLogs"] = lambda *_: ("a(tsis)", ([(THEN, "web", PID, "hello")],))
    said = run("status", "web")
    lines = said.out.splitlines()
    assert said.status == 0
    assert lines[:4] == [
        "● web.service - A Server",
        "     Loaded: loaded (/etc/unitd/web.service; static)",
        "    Drop-In: /etc/unitd/web.service.d",
        "             └─a.conf",
    ]
    assert lines[4].startswith("     Active: active (running) since Tue 2023-11-14 22:13:20 UTC; ")
    assert lines[5:] == [
        "    Warning: web.service:3: cannot carry out Foo=; unitd.conf lets it run all the same",
        "       Docs: man:web(8)",
        f"   Main PID: {PID}",
        '     Status: "at your service"',
        "      Tasks: 3 (limit: 100)",
        "     Memory: 3.1M",
        "        CPU: 20ms",
        "     CGroup: /x/web.service",
        f"             ├─{PID} web: master",
        f"             ├─{PID + 1} web: worker",
        "             └─w",
        f"               └─{PID + 2} web: other",
        "",
        f"Nov 14 22:13:20 web[{PID}]: hello",
    ]


def test_a_failed_service_says_why(peer: Peer, run: Run) -> None:
    peer.add(
        "a.service",
        ActiveState="failed",
        SubState="failed",
        Result="timeout",
        InactiveEnterTimestamp=THEN,
        ExecMainPID=PID,
        ExecMainCode=2,
        ExecMainStatus=9,
    )
    said = run("status", "a")
    assert said.status == 3
    assert said.out.startswith("\u00d7 a.service\n")
    assert "     Active: failed (Result: timeout) since Tue 2023-11-14" in said.out
    assert f"   Main PID: {PID} (code=killed, signal=KILL)" in said.out


def test_who_outlived_its_time_and_who_is_left(peer: Peer, run: Run) -> None:
    rows: list[tuple[Any, ...]] = [(pid, f"x{pid}", 10_000_000, "S (sleeping)", "do_wait", []) for pid in range(1, 7)]
    rows.append((7, "sleep 1000", 10_000_000, "S (sleeping)", "hrtimer_nanosleep", ["tcp 0.0.0.0:80 listening"]))
    peer.add("a.service", ActiveState="failed", Result="timeout", Hint="do this")
    peer.units["a.service"]["Stragglers"] = ("a(ustssas)", rows)
    peer.answers["GetUnitProcesses"] = lambda name: ("a(sus)", ([("/x/a.service", 2**22 + 1, "/bin/rest")],))
    lines = run("status", "a").out.splitlines()
    at = lines.index("     Killed: after 10s: pid 4 x4, S (sleeping) in do_wait")
    assert lines[at + 3 : at + 7] == [
        "             after 10s: pid 7 sleep 1000, S (sleeping) in hrtimer_nanosleep, tcp 0.0.0.0:80 listening",
        "             and 3 more: unitctl show -p Stragglers a.service",
        "       Left: pid 4194305 /bin/rest",
        "       Hint: do this",
    ]
    assert json.loads(run("-o", "json", "status", "a").out)[0]["stragglers"][-1] == {
        "pid": 7,
        "command": "sleep 1000",
        "waited_us": 10_000_000,
        "state": "S (sleeping)",
        "channel": "hrtimer_nanosleep",
        "sockets": ["tcp 0.0.0.0:80 listening"],
    }


def test_why_a_unit_cannot_be_used_is_said_once(peer: Peer, run: Run) -> None:
    problem = "cannot use a.service: a.service:4: ProtectSystem=: not carried out"
    error = ("org.pyzinit.Error.BadUnitSetting", problem)
    peer.add("a.service", LoadState="bad-setting", LoadError=error)
    peer.units["a.service"]["Problems"] = ("as", [problem, "a.service:5: another"])
    out = run("status", "a").out
    assert out.count("ProtectSystem=") == 1
    assert "    Warning: a.service:5: another\n" in out


@pytest.mark.parametrize(("state", "status"), [("active", 0), ("inactive", 3), ("activating", 3)])
def test_exit_status_by_state(peer: Peer, run: Run, state: str, status: int) -> None:
    peer.add("a.service", ActiveState=state)
    assert run("status", "a").status == status


def test_unknown_unit_is_4(peer: Peer, run: Run) -> None:
    assert run("status", "a") == (4, "", "Unit a.service could not be found.\n")


def test_a_unit_that_could_not_be_read(peer: Peer, run: Run) -> None:
    error = ("org.pyzinit.Error.BadUnitSetting", "cannot load a.service: a.service:3: no ExecStart=")
    peer.add("a.service", LoadState="bad-setting", LoadError=error)
    said = run("status", "a")
    assert said.status == 3
    assert "     Loaded: bad-setting (Reason: cannot load a.service: a.service:3: no ExecStart=)" in said.out


def test_a_log_that_is_not_for_this_user(peer: Peer, run: Run) -> None:
    def refuse(*_: Any) -> tuple[str, tuple[Any, ...]]:
        raise Error("org.freedesktop.DBus.Error.AccessDenied", "logs are for root and adm")

    peer.add("a.service", ActiveState="active", InactiveExitTimestamp=THEN)
    peer.answers["GetLogs"] = refuse
    said = run("status", "a")
    assert said.status == 0
    assert "its log is not shown: logs are for root and adm" in said.out


def test_condition_that_kept_a_unit_from_starting(peer: Peer, run: Run) -> None:
    conditions = [("ConditionPathExists", False, True, "/x", -1)]
    peer.add("a.service", ConditionTimestamp=THEN, ConditionResult=False, Conditions=conditions)
    assert "             └─ ConditionPathExists=!/x was not met" in run("status", "a").out


def test_peer_without_own_additions(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active")
    for name in ("Problems", "TasksCurrent", "Conditions", "MainPID"):
        del peer.units["a.service"][name]
    assert run("status", "a").status == 0


def test_status_json(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active", SubState="running", MainPID=PID, MemoryCurrent=5)
    (said,) = json.loads(run("status", "-o", "json", "a").out)
    assert (said["unit"], said["active"], said["main_pid"], said["memory_bytes"]) == ("a.service", "active", PID, 5)
    assert said["tasks"] is None


def test_status_of_a_pid(peer: Peer, run: Run) -> None:
    peer.add("a.service", ActiveState="active")
    peer.answers["GetUnitByPID"] = lambda pid: ("o", ("/org/pyzinit/unit/a_2eservice",))
    assert run("status", "77").status == 0
    assert peer.asked("GetUnitByPID") == [(77,)]


def test_status_of_everything(peer: Peer, run: Run) -> None:
    peer.manager = {"SystemState": ("s", "degraded"), "NFailedUnits": ("u", 2), "NJobs": ("u", 0), "NNames": ("u", 9)}
    said = run("status")
    assert said.status == 0
    assert "    State: degraded\n" in said.out
    assert "   Failed: 2 units\n" in said.out


# --- show ---------------------------------------------------------------------------------------------


def test_show_named_properties_even_when_empty(peer: Peer, run: Run) -> None:
    peer.add("a.service", MainPID=5)
    assert run("show", "a", "-p", "StatusText,MainPID").out == "MainPID=5\nStatusText=\n"


def test_show_leaves_out_what_is_empty(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    out = run("show", "a").out.splitlines()
    assert "StatusText=" not in out
    assert "LoadError=" not in out
    assert "LoadState=loaded" in out
    assert "StatusText=" in run("show", "--all", "a").out.splitlines()


def test_show_value_only(peer: Peer, run: Run) -> None:
    peer.add("a.service", MainPID=5)
    assert run("show", "-P", "MainPID", "a").out == "5\n"
    assert run("show", "--value", "-p", "MainPID", "a").out == "5\n"


def test_show_of_several_is_parted_by_an_empty_line(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.add("b.service")
    assert run("show", "-p", "Id", "a", "b").out == "Id=a.service\n\nId=b.service\n"


def test_show_of_an_unknown_unit_is_no_error(peer: Peer, run: Run) -> None:
    assert run("show", "-p", "LoadState", "a") == (0, "LoadState=not-found\n", "")


def test_show_of_the_daemon(peer: Peer, run: Run) -> None:
    peer.manager = {"Version": ("s", "0.1"), "NJobs": ("u", 3)}
    assert run("show").out == "Version=0.1\nNJobs=3\n"
    assert json.loads(run("show", "-o", "json").out) == {"Version": "0.1", "NJobs": 3}


NEVER = 2**64 - 1


@pytest.mark.parametrize(
    ("name", "kind", "value", "lines"),
    [
        ("RemainAfterExit", "b", True, ["yes"]),
        ("NRestarts", "u", 3, ["3"]),
        ("UMask", "u", 0o22, ["0022"]),
        ("UID", "u", 2**32 - 1, ["[not set]"]),
        ("TimeoutStopUSec", "t", 90 * SECOND, ["1min 30s"]),
        ("RuntimeMaxUSec", "t", NEVER, ["infinity"]),
        ("ActiveEnterTimestamp", "t", THEN, ["Tue 2023-11-14 22:13:20 UTC"]),
        ("ActiveEnterTimestamp", "t", 0, []),
        ("ActiveEnterTimestampMonotonic", "t", 5, ["5"]),
        ("MemoryCurrent", "t", NEVER, ["[not set]"]),
        ("CPUUsageNSec", "t", NEVER, ["[not set]"]),
        ("MemoryMax", "t", NEVER, ["infinity"]),
        ("LimitNOFILE", "t", NEVER, ["infinity"]),
        ("IOReadBytes", "t", NEVER, ["[no data]"]),
        ("CapabilityBoundingSet", "t", 0b100001, ["cap_chown cap_kill"]),
        ("RestrictNamespaces", "t", 0x7E020000, ["no"]),
        ("RestrictNamespaces", "t", 0x40000000, ["net"]),
        ("InvocationID", "ay", b"\x01\xff", ["01ff"]),
        ("CPUAffinity", "ay", b"\x0b", ["0-1 3"]),
        ("Names", "as", ["a.service", "b.service"], ["a.service b.service"]),
        ("Names", "as", [], []),
        ("Job", "(uo)", (0, "/"), []),
        ("Job", "(uo)", (5, "/x"), ["5"]),
        ("LoadError", "(ss)", ("", ""), []),
        ("LoadError", "(ss)", ("E", "why"), ['E "why"']),
        ("Listen", "a(ss)", [("Stream", "/run/x")], ["/run/x (Stream)"]),
        ("EnvironmentFiles", "a(sb)", [("/x", True)], ["/x (ignore_errors=yes)"]),
        ("SystemCallFilter", "(bas)", (False, ["read"]), ["~read"]),
        ("SuccessExitStatus", "(aiai)", ([4], [15]), ["4 TERM"]),
        (
            "ExecStart",
            "a(sasbttttuii)",
            [("/bin/x", ["/bin/x", "-y"], False, 0, 0, 0, 0, 0, 0, 0)],
            [
                "{ path=/bin/x ; argv[]=/bin/x -y ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; "
                "pid=0 ; code=(null) ; status=0/0 }"
            ],
        ),
        (
            "ExecStartEx",
            "a(sasasttttuii)",
            [("/bin/x", ["/bin/x"], ["no-env-expand"], THEN, 1, THEN, 2, 9, 1, 3)],
            [
                "{ path=/bin/x ; argv[]=/bin/x ; flags=no-env-expand ; start_time=[Tue 2023-11-14 22:13:20 UTC] ; "
                "stop_time=[Tue 2023-11-14 22:13:20 UTC] ; pid=9 ; code=exited ; status=3 }"
            ],
        ),
        (
            "Stragglers",
            "a(ustssas)",
            [(7, "sleep 9", 2_000_000, "S (sleeping)", "do_wait", ["tcp 0.0.0.0:80 listening", "udp 1.2.3.4:5"])],
            [
                "{ pid=7 ; command=sleep 9 ; waited=2s ; state=S (sleeping) ; channel=do_wait ; "
                "sockets=tcp 0.0.0.0:80 listening, udp 1.2.3.4:5 }"
            ],
        ),
        ("StatusText", "s", "two\nlines", ["two\\nlines"]),
        ("Progress", "d", 0.5, ["0.5"]),
        ("SetCredential", "a(say)", [("x", b"")], None),
    ],
)
def test_values_in_words(name: str, kind: str, value: Any, lines: list[str] | None) -> None:
    assert format_property(name, kind, value) == lines
