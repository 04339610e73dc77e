"""What the parts of the host ask of each other and of the runtime, so that each can be tested alone."""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from unitd.model.events import Event


class Post(Protocol):
    """Queue an event for the engine; `then` is called once the engine has handled it."""

    def __call__(self, event: Event, then: Callable[[], None] | None = None) -> None: ...


class LogSink(Protocol):
    def stdout_path(self, unit: str) -> str:
        """The FIFO that the unit's processes print to; "" when there is none, and output is thrown away."""

    def expect(self, unit: str, coming: bool) -> None:
        """A process that prints there is about to be started; or it came to nothing."""

    def label(self, unit: str, program: str, pid: int) -> None:
        """What the unit prints from now on is this process's."""

    def ended(self, unit: str, pid: int) -> None:
        """A process of the unit was reaped: what the unit prints from now on is that of an earlier one that lives."""


class SocketSource(Protocol):
    def descriptors(self, unit: str) -> list[tuple[int, str]]:
        """The open descriptors of a socket unit with their names; they stay the owner's."""


class KeptGroups(Struct, frozen=True):
    """What cannot be seen of the groups any more. `origin`: the cgroup that the daemon goes back to at its end.

    Without cgroups: whose the living are by (pid, start time, unit), and which units are being killed.
    """

    origin: str = ""
    seen: tuple[tuple[int, int, str], ...] = ()
    doomed: tuple[str, ...] = ()


class Groups(Protocol):
    """What a unit's processes are held together by: cgroups, or the next best thing."""

    def realise(self, unit: str, path: str) -> str:
        """Make room for the unit's processes; the cgroup.procs by which one joins, or "". OSError."""

    def release(self, unit: str) -> None:
        """Give the room back, if nobody is left in it."""

    def units(self) -> dict[str, str]:
        """The units that have a cgroup, with its path below the daemon's own."""

    def unit_of(self, pid: int) -> str:
        """Whose process it is or, as a zombie, was; "" when no unit's."""

    def claim(self, unit: str, pid: int) -> bool:
        """A process that is no unit's as far as is known is said to be this one's; whether that is believed."""

    def members(self, unit: str) -> list[int]:
        """The pids of the unit's living processes."""

    def everyone(self) -> dict[int, str]:
        """Every living process of a unit, with its unit."""

    def joined(self, unit: str) -> None:
        """A process of the unit exists: the next time that none is left, CgroupEmpty is due."""

    def check(self, unit: str) -> None:
        """Look whether none is left; "": of any unit."""

    async def freeze(self, unit: str) -> bool:
        """Stop them where they are; False when some still run."""

    def thaw(self, unit: str) -> None: ...

    def kill(self, unit: str) -> None:
        """SIGKILL to all of them at once."""

    def kill_everyone(self) -> None:
        """SIGKILL to every process of every unit."""

    def kept(self) -> KeptGroups:
        """What another program image of this process needs to go on; what nobody came back to is removed."""

    def take_up(self, kept: KeptGroups) -> None:
        """Go on where another program image stopped."""

    def close(self) -> None: ...


class Surroundings(Struct, frozen=True):
    """What every process gets. `environment`: below all others; `notify`: the path of NOTIFY_SOCKET, or ""."""

    logs: LogSink
    sockets: SocketSource
    environment: Mapping[str, str]
    notify: str = ""
