"""Requests and the jobs that they become, one rule a test."""

from collections.abc import Mapping

import pytest

from unitd.jobs.transaction import Transaction
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import Active, JobType, Load
from unitd.model.unit import Unit

from .graph import Units, planned, unit

UP = Active.ACTIVE


def units_of(*units: Unit, up: str = "") -> Units:
    return Units(units, dict.fromkeys(up.split(), UP))


def refused(units: Units, type: str, name: str, mode: str = "replace") -> Refusal:
    with pytest.raises(Refusal) as caught:
        units.build(type, name, mode)
    return caught.value


def requires(up: str = "") -> Units:
    return units_of(
        unit("a.service", Requires="b.service", After="b.service"),
        unit("b.service", Wants="c.service"),
        unit("c.service"),
        up=up,
    )


@pytest.mark.parametrize(
    ("type", "up", "expected"),
    [
        ("start", "", {"a.service": "start", "b.service": "start", "c.service": "start"}),
        ("start", "c.service", {"a.service": "start", "b.service": "start"}),
        ("start", "a.service b.service c.service", {"a.service": "start"}),
        ("restart", "a.service b.service c.service", {"a.service": "restart"}),
        ("verify-active", "", {"a.service": "verify-active"}),
        ("try-restart", "", {"a.service": "nop"}),
        ("try-restart", "a.service b.service c.service", {"a.service": "restart"}),
        ("reload-or-start", "a.service b.service c.service", {"a.service": "reload"}),
        ("stop", "a.service b.service", {"a.service": "stop"}),
    ],
)
def test_what_a_request_pulls_in(type: str, up: str, expected: Mapping[str, str]) -> None:
    assert planned(requires(up).build(type, "a.service")) == expected


def test_the_anchor_is_first_and_units_follow_as_pulled_in() -> None:
    transaction = requires().build("start", "a.service")
    assert transaction.anchor == "a.service"
    assert [job.unit for job in transaction.jobs] == ["a.service", "b.service", "c.service"]


def test_stopping_takes_what_requires_it_along_but_not_what_wants_it() -> None:
    up = "a.service b.service c.service"
    assert planned(requires(up).build("stop", "b.service")) == {"b.service": "stop", "a.service": "stop"}
    assert planned(requires(up).build("stop", "c.service")) == {"c.service": "stop"}


def test_a_restart_restarts_what_requires_it_when_that_is_up() -> None:
    assert planned(requires("a.service b.service c.service").build("restart", "b.service")) == {
        "b.service": "restart",
        "a.service": "restart",
    }
    assert planned(requires("b.service c.service").build("restart", "b.service")) == {"b.service": "restart"}


def test_part_of_carries_stop_and_restart_over_but_not_start() -> None:
    units = units_of(unit("a.service", PartOf="b.service"), unit("b.service"), up="a.service b.service")
    assert planned(units.build("stop", "b.service")) == {"b.service": "stop", "a.service": "stop"}
    assert planned(units.build("restart", "b.service")) == {"b.service": "restart", "a.service": "restart"}
    assert planned(units.build("start", "b.service")) == {"b.service": "start"}
    assert planned(units.build("restart", "a.service")) == {"a.service": "restart"}


def test_stop_is_propagated_but_not_the_stop_of_a_restart() -> None:
    units = units_of(unit("a.service", PropagatesStopTo="b.service"), unit("b.service"), up="a.service b.service")
    assert planned(units.build("stop", "a.service")) == {"a.service": "stop", "b.service": "stop"}
    assert planned(units.build("restart", "a.service")) == {"a.service": "restart"}


def test_reload_is_propagated_to_what_is_up_and_can() -> None:
    units = units_of(
        unit("a.service", PropagatesReloadTo="b.service c.service d.service"),
        unit("b.service"),
        unit("c.service"),
        unit("d.service", {}),
        up="a.service b.service d.service",
    )
    assert planned(units.build("reload", "a.service")) == {"a.service": "reload", "b.service": "reload"}


def test_requisite_is_verified_and_dropped_when_it_holds() -> None:
    units = units_of(unit("a.service", Requisite="b.service"), unit("b.service"))
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "verify-active"}
    units.states["b.service"] = UP
    assert planned(units.build("start", "a.service")) == {"a.service": "start"}


def test_requisite_merges_with_requires_into_a_start() -> None:
    units = units_of(
        unit("a.service", Requisite="b.service", Wants="c.service"),
        unit("b.service"),
        unit("c.service", Requires="b.service"),
    )
    assert planned(units.build("start", "a.service")) == {
        "a.service": "start",
        "c.service": "start",
        "b.service": "start",
    }


