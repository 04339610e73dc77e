"""Edges seen from both ends, and the default order of targets."""

from hypothesis import given
from hypothesis import strategies as st

from unitd.graph.index import Index
from unitd.model.dependencies import INVERSE, Atom, Dep
from unitd.model.unit import Origin, Unit

NAMES = tuple(f"{letter}.{kind}" for letter in "abc" for kind in ("service", "target"))


def unit(name: str, *edges: tuple[Dep, str], defaults: bool = False, aliases: tuple[str, ...] = ()) -> Unit:
    deps: dict[Dep, dict[str, Origin]] = {}
    for kind, other in edges:
        deps.setdefault(kind, {})[other] = Origin.FILE
    return Unit(name, aliases, settings={"DefaultDependencies": defaults}, deps=deps)


def index(*units: Unit) -> Index:
    made = Index()
    for one in units:
        made.add(one)
    return made


def test_an_edge_is_seen_from_the_other_end() -> None:
    made = index(unit("a.service", (Dep.REQUIRES, "b.service"), (Dep.AFTER, "b.service")))
    assert made.deps("b.service", Dep.REQUIRED_BY) == ("a.service",)
    assert made.deps("b.service", Dep.BEFORE) == ("a.service",)


def test_an_edge_to_an_alias_ends_at_the_real_unit_whoever_comes_first() -> None:
    user, real = unit("a.service", (Dep.WANTS, "al.service")), unit("r.service", aliases=("al.service",))
    for made in (index(user, real), index(real, user)):
        assert made.deps("a.service", Dep.WANTS) == ("r.service",)
        assert made.deps("al.service", Dep.WANTED_BY) == ("a.service",)
        assert made.find("al.service") is real


def test_an_answer_changes_with_the_index() -> None:
    made = index(unit("a.service"))
    assert made.deps("a.service", Dep.WANTED_BY) == ()
    made.add(unit("b.service", (Dep.WANTS, "a.service")))
    assert made.related("a.service", Atom.PINS_STOP_WHEN_UNNEEDED) == ("b.service",)
    made.add(unit("b.service"))
    assert made.related("a.service", Atom.PINS_STOP_WHEN_UNNEEDED) == ()


def test_an_atom_gathers_its_kinds() -> None:
    made = index(unit("a.service", (Dep.REQUIRES, "b.service"), (Dep.BINDS_TO, "c.service"), (Dep.WANTS, "d.service")))
    assert made.related("a.service", Atom.PULL_IN_START) == ("b.service", "c.service")


def test_a_target_comes_after_what_it_pulls_in() -> None:
    target, service = unit("t.target", (Dep.WANTS, "a.service"), defaults=True), unit("a.service", defaults=True)
    for made in (index(target, service), index(service, target)):
        assert made.deps("t.target", Dep.AFTER) == ("a.service",)
        assert made.deps("a.service", Dep.BEFORE) == ("t.target",)


def test_either_side_can_decline_the_default_order() -> None:
    for one, other in ((True, False), (False, True)):
        made = index(unit("t.target", (Dep.WANTS, "a.service"), defaults=one), unit("a.service", defaults=other))
        assert made.deps("t.target", Dep.AFTER) == ()


def test_an_order_that_is_stated_beats_the_default() -> None:
    target = unit("t.target", (Dep.WANTS, "a.service"), (Dep.BEFORE, "a.service"), defaults=True)
    made = index(target, unit("a.service", defaults=True))
    assert made.deps("t.target", Dep.AFTER) == ()


def test_targets_that_pull_each_other_in_make_no_cycle() -> None:
    made = index(
        unit("a.target", (Dep.WANTS, "b.target"), defaults=True),
        unit("b.target", (Dep.WANTS, "a.target"), defaults=True),
    )
    assert made.deps("a.target", Dep.AFTER) == ("b.target",)
    assert made.deps("b.target", Dep.AFTER) == ()


UNITS = st.lists(
    st.builds(
        lambda name, edges, defaults: unit(name, *edges, defaults=defaults),
        st.sampled_from(NAMES),
        st.lists(st.tuples(st.sampled_from((Dep.WANTS, Dep.REQUIRES, Dep.AFTER, Dep.BEFORE)), st.sampled_from(NAMES))),
        st.booleans(),
    ),
    max_size=6,
)


@given(units=UNITS, removed=st.sampled_from(NAMES))
def test_both_ends_always_agree_and_history_does_not_matter(units: list[Unit], removed: str) -> None:
    made = Index()
    for one in units:
        made.add(one)
        for name in NAMES:
            made.deps(name, Dep.AFTER)
    made.remove(removed)
    last = {one.name: one for one in units if one.name != removed}
    fresh = index(*last.values())
    for name in NAMES:
        for kind in Dep:
            found = made.deps(name, kind)
            assert found == fresh.deps(name, kind)
            assert all(name in made.deps(other, INVERSE[kind]) for other in found)
