"""Fits parts of the host to what the bus asks for (bus/ports); bus and host never meet."""

from collections.abc import Sequence

from unitd.host.clock import Clock
from unitd.host.logs import Logs


class BusClock:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> int:
        """Monotonic microseconds."""
        return self._clock.monotonic()

    def realtime(self, monotonic: int) -> int:
        """Microseconds since 1970; 0 for 0."""
        return monotonic + self._clock.offset() if monotonic else 0


class BusLogs:
    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def tail(self, unit: str, lines: int, since: int) -> Sequence[tuple[int, str, int, str]]:
        """The last `lines` lines (0: all) of a unit that are not older than `since` (realtime us)."""
        found = self._logs.since(unit, since) if since else self._logs.tail(unit, lines)
        return found[-lines:] if lines else found
