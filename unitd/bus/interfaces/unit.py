"""The interface of every unit: its names, its dependencies, what it is doing, and the jobs one can ask for."""

from collections.abc import Callable
from typing import Any, Final

from unitd.bus.calls import Call, Hold, Outcome
from unitd.bus.interfaces import requests
from unitd.bus.interfaces.table import Emits, Interface, Method, Property, arguments, interface
from unitd.bus.interfaces.values import constant, dependency, instant, of_settings, status_property
from unitd.bus.policy import Action
from unitd.bus.ports import Status, World
from unitd.graph.builtin import PERPETUAL
from unitd.jobs.admission import can_isolate, can_start, can_stop, load_refusal
from unitd.model.dependencies import Dep
from unitd.model.rows import unit as rows
from unitd.model.states import JobType, Load

NO_JOB: Final = (0, "/")
_SHOWN_OTHERWISE: Final = frozenset({"Description", "SliceOf"})
_IN_SLICE: Final = frozenset({Dep.IN_SLICE})


def description(status: Status) -> str:
    """Description=, or the name where there is none."""
    return status.unit.settings.get("Description") or status.unit.name


def load_error(world: World, status: Status) -> tuple[str, str]:
    """(error name, text) of why the unit cannot be used; two empty strings when it can."""
    refusal = load_refusal(status.unit, "use")
    if refusal is None or status.unit.load is Load.STUB:
        return ("", "")
    return (world.dialect.error(refusal.kind), refusal.text)


def job_of(world: World, status: Status) -> tuple[int, str]:
    return (status.job, world.dialect.job_path(status.job)) if status.job else NO_JOB


def _holds(results: Any) -> bool:
    return all(result >= 0 for result in results)


def _checked(at: int, results: str) -> Any:
    """Conditions with what became of each: 1 met, -1 not met, 0 not tried."""
    prefix = ("Condition", "Assert")[at]

    def show(world: World, status: Status, conditions: Any) -> Any:
        states = tuple(getattr(status, results))
        states += (0,) * (len(conditions) - len(states))
        return [
            (prefix + check.kind, check.trigger, check.negate, check.parameter, state)
            for check, state in zip(conditions, states, strict=False)
        ]

    return show


def _allows(status: Status, setting: str) -> bool:
    return not status.unit.settings.get(setting, False)


def _can_isolate(status: Status) -> bool:
    return can_isolate(status.unit) and _allows(status, "RefuseManualStart")


def _condition_result(status: Status) -> bool:
    return bool(status.times.condition) and _holds(status.conditions)


def _assert_result(status: Status) -> bool:
    return bool(status.times.assert_) and _holds(status.asserts)


def _start_rights() -> tuple[Property, ...]:
    return (
        status_property(
            "CanStart",
            "b",
            Emits.CONST,
            lambda status: can_start(status.unit) and _allows(status, "RefuseManualStart"),
            "A start can be asked for.",
        ),
        status_property(
            "CanStop",
            "b",
            Emits.CONST,
            lambda status: can_stop(status.unit) and _allows(status, "RefuseManualStop"),
            "A stop can be asked for.",
        ),
        Property(
            "CanReload",
            "b",
            Emits.CONST,
            lambda world, status: requests.can_reload(world.view, status.unit),
            "A reload can be asked for.",
        ),
        status_property("CanIsolate", "b", Emits.CONST, _can_isolate, "The unit can be isolated."),
    )


