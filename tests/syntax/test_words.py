"""Words: quotes, escapes, separators, and how far the words go before a fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax import words
from unitd.syntax.words import (
    CUNESCAPE,
    DONT_COALESCE_SEPARATORS,
    KEEP_QUOTE,
    RELAX,
    RETAIN_ESCAPE,
    UNESCAPE_RELAX,
    UNESCAPE_SEPARATORS,
    UNQUOTE,
    Broken,
    first_word,
    split,
)


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        ("", 0, []),
        (" \t\n ", UNQUOTE, []),
        ("a b", 0, ["a", "b"]),
        ("'a b' c", 0, ["'a", "b'", "c"]),
        ("'a b' c", UNQUOTE, ["a b", "c"]),
        ("'a b' c", KEEP_QUOTE, ["'a b'", "c"]),
        ('x"y z"w', UNQUOTE, ["xy zw"]),
        ('"it\'s"', UNQUOTE, ["it's"]),
        ("'' x", UNQUOTE, ["", "x"]),
        (r"a\ b", 0, ["a b"]),
        (r"a\ b", RETAIN_ESCAPE, ["a\\", "b"]),
        (r"\t\x41\101\s", CUNESCAPE, ["\tAA "]),
        (r"\xc3\xa9", CUNESCAPE, ["é"]),
        (r"\xe9", CUNESCAPE, ["\udce9"]),
        (r"\U0001F4A9", CUNESCAPE, ["\U0001f4a9"]),
        (r"\q", CUNESCAPE | UNESCAPE_RELAX, ["\\q"]),
        (r"\x00", CUNESCAPE | UNESCAPE_RELAX, ["\\x00"]),
        (r"\777", CUNESCAPE | UNESCAPE_RELAX, ["\\777"]),
        ("a\\", UNESCAPE_RELAX, ["a\\"]),
        ("a\\", RELAX, ["a"]),
        ("'a", UNQUOTE | RELAX, ["a"]),
        ("\u00a0a\u2003b", 0, ["\u00a0a\u2003b"]),
    ],
)
def test_words(text: str, flags: int, expected: list[str]) -> None:
    assert split(text, flags) == expected


@pytest.mark.parametrize(
    ("text", "flags", "separators", "expected"),
    [
        ("a::b:", 0, ":", ["a", "b"]),
        ("a::b:", DONT_COALESCE_SEPARATORS, ":", ["a", "", "b", ""]),
        ("", DONT_COALESCE_SEPARATORS, ":", [""]),
        (r"a\:b:c\\", UNESCAPE_SEPARATORS, ":", ["a:b", "c\\"]),
        ("a=b,c", 0, "=,", ["a", "b", "c"]),
    ],
)
def test_separators(text: str, flags: int, separators: str, expected: list[str]) -> None:
    assert split(text, flags, separators) == expected


@pytest.mark.parametrize(
    ("text", "flags", "before"),
    [
        ("a 'b", UNQUOTE, ("a",)),
        ("a b\\", 0, ("a",)),
        (r"a \q", CUNESCAPE, ("a",)),
        (r"a \x4", CUNESCAPE, ("a",)),
        (r"a \:", UNESCAPE_SEPARATORS, ("a",)),
        ("'a\\", UNQUOTE | UNESCAPE_RELAX, ()),
    ],
)
def test_words_before_a_fault_are_kept(text: str, flags: int, before: tuple[str, ...]) -> None:
    with pytest.raises(Broken) as caught:
        split(text, flags)
    assert caught.value.words == before


def test_first_word_tells_where_the_next_one_begins() -> None:
    assert first_word(" a  b", 0) == ("a", 4)
    assert first_word(" a  b", 4) == ("b", None)
    assert first_word("   ", 0) == (None, None)


_FLAGS = st.integers(0, 255).filter(lambda flags: not (flags & UNQUOTE and flags & KEEP_QUOTE))
_TEXT = st.text(st.sampled_from(" \t:'\"\\xn4u0aé\udcff"), max_size=30)


@given(_TEXT, _FLAGS, st.sampled_from([words.BLANKS, ":", "\\'"]))
def test_only_own_errors_and_an_end(text: str, flags: int, separators: str) -> None:
    try:
        found = split(text, flags, separators)
    except Broken as fault:
        found = list(fault.words)
    assert len(found) <= len(text) + 1


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)))
def test_quoted_words_come_back(given_words: list[str]) -> None:
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in given_words)
    assert split(quoted, UNQUOTE | CUNESCAPE) == given_words