def test_upholds_pulls_in_like_wants() -> None:
    units = units_of(unit("a.service", Upholds="b.service x.service"), unit("b.service"))
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "start"}


def test_conflicts_stop_in_both_directions_and_only_what_is_up() -> None:
    units = units_of(unit("a.service", Conflicts="b.service"), unit("b.service"), up="b.service")
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "stop"}
    units.states = {"a.service": UP}
    assert planned(units.build("start", "b.service")) == {"b.service": "start", "a.service": "stop"}
    units.states = {}
    assert planned(units.build("start", "b.service")) == {"b.service": "start"}


def test_a_wanted_start_gives_way_to_a_conflict() -> None:
    units = units_of(
        unit("a.target", {}, Wants="b.service c.service"),
        unit("b.service", Conflicts="c.service"),
        unit("c.service"),
    )
    transaction = units.build("start", "a.target")
    assert planned(transaction) == {"a.target": "start", "b.service": "start"}
    assert [str(dropped) for dropped in transaction.dropped] == [
        "cannot start c.service: contradicts the stop for b.service"
    ]


def test_what_makes_no_sense_without_a_dropped_job_goes_too() -> None:
    units = units_of(
        unit("a.target", {}, Requires="b.service", Wants="d.service"),
        unit("b.service", Conflicts="c.service"),
        unit("c.service"),
        unit("d.service", Requires="c.service", Wants="e.service"),
        unit("e.service"),
    )
    transaction = units.build("start", "a.target")
    assert planned(transaction) == {"a.target": "start", "b.service": "start"}
    assert [(dropped.unit, dropped.type) for dropped in transaction.dropped] == [
        ("c.service", JobType.START),
        ("d.service", JobType.START),
    ]


def test_contradicting_requirements_are_refused() -> None:
    units = units_of(unit("a.service", Requires="b.service", Conflicts="b.service"), unit("b.service"))
    refusal = refused(units, "start", "a.service")
    assert refusal.kind is Kind.JOBS_CONFLICTING
    assert refusal.text == (
        "cannot start a.service: contradicting jobs of a.service: start that was asked for, stop for b.service"
    )


@pytest.mark.parametrize(
    ("load", "kind", "text"),
    [
        (Load.NOT_FOUND, Kind.NO_SUCH_UNIT, "cannot start a.service: a.service needs b.service: not found"),
        (Load.MASKED, Kind.UNIT_MASKED, "cannot start a.service: a.service needs b.service: is masked"),
        (
            Load.BAD_SETTING,
            Kind.BAD_UNIT_SETTING,
            "cannot start a.service: a.service needs b.service: has a bad setting",
        ),
        (Load.ERROR, Kind.LOAD_FAILED, "cannot start a.service: a.service needs b.service: cannot be read"),
    ],
)
@pytest.mark.parametrize("kind_of_need", ["Requires", "BindsTo", "Requisite"])
def test_a_needed_unit_that_cannot_be_used(load: Load, kind: Kind, text: str, kind_of_need: str) -> None:
    units = units_of(unit("a.service", **{kind_of_need: "b.service"}), Unit("b.service", load=load))
    refusal = refused(units, "start", "a.service")
    assert (refusal.kind, refusal.unit, refusal.text) == (kind, "b.service", text)


def test_a_wanted_unit_that_cannot_be_used_is_left_out_and_told_when_somebody_can_act_on_it() -> None:
    units = units_of(
        unit("a.service", Wants="b.service c.service d.service"),
        Unit("b.service", load=Load.BAD_SETTING),
        Unit("c.service", load=Load.MASKED),
    )
    transaction = units.build("start", "a.service")
    assert planned(transaction) == {"a.service": "start"}
    assert transaction.notes == ("cannot add to the start of a.service: a.service needs b.service: has a bad setting",)


def test_a_wanted_unit_whose_requirement_is_missing_is_tried_all_the_same() -> None:
    units = units_of(
        unit("a.service", Wants="b.service"), unit("b.service", Requires="x.service c.service"), unit("c.service")
    )
    assert planned(units.build("start", "a.service")) == {
        "a.service": "start",
        "b.service": "start",
        "c.service": "start",
    }


def test_what_is_required_after_a_missing_requirement_is_not_looked_at() -> None:
    units = units_of(
        unit("a.service", Wants="b.service"), unit("b.service", Requires="n.service z.service"), unit("z.service")
    )
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "start"}


