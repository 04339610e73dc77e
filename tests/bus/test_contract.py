"""What the daemon says that it has, and what dbus/*.xml says: the same, both ways; and every word of it has prose."""

import xml.etree.ElementTree as tree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bus.clients import MANAGER, client
from tests.bus.contract import FOLDER, INTERFACES, texts
from tests.bus.fakes import Daemon, Job, Status
from unitd.bus.interfaces.table import Interface
from unitd.model.states import JobType
from unitd.model.unit import Unit
from unitd.syntax.unit_name import UNIT_TYPES
from unitd.wire.dialects import PYZINIT

DOC = "org.gtk.GDBus.DocString"
Facts = set[tuple[str, ...]]


def facts(interface: tree.Element) -> Iterator[tuple[str, ...]]:
    """Every statement in an interface, prose aside."""
    for member in interface:
        if member.get("name") == DOC:
            continue
        head = (member.tag, member.get("name", ""), member.get("type", ""), member.get("access", ""))
        yield head
        for place, part in enumerate(each for each in member if each.get("name") != DOC):
            inside = (part.get("name", ""), part.get("type", ""), part.get("direction", ""), part.get("value", ""))
            yield (*head, str(place), *inside)


def contract() -> dict[str, Facts]:
    found: dict[str, Facts] = {}
    for path in sorted(FOLDER.glob("*.xml")):
        for interface in tree.parse(path).getroot().iter("interface"):
            assert path.name == f"{interface.get('name')}.xml"
            found[interface.get("name", "")] = set(facts(interface))
    return found


async def introspect(daemon: Daemon, path: str) -> dict[str, Facts]:
    found = await client(daemon.path)
    (xml,) = await found.call("Introspect", path=path, interface="org.freedesktop.DBus.Introspectable")
    await found.close()
    interfaces = tree.fromstring(xml).iter("interface")
    return {each.get("name", ""): set(facts(each)) for each in interfaces}


async def test_introspection_and_contract_are_the_same(daemon: Daemon) -> None:
    told = await introspect(daemon, MANAGER)
    for type in sorted(UNIT_TYPES):
        daemon.view.all[f"x.{type}"] = Status(Unit(f"x.{type}"))
        told |= await introspect(daemon, f"/org/pyzinit/unit/x_2e{type}")
    daemon.view.queue[3] = Job(3, "a.service", JobType.START)
    told |= await introspect(daemon, "/org/pyzinit/job/3")
    ours = {name: rows for name, rows in told.items() if name.startswith("org.pyzinit.")}
    assert ours == contract()


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda each: each.name)
def test_everything_has_prose(interface: Interface) -> None:
    found = tree.fromstring(texts()[FOLDER / f"{PYZINIT.interface(interface.name)}.xml"]).find("interface")
    assert found is not None
    bare = [each.get("name") for each in found if each.tag != "annotation" and each.find(f"*[@name='{DOC}']") is None]
    assert bare == []


@pytest.mark.parametrize(
    ("path", "text"), texts().items(), ids=lambda each: each.name if isinstance(each, Path) else ""
)
def test_the_files_are_as_they_are_written(path: Path, text: str) -> None:
    assert path.read_text() == text
