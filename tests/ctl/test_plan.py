"""unitctl plan and --dry-run: a timeline whose last line is the bound, json as the daemon gave it; nothing is done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.ctl.verbs import PLANNED, VERBS


def step(name: str, timeout: float | None, signal: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        **{"step": name, "signal": signal, "timeout_s": timeout},
        **{"cut_from_s": None, "whom": None, "command": None},
        **more,
    }


def entry(unit: str, begins: float | None, *steps: dict[str, Any], pids: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"unit": unit, "begins_s": begins, "steps": list(steps), "pids": list(pids)}


PLAN = {
    **{"verb": "poweroff", "unit": "", "bound_s": 29.004, "cap_s": 30.0},
    "waves": [
        [
            entry("late.target", 9.5),
            entry(
                "a.service",
                0.0,
                step("ExecStop", 5.0, command="/bin/bye \x1b[1m"),
                step("signal", 4.4, "SIGTERM", cut_from_s=20.0, whom="main"),
                step("kill", 0.125, "SIGKILL", whom="all"),
                pids=(3999998, 3999999),
            ),
        ],
        [entry("b.socket", 9.5, step("close", 0.0))],
    ],
}


def answered(peer: Peer, plan: dict[str, Any]) -> None:
    peer.answers["Plan"] = lambda verb, unit: ("s", (json.dumps(plan),))


def test_a_timeline(peer: Peer, run: Run) -> None:
    answered(peer, PLAN)
    said = run("plan", "poweroff")
    assert (said.status, said.err) == (0, "")
    assert [line.rstrip() for line in said.out.splitlines()] == [
        "     AT UNIT        STEP                        AT MOST               PROCESSES",
        "  0.0 s a.service   ExecStop=/bin/bye \\x1b[1m   5 s",
        "  5.0 s a.service   SIGTERM to the main process 4.4 s (cut from 20 s) 3999998 (), 3999999 ()",
        "  9.4 s a.service   SIGKILL                     0.13 s",
        "  9.5 s late.target has no process",
        "  9.5 s b.socket    sockets are closed",
        "then what is left anywhere gets SIGTERM and SIGKILL, until it is proved that nothing is",
        "bound: 29.01 s (cap 30 s)",
    ]
    assert peer.asked("Plan") == [("poweroff", "")]


def test_a_long_command_is_cut_with_a_sign(peer: Peer, run: Run) -> None:
    answered(peer, {**PLAN, "waves": [[entry("a.service", 0.0, step("ExecStop", 5.0, command=70 * "x"))]]})
    assert f" ExecStop={59 * 'x'}… 5 s\n" in run("plan", "poweroff").out


def test_json_is_as_the_daemon_gave_it(peer: Peer, run: Run) -> None:
    answered(peer, PLAN)
    said = run("poweroff", "--dry-run", "-o", "json")
    assert said.status == 0
    assert json.loads(said.out) == PLAN


@pytest.mark.parametrize("verb", PLANNED)
def test_every_changing_verb_can_be_tried(verb: str, peer: Peer, run: Run) -> None:
    answered(peer, PLAN)
    words = ["x"] if VERBS.get(verb, VERBS["start"]).least else []
    assert run("plan", verb, *words).status == 0
    if verb in VERBS:
        assert run(verb, *words, "--dry-run").status == 0
        assert len(set(peer.asked("Plan"))) == 1
    assert {member for member, _ in peer.calls} == {"Plan"}


def test_names_are_made_whole_and_sent_together(peer: Peer, run: Run) -> None:
    answered(peer, PLAN)
    run("condrestart", "a", "b.socket", "--dry-run")
    run("isolate", "rescue", "--dry-run")
    run("exit", "3", "--dry-run")
    assert peer.asked("Plan") == [("try-restart", "a.service b.socket"), ("isolate", "rescue.target"), ("exit", "")]


def test_without_an_end_there_is_no_bound(peer: Peer, run: Run) -> None:
    waves = [[entry("a.service", 0.0, step("signal", None, "SIGTERM"), step("kill", 5.0, "SIGKILL"))]]
    answered(peer, {"verb": "stop", "unit": "a.service", "bound_s": None, "cap_s": None, "waves": waves})
    said = run("stop", "a", "--dry-run", "--no-legend")
    assert said.out.splitlines()[-1] == "bound: infinity (no cap)"
    assert [line.split()[0] for line in said.out.splitlines()] == ["0.0", "never", "bound:"]


def test_nothing_to_do(peer: Peer, run: Run) -> None:
    answered(peer, {"verb": "stop", "unit": "a.service", "bound_s": 0.0, "cap_s": None, "waves": []})
    nothing = (0, "nothing to do\nbound: 0 s (no cap)\n", "")
    assert run("stop", "a", "--dry-run") == nothing
    assert run("stop", "nothing-like-it*", "--dry-run") == nothing


def test_a_refusal_is_that_of_the_verb(peer: Peer, run: Run) -> None:
    def refuse(verb: str, unit: str) -> tuple[str, tuple[Any, ...]]:
        raise Error("NoSuchUnit", "Unit a.service not loaded.")

    peer.answers["Plan"] = refuse
    assert run("stop", "a", "--dry-run") == (5, "", "cannot plan stop a.service: Unit a.service not loaded.\n")


@pytest.mark.parametrize(
    "words",
    [
        ["kill", "a", "--dry-run"],
        ["status", "--dry-run"],
        ["plan", "status"],
        ["plan", "stop"],
        ["plan"],
        ["stop", "a", "--dry-run", "--job-mode=fail"],
        ["poweroff", "-f", "--dry-run"],
    ],
)
def test_what_has_no_plan_is_not_done(words: list[str], peer: Peer, run: Run) -> None:
    said = run(*words)
    assert said.status == 1
    assert said.err.startswith("cannot plan")
    assert peer.calls == []
