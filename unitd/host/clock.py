"""What time it is: microseconds, as everywhere in the core (clock_gettime(2), random(4) for the boot id)."""

import time
from pathlib import Path


class Clock:
    """The kernel's clocks; tests put one of their own in its place."""

    def monotonic(self) -> int:
        """Microseconds of CLOCK_MONOTONIC, which is also the event loop's clock; it stands still in suspend."""
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    def realtime(self) -> int:
        """Microseconds since 1970; jumps when the clock is set."""
        return time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000

    def offset(self) -> int:
        """What to add to a monotonic time to get the wall clock's, as the clock is set now; microseconds."""
        before = self.monotonic()
        real = self.realtime()
        return real - (before + self.monotonic()) // 2


def boot_id() -> str:
    """32 hex digits that differ from boot to boot; "" where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return ""
