"""The shutdown, step by step: the waves, then what they spared, then proof; bounded by the cap throughout.

1. waves: every unit that is up or coming up gets a stop job, irreversibly; the queue keeps the order, and a cycle
   among the units is broken beforehand, so nobody waits for ever.
2. spared: what KillMode= or SendSIGKILL= let live gets SIGTERM.
3. killed: what is left then, or at the end of the waves' time, gets SIGKILL.
4. Every process that was ever started is proved gone, or named; then the daemon leaves.
"""

from unitd.engine import planning, progress, queueing, reasons, report
from unitd.engine.core import Core, Ending
from unitd.engine.record import Record
from unitd.jobs.transaction import Planned, Transaction
from unitd.machines.phases import Service
from unitd.machines.step import Limit
from unitd.model.claims import claim_of
from unitd.model.effects import KeepReport, KillEverything, Leave, Level, StageChanged, UnitChanged, Verify
from unitd.model.events import Leaving, ShutdownAsked, Survivors
from unitd.model.processes import Left
from unitd.model.refusals import Kind, Refusal
from unitd.model.report import Report
from unitd.model.states import INFINITY, SECOND, Active, JobResult, JobType
from unitd.shutdown import budget
from unitd.syntax.signals import SIGKILL, SIGTERM

FAREWELL = 5 * SECOND
"""How long clients may take at most to read how it ended (us)."""
LOOK_AGAIN = 20_000
LOOK_SELDOM = 320_000
"""Microseconds between two looks at what is left, at first and later on."""

POWER: dict[str, Leaving] = {
    "poweroff.target": Leaving.POWEROFF,
    "reboot.target": Leaving.REBOOT,
    "halt.target": Leaving.HALT,
    "kexec.target": Leaving.KEXEC,
    "exit.target": Leaving.EXIT,
    "ctrl-alt-del.target": Leaving.REBOOT,
}
"""Targets whose start is a shutdown, whoever asks."""


def check(core: Core, leaving: Leaving) -> None:
    """Raises Refusal when the daemon cannot leave like that."""
    if leaving is Leaving.EXIT and not core.may_exit:
        hint = "poweroff, reboot and halt are what it can do"
        raise Refusal(Kind.NOT_SUPPORTED, "", "cannot exit: the first process of a machine cannot", hint)


def begin(core: Core, asked: ShutdownAsked) -> None:
    """Begin to stop everything; a second request only changes how the daemon leaves. Raises Refusal."""
    check(core, asked.leaving)
    who = asked.by.what + (f" (uid {asked.by.uid}, pid {asked.by.pid})" if asked.by.pid else "")
    request = f"{asked.leaving.words}{' by force' if asked.force else ''} asked for by {who}"
    if core.ending is not None:
        core.log(Level.NOTICE, f"{request}, while everything is being stopped")
        _change(core, core.ending, asked, who)
        return
    outline, records = planning.outline(core), planning.to_stop(core)
    bounds, broken = outline.bounds, outline.waves.broken
    core.ending = Ending(
        asked.leaving,
        asked.code,
        core.now,
        bounds.waves_end,
        bounds.end,
        bounds.bound,
        outline.budget,
        _gathered(core, who, outline),
    )
    core.ending.claims = tuple(claim for record in records if (claim := claim_of(record.unit)) is not None)
    core.log(Level.NOTICE, f"{request}: {progress.to_stop(core, records)}")
    for name, cycle in broken.items():
        path = " -> ".join((*cycle, cycle[0]))
        core.log(Level.WARNING, f"cannot keep the order of {name}: ordering cycle {path}", name)
    _install_stops(core, records, frozenset(broken))
    for record in records:
        if record.active is Active.DEACTIVATING:
            core.step(record, Limit(planning.limit(core, record)))
    if asked.force:
        core.ending.waves_end = core.now
    core.emit(KeepReport(_report(core, core.ending)))


def _change(core: Core, ending: Ending, asked: ShutdownAsked, who: str) -> None:
    """Another request while one is carried out: how to leave, and by force that no more time is given."""
    if asked.leaving is not ending.leaving:
        ending.gathered.by = who
    ending.leaving, ending.code = asked.leaving, asked.code or ending.code
    if asked.force:
        ending.waves_end = ending.next_check = ending.kill_at = core.now


def _gathered(core: Core, who: str, outline: planning.Outline) -> report.Gathered:
    """An empty collector for what will happen, which knows the plan."""
    return report.Gathered(
        by=who,
        began=core.now,
        cap=core.config.shutdown_timeout,
        bound=outline.bounds.bound - core.now if outline.bounds.bound < INFINITY else INFINITY,
        waves={name: number for number, names in enumerate(outline.waves.waves, 1) for name in names},
        wanted={name: need.most for name, need in outline.budget.needs.items()},
    )


def _report(core: Core, ending: Ending, left: tuple[Left, ...] | None = None) -> Report:
    return report.report(ending.gathered, ending.leaving, core.units.records.values(), core.now, left)


