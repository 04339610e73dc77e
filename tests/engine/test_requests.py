"""Requests and their answers: what is done, what is refused and why, and what a look leaves behind."""

from typing import Any

import pytest

from tests.engine.test_relations import crash, house, order, states, unit
from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.machines import service
from unitd.model.effects import JobGone, JobNew, Kill, Leave, UnitGone, UnitNew
from unitd.model.events import (
    CancelAsked,
    Exit,
    How,
    KillAsked,
    Leaving,
    LoadAsked,
    ProcessExited,
    ResetFailedAsked,
    Whom,
)
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import SECOND


def refused(made: House, *asked: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        made.job(*asked)
    return refusal.value


def load(made: House, name: str) -> Any:
    return made.ask(lambda token: LoadAsked(token, name))


def test_unknown_units_and_names_that_are_none() -> None:
    made = house({})
    assert refused(made, "start", "x.service").kind is Kind.NO_SUCH_UNIT
    assert refused(made, "stop", "x.service").kind is Kind.NO_SUCH_UNIT
    assert refused(made, "start", "no name").kind is Kind.INVALID_ARGS


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("[Service]\nExecStart=relative/path\n[Unit]\nx", Kind.BAD_UNIT_SETTING, "x.service:2"),
        ("[Service]\nType=simple", Kind.BAD_UNIT_SETTING, "ExecStart"),
        ("[Service]\nProtectSystem=strict\nExecStart=/bin/x", Kind.BAD_UNIT_SETTING, "ProtectSystem"),
        ("-> /dev/null", Kind.UNIT_MASKED, "masked"),
        ("[Unit]\nRefuseManualStart=yes\n[Service]\nExecStart=/bin/x", Kind.ONLY_BY_DEPENDENCY, "RefuseManualStart"),
    ],
)
def test_a_unit_that_cannot_be_started_says_why(text: str, kind: Kind, words: str) -> None:
    made = House({"x.service": text})
    refusal = refused(made, "start", "x.service")
    assert refusal.kind is kind
    assert words in str(refusal)
    assert made.jobs == []


def test_types_that_are_not_carried_out_are_never_reported_as_started() -> None:
    made = House(
        {
            "t.timer": "[Unit]\nDefaultDependencies=no\n[Timer]\nOnActiveSec=1\nUnit=a.service",
            "a.service": "[Service]\nExecStart=/bin/a",
            "b.service": "[Unit]\nWants=t.timer\n[Service]\nExecStart=/bin/b",
        }
    )
    refusal = refused(made, "start", "t.timer")
    assert refusal.kind is Kind.NOT_SUPPORTED
    assert "not carried out" in str(refusal)
    made.start("b.service")
    assert made.results("t.timer") == ["unsupported"]


def test_the_answer_comes_after_the_job_is_told_and_before_it_runs() -> None:
    made = house({"a": ""})
    made.job("start", "a.service")
    kinds = [type(effect).__name__ for _, effect in made.log]
    assert kinds.index("JobNew") < kinds.index("Answer") < kinds.index("Spawn")


def test_stop_is_idempotent() -> None:
    made = house({"a": ""})
    made.start("a.service")
    made.stop("a.service")
    made.stop("a.service")
    assert made.results("a.service") == ["done", "done", "done"]


def test_cancel_one_and_all() -> None:
    made = house({"a": "|Type=notify", "b": "After=a.service"})
    first = made.job("start", "a.service")
    made.job("start", "b.service")
    made.run(SECOND)
    assert made.ask(lambda token: CancelAsked(token, first)) is None
    made.run(SECOND)
    assert made.results("a.service") == ["canceled"]
    assert made.results("b.service") == ["done"]
    made.job("restart", "b.service")
    made.ask(lambda token: CancelAsked(token, 0))
    assert made.jobs == []
    answer = made.ask(lambda token: CancelAsked(token, 77))
    assert isinstance(answer, Refusal)
    assert answer.kind is Kind.NO_SUCH_JOB


def test_a_job_has_its_timeout() -> None:
    made = house({"a": "JobTimeoutSec=2|Type=notify;TimeoutStartSec=1h"})
    made.start("a.service", span=3 * SECOND)
    assert made.results("a.service") == ["timeout"]


