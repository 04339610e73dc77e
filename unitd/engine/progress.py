"""How far every stop is: who is on the way down, until when, and what comes next; read only.

Told are services, for whatever else stops has no processes of its own; and in the last stages of a shutdown, instead
of units, all that is left of them.
"""

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from unitd.engine.core import Core
from unitd.engine.record import Record
from unitd.jobs.job import Job
from unitd.machines.conf import ServiceConf
from unitd.machines.phases import Commands, Killing, Rung, Service, Stage
from unitd.model.processes import Left
from unitd.model.states import INFINITY, SECOND, Active, JobType
from unitd.syntax.signals import SIGKILL, signal_name
from unitd.wire.progress import SPARED, WAITING

_NAMED = 3
"""Units that are named of those that one waits for."""


class Stopping(Struct, frozen=True):
    """One unit on its way down; unit "": all that is left, in the last stages of a shutdown, named by `left`.

    `deadline`: the instant at which `next` follows (monotonic us; 0 or INFINITY: at none). `pids`: control and main
    process, as far as there are any.
    """

    unit: str
    phase: str
    deadline: int
    next: str
    pids: tuple[int, ...] = ()
    left: tuple[Left, ...] = ()


class Whole(Struct, frozen=True):
    """The shutdown as a whole: the instants of its begin and of its cap, and how many units are not at rest yet."""

    began: int
    end: int
    units_left: int


def whole(core: Core) -> Whole | None:
    """None: no shutdown is under way."""
    ending = core.ending
    return Whole(ending.began, ending.began + ending.gathered.cap, len(core.up)) if ending is not None else None


def is_stopping(core: Core) -> bool:
    """Whether a unit is on its way down, or a shutdown under way."""
    return bool(core.stopping) or (core.ending is not None and core.ending.step != "left")


def stopping(core: Core, among: Collection[str] | None = None, most: int = 50) -> list[Stopping]:
    """The units on their way down, the most urgent ones first; of those in `among` alone if it is given.

    Without `among` those follow that wait for them. Never more than `most`.
    """
    if core.ending is not None and core.ending.step != "waves":
        return [_rest(core)] if core.ending.step != "left" else []
    names = core.stopping if among is None else core.stopping.intersection(among)
    found = [_of(record) for name in names if isinstance((record := core.units.records[name]).state, Service)]
    found.sort(key=lambda one: (one.deadline or INFINITY, one.unit))
    if among is None and len(found) < most:
        found.extend(one for one, _ in zip(_waiting(core), range(most - len(found)), strict=False))
    return found[:most]


def to_stop(core: Core, records: Sequence[Record]) -> str:
    """What a shutdown that begins has to do, in words; where that is nothing, why."""
    number = f"{len(records)} unit{'' if len(records) == 1 else 's'} to stop"
    if not records:
        failed = f", {len(core.failed)} of them failed" if core.failed else ""
        return f"nothing to stop, for none of the {len(core.units.records)} loaded units is active{failed}"
    if not any(isinstance(record.state, Service) for record in records):
        return f"{number}, none of them a service"
    return number


def stopped(record: Record, now: int) -> str:
    """How a service stopped: "a.service is stopped: SIGTERM to pid 12 and 2 more, 0.4 s"; "" for another unit."""
    state, course = record.state, record.course
    if not isinstance(state, Service) or course is None:
        return ""
    killed = course.killed[-1].pid if course.killed else 0
    sent = [
        f"{_signal(one.signal)} to {_whom(one.count, killed if one.signal == SIGKILL else state.last_main.pid)}"
        for one in course.signals
        if one.count
    ]
    sent += [f"{_signal(one.signal)} was on its way" for one in course.signals if not one.is_told]
    how = ", then ".join(sent) or "no signal was needed"
    verdict = "is stopped" if record.active is not Active.FAILED else f"is stopped, but failed ({state.result})"
    return f"{record.name} {verdict}: {how}, {(now - course.began) / SECOND:.1f} s"


def _whom(count: int, main: int) -> str:
    if not main:
        return f"{count} processes" if count != 1 else "1 process"
    return f"pid {main}" + (f" and {count - 1} more" if count > 1 else "")


def _rest(core: Core) -> Stopping:
    """What the sweep found when it last looked."""
    ending = core.ending
    assert ending is not None
    if not ending.left:
        return Stopping("", ending.step, 0, "the proof that nothing is left")
    if ending.step == SPARED:
        deadline = ending.kill_at if ending.kill_at < INFINITY else 0
        return Stopping("", SPARED, deadline, "SIGKILL", left=ending.left)
    return Stopping("", ending.step, ending.end, "give up, and name who is left", left=ending.left)


def _of(record: Record) -> Stopping:
    state = record.state
    assert isinstance(state, Service)
    deadline = state.phase.deadline if isinstance(state.phase, Commands | Killing) else 0
    pids = tuple(process.pid for process in (state.control, state.main) if process is not None and process.pid)
    return Stopping(record.name, record.sub, deadline, _next(state, record.conf, deadline), pids)


def _waiting(core: Core) -> Iterator[Stopping]:
    """Services that are to stop, but only after others."""
    for job in core.units.queue:
        if job.type in (JobType.STOP, JobType.RESTART) and job.is_waiting:
            record = core.units.records.get(job.unit)
            if record is not None and isinstance(record.state, Service) and not record.active.is_down:
                yield _behind(core, record, job)


def _behind(core: Core, record: Record, job: Job) -> Stopping:
    state = record.state
    assert isinstance(state, Service)
    first = [other.unit for other in core.units.queue.blockers(job.id)]
    names = ", ".join(first[:_NAMED]) + (f" and {len(first) - _NAMED} more" if len(first) > _NAMED else "")
    step = "ExecStop=" if record.conf.commands.get(Stage.STOP) else _signal(record.conf.kill.signal)
    pids = (state.main.pid,) if state.main is not None and state.main.pid else ()
    return Stopping(record.name, WAITING, 0, f"{step} after {names}" if names else step, pids)


def _signal(number: int) -> str:
    return f"SIG{signal_name(number)}"


def _next(state: Service, conf: ServiceConf, deadline: int) -> str:
    """What follows when the deadline of this phase passes."""
    kill = conf.kill
    match state.phase:
        case Killing() if deadline >= INFINITY:
            return ""
        case Killing(rung=Rung.TERM | Rung.FINAL_TERM) if conf.stop_failure == "abort":
            return _signal(kill.watchdog_signal)
        case Killing(rung=rung) if not rung.is_kill:
            return _signal(kill.final_signal) if kill.send_sigkill else "give up (SendSIGKILL=no)"
        case Killing():
            return "give up"
        case Commands():
            number = {"abort": kill.watchdog_signal, "kill": SIGKILL}.get(conf.stop_failure, kill.signal)
            return _signal(number)
        case _:
            return ""
