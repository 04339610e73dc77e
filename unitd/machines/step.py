"""What the engine says to a machine beside events, and what a machine says back."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeAlias, TypeVar

from unitd.model.effects import Effect
from unitd.model.states import INFINITY


@dataclass(frozen=True, slots=True)
class Start:
    """A start job runs; conditions hold, the start limit is not hit."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop job runs. `limit`: no deadline beyond this instant; `restarting`: use RestartKillSignal=."""

    limit: int = INFINITY
    restarting: bool = False


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload job runs."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget failure (systemctl reset-failed)."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A shutdown was asked for while the unit is stopping: no deadline beyond this instant."""

    limit: int


@dataclass(frozen=True, slots=True)
class NameOwner:
    """The BusName= of the unit is owned (pid 0: by somebody unknown) or not."""

    owned: bool
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Refuse:
    """The engine refuses the start: the unit fails with this result (start limit, conditions)."""

    result: str


Order: TypeAlias = Start | Stop | Reload | Reset | Limit | NameOwner | Refuse


class Ask(Enum):
    """What a machine wants of the engine."""

    RESTART = auto()
    """Enqueue a restart of this unit (Restart=)."""
    START_TRIGGERED = auto()
    """Enqueue a start of the unit that this one triggers."""


S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """The new state, what is to be done, and what is asked of the engine."""

    state: S
    effects: tuple[Effect, ...] = ()
    asks: tuple[Ask, ...] = ()