def _install_stops(core: Core, records: list[Record], broken: frozenset[str]) -> None:
    names = frozenset(record.name for record in records)
    others = frozenset(core.units.records) - names
    if not records:
        for job in list(core.units.queue):
            if core.units.queue.get(job.id) is not None:
                queueing.finish(core, job, JobResult.CANCELED)
        return
    planned = tuple(
        Planned(record.name, JobType.STOP, _merged(core, record.name), ignore_order=record.name in broken)
        for record in sorted(records, key=lambda record: record.name)
    )
    transaction = Transaction(planned[0].unit, planned, irreversible=True, cleared=others)
    queueing.tell_installed(core, core.units.queue.install(transaction, None, core.now))


def _merged(core: Core, name: str) -> JobType | None:
    job = core.units.queue.job_of(name)
    return JobType.STOP if job is not None and job.type is JobType.STOP else None


def stopped(core: Core, record: Record) -> None:
    """A unit is at rest."""
    words = progress.stopped(record, core.now)
    if words:
        core.log(Level.INFO, words, record.name)


def next_instant(core: Core) -> int:
    """When the shutdown itself has something to do."""
    ending = core.ending
    if ending is None or ending.step == "left":
        return INFINITY
    if ending.verifying:
        return ending.end
    return ending.waves_end if ending.step == "waves" else min(ending.next_check, ending.end)


def advance(core: Core) -> None:
    """Go on when the waves are over, when their time is up, or when it is time to look again."""
    ending = core.ending
    if ending is None or ending.step == "left":
        return
    if ending.step == "waves":
        if not core.up:
            ending.step = "spared"
            core.emit(StageChanged())
            _verify(core, ending)
        elif core.now >= ending.waves_end:
            left = sorted(core.up)
            names = ", ".join(left[:5]) + (" ..." if len(left) > 5 else "")
            core.log(Level.WARNING, f"no time is left for stopping: killing all that is left of {names}")
            _kill(core, ending)
    elif ending.verifying and core.now >= ending.end:
        # Nobody could look: whoever may be left counts as alive, and the cap holds all the same.
        survivors(core, Survivors(ending.left or (Left(0, note="cannot tell who is left: nobody could look"),)))
    elif not ending.verifying and core.now >= min(ending.next_check, ending.end):
        _verify(core, ending)


def _verify(core: Core, ending: Ending) -> None:
    """Is anybody left?"""
    ending.verifying = True
    core.emit(Verify(ending.claims))


def _look_again(core: Core, ending: Ending) -> None:
    """Soon at first, less often later; and in time for the SIGKILL that follows what was asked in vain."""
    ending.pause = min(2 * ending.pause or LOOK_AGAIN, LOOK_SELDOM)
    due = core.now + ending.pause
    ending.next_check = min(due, ending.kill_at) if core.now < ending.kill_at else due


def _kill(core: Core, ending: Ending) -> None:
    if ending.step != "killed":
        ending.step, ending.pause = "killed", 0
        core.emit(StageChanged())
    core.emit(KillEverything(SIGKILL, ending.claims))
    _look_again(core, ending)


def survivors(core: Core, event: Survivors) -> None:
    """The answer to Verify."""
    ending = core.ending
    if ending is None or ending.step in ("waves", "left"):
        return
    ending.verifying = False
    if {left.pid for left in ending.left} != {left.pid for left in event.left}:
        core.emit(StageChanged())
    ending.left = event.left
    ending.gathered.found(event)
    _name(core, ending, event.named)
    if not event.left:
        _leave(core, ending)
    elif core.now >= ending.end:
        for left in event.left:
            core.log(Level.ERR, reasons.survivor(left, ending.gathered.seen.get(left.pid)))
        _leave(core, ending)
    elif ending.step == "killed" or core.now >= ending.kill_at:
        _kill(core, ending)
    elif ending.kill_at >= INFINITY:
        for line in event.left:
            foreign = f"{line.sentence}, and is asked to end now (OnConflict=kill)"
            core.log(Level.NOTICE, f"was spared, and is asked to end now: {line}" if line.ours else foreign)
        core.emit(KillEverything(SIGTERM, ending.claims))
        ending.kill_at = min(core.now + budget.GRACE, ending.end - (ending.end - core.now) // 2)
        _look_again(core, ending)
    else:
        _look_again(core, ending)


def _name(core: Core, ending: Ending, named: tuple[Left, ...]) -> None:
    """Say once who is left alone."""
    told = {(left.pid, left.unit, left.found) for left in ending.named}
    fresh = tuple(left for left in named if (left.pid, left.unit, left.found) not in told)
    for left in fresh:
        core.log(Level.WARNING, left.sentence, left.unit)
    ending.named += fresh


def _leave(core: Core, ending: Ending) -> None:
    ending.step = "left"
    for record in core.units.records.values():
        if isinstance(record.state, Service) and not record.active.is_down:
            core.emit(UnitChanged(record.name))
    took = (core.now - ending.began) / 1_000_000
    number = len(ending.left)
    words = f"{number} processes are left" if number > 1 else "1 process is left" if number else "nothing is left"
    core.log(Level.NOTICE, f"shutdown took {took:.2f} s, {words}")
    until = min(ending.end, core.now + FAREWELL)
    if ending.leaving is Leaving.STAY:
        core.ending = None
    core.emit(Leave(ending.leaving, ending.code, ending.left, until, _report(core, ending, ending.left)))
