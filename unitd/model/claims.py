"""What a unit says is its own ([X-Unitd] Ports=, ProcessFilter=, OnConflict=), as the host is asked to look for it."""

from msgspec import Struct

from unitd.model.unit import Unit
from unitd.syntax.claims import Port, ProcessFilter


class Claim(Struct, frozen=True):
    """`kill`: foreign processes that hold a port or match a filter may be ended (OnConflict=kill)."""

    unit: str
    ports: tuple[Port, ...] = ()
    filters: tuple[ProcessFilter, ...] = ()
    kill: bool = False


def claim_of(unit: Unit) -> Claim | None:
    """The unit's claim; None when it has none."""
    said = unit.settings
    ports, filters = said.get("Ports", ()), said.get("ProcessFilter", ())
    if not ports and not filters:
        return None
    return Claim(unit.name, ports, filters, said.get("OnConflict") == "kill")
