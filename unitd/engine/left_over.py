"""Processes that units left where nobody holds them: what a stop left behind, and who is asked for at any time."""

from msgspec.structs import replace

from unitd.engine.core import Core
from unitd.model.claims import claim_of
from unitd.model.effects import Level, LookForOrphans
from unitd.model.events import LeftBehind, OrphansAsked


def ask(core: Core, asked: OrphansAsked) -> None:
    """Have the host look, with what all units that are loaded claim."""
    claims = (claim_of(record.unit) for record in core.units.records.values())
    core.emit(LookForOrphans(asked.token, tuple(claim for claim in claims if claim is not None), frozenset(core.up)))


def left_behind(core: Core, event: LeftBehind) -> None:
    """Say it, in the unit's own log too; a shutdown ends them."""
    names = ", ".join(str(replace(left, unit="")) for left in event.left)
    whose = f"{event.unit} leaves behind" if event.unit else "a process of no known unit was left to us:"
    hint = "; unitctl orphans lists such, and a shutdown ends them" if core.ending is None else ""
    core.log(Level.WARNING, f"{whose} {names}{hint}", event.unit)
