"""Whether a job may be asked for at all: load states, unit types, and what a unit's file refuses.

Rests on systemd.unit(5) (RefuseManualStart=, AllowIsolate=, IgnoreOnIsolate=) and systemctl(1).
"""

from unitd.graph.builtin import PERPETUAL
from unitd.jobs.algebra import collapse
from unitd.jobs.port import Graph
from unitd.model import settings
from unitd.model.dependencies import Atom
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import Active, JobMode, JobType, Load
from unitd.model.unit import Unit

_UNSTARTABLE = frozenset({"device"})
_RELOADABLE = frozenset({"mount"})

_LOAD_REFUSALS = {
    Load.NOT_FOUND: (Kind.NO_SUCH_UNIT, "not found"),
    Load.BAD_SETTING: (Kind.BAD_UNIT_SETTING, "has a bad setting"),
    Load.ERROR: (Kind.LOAD_FAILED, "cannot be read"),
    Load.MASKED: (Kind.UNIT_MASKED, "is masked"),
    Load.STUB: (Kind.LOAD_FAILED, "not loaded"),
}


def load_fault(unit: Unit) -> tuple[Kind, str] | None:
    """Why a unit can have no job but stop: (kind, words); None when it is loaded."""
    if unit.load is Load.LOADED:
        return None
    kind, words = _LOAD_REFUSALS[unit.load]
    problem = unit.fatal
    if problem is not None and unit.load not in (Load.NOT_FOUND, Load.MASKED):
        setting = f"{problem.setting}: " if problem.setting else ""
        words = f"{problem.place}: {setting}{problem.reason}"
    return kind, words


def load_refusal(unit: Unit, verb: str) -> Refusal | None:
    """The same for whoever wants to `verb` the unit itself, in systemctl's words where it has some."""
    fault = load_fault(unit)
    if fault is None:
        return None
    kind, words = fault
    known = unit.load in (Load.NOT_FOUND, Load.MASKED, Load.STUB)
    return Refusal(kind, unit.name, f"Unit {unit.name} {words}." if known else f"cannot {verb} {unit.name}: {words}")


def can_start(unit: Unit) -> bool:
    return unit.load is Load.LOADED and unit.type not in _UNSTARTABLE


def can_stop(unit: Unit) -> bool:
    return unit.name not in PERPETUAL and unit.type not in _UNSTARTABLE


def can_reload(graph: Graph, unit: Unit) -> bool:
    """True for a service with ExecReload=, for mounts, and for other types when they propagate the reload."""
    if unit.type == "service":
        return bool(unit.settings.get("ExecReload"))
    return unit.type in _RELOADABLE or bool(graph.related(unit.name, Atom.PROPAGATES_RELOAD_TO))


def can_isolate(unit: Unit) -> bool:
    return bool(unit.settings.get("AllowIsolate", False))


def is_spared(unit: Unit) -> bool:
    """True when isolate and flush leave the unit and its job alone (IgnoreOnIsolate=)."""
    return bool(settings.value(unit, "IgnoreOnIsolate"))


def is_applicable(graph: Graph, unit: Unit, type: JobType) -> bool:
    """True when units of this kind can have a job of this type; starts are waited for where unitd cannot start."""
    match type:
        case JobType.START | JobType.VERIFY_ACTIVE | JobType.NOP:
            return True
        case JobType.STOP:
            return unit.name not in PERPETUAL
        case JobType.RESTART | JobType.TRY_RESTART:
            return can_stop(unit) and can_start(unit)
        case JobType.RELOAD | JobType.TRY_RELOAD:
            return can_reload(graph, unit)
        case JobType.RELOAD_OR_START:
            return can_reload(graph, unit) and can_start(unit)


def manual(graph: Graph, unit: Unit, type: JobType, *, reload_if_possible: bool = False) -> JobType:
    """The type that an operator's request means; refuses what is reserved for dependencies. For requests only."""
    if reload_if_possible and can_reload(graph, unit):
        if type is JobType.RESTART:
            type = JobType.RELOAD_OR_START
        elif type is JobType.TRY_RESTART:
            type = JobType.TRY_RELOAD
    active = graph.active(unit.name)
    broken = unit.load in (Load.NOT_FOUND, Load.BAD_SETTING, Load.ERROR)
    if type is JobType.STOP and broken and active is Active.INACTIVE:
        raise Refusal(Kind.NO_SUCH_UNIT, unit.name, f"Unit {unit.name} not loaded.")
    if setting := _reserved(unit, type, active):
        raise Refusal(
            Kind.ONLY_BY_DEPENDENCY,
            unit.name,
            f"cannot {type} {unit.name}: {setting}=yes, so only a dependency may",
            f"ask for a unit that needs it instead, or take {setting}=yes out of it",
        )
    return type


def check_mode(unit: Unit, type: JobType, mode: JobMode) -> None:
    """Refuses a mode that does not go with the type or the unit."""
    if mode is JobMode.ISOLATE and type is not JobType.START:
        raise Refusal(Kind.INVALID_ARGS, unit.name, f"cannot {type} {unit.name}: isolate is only valid for start")
    if mode is JobMode.ISOLATE and not can_isolate(unit):
        raise Refusal(
            Kind.NO_ISOLATION,
            unit.name,
            f"cannot isolate {unit.name}: the unit may not be isolated",
            "AllowIsolate=yes in the unit permits it",
        )
    if mode is JobMode.TRIGGERING and type is not JobType.STOP:
        raise Refusal(Kind.INVALID_ARGS, unit.name, f"cannot {type} {unit.name}: triggering is only valid for stop")


def _reserved(unit: Unit, type: JobType, active: Active) -> str:
    """The setting that reserves this type for dependencies, or ""."""
    if type is JobType.RELOAD_OR_START:
        type = collapse(type, active)
    restarts = type in (JobType.RESTART, JobType.TRY_RESTART)
    if (type is JobType.START or restarts) and unit.settings.get("RefuseManualStart", False):
        return "RefuseManualStart"
    if (type is JobType.STOP or restarts) and unit.settings.get("RefuseManualStop", False):
        return "RefuseManualStop"
    return ""
