"""How the cap of a shutdown is shared: so much for the waves, a reserve for the end, an even share for each wave.

Invariant: every deadline lies before the cap, whatever the units do.
"""

from msgspec import Struct

from unitd.model.states import SECOND

RESERVE_PART = 5
RESERVE_MOST = 3 * SECOND


class Bounds(Struct, frozen=True):
    """Instants: at `waves_end` what is left is killed; at `end` the daemon leaves."""

    waves_end: int
    end: int


def bounds(now: int, cap: int) -> Bounds:
    """The instants for a shutdown that begins now and may take `cap` microseconds."""
    reserve = min(cap // RESERVE_PART, RESERVE_MOST)
    return Bounds(now + cap - reserve, now + cap - reserve // 3)


def share(now: int, waves_end: int, depth: int) -> int:
    """The instant until which a unit may take that starts to stop now, with `depth` waves from its own on."""
    return now + max(0, waves_end - now) // max(1, depth)
