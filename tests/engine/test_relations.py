"""What units mean for one another: requirements, order, conflicts, unexpected ends (systemd.unit(5))."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.effects import Kill, Spawn
from unitd.model.events import KillAsked, Whom
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import SECOND

READY = Program(says=((1000, "READY=1"),))


def unit(text: str = "", service: str = "") -> str:
    """A unit file; `text` is of [Unit], lines apart by ';'."""
    lines = "\n".join(text.split(";"))
    more = "\n".join(service.split(";"))
    return f"[Unit]\nDefaultDependencies=no\n{lines}\n[Service]\nExecStart=/bin/%p\n{more}\n"


def house(units: Mapping[str, str], programs: Mapping[str, Program] | None = None) -> House:
    """Services by the letter that names them and their program."""
    return House({f"{name}.service": unit(*text.split("|")) for name, text in units.items()}, programs)


def states(made: House, names: str) -> str:
    """The active states of services, in a row."""
    return " ".join(made.state(f"{name}.service").split("/")[0] for name in names.split())


def order(made: House) -> str:
    """Who was started, in order."""
    return " ".join(effect.plan.path.removeprefix("/bin/") for effect in made.effects(Spawn))


def crash(made: House, name: str) -> None:
    made.ask(lambda token: KillAsked(token, f"{name}.service", Whom.ALL, 9))
    made.run()


def test_a_start_waits_for_what_it_is_ordered_after() -> None:
    made = house({"a": "Requires=b.service;After=b.service", "b": "|Type=notify"}, {"/bin/b": READY})
    made.start("a.service", span=900)
    assert order(made) == "b"
    made.run()
    assert order(made) == "b a"
    assert states(made, "a b") == "active active"


def test_without_an_order_both_start_at_once() -> None:
    made = house({"a": "Requires=b.service", "b": "|Type=notify"}, {"/bin/b": READY})
    made.start("a.service", span=10)
    assert sorted(order(made).split()) == ["a", "b"]


@pytest.mark.parametrize(("kind", "results"), [("Requires", ["dependency"]), ("Wants", ["done"])])
def test_a_failed_start_falls_on_who_requires_it(kind: str, results: list[str]) -> None:
    made = house({"a": f"{kind}=b.service;After=b.service", "b": "|Type=oneshot"}, {"/bin/b": FAILING})
    made.start("a.service")
    assert made.results("a.service") == results
    assert made.results("b.service") == ["failed"]
    assert made.jobs == []


def test_a_missing_program_fails_who_requires_it() -> None:
    made = house({"a": "Requires=b.service;After=b.service", "b": ""}, {"/bin/b": Program(fails=("exec", 2, ""))})
    made.start("a.service")
    assert made.results("a.service") == ["dependency"]
    assert order(made) == "b"


def test_a_required_unit_that_is_missing_refuses_the_start() -> None:
    made = house({"a": "Requires=b.service"})
    with pytest.raises(Refusal) as refusal:
        made.job("start", "a.service")
    assert refusal.value.kind is Kind.NO_SUCH_UNIT
    assert "b.service" in str(refusal.value)


def test_requisite_starts_nothing() -> None:
    made = house({"a": "Requisite=b.service;After=b.service", "b": ""})
    made.start("a.service")
    assert made.results("a.service") == ["dependency"]
    made.start("b.service")
    made.start("a.service")
    assert states(made, "a b") == "active active"


def test_a_stop_takes_dependents_first() -> None:
    made = house(
        {"a": "Requires=b.service;After=b.service", "b": "Requires=c.service;After=c.service", "c": ""},
        {f"/bin/{name}": Program(slow=SECOND) for name in "abc"},
    )
    made.start("a.service")
    made.stop("c.service")
    killed = [(now, effect.unit[0]) for now, effect in made.log if isinstance(effect, Kill) and effect.pids]
    assert [name for _, name in killed] == ["a", "b", "c"]
    assert all(later - earlier > SECOND for (earlier, _), (later, _) in pairwise(killed))
    assert states(made, "a b c") == "inactive inactive inactive"


def test_a_stop_leaves_what_the_unit_depends_on() -> None:
    made = house({"a": "Requires=b.service;After=b.service", "b": ""})
    made.start("a.service")
    made.stop("a.service")
    assert states(made, "a b") == "inactive active"


@pytest.mark.parametrize(
    ("kind", "after"),
    [("Requires", "active"), ("BindsTo", "inactive"), ("PartOf", "active"), ("StopPropagatedFrom", "inactive")],
)
def test_an_unexpected_end_carries_over_by_some_kinds_only(kind: str, after: str) -> None:
    made = house({"a": f"{kind}=b.service;After=b.service", "b": ""})
    made.start("b.service", "a.service")
    crash(made, "b")
    assert states(made, "a b") == f"{after} failed"


@pytest.mark.parametrize("kind", ["Requires", "BindsTo", "PartOf"])
def test_a_stop_carries_over(kind: str) -> None:
    made = house({"a": f"{kind}=b.service;After=b.service", "b": ""})
    made.start("b.service", "a.service")
    made.stop("b.service")
    assert states(made, "a b") == "inactive inactive"


@pytest.mark.parametrize("kind", ["Requires", "BindsTo", "PartOf"])
def test_a_restart_carries_over_in_order(kind: str) -> None:
    made = house({"a": f"{kind}=b.service;After=b.service", "b": ""})
    made.start("b.service", "a.service")
    made.job("restart", "b.service")
    made.run()
    assert order(made) == "b a b a"
    assert states(made, "a b") == "active active"


def test_a_restart_leaves_down_what_is_down() -> None:
    made = house({"a": "PartOf=b.service", "b": ""})
    made.start("b.service")
    made.job("restart", "b.service")
    made.run()
    assert order(made) == "b b"


def test_bound_to_what_restarts_by_itself_comes_back_down_only() -> None:
    made = house({"a": "BindsTo=b.service;After=b.service", "b": "|Restart=always;RestartSec=1"})
    made.start("a.service")
    crash(made, "b")
    assert states(made, "a b") == "inactive active"


def test_conflicts_stop_the_other_one_first() -> None:
    made = house({"a": "Conflicts=b.service;After=b.service", "b": ""}, {"/bin/b": Program(slow=SECOND)})
    made.start("b.service")
    made.start("a.service", span=SECOND // 2)
    assert states(made, "a b") == "inactive deactivating"
    made.run()
    assert states(made, "a b") == "active inactive"
    made.start("b.service")
    assert states(made, "a b") == "inactive active"


def test_a_request_that_contradicts_itself_is_refused() -> None:
    made = house({"a": "Requires=b.service;Conflicts=b.service", "b": ""})
    with pytest.raises(Refusal) as refusal:
        made.job("start", "a.service")
    assert refusal.value.kind is Kind.JOBS_CONFLICTING


def test_a_cycle_is_refused_with_its_path() -> None:
    made = house({"a": "Requires=b.service;After=b.service", "b": "Requires=a.service;After=a.service"})
    with pytest.raises(Refusal) as refusal:
        made.job("start", "a.service")
    assert refusal.value.kind is Kind.ORDER_IS_CYCLIC
    assert "a.service -> b.service -> a.service" in str(refusal.value)


@pytest.mark.parametrize(
    ("program", "started"), [(FAILING, "f"), (DONE, "s"), (Program(life=9, exit=FAILING.exit, says=()), "f")]
)
def test_on_failure_and_on_success(program: Program, started: str) -> None:
    made = house({"a": "OnFailure=f.service;OnSuccess=s.service", "f": "", "s": ""}, {"/bin/a": program})
    made.start("a.service")
    assert order(made) == f"a {started}"


@pytest.mark.parametrize("remain", ["no", "yes"])
def test_on_success_of_a_oneshot(remain: str) -> None:
    made = house({"a": f"OnSuccess=s.service|Type=oneshot;RemainAfterExit={remain}", "s": ""}, {"/bin/a": DONE})
    made.start("a.service")
    made.stop("a.service")
    assert order(made) == "a s"


def test_on_failure_of_a_job_that_fell_with_its_dependency() -> None:
    made = house(
        {"a": "Requires=b.service;After=b.service;OnFailure=f.service", "b": "|Type=oneshot", "f": ""},
        {"/bin/b": FAILING},
    )
    made.start("a.service")
    assert order(made) == "b f"


def test_upheld_units_are_started_again() -> None:
    made = house({"a": "Upholds=b.service", "b": ""})
    made.start("a.service")
    assert states(made, "a b") == "active active"
    made.stop("b.service")
    assert states(made, "a b") == "active active"
    made.stop("a.service")
    made.stop("b.service")
    assert states(made, "a b") == "inactive inactive"


def test_upholding_what_always_fails_comes_to_an_end() -> None:
    made = house({"a": "Upholds=b.service", "b": ""}, {"/bin/b": FAILING})
    made.start("a.service")
    assert made.state("b.service") == "failed/failed start-limit-hit"


def test_a_unit_that_nobody_needs_stops() -> None:
    made = house({"a": "Requires=n.service", "b": "Wants=n.service", "n": "StopWhenUnneeded=yes"})
    made.start("a.service", "b.service")
    made.stop("a.service")
    assert states(made, "n") == "active"
    made.stop("b.service")
    assert states(made, "n") == "inactive"


def test_a_unit_that_nobody_needs_does_not_stay_up() -> None:
    made = house({"n": "StopWhenUnneeded=yes"})
    made.start("n.service")
    assert states(made, "n") == "inactive"


def test_reload_carries_over() -> None:
    made = house(
        {"a": "PropagatesReloadTo=b.service|ExecReload=/bin/ra", "b": "|ExecReload=/bin/rb"},
        {"/bin/ra": DONE, "/bin/rb": DONE},
    )
    made.start("a.service", "b.service")
    made.job("reload", "a.service")
    made.run()
    assert sorted(order(made).split()) == ["a", "b", "ra", "rb"]


def test_bound_to_what_is_not_up_does_not_start() -> None:
    made = house({"a": "BindsTo=b.service;After=b.service", "b": "|Type=oneshot"}, {"/bin/b": DONE})
    made.start("a.service")
    assert made.results("a.service") == ["dependency"]
    assert any("bound to b.service" in line for line in made.lines())


def test_a_target_waits_for_what_it_pulls_in() -> None:
    made = House(
        {
            "t.target": "[Unit]\nWants=a.service",
            "a.service": "[Service]\nType=notify\nExecStart=/bin/a",
        },
        {"/bin/a": READY},
    )
    made.start("t.target", span=900)
    assert made.state("t.target") == "inactive/dead"
    made.run()
    assert made.state("t.target") == "active/active"
    made.stop("t.target")
    assert made.state("t.target") == "inactive/dead"
    assert made.state("a.service") == "active/running success"


def test_isolate_stops_all_that_is_not_pulled_in() -> None:
    made = house({"a": "", "b": "AllowIsolate=yes;Wants=c.service", "c": "", "k": "IgnoreOnIsolate=yes"})
    made.start("a.service", "k.service")
    made.job("start", "b.service", "isolate")
    made.run()
    assert states(made, "a b c k") == "inactive active active active"
    with pytest.raises(Refusal) as refusal:
        made.job("start", "a.service", "isolate")
    assert refusal.value.kind is Kind.NO_ISOLATION


def test_five_thousand_deep() -> None:
    depth = 5000
    units = {
        f"u{i}.service": f"[Unit]\nDefaultDependencies=no\nRequires=u{i + 1}.service\nAfter=u{i + 1}.service\n"
        f"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/a"
        for i in range(depth)
    }
    units[f"u{depth}.service"] = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/a"
    made = House(units, {"/bin/a": Program(life=10)})
    made.job("start", "u0.service")
    assert len(made.jobs) == depth + 1
