"""What holds for every graph of units."""

from hypothesis import given, settings
from hypothesis import strategies as st

from unitd.jobs.algebra import DOWN, STOPPING, UP, compare
from unitd.jobs.job import Job
from unitd.jobs.transaction import Transaction
from unitd.model.dependencies import Atom, Dep
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import Active, JobMode, JobResult, JobType
from unitd.model.unit import Origin, Unit

from .graph import RELOADABLE, Units

NAMES = [f"{letter}.service" for letter in "abcdefg"]
KINDS = (
    Dep.REQUIRES,
    Dep.REQUISITE,
    Dep.WANTS,
    Dep.BINDS_TO,
    Dep.PART_OF,
    Dep.CONFLICTS,
    Dep.BEFORE,
    Dep.AFTER,
    Dep.PROPAGATES_RELOAD_TO,
    Dep.PROPAGATES_STOP_TO,
)
TYPES = [type for type in JobType if type is not JobType.NOP]
MODES = [JobMode.REPLACE, JobMode.FAIL, JobMode.FLUSH, JobMode.REPLACE_IRREVERSIBLY, JobMode.IGNORE_DEPENDENCIES]

edges = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(KINDS), st.sampled_from(NAMES)).filter(
        lambda edge: edge[0] != edge[2]
    ),
    max_size=18,
)
states = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Active))
requests = st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES), st.sampled_from(MODES))
Edges = list[tuple[str, Dep, str]]


def units_of(relations: Edges, active: dict[str, Active], order: list[str] = NAMES) -> Units:
    deps: dict[str, dict[Dep, dict[str, Origin]]] = {name: {} for name in order}
    for one, kind, two in relations:
        deps[one].setdefault(kind, {})[two] = Origin.FILE
    return Units([Unit(name, settings=RELOADABLE, deps=deps[name]) for name in order], active)


def attempt(units: Units, request: tuple[JobType, str, JobMode]) -> Transaction | Kind:
    try:
        return units.build(*request)
    except Refusal as refusal:
        return refusal.kind


@given(edges, states, requests)
def test_a_transaction_is_whole(
    relations: Edges, active: dict[str, Active], request: tuple[JobType, str, JobMode]
) -> None:
    """One job a unit, the anchor among them, and all that a start cannot do without."""
    units = units_of(relations, active)
    transaction = attempt(units, request)
    if isinstance(transaction, Kind):
        return
    jobs = {job.unit: job.type for job in transaction.jobs}
    assert len(jobs) == len(transaction.jobs)
    assert transaction.jobs[0].unit == transaction.anchor == request[1]
    if request[2] is JobMode.IGNORE_DEPENDENCIES:
        assert len(jobs) == 1
        return
    for name, type in jobs.items():
        if type is JobType.START:
            for needed in units.related(name, Atom.PULL_IN_START):
                assert units.active(needed) in UP or jobs[needed] not in (JobType.STOP, JobType.VERIFY_ACTIVE)
            for unwanted in units.related(name, Atom.PULL_IN_STOP):
                assert units.active(unwanted) in DOWN or jobs[unwanted] is JobType.STOP
        if type is JobType.STOP:
            for dependent in units.related(name, Atom.PROPAGATE_STOP):
                assert units.active(dependent) in DOWN or jobs[dependent] is JobType.STOP


@given(
    edges.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))),
    states,
    requests,
    st.permutations(NAMES),
)
def test_the_order_in_which_things_are_written_down_is_of_no_consequence(
    both: tuple[Edges, Edges],
    active: dict[str, Active],
    request: tuple[JobType, str, JobMode],
    names: list[str],
) -> None:
    written, shuffled = both
    assert attempt(units_of(written, active), request) == attempt(units_of(shuffled, active, names), request)


@given(edges, states, requests)
def test_asking_twice_changes_nothing(
    relations: Edges, active: dict[str, Active], request: tuple[JobType, str, JobMode]
) -> None:
    units = units_of(relations, active)
    first = attempt(units, request)
    assert attempt(units, request) == first
    if isinstance(first, Kind):
        return
    units.queue.install(first, None, 0)
    jobs = list(units.queue)
    second = attempt(units, request)
    assert isinstance(second, Transaction)
    units.queue.install(second, None, 0)
    assert list(units.queue) == jobs