@pytest.mark.parametrize(
    ("whom", "signals"),
    [(Whom.MAIN, 1), (Whom.ALL, 2)],
)
def test_kill_reaches_whom_it_names(whom: Whom, signals: int) -> None:
    made = house({"a": ""}, {"/bin/a": Program(children=(Program(),))})
    made.start("a.service")
    assert made.ask(lambda token: KillAsked(token, "a.service", whom, 18)) is None
    made.run()
    assert [signal for *_, signal in made.kernel.signals] == [18] * signals
    assert states(made, "a") == "active"


@pytest.mark.parametrize(
    ("unit", "whom", "kind"),
    [
        ("a.service", Whom.CONTROL, Kind.NO_SUCH_PROCESS),
        ("b.service", Whom.ALL, Kind.NO_SUCH_PROCESS),
        ("x.service", Whom.ALL, Kind.NO_SUCH_UNIT),
        ("sysinit.target", Whom.ALL, Kind.NO_SUCH_PROCESS),
    ],
)
def test_kill_is_refused_where_there_is_nobody(unit: str, whom: Whom, kind: Kind) -> None:
    made = house({"a": "", "b": ""})
    made.start("a.service")
    answer = made.ask(lambda token: KillAsked(token, unit, whom, 15))
    assert isinstance(answer, Refusal)
    assert answer.kind is kind
    assert made.effects(Kill) == []


def test_reset_failed() -> None:
    made = house({"a": "", "b": ""}, {"/bin/a": FAILING, "/bin/b": FAILING})
    made.start("a.service", "b.service")
    assert made.engine.view.failed_count() == 2
    made.ask(lambda token: ResetFailedAsked(token, "a.service"))
    assert states(made, "a b") == "inactive failed"
    made.ask(lambda token: ResetFailedAsked(token, ""))
    assert states(made, "a b") == "inactive inactive"
    assert made.engine.view.failed_count() == 0


def test_who_only_looks_leaves_nothing_behind() -> None:
    made = house({"a": ""})
    for name in ("a.service", "x.service", "y@1.service"):
        assert load(made, name) == name
        assert made.engine.view.status(name) is not None
    assert load(made, "x.service") == "x.service"
    load(made, "sysinit.target")
    known = made.engine.view.units()
    assert "x.service" not in known
    assert "y@1.service" not in known
    assert {effect.unit for effect in made.effects(UnitGone)} >= {"x.service", "y@1.service", "a.service"}


def test_a_refused_start_leaves_nothing_behind() -> None:
    made = house({})
    refused(made, "start", "x.service")
    load(made, "sysinit.target")
    assert "x.service" not in made.engine.view.units()


def test_an_alias_is_the_unit() -> None:
    made = House(
        {"a.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/a", "n.service": "-> a.service"}
    )
    made.start("n.service")
    assert load(made, "n.service") == "a.service"
    assert states(made, "a") == "active"
    made.stop("n.service")
    assert states(made, "a") == "inactive"


def test_a_mistake_in_one_units_step_fails_this_unit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = house({"a": "", "b": ""})
    made.start("a.service", "b.service")
    step = service.step

    def faulty(state: Any, event: Any, context: Any, now: int) -> Any:
        if context.conf.unit.name == "a.service" and isinstance(event, ProcessExited):
            raise ZeroDivisionError("a mistake")
        return step(state, event, context, now)

    monkeypatch.setattr(service, "step", faulty)
    crash(made, "a")
    assert made.service("a.service").result == "internal"
    assert any("internal error ZeroDivisionError: a mistake" in line for line in made.lines())
    assert states(made, "b") == "active"
    monkeypatch.undo()
    made.run()
    assert made.state("a.service") == "failed/failed internal"
    assert made.kernel.of("a.service") == []
    made.start("a.service")
    assert states(made, "a b") == "active active"


