"""Writes dbus/*.xml from the tables: `python -m tests.bus.contract`. What it writes is reviewed and committed.

The contract is the files; test_contract holds the daemon's introspection against them.
"""

from pathlib import Path

from unitd.bus.interfaces.job import JOB
from unitd.bus.interfaces.manager import MANAGER
from unitd.bus.interfaces.types import TYPES
from unitd.bus.interfaces.unit import UNIT
from unitd.bus.introspect import contract
from unitd.wire.dialects import PYZINIT

FOLDER = Path(__file__).resolve().parent.parent.parent / "dbus"
INTERFACES = (MANAGER, UNIT, JOB, *TYPES.values())


def texts() -> dict[Path, str]:
    """Every file and what it should hold."""
    return {
        FOLDER / f"{PYZINIT.interface(each.name)}.xml": '<?xml version="1.0"?>\n' + contract(PYZINIT, each)
        for each in INTERFACES
    }


if __name__ == "__main__":
    for path, text in texts().items():
        path.write_text(text)
