"""The life of installed jobs: ids, merging, turns, endings, deadlines."""

import pytest
from msgspec.structs import replace

from unitd.jobs.job import Finished
from unitd.jobs.queue import Queue
from unitd.jobs.transaction import Planned, Transaction
from unitd.model.events import Caller
from unitd.model.states import INFINITY, Active, JobResult, JobState, JobType
from unitd.model.unit import Unit

from .graph import Units, unit

UP = Active.ACTIVE
CALLER = Caller(what="caller")
DOWN = Active.INACTIVE


def units_of(*units: Unit, up: str = "") -> Units:
    return Units(units, dict.fromkeys(up.split(), UP))


def chain(up: str = "") -> Units:
    """a needs b needs c, in order."""
    return units_of(
        unit("a.service", Requires="b.service", After="b.service"),
        unit("b.service", Requires="c.service", After="c.service"),
        unit("c.service"),
        up=up,
    )


def told(finished: list[Finished]) -> list[tuple[str, str, str]]:
    return [(end.job.unit, str(end.result), end.because) for end in finished]


def test_ids_are_handed_out_in_order_and_never_again() -> None:
    units = chain()
    installed = units.ask("start", "a.service", by=CALLER)
    assert [(job.id, job.unit) for job in installed.added] == [
        (1, "a.service"),
        (2, "b.service"),
        (3, "c.service"),
    ]
    assert installed.anchor == installed.added[0]
    assert [job.by for job in units.queue] == [CALLER, None, None]
    units.finish("c.service")
    assert units.ask("stop", "c.service").added[0].id == 4


def test_one_job_a_unit_is_found_by_id_and_by_unit() -> None:
    units = chain()
    job = units.ask("start", "c.service").anchor
    assert units.queue.get(job.id) == units.queue.job_of("c.service") == job
    assert units.queue.get(99) is None
    assert units.queue.job_of("a.service") is None
    assert len(units.queue) == 1


def test_the_same_request_merges_into_the_job_that_is_there() -> None:
    units = chain()
    first = units.ask("start", "c.service")
    second = units.ask("start", "c.service", by=CALLER)
    assert (second.added, second.canceled) == ((), ())
    assert second.merged == (second.anchor,)
    assert second.anchor == replace(first.anchor, by=CALLER)


@pytest.mark.parametrize(
    ("first", "second", "up", "expected"),
    [
        ("start", "restart", "", "restart"),
        ("restart", "start", "", "restart"),
        ("verify-active", "start", "", "start"),
        ("start", "reload", "", "start"),
        ("start", "reload", "c.service", "reload"),
        ("reload", "verify-active", "c.service", "reload"),
    ],
)
def test_waiting_jobs_merge(first: str, second: str, up: str, expected: str) -> None:
    units = chain(up)
    units.ask(first, "c.service")
    assert units.ask(second, "c.service").anchor.id == 1
    assert units.jobs == {"c.service": expected}


def test_a_contradicting_job_replaces_the_one_that_is_there() -> None:
    units = chain()
    units.ask("start", "c.service")
    installed = units.ask("stop", "c.service")
    assert told(list(installed.canceled)) == [("c.service", "canceled", "c.service")]
    assert [(job.id, job.type) for job in units.queue] == [(2, JobType.STOP)]


def test_a_running_job_that_does_enough_goes_on() -> None:
    units = chain()
    units.ask("start", "c.service")
    units.run()
    assert units.ask("start", "c.service").anchor.state is JobState.RUNNING


def test_a_running_job_that_does_not_do_enough_runs_anew() -> None:
    units = chain()
    units.ask("start", "c.service")
    assert units.run() == "start c.service"
    assert units.ask("restart", "c.service").anchor.state is JobState.WAITING
    assert units.run() == "restart c.service"


def test_a_reload_that_runs_is_not_enough_for_another_reload() -> None:
    units = chain("c.service")
    units.ask("reload", "c.service")
    assert units.run() == "reload c.service"
    assert units.ask("reload", "c.service").anchor.state is JobState.WAITING
    assert units.run() == "reload c.service"


def test_a_nop_stands_beside_the_job() -> None:
    units = chain()
    units.ask("start", "c.service")
    nop = units.ask("try-restart", "b.service").anchor
    units.ask("start", "b.service")
    assert [(job.unit, job.type) for job in units.queue] == [
        ("c.service", JobType.START),
        ("b.service", JobType.NOP),
        ("b.service", JobType.START),
    ]
    assert units.run() == "start c.service"
    assert units.queue.next_runnable(units) == nop
    assert told(units.queue.finish(nop.id, JobResult.DONE, units)) == [("b.service", "done", "")]
    assert units.jobs == {"c.service": "start", "b.service": "start"}


def test_starts_run_in_order() -> None:
    units = chain()
    units.ask("start", "a.service")
    seen = []
    while turn := units.run():
        assert units.run() == ""
        seen.append(turn)
        units.reach(turn.split()[1], UP)
    assert seen == ["start c.service", "start b.service", "start a.service"]
    assert len(units.queue) == 0


