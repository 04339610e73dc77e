"""How one stop of one unit went: phases, signals, who was killed and what kept them. Kept until the next start.

It is written down whenever the unit's machine takes a step or a signal was sent, so that a failure can be explained and
a shutdown reported afterwards. What is kept of one stop is bounded.
"""

from dataclasses import dataclass, field

from unitd.machines.phases import (
    SETTING_OF,
    AutoRestart,
    Commands,
    Dead,
    Phase,
    Service,
    is_stopping,
    sub_state,
)
from unitd.model.effects import Effect, Kill
from unitd.model.events import Signalled
from unitd.model.processes import Evidence, Target
from unitd.model.states import INFINITY
from unitd.syntax.signals import SIGKILL

MOST_KILLED = 64
_MOST_STEPS = 32


@dataclass(slots=True)
class Sent:
    """A signal to the unit, asked for at `at`, and to how many processes it went, once that is told."""

    signal: int
    at: int
    count: int = 0
    is_told: bool = False


@dataclass(slots=True)
class Course:
    """Instants are monotonic us; `ended` 0: not yet. `limit`: the latest instant that it may take to."""

    began: int
    limit: int = INFINITY
    ended: int = 0
    phases: list[tuple[str, int]] = field(default_factory=list)
    signals: list[Sent] = field(default_factory=list)
    examined: int = 0
    """When those who did not go were looked at, to be killed; 0: never."""
    killed: list[Target] = field(default_factory=list)
    killed_more: int = 0
    evidence: Evidence | None = None
    hung: list[str] = field(default_factory=list)
    """The settings whose command did not end in time."""

    def asked_for(self, kill: Kill, now: int) -> None:
        """A signal is going to be sent."""
        if kill.examine and not self.examined:
            self.examined = now
        if len(self.signals) < _MOST_STEPS and (not self.signals or self.signals[-1].signal != kill.signal):
            self.signals.append(Sent(kill.signal, now))

    def signalled(self, event: Signalled, now: int) -> bool:
        """It was sent, or to everybody at the end of a shutdown; whether it went to somebody who had SIGKILL before."""
        sent = next((each for each in self.signals if each.signal == event.signal), None)
        if sent is None:
            sent = Sent(event.signal, now)
            self.signals.append(sent)
        sent.count, sent.is_told = sent.count + len(event.sent), True
        if event.evidence is not None and not self.examined:
            self.examined = now
        if event.evidence is not None and (event.evidence.stragglers or self.evidence is None):
            self.evidence = event.evidence
        if event.signal != SIGKILL:
            return False
        known = {target.pid for target in self.killed}
        fresh = [target for target in event.sent if target.pid not in known]
        room = MOST_KILLED - len(self.killed)
        self.killed += fresh[:room]
        self.killed_more += len(fresh[room:])
        return len(fresh) < len(event.sent)


def follow(
    course: Course | None, before: Service, after: Service, effects: tuple[Effect, ...], now: int
) -> Course | None:
    """What the machine's step makes of it; None: the unit was not stopped since its last start."""
    if after.phase is not before.phase:
        course = _enter(course, before.phase, after, now)
    if course is not None:
        course.limit = min(course.limit, after.limit)
        for effect in effects:
            if isinstance(effect, Kill):
                course.asked_for(effect, now)
    return course


def _enter(course: Course | None, before: Phase, after: Service, now: int) -> Course | None:
    if is_stopping(after.phase):
        if course is None or course.ended:
            course = Course(now)
        if len(course.phases) < _MOST_STEPS and (not course.phases or course.phases[-1][0] != sub_state(after)):
            course.phases.append((sub_state(after), now))
    elif isinstance(before, Dead | AutoRestart):
        return None
    elif course is not None and not course.ended and isinstance(after.phase, Dead | AutoRestart):
        course.ended = now
    if course is not None and isinstance(before, Commands) and before.deadline <= now and is_stopping(before):
        setting = SETTING_OF[before.stage]
        if setting not in course.hung:
            course.hung.append(setting)
    return course
