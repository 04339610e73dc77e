"""What all parts of the engine share: the units, the instant, the effects gathered, and the one way to step a machine.

A machine's change of state is queued, and followed up by the loop in engine.py; so nothing recurses, however deep
the graph.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from unitd.engine import course
from unitd.engine.deadlines import Deadlines
from unitd.engine.record import Record
from unitd.engine.report import Gathered
from unitd.engine.units import Units, slice_path
from unitd.machines import service, simple, sockets, stopping
from unitd.machines.conf import Context
from unitd.machines.phases import AutoRestart, Dead, Rung, Service
from unitd.machines.simple import Simple
from unitd.machines.sockets import ServiceDown, ServiceUp, Socket
from unitd.machines.step import Ask, Order, Step
from unitd.machines.turn import Turn
from unitd.model import settings
from unitd.model.claims import Claim
from unitd.model.config import Config
from unitd.model.dependencies import Dep
from unitd.model.effects import Effect, Level, Log, UnitChanged, UnitNew
from unitd.model.events import Leaving, Tick, UnitEvent
from unitd.model.processes import Left
from unitd.model.states import INFINITY, Active, Result
from unitd.shutdown.budget import Budget


@dataclass(slots=True)
class Ending:
    """A shutdown under way. `step`: "waves", then "spared", then "killed", then "left".

    `bound`: when it is over at the latest, by its plan. `verifying`: an answer to Verify is to come. `kill_at`: when
    what was spared is asked no more, but killed.
    """

    leaving: Leaving
    code: int
    began: int
    waves_end: int
    end: int
    bound: int
    budget: Budget
    gathered: Gathered
    step: str = "waves"
    next_check: int = INFINITY
    pause: int = 0
    verifying: bool = False
    kill_at: int = INFINITY
    left: tuple[Left, ...] = ()
    named: tuple[Left, ...] = ()
    """Who is left alone, though it holds what a unit claims, or looks like ours."""
    claims: tuple[Claim, ...] = ()
    """Of the units that were up when it began."""


@dataclass(slots=True)
class Change:
    """A unit's state before and after; `again`: an end after which it will start again, or that was told already."""

    record: Record
    old: Active
    new: Active
    again: bool = False


