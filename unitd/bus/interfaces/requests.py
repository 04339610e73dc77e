"""Calls that the engine carries out: each becomes a request event, and its answer a reply."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from unitd.bus.calls import Ask, Call, Fault, Hold, Outcome, Reply
from unitd.bus.ports import Status, View, World
from unitd.model.dependencies import Dep
from unitd.model.events import (
    CancelAsked,
    JobAsked,
    KillAsked,
    Leaving,
    LoadAsked,
    OrphansAsked,
    PlanAsked,
    ReexecAsked,
    ReloadAsked,
    ResetFailedAsked,
    ShutdownAsked,
    Whom,
)
from unitd.model.refusals import Kind
from unitd.model.states import SECOND, JobMode, JobType
from unitd.model.unit import Unit
from unitd.shutdown.plan import shape
from unitd.syntax import unit_name

REPLY: Final = Reply()
_Told: TypeAlias = Callable[[World, int], Outcome]
"""(world, job id) -> the reply."""
_LAST_SIGNAL: Final = 64
_TYPES: Final = {type.value: type for type in JobType}
_MODES: Final = {mode.value: mode for mode in JobMode}
_WHOM: Final = {whom.value: whom for whom in Whom}


def invalid(text: str) -> Fault:
    """An argument is wrong."""
    return Fault(Kind.INVALID_ARGS, text)


def can_reload(view: View, unit: Unit) -> bool:
    """As unitd.jobs.admission.can_reload, asked of the view."""
    if unit.type == "service":
        return bool(unit.settings.get("ExecReload"))
    return unit.type == "mount" or bool(view.deps(unit.name, Dep.PROPAGATES_RELOAD_TO))


def loaded(world: World, name: str, then: Callable[[Status], Outcome]) -> Outcome:
    """Load the unit, then judge its Status by `then`, a function that gives an Outcome."""
    if not unit_name.valid(name):
        return invalid(f"cannot use {name[:300]!r}: it is not the name of a unit")

    def judge(real: Any) -> Outcome:
        status = world.view.status(real if isinstance(real, str) else name)
        if status is None:
            return Fault(Kind.NO_SUCH_UNIT, f"Unit {name} not loaded.")
        return then(status)

    return Ask(lambda token: LoadAsked(token, name), judge)


def job(call: Call, world: World, name: str, type: JobType, mode: str, *, if_possible: bool = False) -> Outcome:
    """Queue a job; the reply is its object path. `if_possible`: reload instead of restart where the unit can."""
    return _job(call, world, name, type, mode, if_possible, _path_of_job)


def enqueue(call: Call, world: World, name: str, type: str, mode: str) -> Outcome:
    """Queue a job; the reply tells of it and of all that were queued with it."""
    if type not in _TYPES:
        return invalid(f"cannot queue a job for {name}: there is no job type {type!r}")
    before = frozenset(job.id for job in world.view.jobs())

    def reply(world: World, id: int) -> Outcome:
        mine, status = world.view.job(id), world.view.status(name)
        asked = mine.type if mine else JobType(type)
        unit = status.unit.name if status else name
        others = [job for job in world.view.jobs() if job.id != id and job.id not in before]
        path = world.dialect
        rows = [
            (job.id, path.job_path(job.id), job.unit, path.unit_path(job.unit), job.type.value)
            for job in sorted(others, key=lambda job: job.id)
        ]
        body = (id, path.job_path(id), unit, path.unit_path(unit), asked.value, rows)
        return Reply("uososa(uosos)", body)

    return _job(call, world, name, _TYPES[type], mode, False, reply)


def _path_of_job(world: World, id: int) -> Outcome:
    return Reply("o", (world.dialect.job_path(id),))


def _job(call: Call, world: World, name: str, type: JobType, mode: str, if_possible: bool, reply: _Told) -> Outcome:
    if not unit_name.valid(name):
        return invalid(f"cannot {type} {name[:300]!r}: it is not the name of a unit")
    if mode not in _MODES:
        return invalid(f"cannot {type} {name}: there is no job mode {mode!r}")

    def request(token: int) -> JobAsked:
        return JobAsked(token, name, type, _MODES[mode], call.caller, reload_if_possible=if_possible)

    return Ask(request, lambda id: reply(world, id))


def kill(call: Call, name: str, whom: str, signal: int) -> Outcome:
    """Send a signal to processes of a unit."""
    whom = whom.removesuffix("-fail") or "all"
    if whom not in _WHOM:
        return invalid(f"cannot signal {name}: {whom!r} is none of all, main, control")
    if not 0 < signal <= _LAST_SIGNAL:
        return invalid(f"cannot signal {name}: there is no signal {signal}")
    if not unit_name.valid(name):
        return invalid(f"cannot signal {name[:300]!r}: it is not the name of a unit")
    return Ask(lambda token: KillAsked(token, name, _WHOM[whom], signal, call.caller), lambda _: REPLY)


def reset_failed(call: Call, name: str) -> Outcome:
    """Forget the failure of one unit, or of all for ""."""
    return Ask(lambda token: ResetFailedAsked(token, name, call.caller), lambda _: REPLY)


def cancel(call: Call, id: int) -> Outcome:
    """Cancel one job, or all for 0."""
    return Ask(lambda token: CancelAsked(token, id, call.caller), lambda _: REPLY)


def reload(call: Call) -> Outcome:
    """Read all unit files again."""
    return Ask(lambda token: ReloadAsked(token, call.caller), lambda _: REPLY)


def reexecute(call: Call) -> Outcome:
    """Go on as the program that is on disk now."""
    return Ask(lambda token: ReexecAsked(token, call.caller), lambda _: REPLY)


def reload_diff(call: Call) -> Outcome:
    """What a reload would change, as json; nothing is."""

    def reply(diff: Any) -> Outcome:
        told = {"added": diff.added, "removed": diff.removed, "changed": diff.changed}
        return Reply("s", (json.dumps(told),))

    return Ask(lambda token: ReloadAsked(token, call.caller, dry=True), reply)


def plan(call: Call, world: World, verb: str, units: str) -> Outcome:
    """What a request would do, as json; nothing is done."""

    def reply(plan: Any) -> Outcome:
        return Reply("s", (json.dumps(shape(plan, world.gauges.in_order)),))

    return Ask(lambda token: PlanAsked(token, verb, tuple(units.split())), reply)


def orphans(call: Call) -> Outcome:
    """Processes of ours that are not where they belong, as json."""

    def reply(found: Any) -> Outcome:
        rows = [
            {
                "pid": left.pid,
                "unit": left.unit,
                "command": left.command,
                "found": left.found,
                "age_s": round(left.age_us / SECOND, 3),
                "ours": left.ours,
                "state": left.state,
                "channel": left.channel,
                "note": left.note,
            }
            for left in found
        ]
        return Reply("s", (json.dumps(rows),))

    return Ask(lambda token: OrphansAsked(token, call.caller), reply)


def hold(world: World, name: str, wanted: bool) -> Outcome:
    """Refer to a unit, which is loaded if need be, or do so no more."""
    return loaded(world, name, lambda status: Hold(status.unit.name, wanted))


def shutdown(call: Call, leaving: Leaving, code: int = 0, *, force: bool = False) -> Outcome:
    """Stop everything, then leave; `force`: kill instead of stopping."""
    return Ask(lambda token: ShutdownAsked(token, leaving, code, force, call.caller), lambda _: REPLY)


def force(call: Call, how: str, code: int) -> Outcome:
    """Kill everything at once, then leave; a shutdown under way is cut short. `code` is for exit."""
    ways = [way for way in Leaving if way is not Leaving.STAY]
    if how not in ways:
        return invalid(f"cannot leave by {how!r}: it is none of {', '.join(ways)}")
    return shutdown(call, Leaving(how), code if how == Leaving.EXIT else 0, force=True)