_NAMES: Final = (
    status_property("Id", "s", Emits.CONST, lambda status: status.unit.name, "The unit's real name."),
    status_property(
        "Names", "as", Emits.CONST, lambda status: (status.unit.name, *status.unit.aliases), "All its names."
    ),
    constant("Following", "s", "", Emits.NONE, "The unit whose state this one mirrors; none."),
    status_property("Description", "s", Emits.CONST, description, "What the unit is, in a few words, or its name."),
    status_property("LoadState", "s", Emits.CONST, lambda status: status.unit.load.value, "Can its files be used?"),
    Property("LoadError", "(ss)", Emits.CONST, load_error, "Why the files cannot be used: an error name and words."),
    status_property(
        "Problems",
        "as",
        Emits.CONST,
        lambda status: tuple(str(problem) for problem in status.unit.problems),
        "What is wrong with the unit's files, a sentence with file and line each; unitd's own.",
    ),
    status_property("FragmentPath", "s", Emits.CONST, lambda status: status.unit.fragment, "The unit file."),
    status_property("DropInPaths", "as", Emits.CONST, lambda status: status.unit.dropins, "The drop-ins, in order."),
    status_property(
        "Transient", "b", Emits.CONST, lambda status: status.unit.transient, "It has no file but one made at run time."
    ),
    Property(
        "UnitFileState",
        "s",
        Emits.NONE,
        lambda world, status: world.files.file_state(status.unit.name),
        "Whether the unit is enabled, as `unitctl is-enabled` says it.",
    ),
    constant("UnitFilePreset", "s", "", Emits.NONE, "What the presets say of it."),
    Property(
        "NeedDaemonReload",
        "b",
        Emits.NONE,
        lambda world, status: world.view.need_reload(status.unit.name),
        "The files changed since they were read.",
    ),
)
_STATE: Final = (
    status_property(
        "ActiveState", "s", Emits.CHANGE, lambda status: status.active.value, "active, inactive, failed, activating ..."
    ),
    status_property("SubState", "s", Emits.CHANGE, lambda status: status.sub, "In the words of its type."),
    status_property("Reason", "s", Emits.CHANGE, lambda status: status.reason, "Why the unit failed, in words."),
    status_property(
        "Hint",
        "s",
        Emits.CHANGE,
        lambda status: status.hint,
        "What to do about a stop that failed or left processes behind; unitd's own.",
    ),
    constant("FreezerState", "s", "running", Emits.CHANGE, "Units are not frozen but to be killed."),
    Property("Job", "(uo)", Emits.CHANGE, job_of, "The job that is queued for the unit; (0, /) for none."),
    status_property(
        "InvocationID", "ay", Emits.CHANGE, lambda status: bytes.fromhex(status.invocation), "A new one for each start."
    ),
    status_property("ConditionResult", "b", Emits.CHANGE, _condition_result, "The conditions held when last checked."),
    status_property("AssertResult", "b", Emits.CHANGE, _assert_result, "The asserts held when last checked."),
    *instant(
        "StateChangeTimestamp", Emits.CHANGE, lambda status: status.times.state_change, "When SubState changed last"
    ),
    *instant(
        "InactiveExitTimestamp", Emits.CHANGE, lambda status: status.times.inactive_exit, "When a start began last"
    ),
    *instant(
        "ActiveEnterTimestamp", Emits.CHANGE, lambda status: status.times.active_enter, "When the unit came up last"
    ),
    *instant("ActiveExitTimestamp", Emits.CHANGE, lambda status: status.times.active_exit, "When a stop began last"),
    *instant(
        "InactiveEnterTimestamp",
        Emits.CHANGE,
        lambda status: status.times.inactive_enter,
        "When the unit went down last",
    ),
    *instant(
        "ConditionTimestamp",
        Emits.CHANGE,
        lambda status: status.times.condition,
        "When the conditions were checked last",
    ),
    *instant(
        "AssertTimestamp", Emits.CHANGE, lambda status: status.times.assert_, "When the asserts were checked last"
    ),
)
_FIXED: Final = (
    constant("CanFreeze", "b", False, doc="No unit can be frozen on request."),
    constant("CanClean", "as", (), doc="What could be cleaned; nothing yet."),
    status_property(
        "Perpetual",
        "b",
        Emits.CONST,
        lambda status: status.unit.name in PERPETUAL,
        "It is up as long as the machine is.",
    ),
    constant("Refs", "as", (), Emits.NONE, "Clients that keep the unit loaded."),
    constant("Markers", "as", (), Emits.NONE, "Marks for a later restart."),
)
_DEPENDENCIES: Final = tuple(dependency(kind) for kind in Dep if kind not in _IN_SLICE)


def _settings() -> list[Property]:
    taken = {row.name for row in (*_NAMES, *_STATE, *_FIXED, *_DEPENDENCIES)}
    shown = [row for row in rows.ROWS if row.section == "Unit" and row.prop and row.prop[0] not in taken]
    special = {"Conditions": _checked(0, "conditions"), "Asserts": _checked(1, "asserts")}
    return of_settings(shown, special, dict.fromkeys(special, Emits.INVALIDATES))


def _job_method(name: str, type: JobType, doc: str, *, if_possible: bool = False) -> Method:
    def run(call: Call, world: World, status: Status) -> Outcome:
        return requests.job(call, world, status.unit.name, type, call.body[0], if_possible=if_possible)

    return Method(name, arguments("mode:s"), arguments("job:o"), run, doc, Action.CHANGE)


def _enqueue(call: Call, world: World, status: Status) -> Outcome:
    return requests.enqueue(call, world, status.unit.name, *call.body)


def _kill(call: Call, world: World, status: Status) -> Outcome:
    return requests.kill(call, status.unit.name, *call.body)


def _reset_failed(call: Call, world: World, status: Status) -> Outcome:
    return requests.reset_failed(call, status.unit.name)


def _hold(wanted: bool) -> Callable[[Call, World, Status], Outcome]:
    return lambda call, world, status: Hold(status.unit.name, wanted)


_METHODS: Final = (
    _job_method("Start", JobType.START, "As Manager.StartUnit."),
    _job_method("Stop", JobType.STOP, "As Manager.StopUnit."),
    _job_method("Reload", JobType.RELOAD, "As Manager.ReloadUnit."),
    _job_method("Restart", JobType.RESTART, "As Manager.RestartUnit."),
    _job_method("TryRestart", JobType.TRY_RESTART, "As Manager.TryRestartUnit."),
    _job_method("ReloadOrRestart", JobType.RESTART, "As Manager.ReloadOrRestartUnit.", if_possible=True),
    _job_method("ReloadOrTryRestart", JobType.TRY_RESTART, "As Manager.ReloadOrTryRestartUnit.", if_possible=True),
    Method(
        "EnqueueJob",
        arguments("job_type:s job_mode:s"),
        arguments("job_id:u job_path:o unit_id:s unit_path:o job_type:s affected_jobs:a(uosos)"),
        _enqueue,
        "As Manager.EnqueueUnitJob.",
        Action.CHANGE,
    ),
    Method("Kill", arguments("whom:s signal:i"), (), _kill, "As Manager.KillUnit.", Action.CHANGE),
    Method("Ref", (), (), _hold(True), "As Manager.RefUnit.", Action.CHANGE),
    Method("Unref", (), (), _hold(False), "As Manager.UnrefUnit.", Action.CHANGE),
    Method("ResetFailed", (), (), _reset_failed, "As Manager.ResetFailedUnit.", Action.CHANGE),
)

UNIT: Final[Interface] = interface(
    "Unit",
    _METHODS,
    (*_NAMES, *_STATE, *_FIXED, *_DEPENDENCIES, *_start_rights(), *_settings()),
    doc="What every unit has, whatever its type.",
)
