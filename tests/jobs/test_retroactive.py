"""What follows when a unit changes by itself."""

import pytest

from unitd.jobs.retroactive import asks
from unitd.model.states import Active

from .graph import Units, unit

A = Active


def follow(units: Units, name: str, old: Active, new: Active) -> list[str]:
    return [f"{ask.type} {ask.unit} {ask.mode}" for ask in asks(units, name, old, new)]


def related() -> Units:
    return Units(
        [
            unit(
                "a.service",
                Requires="b.service o.service",
                Wants="c.service",
                BindsTo="d.service",
                After="o.service",
                Conflicts="e.service",
            ),
            unit("b.service"),
            unit("c.service"),
            unit("d.service"),
            unit("e.service"),
            unit("o.service"),
            unit("f.service", BindsTo="a.service"),
            unit("g.service", Requires="a.service"),
            unit("h.service", Conflicts="a.service"),
            unit("i.service", StopPropagatedFrom="a.service"),
        ],
        dict.fromkeys(("e.service", "f.service", "g.service", "h.service", "i.service"), A.ACTIVE),
    )


@pytest.mark.parametrize("new", [A.ACTIVATING, A.ACTIVE, A.RELOADING])
def test_what_came_up_pulls_in_and_pushes_out(new: Active) -> None:
    assert follow(related(), "a.service", A.INACTIVE, new) == [
        "start b.service replace",
        "start d.service replace",
        "start c.service fail",
        "stop e.service replace",
        "stop h.service replace",
    ]


def test_what_is_up_already_is_not_asked_for() -> None:
    units = related()
    units.states |= {
        "b.service": A.ACTIVATING,
        "c.service": A.ACTIVE,
        "d.service": A.ACTIVE,
        "e.service": A.DEACTIVATING,
    }
    assert follow(units, "a.service", A.FAILED, A.ACTIVE) == ["stop h.service replace"]


@pytest.mark.parametrize("new", [A.INACTIVE, A.FAILED, A.DEACTIVATING])
def test_what_went_down_takes_along_what_is_bound_to_it(new: Active) -> None:
    assert follow(related(), "a.service", A.ACTIVE, new) == ["stop f.service replace", "stop i.service replace"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(A.ACTIVE, A.RELOADING), (A.ACTIVATING, A.ACTIVE), (A.DEACTIVATING, A.INACTIVE), (A.INACTIVE, A.FAILED)],
)
def test_other_changes_carry_nothing_over(old: Active, new: Active) -> None:
    assert follow(related(), "a.service", old, new) == []
