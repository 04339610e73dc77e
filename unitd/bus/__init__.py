"""D-Bus: one dispatcher over one set of tables, on the private socket and on a bus."""

from unitd.bus.bus import Bus
from unitd.bus.ports import About, World

__all__ = ["About", "Bus", "World"]