@dataclass(slots=True)
class Core:
    units: Units
    config: Config
    bases: Mapping[str, str]
    next_invocation: Callable[[], str]
    may_exit: bool = True
    now: int = 0
    began: int = 0
    finished: int = 0
    """When the job of the first target ended; 0: not yet."""
    first_job: int = 0
    first_target: str = ""
    """What the start-up was asked to start; "": nothing."""
    otherwise: tuple[str, ...] = ()
    """Targets to start, one after the other, as long as the one before cannot be started."""
    first_failed: bool = False
    effects: list[Effect] = field(default_factory=list)
    changes: deque[Change] = field(default_factory=deque)
    asks: deque[tuple[Record, Ask]] = field(default_factory=deque)
    fallen: deque[str] = field(default_factory=deque)
    """Units whose start job fell by a timeout or a dependency: OnFailure= is due."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    """Of the units that wait for an instant."""
    bus_names: dict[str, set[str]] = field(default_factory=dict)
    ending: Ending | None = None
    failed: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    """Units that are not at rest; those that nobody can stop are left out."""
    stopping: set[str] = field(default_factory=set)
    """Units on their way down."""
    looked_at: list[str] = field(default_factory=list)
    """Units loaded because somebody looked, to be forgotten if nothing needs them."""

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def log(self, level: Level, text: str, unit: str = "") -> None:
        self.effects.append(Log(level, text, unit))

    def take_fresh(self) -> None:
        """Tell of units that were loaded."""
        for name in self.units.fresh:
            self.emit(UnitNew(name))
            record = self.units.records.get(name)
            if record is None:
                continue
            for problem in record.unit.problems:
                self.log(Level.ERR if problem.fatal else Level.WARNING, str(problem))
            bus_name = record.unit.settings.get("BusName")
            if bus_name:
                self.bus_names.setdefault(bus_name, set()).add(name)
        self.units.fresh.clear()

    # --- stepping ------------------------------------------------------------------------------------

    def step(self, record: Record, event: UnitEvent | Order | Tick | ServiceUp | ServiceDown) -> None:
        """Let the unit's machine answer `event`; a mistake in it fails this unit alone (result internal)."""
        before, old = record.state, record.active
        try:
            after = self._stepped(record, event)
        except Exception as fault:
            text = f"cannot go on with {record.name}: internal error {type(fault).__name__}: {fault}, at {event!r}"
            self.log(Level.ERR, text, record.name)
            after = self._broken(record)
        if after is None or (after.state is before and not after.effects and not after.asks):
            return
        record.state = after.state
        if isinstance(before, Service):
            record.course = course.follow(record.course, before, after.state, after.effects, self.now)
        self.effects.extend(after.effects)
        self.asks.extend((record, ask) for ask in after.asks)
        self._note_deadline(record)
        if after.state != before:
            self.emit(UnitChanged(record.name))
            resumed = isinstance(before, Service) and isinstance(before.phase, AutoRestart)
            self._moved(record, old, told=resumed and record.active.is_down)

    def _stepped(self, record: Record, event: Any) -> Step[Any] | None:
        match record.state:
            case Service() as state:
                return service.step(state, event, self.context(record), self.now)
            case Socket() as state:
                return sockets.step(state, event, record.unit, self.now)
            case Simple() as state:
                return simple.step(state, event, record.name)
            case _:
                return None

    def _broken(self, record: Record) -> Step[Any] | None:
        """The unit is taken down as well as can be."""
        if not isinstance(record.state, Service):
            return None
        state = replace(record.state, result=Result.INTERNAL, no_restart=True)
        try:
            turn = Turn(state, self.context(record), self.now)
            stopping.signal(turn, Rung.KILL, Result.INTERNAL)
            return Step(turn.service, tuple(turn.effects))
        except Exception:
            return Step(replace(state, phase=Dead(), main=None, control=None))

    def context(self, record: Record) -> Context:
        """What a service's machine needs beside its state."""
        known = record.cached_context
        if known is not None and known.invocation == record.invocation:
            return known
        record.cached_context = Context(
            conf=record.conf,
            cgroup=self.cgroup(record),
            invocation=record.invocation,
            bases=self.bases,
            sockets=lambda: self.sockets_of(record),
        )
        return record.cached_context

    def cgroup(self, record: Record) -> str:
        """The unit's cgroup, relative to the daemon's sub-tree; laid out as systemd's."""
        name = record.name
        if name.endswith(".slice"):
            return slice_path(name)
        if name == "init.scope":
            return name
        if not name.endswith((".service", ".socket", ".mount", ".swap", ".scope")):
            return ""
        parent = next(iter(record.unit.deps.get(Dep.IN_SLICE, ())), "system.slice")
        return f"{slice_path(parent)}/{name}".lstrip("/")

    def sockets_of(self, record: Record) -> tuple[str, ...]:
        """The socket units whose descriptors a service gets: those that trigger it, and Sockets=."""
        found = [n for n in self.units.index.deps(record.name, Dep.TRIGGERED_BY) if n.endswith(".socket")]
        found += [n for n in settings.value(record.unit, "Sockets") if n not in found]
        return tuple(found)

    def _note_deadline(self, record: Record) -> None:
        if isinstance(record.state, Service):
            self.deadlines.put(record.name, service.deadline(record.state))

    # --- changes of state ------------------------------------------------------------------------------

    def _moved(self, record: Record, old: Active, *, told: bool) -> None:
        """Queue what a change of state means; a service that will restart passes through its end first.

        `told`: its end is not news, because it was waiting for its restart.
        """
        new = record.active
        if record.sub == "auto-restart" and not old.is_down:
            state = record.state
            failed = isinstance(state, Service) and state.result is not Result.SUCCESS
            rest = Active.FAILED if failed else Active.INACTIVE
            self._stamp(record, old, rest)
            self.changes.append(Change(record, old, rest, again=True))
            old = rest
        if new is not old:
            self._stamp(record, old, new)
            self.changes.append(Change(record, old, new, again=told))

    def _stamp(self, record: Record, old: Active, new: Active) -> None:
        if new.is_down:
            self.up.discard(record.name)
        else:
            self.up.add(record.name)
        if new is Active.DEACTIVATING:
            self.stopping.add(record.name)
        else:
            self.stopping.discard(record.name)
        times, now = record.times, self.now
        times.state_change = now
        if old.is_down and not new.is_down:
            times.inactive_exit = now
        if not old.is_down and new.is_down:
            times.inactive_enter = now
        if not old.is_up and new.is_up:
            times.active_enter = now
        if old.is_up and not new.is_up:
            times.active_exit = now
        if new is Active.FAILED:
            self.failed.add(record.name)
        else:
            self.failed.discard(record.name)
