"""Units without processes of their own: targets and slices are up or not, and nothing else ever happens to them."""

from msgspec import Struct

from unitd.machines.step import Order, Start, Step, Stop
from unitd.model.effects import Release
from unitd.model.events import Tick, UnitEvent
from unitd.model.states import Active


class Simple(Struct, frozen=True, tag=True, omit_defaults=True):
    """A target or a slice."""

    up: bool = False


def step(state: Simple, event: UnitEvent | Order | Tick, name: str) -> Step[Simple]:
    """Start and stop are immediate; a slice gives its cgroup back."""
    match event:
        case Start():
            return Step(Simple(up=True))
        case Stop() if state.up:
            effects = (Release(name),) if name.endswith(".slice") else ()
            return Step(Simple(), effects)
        case _:
            return Step(state)


def active_state(state: Simple) -> Active:
    return Active.ACTIVE if state.up else Active.INACTIVE


def sub_state(state: Simple) -> str:
    return "active" if state.up else "dead"