def test_stops_run_backwards() -> None:
    units = chain("a.service b.service c.service")
    units.ask("stop", "c.service")
    seen = []
    while turn := units.run():
        seen.append(turn)
        units.reach(turn.split()[1], DOWN)
    assert seen == ["stop a.service", "stop b.service", "stop c.service"]


@pytest.mark.parametrize("order", ["Before", "After"])
def test_stops_go_before_starts_whatever_the_order(order: str) -> None:
    units = units_of(
        unit("a.service", Conflicts="b.service", **{order: "b.service"}), unit("b.service"), up="b.service"
    )
    units.ask("start", "a.service")
    assert (units.run(), units.run()) == ("stop b.service", "")
    units.reach("b.service", DOWN)
    assert units.run() == "start a.service"


def test_independent_jobs_run_at_once_lowest_id_first() -> None:
    units = units_of(unit("a.target", {}, Wants="b.service c.service"), unit("b.service"), unit("c.service"))
    units.ask("start", "a.target")
    assert [units.run() for _ in range(4)] == ["start a.target", "start b.service", "start c.service", ""]


def test_ignored_order_neither_waits_nor_is_waited_for() -> None:
    units = chain()
    units.ask("start", "b.service")
    units.ask("start", "a.service", "ignore-dependencies")
    assert units.run() == "start c.service"
    assert units.run() == "start a.service"
    units = chain()
    units.ask("start", "c.service", "ignore-dependencies")
    units.ask("start", "b.service", "ignore-requirements")
    assert {units.run(), units.run()} == {"start c.service", "start b.service"}


def test_a_job_that_comes_later_is_waited_for() -> None:
    units = chain()
    units.ask("start", "a.service", "ignore-requirements")
    units.ask("start", "b.service", "ignore-requirements")
    assert (units.run(), units.run()) == ("start b.service", "")
    units.reach("b.service", UP)
    assert units.run() == "start a.service"


def test_a_job_is_answered_once_until_it_is_woken() -> None:
    units = chain()
    job = units.ask("start", "c.service").anchor
    assert units.queue.next_runnable(units) == job
    assert units.queue.next_runnable(units) is None
    units.queue.wake("c.service")
    units.queue.wake("c.service")
    assert units.queue.next_runnable(units) == job
    assert units.queue.next_runnable(units) is None


def test_waking_does_not_overtake() -> None:
    units = chain()
    units.ask("start", "b.service")
    units.queue.wake("b.service")
    assert (units.run(), units.run()) == ("start c.service", "")


def test_who_waits_for_whom() -> None:
    units = chain()
    units.ask("start", "a.service")
    units.run()
    a, b, c = list(units.queue)
    assert (units.queue.blockers(a.id), units.queue.held_by(a.id)) == ([b], [])
    assert (units.queue.blockers(b.id), units.queue.held_by(b.id)) == ([c], [a])
    assert (units.queue.blockers(c.id), units.queue.held_by(c.id)) == ([], [b])


def test_new_dependencies_count_after_relinking() -> None:
    units = units_of(unit("a.service"), unit("b.service"))
    units.ask("start", "a.service")
    units.ask("start", "b.service")
    fresh = units_of(unit("a.service", After="b.service"), unit("b.service"))
    fresh.queue = units.queue
    fresh.queue.relink()
    assert (fresh.run(), fresh.run()) == ("start b.service", "")


def test_a_failed_start_takes_along_what_needs_it() -> None:
    units = chain()
    units.ask("start", "a.service")
    units.run()
    assert told(units.reach("c.service", Active.FAILED)) == [
        ("c.service", "failed", ""),
        ("b.service", "dependency", "c.service"),
        ("a.service", "dependency", "b.service"),
    ]
    assert len(units.queue) == 0


def test_a_failed_start_leaves_what_only_wants_it() -> None:
    units = units_of(unit("a.service", Wants="b.service", After="b.service"), unit("b.service"))
    units.ask("start", "a.service")
    units.run()
    assert told(units.reach("b.service", Active.FAILED)) == [("b.service", "failed", "")]
    assert units.run() == "start a.service"


def test_a_canceled_start_takes_along_what_needs_it() -> None:
    units = chain()
    units.ask("start", "a.service")
    assert told(units.finish("b.service", JobResult.CANCELED)) == [
        ("b.service", "canceled", ""),
        ("a.service", "dependency", "b.service"),
    ]
    assert units.jobs == {"c.service": "start"}


def test_a_failure_does_not_touch_stops() -> None:
    units = chain("a.service")
    units.ask("start", "c.service")
    units.ask("stop", "a.service")
    units.ask("start", "b.service")
    units.run()
    assert [end.job.unit for end in units.finish("c.service", JobResult.FAILED)] == ["c.service", "b.service"]
    assert units.jobs == {"a.service": "stop"}


