"""What the engine says to a machine beside events, and what a machine says back."""

from enum import Enum, auto
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from unitd.model.effects import Effect
from unitd.model.states import INFINITY


class Start(Struct, frozen=True):
    """A start job runs; conditions hold, the start limit is not hit."""


class Stop(Struct, frozen=True):
    """A stop job runs. `limit`: no deadline beyond this instant; `restarting`: use RestartKillSignal=."""

    limit: int = INFINITY
    restarting: bool = False


class Reload(Struct, frozen=True):
    """A reload job runs."""


class Reset(Struct, frozen=True):
    """Forget failure (systemctl reset-failed)."""


class Limit(Struct, frozen=True):
    """A shutdown was asked for while the unit is stopping: no deadline beyond this instant."""

    limit: int


class NameOwner(Struct, frozen=True):
    """The BusName= of the unit is owned (pid 0: by somebody unknown) or not."""

    owned: bool
    pid: int = 0


class Resume(Struct, frozen=True):
    """Another daemon goes on with the unit. `resend`: what the old one had just asked for may not have been done."""

    resend: bool = True


class Refuse(Struct, frozen=True):
    """The engine refuses the start: the unit fails with this result (start limit, conditions)."""

    result: str


Order: TypeAlias = Start | Stop | Reload | Reset | Limit | NameOwner | Refuse | Resume


class Ask(Enum):
    """What a machine wants of the engine."""

    RESTART = auto()
    """Enqueue a restart of this unit (Restart=)."""
    START_TRIGGERED = auto()
    """Enqueue a start of the unit that this one triggers."""


S = TypeVar("S")


class Step(Struct, Generic[S], frozen=True):
    """The new state, what is to be done, and what is asked of the engine."""

    state: S
    effects: tuple[Effect, ...] = ()
    asks: tuple[Ask, ...] = ()
