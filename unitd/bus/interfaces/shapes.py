"""How settings look on the bus where the daemon keeps them in another form: masks, numbers, one of a pair.

Numbers of policies and classes are the kernel's (sched(7), ioprio_set(2)); a capability's bit is its number
(capabilities(7)).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from unitd.model.states import INFINITY
from unitd.syntax.capabilities import CAPABILITIES

Shape: TypeAlias = Callable[[Any], Any]

_POLICIES: Final = {"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}
_CLASSES: Final = {"none": 0, "realtime": 1, "best-effort": 2, "idle": 3}
_BITS: Final = {name: 1 << number for number, name in enumerate(CAPABILITIES)}


def _capabilities(names: Iterable[str]) -> int:
    return sum(_BITS[name] for name in sorted(names))


def _bits(numbers: Iterable[int]) -> bytes:
    """A mask of processors, lowest byte first."""
    mask = sum(1 << number for number in sorted(numbers))
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def _label(text: str) -> tuple[bool, str]:
    """(go on where it cannot be had, label), as a leading - says it (systemd.exec(5))."""
    return text.startswith("-"), text.removeprefix("-")


def soft(limits: tuple[int, int]) -> int:
    """The soft one of two limits."""
    return limits[0]


def _hard(limits: tuple[int, int]) -> int:
    return limits[1]


_BY_NAME: Final[dict[str, Shape]] = {
    "CapabilityBoundingSet": _capabilities,
    "AmbientCapabilities": _capabilities,
    "CPUSchedulingPolicy": _POLICIES.__getitem__,
    "IOSchedulingClass": _CLASSES.__getitem__,
    "StandardInputData": b"".join,
    "TimerSlackNSec": lambda slack: min(slack, INFINITY),
    **dict.fromkeys(("SELinuxContext", "AppArmorProfile", "SmackProcessLabel"), _label),
    **dict.fromkeys(
        ("CPUAffinity", "AllowedCPUs", "StartupAllowedCPUs", "AllowedMemoryNodes", "StartupAllowedMemoryNodes"), _bits
    ),
}
UNSET: Final[dict[str, Any]] = {"t": INFINITY, "u": 2**32 - 1, "s": "", "b": False, "i": 0, "q": 0}
"""What a property shows that has no value, by signature; arrays are empty."""


def shape(name: str) -> Shape | None:
    """How a setting's value is shown; None: as it is."""
    if name.startswith("Limit"):
        return _hard
    return _BY_NAME.get(name)
