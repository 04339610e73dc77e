"""What one daemon leaves to the next: the state of every unit with its jobs, and how far the start-up was.

Values only, which msgspec writes as JSON and reads back with their types. Definitions are not among them: the next
daemon reads the unit files as they are then, as daemon-reload does. Instants are CLOCK_MONOTONIC, and so mean
something within one boot alone (clock_getres(2)).
"""

import dataclasses
from collections import deque
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from unitd.engine.core import Core
from unitd.engine.course import Course
from unitd.engine.record import Record, State, Times, first_state
from unitd.jobs.job import Job
from unitd.jobs.queue import Queue
from unitd.machines import service
from unitd.machines.phases import Service
from unitd.machines.step import Resume
from unitd.model import settings
from unitd.model.effects import CheckConditions, Level
from unitd.model.events import OURSELVES, Caller
from unitd.model.states import Active
from unitd.syntax.unit_name import valid

NEVER = Times()


class Saved(Struct, frozen=True, omit_defaults=True, tag="unit"):
    """One unit and its jobs. Without a state it is as if just loaded, and what was said of it before is void."""

    unit: str
    state: State | None = None
    times: Times = NEVER
    invocation: str = ""
    conditions: tuple[int, ...] = ()
    asserts: tuple[int, ...] = ()
    checking: int = 0
    starts: tuple[int, ...] = ()
    by: Caller = OURSELVES
    jobs: tuple[Job, ...] = ()
    course: Course | None = None


class Life(Struct, frozen=True, omit_defaults=True, tag="life"):
    """What the engine knows beside its units. `leaving`: a shutdown is under way, and what was to follow it."""

    next_job: int = 1
    began: int = 0
    finished: int = 0
    first_job: int = 0
    first_target: str = ""
    otherwise: tuple[str, ...] = ()
    leaving: str = ""


class Snapshot(Struct, frozen=True):
    units: tuple[Saved, ...] = ()
    life: Life = Life()


def saved(core: Core, names: Iterable[str]) -> list[Saved]:
    """The units as they are now, in the order of the names."""
    return [_saved(core, name) for name in names]


def life(core: Core) -> Life:
    return Life(
        next_job=core.units.queue.next_id,
        began=core.began,
        finished=core.finished,
        first_job=core.first_job,
        first_target=core.first_target,
        otherwise=core.otherwise,
        leaving=core.ending.leaving if core.ending is not None else "",
    )


def snapshot(core: Core) -> Snapshot:
    """Everything that is worth telling of."""
    units = saved(core, sorted(core.units.records))
    return Snapshot(tuple(unit for unit in units if unit.state is not None), life(core))


def _saved(core: Core, name: str) -> Saved:
    record = core.units.records.get(name)
    if record is None:
        return Saved(name)
    jobs = core.units.queue.all_of(name)
    if not (record.times.state_change or record.starts or jobs) and record.state == first_state(record.unit):
        return Saved(name)
    return Saved(
        unit=name,
        state=_lasting(record.state),
        times=dataclasses.replace(record.times),
        invocation=record.invocation,
        conditions=record.conditions,
        asserts=record.asserts,
        checking=record.checking,
        starts=tuple(record.starts),
        by=record.by,
        jobs=jobs,
        course=_worth_telling(record.course),
    )


def _worth_telling(course: Course | None) -> Course | None:
    """A stop that went well is not looked up later."""
    return dataclasses.replace(course) if course is not None and course.evidence is not None else None


def _lasting(state: State) -> State:
    """The sign of life of a watchdog is not worth writing down each time: the next daemon waits for one anew."""
    return replace(state, watchdog_at=1) if isinstance(state, Service) and state.watchdog_at else state


# --- the way back -----------------------------------------------------------------------------------


def restore(core: Core, past: Snapshot, *, resend: bool) -> None:
    """Go on with what another daemon had: states, jobs, and effects for all that died with it.

    `core` is fresh. `resend`: that daemon did not get round to saying what of its last effects it carried out.
    """
    found = [(unit, record) for unit in past.units if (record := _put_back(core, unit)) is not None]
    core.take_fresh()
    _restore_life(core, past.life)
    jobs = [job for unit, _ in found for job in unit.jobs]
    if past.life.leaving:
        jobs = _without_the_shutdown(core, past.life, jobs)
    core.units.queue = Queue(jobs, max([past.life.next_job, *(job.id + 1 for job in jobs)]))
    for _, record in found:
        core.step(record, Resume(resend))
        if record.checking:
            conditions, asserts = (settings.value(record.unit, kind) for kind in ("Conditions", "Asserts"))
            core.emit(CheckConditions(record.name, record.checking, conditions, asserts))


def _put_back(core: Core, unit: Saved) -> Record | None:
    """Give a unit its state; None when there is no such unit now, which is told."""
    if unit.state is None:
        return None
    record = core.units.record(unit.unit) if valid(unit.unit) else None
    if record is None or record.name != unit.unit or type(record.state) is not type(unit.state):
        now = f"that is {record.name} now" if record is not None and record.name != unit.unit else "no unit is such"
        core.log(Level.ERR, f"cannot go on with {unit.unit}: {now}", unit.unit)
        return None
    record.state = unit.state
    record.times = dataclasses.replace(unit.times)
    record.invocation = unit.invocation
    record.conditions, record.asserts, record.checking = unit.conditions, unit.asserts, unit.checking
    record.starts = deque(unit.starts)
    record.by = unit.by
    record.course = unit.course
    if isinstance(record.state, Service):
        core.deadlines.put(record.name, service.deadline(record.state))
    active = record.active
    for names, belongs in (
        (core.up, not active.is_down),
        (core.stopping, active is Active.DEACTIVATING),
        (core.failed, active is Active.FAILED),
    ):
        if belongs:
            names.add(record.name)
    return record


def _restore_life(core: Core, past: Life) -> None:
    core.began, core.finished = past.began or core.began, past.finished
    core.first_job, core.first_target, core.otherwise = past.first_job, past.first_target, past.otherwise


def _without_the_shutdown(core: Core, past: Life, jobs: list[Job]) -> list[Job]:
    """A shutdown ends with the daemon that led it: what it has stopped is stopped, what it had not yet goes on."""
    kept = [replace(job, irreversible=False) for job in jobs if not (job.irreversible and job.is_waiting)]
    spared = len(jobs) - len(kept)
    plural = "" if spared == 1 else "s"
    text = f"the {past.leaving} under way ended with the daemon before: {spared} unit{plural} not stopped, and kept"
    core.log(Level.WARNING, text)
    return kept
