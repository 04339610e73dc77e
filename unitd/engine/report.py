"""Gathers how a shutdown goes, unit by unit and as a whole, and makes the report of it.

What a unit went through is in its course; here is what belongs to none: who asked, the waves, who was found behind
them, and what kept those who were killed last.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from unitd.engine import reasons
from unitd.engine.course import Course
from unitd.engine.record import Record
from unitd.machines.phases import Service
from unitd.machines.service import words
from unitd.model.events import Signalled, Survivors
from unitd.model.processes import Left, Straggler
from unitd.model.report import DONE, INTERRUPTED, SURVIVORS, Killed, Phase, Report, Signal, Stray, UnitEnd
from unitd.model.states import INFINITY, SECOND
from unitd.syntax.signals import signal_name

MOST_STRAYS = 1000


@dataclass(slots=True)
class Gathered:
    """Of one shutdown. `waves`: the number of each unit's wave, 1 for the first; `bound`: the plan's (us)."""

    by: str
    began: int
    cap: int
    waves: Mapping[str, int] = field(default_factory=dict)
    bound: int = INFINITY
    wanted: Mapping[str, int] = field(default_factory=dict)
    """What the stop of each unit takes by its own settings at most (us)."""
    strays: dict[tuple[int, int], Left] = field(default_factory=dict)
    spared: dict[tuple[int, int], Left] = field(default_factory=dict)
    seen: dict[int, Straggler] = field(default_factory=dict)

    def found(self, event: Survivors) -> None:
        """Somebody is left after the waves."""
        for known, lefts in ((self.strays, event.left), (self.spared, event.named)):
            for left in lefts:
                if len(known) < MOST_STRAYS:
                    known.setdefault((left.pid, left.birth), left)

    def examined(self, event: Signalled) -> None:
        """The last ones were looked at before their SIGKILL."""
        if event.evidence is not None:
            self.seen |= {one.pid: one for one in event.evidence.stragglers}


def report(
    gathered: Gathered, leaving: str, records: Iterable[Record], now: int, left: tuple[Left, ...] | None = None
) -> Report:
    """The report as it stands; `left`: the survivors, when it is over."""
    stuck = None if left is None else {one.unit for one in left}
    units = [_unit(gathered, record, now, stuck) for record in records if _is_told(gathered, record)]
    others = sum(1 for name in gathered.waves if not name.endswith(".service"))
    outcome = INTERRUPTED if left is None else SURVIVORS if left else DONE
    alive = {(one.pid, one.birth) for one in left or ()}
    strays = [one for key, one in gathered.strays.items() if key not in alive]
    return Report(
        leaving=leaving,
        by=gathered.by,
        began_us=gathered.began,
        cap_s=_seconds(gathered.cap) if gathered.cap < INFINITY else None,
        outcome=outcome,
        bound_s=_seconds(gathered.bound) if gathered.bound < INFINITY else None,
        took_s=None if left is None else _seconds(now - gathered.began),
        units=tuple(sorted(units, key=lambda unit: (unit.wave, unit.unit))),
        others=others,
        strays=tuple(_stray(gathered, one) for one in strays),
        spared=tuple(_stray(gathered, one) for one in gathered.spared.values()),
        survivors=tuple(_stray(gathered, one) for one in left or ()),
    )


def _is_told(gathered: Gathered, record: Record) -> bool:
    """The services that were to be stopped, and those that came to be meanwhile."""
    if not isinstance(record.state, Service):
        return False
    return record.name in gathered.waves or (record.course is not None and record.course.began >= gathered.began)


def _unit(gathered: Gathered, record: Record, now: int, stuck: Collection[str] | None) -> UnitEnd:
    """`stuck`: the units of which somebody lived on; None: that is not known yet."""
    state, course = record.state, record.course or Course(now, ended=now)
    assert isinstance(state, Service)
    # What was wanted when the shutdown began, and what had passed of a stop that had begun before.
    own = gathered.wanted.get(record.name, record.conf.stop_timeout)
    own = own + max(0, gathered.began - course.began) if own < INFINITY else own
    allotted = min(own, course.limit - course.began) if course.limit < INFINITY else own
    lives = stuck is None or record.name in stuck
    full = {one.pid: one.command for one in course.evidence.stragglers} if course.evidence is not None else {}
    return UnitEnd(
        unit=record.name,
        wave=gathered.waves.get(record.name, 0),
        state=record.active,
        result=state.result,
        took_s=_seconds((course.ended or now) - course.began),
        dying_s=_seconds((course.ended or now) - course.signals[0].at) if course.signals else 0,
        allotted_s=_seconds(allotted) if allotted < INFINITY else None,
        cut_from_s=_seconds(own) if allotted < own < INFINITY else None,
        phases=tuple(Phase(name, _seconds(at - gathered.began)) for name, at in course.phases),
        signals=tuple(
            Signal(f"SIG{signal_name(sent.signal)}", _seconds(sent.at - gathered.began), sent.count)
            for sent in course.signals
        ),
        escalated=course.examined > 0,
        waited_s=_seconds(course.examined - course.began) if course.examined else 0,
        killed=tuple(Killed(one.pid, full.get(one.pid, one.command)) for one in course.killed),
        killed_more=course.killed_more,
        evidence=course.evidence,
        exec_stop=_command(state, course, "ExecStop"),
        exec_stop_post=_command(state, course, "ExecStopPost"),
        left=reasons.left_behind(record) if lives else "",
        hint=reasons.hint(record) if lives or not state.populated else "",
    )


def _command(state: Service, course: Course, setting: str) -> str:
    """How the commands of a setting ended in this stop; "" when none ran."""
    ran = [run for run in state.runs.get(setting, ()) if run.started >= course.began]
    if setting in course.hung:
        return "did not end in time"
    failed = next((run for run in ran if run.exit is not None and run.exit.status), None)
    last = failed or (ran[-1] if ran else None)
    return words(last.exit) if last is not None and last.exit is not None else ""


def _stray(gathered: Gathered, left: Left) -> Stray:
    seen = gathered.seen.get(left.pid)
    note = "; ".join(part for part in (left.note, reasons.what_keeps(seen) if seen is not None else "") if part)
    return Stray(left.pid, left.command, left.unit, left.found, left.ours, note, seen)


def _seconds(span: int) -> float:
    return round(span / SECOND, 6)
