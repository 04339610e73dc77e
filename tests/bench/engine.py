"""What the core costs: microseconds of engine per unit loaded, started and stopped, and per idle turn of the loop."""

import resource
import time
from collections.abc import Iterator

from tests.bench.figures import Figure, report
from tests.fakes.house import House
from unitd.model.effects import Effect
from unitd.model.events import Event, JobAsked, Leaving, ShutdownAsked, Tick
from unitd.model.states import JobMode, JobType

SIZES = (1000, 3000)
TURNS = 1000


class Timed(House):
    """A house that keeps the time which its engine takes, in seconds, apart from the kernel's."""

    spent = 0.0

    def feed(self, event: Event) -> list[Effect]:
        begin = time.process_time()
        effects = self.engine.handle(event, self.clock.now)
        self.engine.deadline()
        self.spent += time.process_time() - begin
        for effect in effects:
            self.kernel.perform(effect)
        return effects

    def lap(self) -> float:
        """Seconds since the last lap."""
        spent, self.spent = self.spent, 0.0
        return spent


def _house(size: int) -> Timed:
    units = {f"u{i}.service": f"[Unit]\nDescription=number {i}\n[Service]\nExecStart=/bin/a" for i in range(size)}
    return Timed(units | {"all.target": "[Unit]\nWants=" + " ".join(units)})


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    for size in SIZES:
        made = _house(size)
        begin = time.process_time()
        made.engine.core.units.record("all.target")
        yield Figure(f"load of {size}", 1e6 * (time.process_time() - begin) / size, "us/unit", 100)
        made.feed(JobAsked(0, "all.target", JobType.START, JobMode.REPLACE))
        made.run()
        yield Figure(f"start of {size}, job to running", 1e6 * made.lap() / size, "us/unit", 400)
        for _ in range(TURNS):
            made.feed(Tick())
        yield Figure(f"a turn with {size} running", 1e6 * made.lap() / TURNS, "us", 30)
        made.feed(ShutdownAsked(0, Leaving.EXIT))
        yield Figure(f"plan of a shutdown of {size}", 1e6 * made.spent / size, "us/unit", 100)
        made.run()
        yield Figure(f"shutdown of {size}", 1e6 * made.lap() / size, "us/unit", 400)
    yield Figure("largest resident size", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", 80)


def run() -> bool:
    """Print the figures; whether all keep their budgets."""
    return report(figures())
