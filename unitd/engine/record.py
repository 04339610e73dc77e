"""What the engine knows of one loaded unit: its definition, the state of its machine, and when what happened."""

from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import Struct

from unitd.engine.course import Course
from unitd.machines import simple, sockets
from unitd.machines.conf import Context, ServiceConf, read
from unitd.machines.phases import Service, active_state, sub_state
from unitd.machines.simple import Simple
from unitd.machines.sockets import Socket
from unitd.model.events import OURSELVES, Caller
from unitd.model.states import Active
from unitd.model.unit import Unit


class Fixed(Struct, frozen=True, tag=True):
    """A unit of a type that is not carried out: it is what it is."""

    active: Active = Active.INACTIVE
    sub: str = "dead"


State: TypeAlias = Service | Socket | Simple | Fixed

BUILT_IN = {"-.mount": Fixed(Active.ACTIVE, "mounted"), "init.scope": Fixed(Active.ACTIVE, "running")}
"""Units that are up as long as the daemon is."""


@dataclass(slots=True)
class Times:
    """Monotonic microseconds; 0: never."""

    state_change: int = 0
    inactive_exit: int = 0
    active_enter: int = 0
    active_exit: int = 0
    inactive_enter: int = 0
    condition: int = 0
    assert_: int = 0


@dataclass(slots=True)
class Record:
    """Owned and changed by the engine alone."""

    unit: Unit
    state: State
    times: Times = field(default_factory=Times)
    invocation: str = ""
    conditions: tuple[int, ...] = ()
    asserts: tuple[int, ...] = ()
    checking: int = 0
    """The serial of the conditions that are being checked for a start; 0: none are."""
    starts: deque[int] = field(default_factory=deque)
    """Instants of the latest starts, for the start limit."""
    by: Caller = OURSELVES
    """Who asked for the latest job."""
    course: Course | None = None
    """How the latest stop went; None: none since the last start."""
    wanted: bool = False
    """Loaded because somebody looked; forgotten when nothing else needs it."""
    cached_conf: ServiceConf | None = None
    cached_context: Context | None = None
    """Of this definition and this invocation."""

    @property
    def name(self) -> str:
        return self.unit.name

    @property
    def conf(self) -> ServiceConf:
        """The settings of a service, typed."""
        if self.cached_conf is None:
            self.cached_conf = read(self.unit)
        return self.cached_conf

    @property
    def active(self) -> Active:
        return active_of(self.state, idle=isinstance(self.state, Service) and self._is_idle())

    @property
    def sub(self) -> str:
        return sub_of(self.state)

    def _is_idle(self) -> bool:
        return self.unit.settings.get("Type") == "idle"


def first_state(unit: Unit) -> State:
    """The state of a unit that was just loaded."""
    match unit.type:
        case "service":
            return Service()
        case "socket":
            return Socket()
        case "target":
            return Simple()
        case "slice":
            return Simple(up=unit.name == "-.slice")
        case _:
            return BUILT_IN.get(unit.name, Fixed())


def active_of(state: State, *, idle: bool = False) -> Active:
    match state:
        case Service():
            return active_state(state, idle=idle)
        case Socket():
            return sockets.active_state(state)
        case Simple():
            return simple.active_state(state)
        case Fixed():
            return state.active


def sub_of(state: State) -> str:
    match state:
        case Service():
            return sub_state(state)
        case Socket():
            return state.phase
        case Simple():
            return simple.sub_state(state)
        case Fixed():
            return state.sub
