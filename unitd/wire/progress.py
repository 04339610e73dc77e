"""How far a stop is, as it is told: a value, the a{sv} of ShutdownProgress, and words.

What is told of a process was put into words by the daemon ("/bin/x -y, S (sleeping) in do_wait"): who reads it
may be on another machine, or in another pid namespace. The client starts with this, so it imports next to nothing.
"""

from typing import Any, Final, NamedTuple

NEVER: Final = 2**64 - 1
WAITING: Final = "waiting"
"""The phase of a unit that stops only after others."""
SPARED: Final = "spared"
KILLED: Final = "killed"
"""Phases of no unit, in the last stages: what units spared is asked to end; what is left gets SIGKILL."""
DONE: Final = "done"
SURVIVORS: Final = "survivors"
"""Phases of no unit, told last of all."""

_TYPES: Final = {
    "unit": "s",
    "phase": "s",
    "pids": "a(us)",
    "left_us": "t",
    "next": "s",
    "processes": "u",
    "units_left": "u",
    "elapsed_us": "t",
    "cap_left_us": "t",
}


class Progress(NamedTuple):
    """The stop of one unit, or with unit "" of all that is left. Lengths are microseconds, NEVER: no limit.

    `processes`: how many there are, of which `pids` are some. The rest is about the shutdown that it is a part of:
    units not yet at rest, the time since it was asked for, and the time until its cap.
    """

    unit: str
    phase: str
    pids: tuple[tuple[int, str], ...] = ()
    left_us: int = NEVER
    next: str = ""
    processes: int = 0
    units_left: int = 0
    elapsed_us: int = 0
    cap_left_us: int = NEVER

    @classmethod
    def of(cls, values: dict[str, tuple[str, Any]]) -> "Progress":
        """From the signal's body; what is missing is not known, and what is unknown is passed over."""
        seen = {name: value for name, (_, value) in values.items() if name in _TYPES}
        pids = tuple((pid, words) for pid, words in seen.pop("pids", ()))
        return cls(**{"unit": "", "phase": "", "processes": len(pids), **seen, "pids": pids})

    @property
    def values(self) -> dict[str, tuple[str, Any]]:
        """The signal's body."""
        return {name: (type, getattr(self, name)) for name, type in _TYPES.items()}

    @property
    def who(self) -> str:
        """The unit, or what stands for none."""
        return self.unit or "the rest"

    def timing(self, passed_us: int = 0) -> str:
        """In words, so long after it was made: "3 s left, then SIGKILL"."""
        left = "" if self.left_us >= NEVER else f"{(max(self.left_us - passed_us, 0) + 500_000) // 1_000_000} s left"
        return ", then ".join(part for part in (left, self.next) if part)

    def text(self, most: int = 3, passed_us: int = 0) -> str:
        """In words: "stop-sigterm, 3 s left, then SIGKILL: pid 12 /bin/x, S (sleeping) in do_wait"."""
        shown = "; ".join(f"pid {pid} {words}".rstrip() for pid, words in self.pids[:most])
        hidden = self.processes - len(self.pids[:most])
        head = ", ".join(part for part in (self.phase, self.timing(passed_us)) if part)
        return head + (f": {shown}" if shown else "") + (f" and {hidden} more" if shown and hidden > 0 else "")