@given(edges, states, st.lists(requests, min_size=1, max_size=3))
def test_all_jobs_get_their_turn(
    relations: Edges, active: dict[str, Active], several: list[tuple[JobType, str, JobMode]]
) -> None:
    """Nothing waits for ever, and what runs waited for all that it had to wait for."""
    units = units_of(relations, active)
    for request in several:
        transaction = attempt(units, request)
        if isinstance(transaction, Transaction):
            units.queue.install(transaction, None, 0)
    for _ in range(4 * len(NAMES)):
        job = units.queue.next_runnable(units)
        if job is None:
            stuck = units.queue.stuck()
            if not stuck:
                break
            units.queue.release(stuck[0].id)
            continue
        assert not waited_for(units, job)
        units.queue.started(job.id, 0)
        units.states[job.unit] = Active.INACTIVE if job.type in STOPPING else Active.ACTIVE
        units.queue.finish(job.id, JobResult.DONE, units)
    assert len(units.queue) == 0


@given(edges, st.sampled_from(NAMES))
def test_the_starts_of_one_request_have_no_cycle(relations: Edges, name: str) -> None:
    pulls = [edge for edge in relations if edge[1] in (Dep.REQUIRES, Dep.WANTS, Dep.BEFORE, Dep.AFTER)]
    units = units_of(pulls, {})
    transaction = attempt(units, (JobType.START, name, JobMode.REPLACE))
    if transaction is Kind.ORDER_IS_CYCLIC:
        return
    assert isinstance(transaction, Transaction)
    units.queue.install(transaction, None, 0)
    while units.run():
        continue
    while len(units.queue):
        running = [job for job in units.queue if not job.is_waiting]
        assert running
        for job in running:
            units.reach(job.unit, Active.ACTIVE)
        while units.run():
            continue


def waited_for(units: Units, job: Job) -> list[int]:
    """The rule, applied to all pairs."""
    return sorted(
        other.id
        for other in units.queue
        if any(
            other.unit in units.related(job.unit, atom) and compare(job, other, atom) > 0
            for atom in (Atom.BEFORE, Atom.AFTER)
        )
    )


@settings(max_examples=200)
@given(edges, states, st.lists(requests, min_size=2, max_size=5))
def test_a_queue_has_one_job_a_unit_and_honours_irreversible_ones(
    relations: Edges, active: dict[str, Active], several: list[tuple[JobType, str, JobMode]]
) -> None:
    units = units_of(relations, active)
    for request in several:
        before = {job.unit: job for job in units.queue if job.type is not JobType.NOP}
        transaction = attempt(units, request)
        if isinstance(transaction, Kind):
            continue
        installed = units.queue.install(transaction, None, 0)
        ids = [job.id for job in units.queue]
        assert ids == sorted(set(ids))
        assert units.queue.get(installed.anchor.id) == installed.anchor
        after = {job.unit: job for job in units.queue if job.type is not JobType.NOP}
        for name, job in before.items():
            if job.irreversible and request[2] is not JobMode.FLUSH:
                assert (after[name].type in STOPPING) >= (job.type is JobType.STOP)
                assert after[name].id == job.id


@given(edges, states, st.lists(requests, min_size=1, max_size=5))
def test_who_waits_for_whom_is_what_the_rule_says(
    relations: Edges, active: dict[str, Active], several: list[tuple[JobType, str, JobMode]]
) -> None:
    """The pairs that are kept up to date agree with the rule, after every event."""
    units = units_of(relations, active)
    for request in several:
        transaction = attempt(units, request)
        if isinstance(transaction, Transaction):
            units.queue.install(transaction, None, 0)
        units.run()
        for job in units.queue:
            assert [other.id for other in units.queue.blockers(job.id)] == waited_for(units, job)
