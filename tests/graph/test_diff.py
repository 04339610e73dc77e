"""What a reload changed."""

from unitd.graph.diff import Diff, diff
from unitd.model.states import Load
from unitd.model.unit import Unit


def test_added_removed_and_changed() -> None:
    before = {name: Unit(name) for name in ("a.service", "b.service", "c.service")}
    after = {
        "b.service": Unit("b.service"),
        "c.service": Unit("c.service", settings={"Nice": 1}),
        "d.service": Unit("d.service"),
    }
    assert diff(before, after) == Diff(added=("d.service",), removed=("a.service",), changed=("c.service",))


def test_a_unit_without_a_file_is_not_there() -> None:
    missing = {"a.service": Unit("a.service", load=Load.NOT_FOUND)}
    there = {"a.service": Unit("a.service")}
    assert diff(missing, there).added == ("a.service",)
    assert diff(there, missing).removed == ("a.service",)
    assert not diff(missing, missing)