def test_what_cannot_be_used_can_be_stopped() -> None:
    units = units_of(Unit("a.service", load=Load.MASKED), up="a.service")
    assert planned(units.build("stop", "a.service")) == {"a.service": "stop"}
    assert refused(units, "restart", "a.service").text == "Unit a.service is masked."


def test_an_alias_is_the_unit() -> None:
    units = units_of(Unit("b.service", aliases=("al.service",)), unit("a.service", Requires="al.service"))
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "start"}
    assert units.build("start", "al.service").anchor == "b.service"


def test_a_job_type_that_does_not_apply() -> None:
    units = units_of(unit("a.socket", {}))
    refusal = refused(units, "reload", "a.socket")
    assert refusal.kind is Kind.JOB_TYPE_NOT_APPLICABLE
    assert refusal.text == "cannot reload a.socket: a socket unit like this has no reload"


@pytest.mark.parametrize("mode", ["ignore-dependencies", "ignore-requirements"])
def test_modes_that_ignore_requirements(mode: str) -> None:
    transaction = requires().build("start", "a.service", mode)
    assert planned(transaction) == {"a.service": "start"}
    assert transaction.jobs[0].ignore_order is (mode == "ignore-dependencies")


def test_fail_refuses_to_reverse_a_queued_job() -> None:
    units = requires()
    units.ask("start", "a.service")
    refusal = refused(units, "stop", "b.service", "fail")
    assert refusal.kind is Kind.IS_DESTRUCTIVE
    assert refusal.text == ("cannot stop b.service: b.service would get a stop job, but its start job 2 is queued")
    assert planned(units.build("stop", "b.service", "replace")) == {"b.service": "stop", "a.service": "stop"}


def test_fail_leaves_alone_what_it_can_do_without() -> None:
    units = units_of(
        unit("a.service", Wants="b.service"),
        unit("b.service", Conflicts="c.service"),
        unit("c.service"),
        up="c.service",
    )
    assert planned(units.build("start", "a.service", "fail")) == {"a.service": "start"}
    assert planned(units.build("start", "a.service")) == {
        "a.service": "start",
        "b.service": "start",
        "c.service": "stop",
    }


@pytest.mark.parametrize("mode", ["replace", "fail", "flush", "ignore-dependencies", "replace-irreversibly"])
def test_nothing_reverses_an_irreversible_job(mode: str) -> None:
    units = requires()
    units.ask("start", "a.service", "replace-irreversibly")
    assert refused(units, "stop", "a.service", mode).kind is Kind.IS_DESTRUCTIVE
    assert "irreversible start job 1" in refused(units, "stop", "a.service", mode).text
    units.ask("restart", "a.service", "replace")
    assert units.jobs["a.service"] == "restart!"


def test_a_redundant_job_is_kept_when_it_reverses_a_queued_one() -> None:
    units = requires("a.service b.service c.service")
    units.ask("stop", "b.service")
    assert planned(units.build("start", "a.service")) == {"a.service": "start", "b.service": "start"}


def isolating(**settings: bool) -> Units:
    return units_of(
        unit("a.target", {"AllowIsolate": True}, Requires="b.service"),
        unit("b.service"),
        unit("c.service"),
        unit("d.service", {"IgnoreOnIsolate": True}),
        unit("e.slice", {}),
        unit("f.service"),
        up="b.service c.service d.service e.slice",
    )


def test_isolate_stops_all_that_is_up_and_not_wanted() -> None:
    transaction = isolating().build("start", "a.target", "isolate")
    assert planned(transaction) == {"a.target": "start", "c.service": "stop"}
    assert transaction.cleared == {"b.service", "f.service"}


def test_isolate_is_for_starts_of_units_that_allow_it() -> None:
    assert refused(isolating(), "stop", "a.target", "isolate").kind is Kind.INVALID_ARGS
    assert refused(isolating(), "start", "c.service", "isolate").kind is Kind.NO_ISOLATION


def test_isolate_replaces_queued_jobs() -> None:
    units = isolating()
    units.ask("start", "f.service")
    installed = units.ask("start", "a.target", "isolate")
    assert units.jobs == {"a.target": "start", "c.service": "stop", "f.service": "stop"}
    assert [finished.job.unit for finished in installed.canceled] == ["f.service"]