def test_a_failed_stop_takes_along_the_start_that_it_makes_way_for() -> None:
    units = units_of(unit("a.service", Conflicts="b.service"), unit("b.service"), up="b.service")
    units.ask("start", "a.service")
    units.run()
    assert told(units.finish("b.service", JobResult.FAILED)) == [
        ("b.service", "failed", ""),
        ("a.service", "dependency", "b.service"),
    ]


@pytest.mark.parametrize(("state", "fallen"), [(DOWN, ["a.service"]), (UP, [])])
def test_a_requisite_that_started_and_is_down_again_does_not_hold(state: Active, fallen: list[str]) -> None:
    units = units_of(unit("a.service", Requisite="b.service", After="b.service"), unit("b.service"))
    units.ask("start", "b.service")
    units.ask("start", "a.service")
    units.run()
    assert [end.job.unit for end in units.reach("b.service", state)][1:] == fallen


def test_a_restart_goes_on_as_a_start_with_the_same_id() -> None:
    units = chain("c.service")
    job = units.ask("restart", "c.service", by=CALLER).anchor
    assert units.run() == "restart c.service"
    assert units.reach("c.service", DOWN) == []
    assert units.queue.get(job.id) == replace(job, type=JobType.START)
    assert units.run() == "start c.service"
    assert told(units.reach("c.service", UP)) == [("c.service", "done", "")]


def test_restarts_stop_backwards_and_start_forwards() -> None:
    units = chain("a.service b.service c.service")
    units.ask("restart", "c.service")
    seen = []
    while turn := units.run():
        seen.append(turn)
        units.reach(turn.split()[1], DOWN if turn.startswith("restart") else UP)
    assert seen == [
        "restart a.service",
        "restart b.service",
        "restart c.service",
        "start c.service",
        "start b.service",
        "start a.service",
    ]


def test_job_timeouts_count_from_queueing_and_from_running() -> None:
    units = units_of(
        unit("a.service", {"JobTimeoutSec": 100}, After="b.service"),
        unit("b.service", {"JobRunningTimeoutSec": 30}),
        unit("c.service", {}),
    )
    units.ask("start", "c.service", now=1)
    assert units.queue.deadline() == INFINITY
    units.ask("start", "a.service", now=10)
    units.ask("start", "b.service", now=20)
    assert units.queue.deadline() == 110
    units.run(now=25)
    units.run(now=50)
    assert units.queue.deadline() == 80
    assert units.queue.expired(79) == []
    assert units.queue.expired(200) == [2, 3]
    assert units.queue.deadline() == 80
    units.finish("b.service", JobResult.TIMEOUT)
    assert units.queue.deadline() == 110
    units.finish("a.service", JobResult.TIMEOUT)
    assert units.queue.deadline() == INFINITY


def test_a_running_timeout_never_moves_a_deadline_back() -> None:
    units = units_of(unit("a.service", {"JobTimeoutSec": 100, "JobRunningTimeoutSec": 80}))
    units.ask("start", "a.service", now=0)
    units.run(now=50)
    assert units.queue.deadline() == 100


def test_a_timed_out_job_takes_along_what_needs_it() -> None:
    units = chain()
    units.ask("start", "a.service")
    assert [str(end.result) for end in units.finish("c.service", JobResult.TIMEOUT)] == [
        "timeout",
        "dependency",
        "dependency",
    ]


def ring(up: str = "") -> Units:
    return units_of(
        unit("a.service", Requires="b.service", After="b.service"),
        unit("b.service", Requires="a.service", After="a.service"),
        up=up,
    )


def test_restarts_that_wait_for_one_another_are_found_and_released() -> None:
    units = ring("a.service b.service")
    units.ask("try-restart", "a.service")
    assert units.run() == ""
    stuck = units.queue.stuck()
    assert [job.unit for job in stuck] == ["a.service", "b.service"]
    units.queue.release(stuck[0].id)
    assert units.run() == "restart a.service"
    assert units.run() == "restart b.service"


def test_a_job_that_waits_for_its_unit_or_runs_is_not_stuck() -> None:
    units = chain()
    units.ask("start", "a.service")
    assert units.queue.next_runnable(units) is not None
    assert units.queue.next_runnable(units) is None
    assert units.queue.stuck() == []
    units.queue.wake("c.service")
    units.run()
    assert units.queue.stuck() == []


def test_a_queue_is_restored_from_its_jobs() -> None:
    units = chain()
    units.ask("start", "a.service", now=5)
    units.ask("try-restart", "c.service")
    units.run()
    fresh = chain()
    fresh.queue = Queue(list(units.queue), units.queue.next_id)
    assert list(fresh.queue) == list(units.queue)
    assert fresh.queue.next_id == units.queue.next_id
    nop = fresh.queue.next_runnable(fresh)
    assert nop is not None
    assert nop.type is JobType.NOP
    fresh.reach("c.service", UP)
    assert fresh.run() == "start b.service"


def test_a_transaction_without_its_anchor_is_a_bug() -> None:
    with pytest.raises(ValueError, match="without a job for a"):
        Queue().install(Transaction("a.service", (Planned("b.service", JobType.START),)), None, 0)
