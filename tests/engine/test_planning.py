"""A plan is what happens: the same order, the same deadlines, no later than the bound; and it changes nothing."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.test_relations import unit
from tests.fakes.house import House
from tests.fakes.kernel import DONE, Program
from unitd.engine import planning
from unitd.machines.phases import Commands, Killing, Rung
from unitd.model.config import Config
from unitd.model.dependencies import Atom
from unitd.model.effects import Kill, UnitNew
from unitd.model.events import Leaving, PlanAsked
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import INFINITY, SECOND
from unitd.shutdown import budget
from unitd.shutdown.plan import Plan, Reach, UnitPlan, shape

STUBBORN = Program(ignores=frozenset({15, 6}))
POLITE = Program(slow=SECOND)


def house(units: Mapping[str, str], cap: int = 30 * SECOND, **programs: Program) -> House:
    """Services by letter, as unit|lines of [Service]; all are started."""
    made = House(
        {f"{name}.service": unit(*text.split("|")) for name, text in units.items()},
        {f"/bin/{name}": program for name, program in programs.items()},
        Config(shutdown_timeout=cap),
    )
    for name in units:
        made.job("start", f"{name}.service", "ignore-dependencies")
    made.run(5 * SECOND)
    return made


def planned(made: House, verb: str = "poweroff", *names: str) -> Plan:
    plan = made.ask(lambda token: PlanAsked(token, verb, names))
    if isinstance(plan, Refusal):
        raise plan
    assert isinstance(plan, Plan)
    return plan


def units(plan: Plan) -> list[list[str]]:
    return [[each.unit for each in wave] for wave in plan.waves]


def of(plan: Plan, name: str) -> UnitPlan:
    return next(each for wave in plan.waves for each in wave if each.unit == f"{name}.service")


def steps(plan: Plan, name: str) -> list[tuple[str, float]]:
    """(step, its length in seconds)."""
    return [(step.step, round(step.timeout / SECOND, 3)) for step in of(plan, name).steps]


def chain(names: str, lines: str) -> dict[str, str]:
    """Each is ordered after the next one, so the first stops first."""
    return {name: f"After={after}.service|{lines}" for name, after in pairwise(names)} | {names[-1]: f"|{lines}"}


# --- the steps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("TimeoutStopSec=3", [("signal", 3), ("kill", 5)]),
        ("TimeoutStopSec=7;KillMode=mixed", [("signal", 7), ("kill", 7)]),
        ("TimeoutStopSec=3;KillMode=none", []),
        ("TimeoutStopSec=3;KillMode=none;ExecStop=/bin/x", [("ExecStop", 3)]),
        ("TimeoutStopSec=3;SendSIGKILL=no", [("signal", 3)]),
        (
            "TimeoutStopSec=3;TimeoutAbortSec=2;TimeoutStopFailureMode=abort",
            [("signal", 3), ("abort", 2), ("kill", 5)],
        ),
        (
            "TimeoutStopSec=1;ExecStop=/bin/x;ExecStopPost=/bin/y",
            [
                *(("ExecStop", 1), ("signal", 1), ("kill", 5)),
                *(("ExecStopPost", 1), ("final-signal", 1), ("final-kill", 5)),
            ],
        ),
    ],
)
def test_the_steps_are_those_of_the_unit(lines: str, expected: Sequence[tuple[str, float]]) -> None:
    plan = planned(house({"a": f"|{lines}"}))
    assert steps(plan, "a") == expected
    assert all(step.own == step.timeout for step in of(plan, "a").steps)


def test_signals_and_whom() -> None:
    plan = planned(house({"a": "|KillMode=mixed;KillSignal=SIGINT;FinalKillSignal=SIGQUIT;TimeoutStopSec=1"}))
    assert [(step.signal, step.whom) for step in of(plan, "a").steps] == [(2, "main"), (3, "all")]
    assert of(plan, "a").reach is Reach.NAMED_FIRST
    restarted = planned(house({"a": "|RestartKillSignal=SIGHUP"}), "restart", "a.service")
    assert [step.signal for step in of(restarted, "a").steps] == [1, 9]


def test_a_stop_under_way_has_only_what_is_left_of_it() -> None:
    made = house({"a": "|TimeoutStopSec=10"}, a=STUBBORN)
    made.stop("a.service", span=4 * SECOND)
    assert steps(planned(made), "a") == [("signal", 6), ("kill", 10)]


def test_without_processes_nobody_is_signalled() -> None:
    made = house({"a": "|Type=oneshot;RemainAfterExit=yes;ExecStopPost=/bin/y;TimeoutStopSec=2"}, a=DONE, y=DONE)
    assert steps(planned(made), "a") == [("ExecStopPost", 2), ("final-signal", 2), ("final-kill", 5)]


# --- a shutdown ---------------------------------------------------------------------------------------------------


def test_a_chain_of_five_that_want_twenty_seconds_each() -> None:
    made = house(chain("abcde", "TimeoutStopSec=20"), a=STUBBORN, b=STUBBORN, c=STUBBORN, d=STUBBORN, e=STUBBORN)
    plan = planned(made)
    assert units(plan) == [[f"{name}.service"] for name in "abcde"]
    for name in "abcde":
        assert steps(plan, name) == [("signal", 4.4), ("kill", 1)]
        assert [step.own for step in of(plan, name).steps] == [20 * SECOND, 20 * SECOND]
    assert (plan.bound, plan.cap) == (30 * SECOND, 30 * SECOND)
    made.shutdown()
    made.run()
    asked = [effect.unit for effect in made.effects(Kill) if effect.signal == 15]
    assert asked == [f"{name}.service" for name in "abcde"]
    assert any("TimeoutStopSec= of a.service is cut from 20 s to 4.4 s: the shutdown must end in 30 s" in line
               for line in made.lines())  # fmt: skip


def test_what_fits_is_not_cut_and_the_bound_is_less_than_the_cap() -> None:
    made = house({"a": "After=b.service|TimeoutStopSec=2", "b": "|TimeoutStopSec=3", "c": "|TimeoutStopSec=1"})
    plan = planned(made)
    number = sum(len(wave) for wave in plan.waves)
    assert plan.bound == (2 + 5 + 3 + 5) * SECOND + budget.LATENCY + number * budget.LATENCY_PER_UNIT + 3 * SECOND
    assert [of(plan, name).begins for name in "abc"] == [0, 7 * SECOND, 0]
    assert units(plan)[:2] == [["a.service", "c.service"], ["b.service"]]


def test_a_graph_that_is_deep_and_idle_has_time_enough_for_the_machine_itself() -> None:
    targets = {f"t{n}.target": f"[Unit]\nDefaultDependencies=no\nAfter=t{n + 1}.target" for n in range(300)}
    made = House(targets)
    made.start(*targets)
    plan = planned(made)
    assert units(plan) == [[name] for name in targets]
    assert plan.bound == budget.LATENCY + 300 * budget.LATENCY_PER_UNIT + budget.RESERVE_MOST


def test_each_cut_is_told_once_and_nothing_else_is() -> None:
    made = house({"a": "|TimeoutStopSec=1h;ExecStop=/bin/x", "b": "|TimeoutStopSec=3"}, a=STUBBORN, x=STUBBORN)
    made.shutdown()
    made.run()
    cut = [line for line in made.lines() if "is cut from" in line]
    assert len(cut) == 1
    assert "of a.service is cut from 3600 s to 13 s" in cut[0]


def test_a_stop_that_is_cut_by_the_shutdown_is_told_once() -> None:
    made = house(
        {"a": "After=b.service|TimeoutStopSec=1h", "b": "After=c.service|TimeoutStopSec=1h", "c": ""}, a=STUBBORN
    )
    made.stop("b.service", span=0)
    made.stop("a.service", span=SECOND)
    made.shutdown()
    made.run()
    assert sum("a.service is cut from" in line for line in made.lines()) == 1


def test_a_forced_end_cuts_nothing_to_nothing() -> None:
    made = house({"a": "|TimeoutStopSec=1h"}, a=STUBBORN)
    made.shutdown(force=True)
    made.run()
    assert not any("is cut from" in line for line in made.lines())


def test_who_ends_early_leaves_it_to_those_that_follow() -> None:
    made = house(chain("abc", "TimeoutStopSec=20"), a=POLITE, b=STUBBORN, c=STUBBORN)
    plan = planned(made)
    made.shutdown()
    made.run(2 * SECOND)
    phase = made.service("b.service").phase
    assert isinstance(phase, Killing)
    assert phase.deadline - made.clock.now > dict(steps(plan, "b"))["signal"] * SECOND


def test_a_plan_of_what_is_left() -> None:
    made = house(chain("ab", "TimeoutStopSec=20"), a=Program(slow=5 * SECOND), b=STUBBORN)
    before = planned(made)
    made.shutdown()
    made.run(7 * SECOND)
    plan = planned(made)
    assert units(plan)[0] == ["b.service"]
    assert plan.bound <= before.bound - 7 * SECOND


MODES = ("KillMode=control-group", "KillMode=mixed", "KillMode=process", "SendSIGKILL=no", "KillMode=none")
LINES = (
    *("TimeoutStopSec=1", "TimeoutStopSec=20", "TimeoutStopSec=infinity", "TimeoutStopFailureMode=abort"),
    *("ExecStop=/bin/x", "ExecStopPost=/bin/x", "TimeoutAbortSec=3", "TimeoutStopFailureMode=kill"),
)
PROGRAMS = (STUBBORN, POLITE, Program(), Program(slow=8 * SECOND), Program(children=(STUBBORN, Program())))


@st.composite
def worlds(draw: Any, programs: Sequence[Program] = PROGRAMS, lines: Sequence[str] = LINES) -> tuple[House, int]:
    """Running services in any order, cycles too, and the cap."""
    names = "abcdef"[: draw(st.integers(1, 6))]
    texts = {}
    for name in names:
        after = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
        own = [draw(st.sampled_from(MODES)), *draw(st.lists(st.sampled_from(lines), max_size=3, unique=True))]
        texts[name] = f"{';'.join(f'After={other}.service' for other in after if other != name)}|{';'.join(own)}"
    chosen = {name: draw(st.sampled_from(programs)) for name in (*names, "x")}
    cap = draw(st.integers(1, 40)) * SECOND
    return house(texts, cap, **chosen), cap


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_the_real_run_keeps_order_and_bound(world: tuple[House, int]) -> None:
    made, cap = world
    plan = planned(made)
    assert plan.bound <= cap
    core = made.engine.core
    broken = planning.outline(core).waves.broken
    before = {name: core.units.related(name, Atom.BEFORE) for wave in units(plan) for name in wave}
    began, seen = made.clock.now, len(made.log)
    made.shutdown()
    made.run()
    assert made.left is not None
    assert made.left.survivors == ()
    assert made.clock.now - began <= plan.bound
    first: dict[str, int] = {}
    for now, effect in made.log[seen:]:
        if isinstance(effect, Kill):
            first.setdefault(effect.unit, now - began)
    signalled = {each.unit for wave in plan.waves for each in wave if each.steps and each.steps[0].step == "signal"}
    assert signalled <= first.keys()
    slack = SECOND // 10
    for wave in plan.waves:
        for each in wave:
            assert first.get(each.unit, 0) <= each.begins + sum(step.timeout for step in each.steps) + slack
    records = core.units.records
    for name in signalled:
        for sooner in before[name]:
            down = records[sooner].times.inactive_enter
            assert name in broken or sooner in broken or down <= first[name] + began


@settings(max_examples=100, deadline=None)
@given(worlds((STUBBORN,), ("TimeoutStopSec=1", "TimeoutStopSec=20", "ExecStop=/bin/x", "ExecStopPost=/bin/x")))
def test_the_deadlines_of_stubborn_units_are_those_of_the_plan(world: tuple[House, int]) -> None:
    """Who is first has exactly what is planned; who comes later has that, and what others left over."""
    made, _ = world
    todo = {each.unit: each for wave in planned(made).waves for each in wave if each.steps}
    made.shutdown()
    while made.left is None:
        for name, each in list(todo.items()):
            record = made.engine.core.units.records[name]
            phase = getattr(record.state, "phase", None)
            if isinstance(phase, Killing | Commands):
                length = phase.deadline - record.times.active_exit
                assert length == each.steps[0].timeout or (each.begins and length > each.steps[0].timeout)
                del todo[name]
        made.run(max(1, min(made.engine.deadline(), made.kernel.next_instant()) - made.clock.now))
    assert not todo


# --- a request -----------------------------------------------------------------------------------------------------


def test_a_stop_takes_along_what_needs_the_unit() -> None:
    made = house({"a": "Requires=b.service;After=b.service|TimeoutStopSec=2", "b": "|TimeoutStopSec=1h", "c": ""})
    plan = planned(made, "stop", "b.service")
    assert units(plan) == [["a.service"], ["b.service"]]
    assert (plan.verb, plan.unit, plan.cap) == ("stop", "b.service", INFINITY)
    assert [of(plan, name).begins for name in "ab"] == [0, 7 * SECOND]
    assert plan.bound == (2 + 5 + 3600 + 90) * SECOND


def test_a_restart_is_a_stop_and_a_start_after_it() -> None:
    made = house(
        {"a": "Requires=b.service;After=b.service|TimeoutStartSec=4", "b": "|TimeoutStopSec=1;ExecStartPre=/bin/x"},
        x=DONE,
    )
    plan = planned(made, "restart", "b.service")
    services = [each for wave in plan.waves for each in wave if each.unit.endswith(".service")]
    assert [each.unit[0] for each in services] == ["a", "b", "b", "a"]
    last = [[step.step for step in each.steps] for each in services]
    assert last == [["signal", "kill"], ["signal", "kill"], ["ExecStartPre", "start"], ["start"]]


@pytest.mark.parametrize(
    ("verb", "name", "expected"),
    [
        ("start", "a.service", []),
        ("stop", "z.service", []),
        ("try-restart", "z.service", []),
        ("start", "z.service", [["y.service"], ["z.service"]]),
        ("reload", "r.service", [["r.service"]]),
        ("reload-or-restart", "r.service", [["r.service"]]),
        ("isolate", "t.target", [["a.service", "r.service", "t.target"]]),
    ],
)
def test_only_what_there_is_to_do(verb: str, name: str, expected: list[list[str]]) -> None:
    made = House(
        {
            "a.service": unit(),
            "r.service": unit("", "ExecReload=/bin/x"),
            "y.service": unit(),
            "z.service": unit("Requires=y.service;After=y.service"),
            "t.target": "[Unit]\nAllowIsolate=yes\nDefaultDependencies=no",
        }
    )
    made.start("a.service", "r.service")
    assert [sorted(wave) for wave in units(planned(made, verb, name))] == expected


def test_several_units_make_one_plan() -> None:
    made = house({"a": "After=b.service|", "b": "", "c": ""})
    plan = planned(made, "stop", "b.service", "a.service")
    assert units(plan) == [["a.service"], ["b.service"]]
    assert plan.unit == "b.service a.service"


@pytest.mark.parametrize("verb", ["start", "isolate"])
def test_the_start_of_a_power_target_is_a_shutdown(verb: str) -> None:
    made = house({"a": ""})
    assert units(planned(made, verb, "poweroff.target")) == units(planned(made))


@pytest.mark.parametrize(
    ("verb", "names", "kind"),
    [
        ("stop", ("nope.service",), Kind.NO_SUCH_UNIT),
        ("start", ("nope.service",), Kind.NO_SUCH_UNIT),
        ("start", ("shutdown.target",), Kind.ONLY_BY_DEPENDENCY),
        ("isolate", ("a.service",), Kind.NO_ISOLATION),
        ("stop", ("x y",), Kind.INVALID_ARGS),
        ("stop", (), Kind.INVALID_ARGS),
        ("explode", ("a.service",), Kind.INVALID_ARGS),
    ],
)
def test_a_plan_is_refused_as_the_request_is(verb: str, names: tuple[str, ...], kind: Kind) -> None:
    made = house({"a": ""})
    with pytest.raises(Refusal) as refusal:
        planned(made, verb, *names)
    assert refusal.value.kind is kind


def test_during_a_shutdown_starts_have_no_plan() -> None:
    made = house({"a": ""}, a=Program(slow=SECOND))
    made.shutdown()
    with pytest.raises(Refusal) as refusal:
        planned(made, "start", "a.service")
    assert refusal.value.kind is Kind.SHUTTING_DOWN


# --- no side effect -------------------------------------------------------------------------------------------------


def test_nothing_changes_and_what_was_only_looked_at_is_forgotten() -> None:
    made = House({"a.service": unit("Wants=b.service"), "b.service": unit(), "z.service": unit("Wants=y.service")})
    made.start("a.service")
    core = made.engine.core
    before = {name: (record.state, record.times) for name, record in core.units.records.items()}
    seen = len(made.log)
    for verb in ("start", "stop", "restart", "isolate", "reload"):
        made.ask(lambda token, verb=verb: PlanAsked(token, verb, ("z.service",)))
    for leaving in Leaving:
        planned(made, leaving)
    assert {type(effect).__name__ for _, effect in made.log[seen:]} <= {"Answer", "UnitNew", "UnitGone"}
    assert any(isinstance(effect, UnitNew) for _, effect in made.log[seen:])
    assert made.jobs == []
    assert {name: (record.state, record.times) for name, record in core.units.records.items()} == before
    assert core.ending is None


def test_the_shape() -> None:
    made = house({"a": "|TimeoutStopSec=1h;ExecStop=/bin/x -y 'z z'"}, 10 * SECOND)
    told = shape(planned(made), lambda name, last: [7, *last])
    assert {key: told[key] for key in ("verb", "unit", "bound_s", "cap_s")} == {
        **{"verb": "poweroff", "unit": ""},
        **{"bound_s": 10.0, "cap_s": 10.0},
    }
    (entry,) = told["waves"][0]
    main = made.service("a.service").main
    assert main is not None
    assert (entry["unit"], entry["pids"], entry["begins_s"]) == ("a.service", [7, main.pid], 0.0)
    assert entry["steps"][0] == {
        **{"step": "ExecStop", "signal": None, "timeout_s": 3.5, "cut_from_s": 3600.0},
        **{"whom": None, "command": "/bin/x -y z z"},
    }
    assert entry["steps"][2]["signal"] == "SIGKILL"


def test_infinity_is_null() -> None:
    made = house({"a": "|TimeoutStopSec=infinity"})
    told = shape(planned(made, "stop", "a.service"), lambda name, last: last)
    assert (told["bound_s"], told["cap_s"], told["waves"][0][0]["steps"][0]["timeout_s"]) == (None, None, None)


def test_a_rung_is_left_when_nobody_can_be_ended_and_nothing_follows() -> None:
    made = house({"a": "|TimeoutStopSec=2"}, a=Program(immortal=True))
    made.stop("a.service", span=2 * SECOND + SECOND // 2)
    assert made.service("a.service").phase == Killing(Rung.KILL, made.clock.now + 5 * SECOND - SECOND // 2)
    made.run(5 * SECOND)
    assert made.state("a.service").startswith("failed")
    assert [signal for signal, _ in made.kills("a.service")] == [15, 9, 9]