def test_flush_cancels_all_other_jobs_but_those_that_ignore_isolation() -> None:
    units = isolating()
    for name in ("f.service", "d.service", "c.service"):
        units.ask("restart", name)
    installed = units.ask("start", "f.service", "flush")
    assert units.jobs == {"d.service": "restart", "f.service": "restart"}
    assert [finished.job.unit for finished in installed.canceled] == ["c.service"]


def test_triggering_stops_what_would_trigger_again() -> None:
    units = units_of(
        unit("a.service"),
        unit("a.socket", {}, Triggers="a.service"),
        unit("a.timer", {}, Triggers="a.service"),
        up="a.service a.socket",
    )
    assert planned(units.build("stop", "a.service")) == {"a.service": "stop"}
    assert planned(units.build("stop", "a.service", "triggering")) == {"a.service": "stop", "a.socket": "stop"}
    assert refused(units, "start", "a.service", "triggering").kind is Kind.INVALID_ARGS


def cyclic(need: str) -> Units:
    return units_of(
        unit("a.service", Requires="b.service", After="b.service"),
        unit("b.service", After="c.service", **{need: "c.service"}),
        unit("c.service", After="a.service", Wants="d.service"),
        unit("d.service"),
    )


def test_a_cycle_is_broken_at_a_job_that_the_anchor_can_do_without() -> None:
    transaction = cyclic("Wants").build("start", "a.service")
    assert planned(transaction) == {"a.service": "start", "b.service": "start"}
    assert [str(dropped) for dropped in transaction.dropped] == [
        "cannot start c.service: ordering cycle a.service -> c.service -> b.service -> a.service"
    ]


@pytest.mark.parametrize("anchor", ["a.service", "b.service", "c.service"])
def test_a_cycle_that_matters_is_refused(anchor: str) -> None:
    units = units_of(
        unit("a.service", Requires="b.service", After="b.service"),
        unit("b.service", Requires="c.service", After="c.service"),
        unit("c.service", Requires="a.service", After="a.service"),
    )
    refusal = refused(units, "start", anchor)
    assert refusal.kind is Kind.ORDER_IS_CYCLIC
    assert refusal.text == (f"cannot start {anchor}: ordering cycle a.service -> c.service -> b.service -> a.service")


def test_a_cycle_over_installed_jobs_is_seen() -> None:
    units = units_of(
        unit("a.service", After="b.service"),
        unit("b.service", After="c.service"),
        unit("c.service", After="a.service"),
    )
    units.ask("start", "a.service")
    units.ask("start", "b.service")
    assert refused(units, "start", "c.service").kind is Kind.ORDER_IS_CYCLIC


def test_a_cycle_of_order_alone_does_not_matter_without_jobs() -> None:
    units = units_of(unit("a.service", After="b.service"), unit("b.service", After="a.service"))
    assert planned(units.build("start", "a.service")) == {"a.service": "start"}


def test_a_long_cycle_is_shortened_in_words() -> None:
    size = 100
    names = [f"u{number:03}.service" for number in range(size)]
    units = units_of(
        *(unit(name, Requires=names[number - 1], After=names[number - 1]) for number, name in enumerate(names))
    )
    text = refused(units, "start", names[0]).text
    assert text.startswith("cannot start u000.service: ordering cycle u000.service -> u001.service -> ")
    assert " -> (81 more) -> " in text
    assert text.endswith(" -> u099.service -> u000.service")


def test_many_cycles_are_all_broken() -> None:
    names = [f"u{number:03}.service" for number in range(50)]
    units = units_of(
        unit("top.target", {}, Wants=" ".join(names)),
        *(unit(name, After=f"w-{name}", Wants=f"w-{name}") for name in names),
        *(unit(f"w-{name}", After=name) for name in names),
    )
    transaction = units.build("start", "top.target")
    assert len(transaction.dropped) == len(names)
    assert len(transaction.jobs) == 1 + len(names)


def test_job_timeouts_come_with_the_jobs() -> None:
    units = units_of(
        unit("a.service", {"JobTimeoutSec": 5}, Requires="b.service"),
        unit("b.service", {"JobTimeoutSec": 5, "JobRunningTimeoutSec": 3}),
    )
    jobs = units.build("start", "a.service").jobs
    assert [(job.timeout, job.running_timeout) for job in jobs] == [(5, 5), (5, 3)]


def test_nothing_is_installed_by_building() -> None:
    units = requires()
    first: Transaction = units.build("start", "a.service")
    assert len(units.queue) == 0
    assert units.build("start", "a.service") == first
