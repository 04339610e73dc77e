"""Unit names: validity, parts, escaping, paths, and what a user's argument means."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax import unit_name
from unitd.syntax.errors import Bad
from unitd.syntax.siphash import siphash24
from unitd.syntax.unit_name import ANY, INSTANCE, PLAIN, TEMPLATE


@pytest.mark.parametrize(
    ("name", "kind"),
    [("web.service", PLAIN), ("web@.socket", TEMPLATE), ("web@one@two.timer", INSTANCE), ("-.mount", PLAIN)],
)
def test_each_name_is_of_one_kind(name: str, kind: int) -> None:
    assert [unit_name.valid(name, each) for each in (PLAIN, TEMPLATE, INSTANCE)] == [
        kind == each for each in (PLAIN, TEMPLATE, INSTANCE)
    ]


@pytest.mark.parametrize(
    "name",
    ["", "web", ".service", "@x.service", "web.conf", "we b.service", "a/b.service", "wéb.service", "a%i.service"],
)
def test_names_that_are_not_valid(name: str) -> None:
    assert not unit_name.valid(name, ANY)


def test_the_longest_name() -> None:
    assert unit_name.valid("a" * 247 + ".service")
    assert not unit_name.valid("a" * 248 + ".service")


def test_parts() -> None:
    assert unit_name.prefix("a-b@c.d.service") == "a-b"
    assert unit_name.instance("a-b@c.d.service") == "c.d"
    assert unit_name.instance("a@.service") == ""
    assert unit_name.instance("a.service") is None
    assert unit_name.suffix("a.b.socket") == "socket"
    assert unit_name.prefix_and_instance("a@b.service") == "a@b"
    assert unit_name.template_of("a@b.service") == "a@.service"
    assert unit_name.with_instance("a@.service", "x-y") == "a@x-y.service"


@pytest.mark.parametrize(
    "refused",
    [
        lambda: unit_name.prefix("a"),
        lambda: unit_name.template_of("a.service"),
        lambda: unit_name.with_instance("a@.service", ""),
        lambda: unit_name.with_instance("a@.service", "x/y"),
        lambda: unit_name.with_instance("a@.service", "x" * 250),
        lambda: unit_name.unescape("a\\x2"),
        lambda: unit_name.path_escape("/a/../b"),
        lambda: unit_name.path_escape("/" + "a" * 256),
        lambda: unit_name.path_unescape("a-"),
        lambda: unit_name.path_unescape(""),
        lambda: unit_name.from_path("/a", ".conf"),
        lambda: unit_name.parent_slice("a--b.slice"),
        lambda: unit_name.mangle(""),
        lambda: unit_name.mangle("a" * 300),
    ],
)
def test_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(Bad):
        refused()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a/b", "a-b"), ("a-b", "a\\x2db"), (".a.b", "\\x2ea.b"), ("ü", "\\xc3\\xbc"), ("\udcff", "\\xff"), ("", "")],
)
def test_escape(text: str, escaped: str) -> None:
    assert unit_name.escape(text) == escaped
    assert unit_name.unescape(escaped) == text


def test_an_escaped_nul_ends_the_text() -> None:
    assert unit_name.unescape("a\\x00b") == "a"


@pytest.mark.parametrize(
    ("path", "escaped"),
    [("/", "-"), ("", "-"), ("//a//./b/", "a-b"), ("/a-b", "a\\x2db"), ("a/b", "a-b"), ("/.a", "\\x2ea")],
)
def test_path_escape(path: str, escaped: str) -> None:
    assert unit_name.path_escape(path) == escaped


def test_paths_and_units() -> None:
    assert unit_name.from_path("/srv/data", ".mount") == "srv-data.mount"
    assert unit_name.to_path("srv-data.mount") == "/srv/data"
    assert unit_name.to_path("-.mount") == "/"
    assert unit_name.from_path_instance("fsck", "/dev/sda", ".service") == "fsck@dev-sda.service"


def test_a_long_path_is_hashed_and_cannot_be_got_back() -> None:
    path = "/" + "/".join(["abcdefghi"] * 40)
    name = unit_name.from_path(path, ".mount")
    assert len(name) == 255
    assert unit_name.is_hashed(name)
    assert name != unit_name.from_path(path + "x", ".mount")
    with pytest.raises(Bad, match="too long"):
        unit_name.to_path(name)


def test_siphash_gives_the_published_vector() -> None:
    # The last vector of the paper's appendix A: key 00..0f, message 00..0e.
    assert siphash24(bytes(range(15)), bytes(range(16))) == 0xA129CA6149BE45E5


@pytest.mark.parametrize(
    ("argument", "globs", "name"),
    [
        ("web", False, "web.service"),
        ("web.socket", False, "web.socket"),
        ("web.x", False, "web.x.service"),
        ("/srv/data", False, "srv-data.mount"),
        ("/dev/sda", False, "dev-sda.device"),
        ("a b", False, "a\\x20b.service"),
        ("web*", True, "web*"),
        ("web*", False, "web\\x2a.service"),
        ("[ab]?.service", True, "[ab]?.service"),
    ],
)
def test_mangle(argument: str, globs: bool, name: str) -> None:
    assert unit_name.mangle(argument, globs=globs) == name


@pytest.mark.parametrize(("name", "parent"), [("a-b-c.slice", "a-b.slice"), ("a.slice", "-.slice"), ("-.slice", None)])
def test_parent_slice(name: str, parent: str | None) -> None:
    assert unit_name.parent_slice(name) == parent


_ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(_ANY_TEXT)
def test_escape_comes_back(text: str) -> None:
    assert unit_name.unescape(unit_name.escape(text)) == text


@given(
    st.lists(
        _ANY_TEXT.map(lambda part: part.replace("/", "")).filter(lambda part: part not in ("", ".", "..")), max_size=4
    )
)
def test_paths_come_back(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert unit_name.path_unescape(unit_name.path_escape(path)) == path


@given(st.text(st.sampled_from("ab-@.\\x2d/*é \udcff") | st.characters(), max_size=30))
def test_what_mangle_gives_is_valid(text: str) -> None:
    with suppress(Bad):
        assert unit_name.valid(unit_name.mangle(text))