@pytest.mark.parametrize(
    ("lines", "program", "leaving", "code"),
    [
        ("SuccessAction=exit", DONE, Leaving.EXIT, 0),
        ("SuccessAction=exit;SuccessActionExitStatus=42", DONE, Leaving.EXIT, 42),
        ("FailureAction=exit", Program(life=10, exit=Exit(How.EXITED, 7)), Leaving.EXIT, 7),
        ("FailureAction=exit;FailureActionExitStatus=9", FAILING, Leaving.EXIT, 9),
        ("FailureAction=reboot", FAILING, Leaving.REBOOT, 0),
        ("FailureAction=poweroff-force", FAILING, Leaving.POWEROFF, 0),
    ],
)
def test_actions_at_the_end_of_a_unit(lines: str, program: Program, leaving: Leaving, code: int) -> None:
    made = house({"a": lines, "b": ""}, {"/bin/a": program})
    made.start("b.service", "a.service")
    assert [(e.leaving, e.code, e.survivors) for e in made.effects(Leave)] == [(leaving, code, ())]
    assert made.kernel.living == {}


def test_start_limit_action() -> None:
    made = house({"a": "StartLimitBurst=1;StartLimitAction=reboot"}, {"/bin/a": DONE})
    made.start("a.service")
    made.start("a.service")
    assert [(e.leaving, e.code, e.survivors) for e in made.effects(Leave)] == [(Leaving.REBOOT, 0, ())]


@pytest.mark.parametrize(
    ("lines", "true", "results", "ran"),
    [
        ("ConditionPathExists=/x", {"PathExists /x"}, ["done"], "a"),
        ("ConditionPathExists=/x", set(), ["done"], ""),
        ("ConditionPathExists=!/x", set(), ["done"], "a"),
        ("AssertPathExists=/x", set(), ["assert"], ""),
        ("ConditionPathExists=|/x;ConditionPathExists=|/y", {"PathExists /y"}, ["done"], "a"),
        ("ConditionPathExists=|/x;ConditionPathExists=|/y", set(), ["done"], ""),
        ("ConditionPathExists=/x;ConditionPathExists=|/y", {"PathExists /y"}, ["done"], ""),
    ],
)
def test_conditions_and_asserts(lines: str, true: set[str], results: list[str], ran: str) -> None:
    made = House({"a.service": unit(lines), "b.service": unit("Requires=a.service;After=a.service")})
    made.kernel.true |= true
    made.start("a.service")
    assert made.results("a.service") == results
    assert order(made) == ran
    made.start("b.service")
    assert made.results("b.service") == (["dependency"] if results == ["assert"] else ["done"])


def test_a_stop_while_conditions_are_checked() -> None:
    made = house({"a": "ConditionPathExists=/x"})
    made.kernel.true.add("PathExists /x")
    made.acts = False
    made.job("start", "a.service")
    checks = [effect for _, effect in made.log][-2:]
    made.acts = True
    made.job("stop", "a.service")
    for effect in checks:
        made.kernel.perform(effect)
    made.run()
    assert order(made) == ""
    assert made.jobs == []


def test_every_job_that_is_told_of_is_told_to_be_gone() -> None:
    made = house(
        {"a": "Requires=b.service;After=b.service", "b": "Conflicts=c.service", "c": "Wants=a.service"},
        {"/bin/b": FAILING},
    )
    for names in (("c", "a"), ("b",), ("c", "b", "a")):
        made.start(*(f"{name}.service" for name in names), span=50)
    made.run()
    assert sorted(e.id for e in made.effects(JobNew)) == sorted(e.id for e in made.effects(JobGone))
    assert len(made.effects(UnitNew)) == len({e.unit for e in made.effects(UnitNew)})


@pytest.mark.parametrize("wants", ["OnFailure=poweroff.target", "Requires=poweroff.target"])
def test_a_unit_that_wants_an_end_target_gets_the_end(wants: str) -> None:
    made = House(
        {
            "a.service": f"[Unit]\nDefaultDependencies=no\n{wants}\n[Service]\nExecStart=/bin/a",
            "b.service": "[Service]\nExecStart=/bin/b",
            "poweroff.target": "[Unit]\nDefaultDependencies=no",
        },
        {"/bin/a": FAILING},
    )
    made.start("b.service", "a.service")
    assert [(e.leaving, e.survivors) for e in made.effects(Leave)] == [(Leaving.POWEROFF, ())]
    assert made.state("b.service").startswith("inactive")
