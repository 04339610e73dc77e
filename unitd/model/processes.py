"""Processes as events and reports tell of them: signalled, looked at before SIGKILL, left when all should be gone.

A pid alone names nobody for long; with the start time (`birth`, clock ticks since boot) it does. What a process shows
of itself is as proc(5) has it.
"""

from msgspec import Struct


class Target(Struct, frozen=True):
    """One process that a signal was sent to; depth 0: its parent is outside of the unit."""

    pid: int
    depth: int
    command: str


class Straggler(Struct, frozen=True):
    """A process that outlived its time, as it was just before SIGKILL (proc(5)); "" and () for what was not readable.

    `state`: letter and word, "S (sleeping)"; `channel`: the kernel function that it sleeps in; `stack`: the kernel's
    frames, innermost first; `sockets`: in words, "tcp 0.0.0.0:80 listening".
    """

    pid: int
    birth: int = 0
    command: str = ""
    state: str = ""
    channel: str = ""
    stack: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()
    parent: int = 0
    age_us: int = 0


class Evidence(Struct, frozen=True):
    """What was seen before a SIGKILL: stragglers, deepest first, how many more there were, what the unit said last."""

    stragglers: tuple[Straggler, ...] = ()
    others: int = 0
    log: tuple[str, ...] = ()


class Left(Struct, frozen=True):
    """A living process, and why it was looked for; str() says it in words.

    `unit` "": of no known unit; `found`: by what it is known ("cgroup", "child", "invocation id", "port 80/tcp",
    "process filter"); `command`, `state` (a letter), `channel` (the kernel function that it sleeps in): "" where they
    are not shown; `age_us`: how long it has lived; `ours`: False for one that we did not start; `note`: why it is left
    alone, or what could not be looked at. `pid` 0: nobody can be named.
    """

    pid: int
    birth: int = 0
    unit: str = ""
    found: str = ""
    command: str = ""
    state: str = ""
    channel: str = ""
    age_us: int = 0
    ours: bool = True
    note: str = ""

    def __str__(self) -> str:
        """`PID (COMMAND) of UNIT in CHANNEL, FOUND: NOTE`."""
        return f"{self.pid} {self.words}" if self.pid else self.words

    @property
    def words(self) -> str:
        """The same without the pid."""
        shown = f"({self.command.removeprefix('(').removesuffix(')')})" if self.command else ""
        whose = f"of {self.unit}" if self.unit and self.ours else ""
        where = f"in {self.channel}" if self.channel else ""
        about = f"{self.found} of {self.unit}" if not self.ours else self.found
        parts = (
            " ".join(part for part in (shown, whose, where) if part),
            "" if about in ("cgroup", "child") else about,
            self.note,
        )
        return ", ".join(part for part in parts if part)

    @property
    def sentence(self) -> str:
        """What a foreign one has to do with the unit, in a sentence."""
        who = f"{self.command} (PID {self.pid})"
        match self.found:
            case "invocation id":
                said = f"{who} carries the invocation id of {self.unit}, and is not ours"
            case "process filter":
                said = f"{who} matches ProcessFilter= of {self.unit}, and is not ours"
            case held if not self.pid:
                said = f"{held} of {self.unit} is held by a process that cannot be seen"
            case held:
                said = f"{held} of {self.unit} is held by {who}, which is not ours"
        return f"{said}: {self.note}" if self.note else said
