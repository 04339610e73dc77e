"""What may be asked for."""

import pytest

from unitd.jobs.admission import can_start, can_stop, is_applicable, is_spared, load_fault, load_refusal, manual
from unitd.model.problems import Problem
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import Active, JobType, Load
from unitd.model.unit import Unit

from .graph import Units, unit

SERVICE = unit("a.service")


def refused(units: Units, name: str, type: JobType) -> Refusal:
    with pytest.raises(Refusal) as caught:
        manual(units, units.find(name), type)
    return caught.value


@pytest.mark.parametrize("type", [JobType.START, JobType.RESTART, JobType.TRY_RESTART, JobType.RELOAD_OR_START])
def test_refuse_manual_start(type: JobType) -> None:
    units = Units([unit("a.service", {"RefuseManualStart": True})])
    refusal = refused(units, "a.service", type)
    assert refusal.kind is Kind.ONLY_BY_DEPENDENCY
    assert refusal.text == f"cannot {type} a.service: RefuseManualStart=yes, so only a dependency may"
    assert manual(units, units.find("a.service"), JobType.STOP) is JobType.STOP


@pytest.mark.parametrize("type", [JobType.STOP, JobType.RESTART, JobType.TRY_RESTART])
def test_refuse_manual_stop(type: JobType) -> None:
    units = Units([unit("a.service", {"RefuseManualStop": True})])
    assert refused(units, "a.service", type).kind is Kind.ONLY_BY_DEPENDENCY
    assert manual(units, units.find("a.service"), JobType.START) is JobType.START


def test_a_reload_that_would_not_start_is_not_a_manual_start() -> None:
    units = Units([unit("a.service", {"RefuseManualStart": True})], {"a.service": Active.ACTIVE})
    assert manual(units, units.find("a.service"), JobType.RELOAD_OR_START) is JobType.RELOAD_OR_START


def test_what_is_not_loaded_cannot_be_stopped_unless_it_is_up() -> None:
    units = Units([])
    refusal = refused(units, "a.service", JobType.STOP)
    assert (refusal.kind, str(refusal)) == (Kind.NO_SUCH_UNIT, "Unit a.service not loaded.")
    units.states["a.service"] = Active.ACTIVE
    assert manual(units, units.find("a.service"), JobType.STOP) is JobType.STOP


def test_reload_if_possible() -> None:
    units = Units([SERVICE, unit("b.service", {})])
    cases = {
        ("a.service", JobType.RESTART): JobType.RELOAD_OR_START,
        ("a.service", JobType.TRY_RESTART): JobType.TRY_RELOAD,
        ("b.service", JobType.RESTART): JobType.RESTART,
        ("b.service", JobType.TRY_RESTART): JobType.TRY_RESTART,
    }
    for (name, type), expected in cases.items():
        assert manual(units, units.find(name), type, reload_if_possible=True) is expected


@pytest.mark.parametrize(
    ("name", "applicable"),
    [
        ("a.service", "start verify-active stop reload restart nop try-restart try-reload reload-or-start"),
        ("b.service", "start verify-active stop restart nop try-restart"),
        ("c.target", "start verify-active stop reload restart nop try-restart try-reload reload-or-start"),
        ("d.target", "start verify-active stop restart nop try-restart"),
        ("e.mount", "start verify-active stop reload restart nop try-restart try-reload reload-or-start"),
        ("f.device", "start verify-active stop nop"),
        ("-.slice", "start verify-active nop"),
    ],
)
def test_applicable(name: str, applicable: str) -> None:
    units = Units(
        [
            SERVICE,
            unit("b.service", {}),
            unit("c.target", {}, PropagatesReloadTo="a.service"),
            unit("d.target", {}),
            unit("e.mount", {}),
            unit("f.device", {}),
            unit("-.slice", {}),
        ]
    )
    found = units.find(name)
    assert {type for type in JobType if is_applicable(units, found, type)} == set(applicable.split())


def test_a_unit_that_is_not_loaded_can_be_stopped_only() -> None:
    masked = Unit("a.service", load=Load.MASKED)
    assert not can_start(masked)
    assert can_stop(masked)


@pytest.mark.parametrize(
    ("name", "spared"),
    [("a.service", False), ("a.target", False), ("a.socket", False), ("a.slice", True), ("a.mount", True)],
)
def test_spared_by_isolate_unless_the_file_says_otherwise(name: str, spared: bool) -> None:
    assert is_spared(Unit(name)) is spared
    assert is_spared(Unit(name, settings={"IgnoreOnIsolate": not spared})) is not spared


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (Load.LOADED, None),
        (Load.NOT_FOUND, (Kind.NO_SUCH_UNIT, "not found")),
        (Load.MASKED, (Kind.UNIT_MASKED, "is masked")),
        (Load.ERROR, (Kind.LOAD_FAILED, "cannot be read")),
        (Load.STUB, (Kind.LOAD_FAILED, "not loaded")),
        (Load.BAD_SETTING, (Kind.BAD_UNIT_SETTING, "has a bad setting")),
    ],
)
def test_load_fault(load: Load, expected: tuple[Kind, str] | None) -> None:
    assert load_fault(Unit("a.service", load=load)) == expected


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (Load.NOT_FOUND, "Unit a.service not found."),
        (Load.MASKED, "Unit a.service is masked."),
        (Load.STUB, "Unit a.service not loaded."),
        (Load.ERROR, "cannot start a.service: cannot be read"),
        (Load.BAD_SETTING, "cannot start a.service: has a bad setting"),
    ],
)
def test_what_every_user_of_systemctl_knows_is_said_in_the_same_words(load: Load, text: str) -> None:
    refusal = load_refusal(Unit("a.service", load=load), "start")
    assert refusal is not None
    assert refusal.text == text


def test_a_load_fault_names_the_place() -> None:
    problem = Problem("a.service", "/etc/unitd/a.service", 3, "User", "no such user", fatal=True)
    fault = load_fault(Unit("a.service", load=Load.BAD_SETTING, problems=(problem,)))
    assert fault == (Kind.BAD_UNIT_SETTING, "/etc/unitd/a.service:3: User: no such user")
