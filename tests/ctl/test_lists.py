"""list-units, list-unit-files, list-jobs, list-dependencies: rows, order, filters, shapes."""

from __future__ import annotations

import json

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Peer


@pytest.fixture
def units(peer: Peer) -> Peer:
    peer.add("web.service", Description="A Server", ActiveState="active", SubState="running")
    peer.add("bad.service", Description="Broken", ActiveState="failed", SubState="failed")
    peer.add("idle.service", Description="Idle")
    peer.add("a.target", Description="A Target", ActiveState="active", SubState="active")
    return peer


def test_list_units_has_systemctls_columns(units: Peer, run: Run) -> None:
    assert run("list-units").out.splitlines() == [
        "  UNIT        LOAD   ACTIVE SUB     DESCRIPTION",
        "● bad.service loaded failed failed  Broken",
        "  web.service loaded active running A Server",
        "  a.target    loaded active active  A Target",
        "",
        "LOAD   = Reflects whether the unit definition was properly loaded.",
        "ACTIVE = The high-level unit activation state, i.e. generalization of SUB.",
        "SUB    = The low-level unit activation state, values depend on unit type.",
        "3 loaded units listed. Pass --all to see loaded but inactive units, too.",
        "To show all installed unit files use 'unitctl list-unit-files'.",
    ]


def test_no_verb_lists_units(units: Peer, run: Run) -> None:
    assert run("--no-legend").out == run("list-units", "--no-legend").out


def test_plain_without_legend_begins_with_the_name(units: Peer, run: Run) -> None:
    out = run("list-units", "--plain", "--no-legend", "-t", "service").out.splitlines()
    assert [line.split()[0] for line in out] == ["bad.service", "web.service"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--all"], ["bad.service", "idle.service", "web.service", "a.target"]),
        (["--failed"], ["bad.service"]),
        (["--state=inactive,running"], ["idle.service", "web.service"]),
        (["--type=target"], ["a.target"]),
        (["w*"], ["web.service"]),
        (["web"], ["web.service"]),
    ],
)
def test_filters(units: Peer, run: Run, options: list[str], expected: list[str]) -> None:
    out = run("list-units", "--plain", "--no-legend", *options).out.splitlines()
    assert [line.split()[0] for line in out] == expected


def test_unit_with_a_job_is_listed_though_inactive(units: Peer, run: Run) -> None:
    units.jobs = [(7, "idle.service", "start", "waiting", "/org/pyzinit/job/7", "/u")]
    out = run("list-units", "idle*", "--plain").out.splitlines()
    assert out[0] == "UNIT         LOAD   ACTIVE   SUB  JOB   DESCRIPTION"
    assert out[1] == "idle.service loaded inactive dead start Idle"


def test_nothing_to_list(peer: Peer, run: Run) -> None:
    assert run("list-units", "nothing*").out.splitlines()[:2] == [
        "  UNIT LOAD ACTIVE SUB DESCRIPTION",
        "0 loaded units listed. Pass --all to see loaded but inactive units, too.",
    ]


def test_list_units_json(units: Peer, run: Run) -> None:
    assert json.loads(run("list-units", "-o", "json", "web*").out) == [
        {
            "unit": "web.service",
            "load": "loaded",
            "active": "active",
            "sub": "running",
            "job": "",
            "description": "A Server",
        }
    ]


def test_unknown_type_is_refused(peer: Peer, run: Run) -> None:
    assert run("list-units", "-t", "servce").status == 1


def test_list_unit_files(peer: Peer, run: Run) -> None:
    files = [("/etc/unitd/b.target", "static"), ("/usr/lib/unitd/a.service", "enabled")]
    peer.answers["ListUnitFilesByPatterns"] = lambda states, patterns: ("a(ss)", (files,))
    assert run("list-unit-files").out.splitlines() == [
        "UNIT FILE STATE   PRESET",
        "a.service enabled -",
        "b.target  static  -",
        "",
        "2 unit files listed.",
    ]


def test_list_jobs(peer: Peer, run: Run) -> None:
    peer.jobs = [
        (12, "b.service", "start", "waiting", "/org/pyzinit/job/12", "/u"),
        (7, "a.service", "stop", "running", "/org/pyzinit/job/7", "/u"),
    ]
    assert run("list-jobs").out.splitlines() == [
        "JOB UNIT      TYPE  STATE",
        "7   a.service stop  running",
        "12  b.service start waiting",
        "",
        "2 jobs listed.",
    ]


def test_no_jobs(peer: Peer, run: Run) -> None:
    assert run("list-jobs").out == "No jobs running.\n"


def test_dependencies_open_targets_only(peer: Peer, run: Run) -> None:
    peer.add("top.target", Requires=["a.service"], Wants=["sub.target"], ActiveState="active")
    peer.add("sub.target", Wants=["b.service"])
    peer.add("a.service", Requires=["hidden.service"], ActiveState="active")
    peer.add("b.service", ActiveState="failed")
    assert run("list-dependencies", "top.target").out.splitlines() == [
        "top.target",
        "● ├─a.service",
        "○ └─sub.target",
        "\u00d7   └─b.service",
    ]
    assert "hidden.service" in run("list-dependencies", "--all", "top.target").out


def test_dependencies_that_form_a_ring_end(peer: Peer, run: Run) -> None:
    peer.add("a.target", Wants=["b.target"])
    peer.add("b.target", Wants=["a.target"])
    assert run("list-dependencies", "a.target").out == "a.target\n○ └─b.target\n    └─...\n"
    assert run("list-dependencies", "--plain", "a.target").out == "a.target\n  b.target\n"


def test_reverse_and_order(peer: Peer, run: Run) -> None:
    peer.add("a.service", RequiredBy=["x.target"], After=["z.target"])
    assert run("list-dependencies", "--plain", "--reverse", "a").out == "a.service\n  x.target\n"
    assert run("list-dependencies", "--plain", "--after", "a").out == "a.service\n  z.target\n"


def test_a_ladder_with_two_ways_at_each_rung_ends(peer: Peer, run: Run) -> None:
    rungs = 40
    for rung in range(rungs):
        for side in "ab":
            peer.add(f"{side}{rung}.target", Wants=[f"a{rung + 1}.target", f"b{rung + 1}.target"])
    assert len(run("list-dependencies", "--plain", "a0.target").out.splitlines()) < 30_000
