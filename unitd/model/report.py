"""What a shutdown came to, as it is kept for the next start; its JSON has these names.

Lengths are seconds from `began_us` on, or else plain lengths; None: without a limit, or not known.
"""

from msgspec import Struct

from unitd.model.processes import Evidence, Straggler

DONE, SURVIVORS, INTERRUPTED = "done", "survivors", "interrupted"


class Phase(Struct, frozen=True):
    """A sub-state that a unit went through on its way down."""

    name: str
    at_s: float


class Signal(Struct, frozen=True):
    """`signal`: "SIGTERM"; it went to so many processes."""

    signal: str
    at_s: float
    processes: int


class Killed(Struct, frozen=True):
    """Who got SIGKILL: its short name, or its command line where that was looked at."""

    pid: int
    command: str


class UnitEnd(Struct, frozen=True):
    """How one unit ended. `took_s`: from its turn until it was at rest, or until the daemon left.

    `dying_s`: from its first signal on.
    `allotted_s`: what it had from the plan, `cut_from_s`: what it wanted, where that was more. `escalated`: its time
    was up, and it was killed after `waited_s`. `exec_stop`, `exec_stop_post`: how these commands ended, "" for none.
    `left`: why processes of it were left behind when it was at rest, and what to do; `hint`: how to do better.
    """

    unit: str
    wave: int
    state: str
    result: str
    took_s: float
    dying_s: float = 0
    allotted_s: float | None = None
    cut_from_s: float | None = None
    phases: tuple[Phase, ...] = ()
    signals: tuple[Signal, ...] = ()
    escalated: bool = False
    waited_s: float = 0
    killed: tuple[Killed, ...] = ()
    killed_more: int = 0
    evidence: Evidence | None = None
    exec_stop: str = ""
    exec_stop_post: str = ""
    left: str = ""
    hint: str = ""


class Stray(Struct, frozen=True):
    """A process that the last stages found: whose it is, how it was found, and for a survivor what to do about it."""

    pid: int
    command: str
    unit: str = ""
    found: str = ""
    ours: bool = True
    note: str = ""
    seen: Straggler | None = None


class Report(Struct, frozen=True):
    """`outcome`: done, survivors, or interrupted when nothing followed. `began_us`: since 1970.

    `bound_s`: the plan's; `others`: units without processes that were stopped too; `strays`: who was found behind the
    waves and ended; `spared`: foreign ones that were only named; `survivors`: who lived when the daemon left.
    """

    leaving: str
    by: str
    began_us: int
    cap_s: float | None
    outcome: str = INTERRUPTED
    bound_s: float | None = None
    took_s: float | None = None
    units: tuple[UnitEnd, ...] = ()
    others: int = 0
    strays: tuple[Stray, ...] = ()
    spared: tuple[Stray, ...] = ()
    survivors: tuple[Stray, ...] = ()
    boot_id: str = ""
    version: str = ""
