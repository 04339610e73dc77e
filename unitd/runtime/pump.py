"""The loop between the kernel, the engine and the bus: events are taken one by one, effects carried out in order.

A mistake in one event is logged with the event, and the loop goes on: PID 1 outlives every mistake. The bus is
flushed once per turn, and one timer is armed for the engine's next deadline.
"""

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from unitd.engine.engine import Engine
from unitd.model.effects import Effect
from unitd.model.events import Event, Tick
from unitd.model.states import INFINITY

PER_TURN = 64
"""Events handled before the loop looks at other things again."""


class Pump:
    """`note(effects)` remembers what is going to be done, `perform(effect)` acts; `flush()` ends a turn.

    `monotonic()` is the loop's clock in microseconds.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        engine: Engine,
        note: Callable[[Sequence[Effect]], None],
        perform: Callable[[Effect], None],
        flush: Callable[[], None],
        monotonic: Callable[[], int],
        complain: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._engine = engine
        self._note = note
        self._perform = perform
        self._flush = flush
        self._monotonic = monotonic
        self._complain = complain
        self._events: deque[tuple[Event, Callable[[], None] | None]] = deque()
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = INFINITY

    def post(self, event: Event, then: Callable[[], None] | None = None) -> None:
        """Queue an event; `then` is called once the engine has handled it."""
        self._events.append((event, then))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    @property
    def is_idle(self) -> bool:
        """No event waits."""
        return not self._events

    def begin(self, effects: Sequence[Effect]) -> None:
        """Carry out what the engine asks for first of all."""
        self._act_on(effects)
        self.post(Tick())

    def boot(self, target: str, otherwise: Sequence[str] = ()) -> None:
        """Start the first target, or the first of `otherwise` that can be."""
        self.begin(self._engine.boot(target, self._monotonic(), otherwise))

    def _turn(self) -> None:
        for _ in range(PER_TURN):
            if not self._events:
                break
            event, then = self._events.popleft()
            self._take(event)
            if then is not None:
                then()
        try:
            self._flush()
        except Exception:
            self._complain(f"cannot tell clients: {traceback.format_exc()}")
        self._scheduled = bool(self._events)
        if self._scheduled:
            self._loop.call_soon(self._turn)
        self._arm()

    def _take(self, event: Event) -> None:
        try:
            effects = self._engine.handle(event, self._monotonic())
        except Exception:
            self._complain(f"cannot handle {event!r}: {traceback.format_exc()}")
            return
        self._act_on(effects)

    def _act_on(self, effects: Sequence[Effect]) -> None:
        """What follows is written down first: who is killed in between leaves a note of what it was about to do."""
        try:
            self._note(effects)
        except Exception:
            self._complain(f"cannot write down what was done: {traceback.format_exc()}")
        for effect in effects:
            self._act(effect)

    def _act(self, effect: Effect) -> None:
        try:
            self._perform(effect)
        except Exception:
            self._complain(f"cannot carry out {effect!r}: {traceback.format_exc()}")

    def _arm(self) -> None:
        """One timer, for the next deadline."""
        due = self._engine.deadline()
        if due <= self._monotonic():
            self.post(Tick())
            return
        if due == self._due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due < INFINITY:
            self._timer = self._loop.call_at(due / 1_000_000 + 0.0005, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.post(Tick())
