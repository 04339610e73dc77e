"""The engine in its make-believe world: events are fed, time passes, effects are carried out and written down."""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import json

from tests.fakes.clock import Clock
from tests.fakes.kernel import Kernel, Program
from tests.fakes.source import USUAL, Source
from unitd.engine.engine import Engine
from unitd.engine.snapshot import Snapshot
from unitd.machines.phases import Service
from unitd.model.config import Config
from unitd.model.effects import Answer, Effect, JobGone, Kill, Leave, Log, Spawn
from unitd.model.events import (
    Event,
    JobAsked,
    Leaving,
    ReloadAsked,
    ShutdownAsked,
    Tick,
)
from unitd.model.refusals import Refusal
from unitd.model.states import INFINITY, JobMode, JobResult, JobType

BASES = {"Runtime": "/run", "State": "/var/lib", "Cache": "/var/cache", "Logs": "/var/log", "Configuration": "/etc"}
MOST_TURNS = 3_000
"""More turns of the engine by itself than this, without an event, and it does not come to rest."""

E = TypeVar("E", bound=Effect)


class House:
    """`units`: texts by file name; `programs`: what executables do. Units have DefaultDependencies= as files say."""

    def __init__(
        self, units: Mapping[str, str], programs: Mapping[str, Program] | None = None, config: Config | None = None
    ) -> None:
        self.clock = Clock()
        self.source = Source({**USUAL, **units}, config)
        self.kernel = Kernel(dict(programs or {}), now=self.clock.now)
        self._ids = 0
        self._config = config or Config()
        self.engine = self._new_engine()
        self.log: list[tuple[int, Effect]] = []
        """(instant, effect), in order."""
        self.answers: dict[int, Any] = {}
        self.left: Leave | None = None
        """How the daemon left, if it did."""
        self.acts = True
        """Whether effects are carried out; a test that says what happens itself turns it off."""
        self._token = 0

    def _new_engine(self) -> Engine:
        return Engine(self.source, self._config, BASES, self._new_id, self.clock.now)

    def succeed(self, *, resend: bool = False) -> list[Effect]:
        """Another daemon goes on with what this one wrote down; its first effects, which nobody carries out."""
        past = json.decode(json.encode(self.engine.snapshot()), type=Snapshot)
        self.engine = self._new_engine()
        return self.engine.restore(past, self.clock.now, resend=resend)

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:032x}"

    # --- events in, time on -------------------------------------------------------------------------------

    def feed(self, event: Event) -> list[Effect]:
        """One event; its effects are carried out at once."""
        effects = self.engine.handle(event, self.clock.now)
        for effect in effects:
            self.log.append((self.clock.now, effect))
            if isinstance(effect, Answer):
                self.answers[effect.token] = effect.value
            elif isinstance(effect, Leave):
                self.left = effect
            if self.acts:
                self.kernel.perform(effect)
        return effects

    def run(self, span: int = INFINITY) -> None:
        """Let the world go on for `span`, or until nothing is going to happen any more."""
        end = min(self.clock.now + span, INFINITY)
        turns = 0
        while turns < MOST_TURNS:
            instant = min(self.kernel.next_instant(), self.engine.deadline())
            if instant > end or instant >= INFINITY or self.left is not None:
                break
            self.clock.advance_to(instant)
            self.kernel.now = self.clock.now
            if self.kernel.next_instant() <= self.clock.now:
                turns = 0
                for event in self.kernel.run_due():
                    self.feed(event)
            else:
                turns += 1
                self.feed(Tick())
        else:
            raise AssertionError("the world does not come to rest")
        if end < INFINITY:
            self.clock.advance_to(end)
            self.kernel.now = self.clock.now

    # --- requests -------------------------------------------------------------------------------------------

    def ask(self, event: Any) -> Any:
        """Feed a request made by `event(token)`; the answer."""
        self._token += 1
        self.feed(event(self._token))
        return self.answers.pop(self._token)

    def job(self, type: str, unit: str, mode: str = "replace") -> Any:
        """Ask for a job; the job, or raises the refusal."""
        answer = self.ask(lambda token: JobAsked(token, unit, JobType(type), JobMode(mode)))
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def start(self, *units: str, span: int = INFINITY) -> None:
        for unit in units:
            self.job("start", unit)
        self.run(span)

    def stop(self, *units: str, span: int = INFINITY) -> None:
        for unit in units:
            self.job("stop", unit)
        self.run(span)

    def reload(self) -> Any:
        return self.ask(ReloadAsked)

    def shutdown(self, leaving: Leaving = Leaving.POWEROFF, **more: Any) -> Any:
        return self.ask(lambda token: ShutdownAsked(token, leaving, **more))

    # --- looking --------------------------------------------------------------------------------------------

    def state(self, unit: str) -> str:
        """ "active/running success"."""
        record = self.engine.core.units.known(unit)
        if record is None:
            return "unknown"
        result = f" {record.state.result}" if isinstance(record.state, Service) else ""
        return f"{record.active}/{record.sub}{result}"

    def service(self, unit: str) -> Service:
        record = self.engine.core.units.known(unit)
        assert record is not None
        assert isinstance(record.state, Service)
        return record.state

    def effects(self, kind: type[E]) -> list[E]:
        return [effect for _, effect in self.log if isinstance(effect, kind)]

    def results(self, unit: str) -> list[JobResult]:
        """How the unit's jobs ended, in order."""
        return [effect.result for effect in self.effects(JobGone) if effect.unit == unit]

    def ran(self, unit: str = "") -> list[str]:
        """The programs that were started, in order."""
        return [e.plan.path for e in self.effects(Spawn) if unit in ("", e.plan.unit)]

    def kills(self, unit: str) -> list[tuple[int, str]]:
        """(signal, scope) of every Kill, in order."""
        return [(e.signal, str(e.scope)) for e in self.effects(Kill) if e.unit == unit]

    def lines(self) -> list[str]:
        """The daemon's own log."""
        return [e.text for e in self.effects(Log)]

    @property
    def jobs(self) -> list[str]:
        return [f"{job.type} {job.unit}" for job in self.engine.view.jobs()]
