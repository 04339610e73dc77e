"""Unit files: lines, continuations, comments, encodings and what spoils a whole file."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax.unit_file import LONGEST_LINE, Entry, Malformed, Note, parse


def _assignments(raw: bytes) -> list[tuple[str, str, str]]:
    return [(entry.section, entry.key, entry.value) for entry in parse(raw).entries]


def test_entries_keep_order_repeats_and_lines() -> None:
    parsed = parse(b"# top\n\n[Unit]\nAfter=a b\n  After =  c  \n[Service]\nExecStart=/x -y=z\n")
    assert parsed.entries == (
        Entry("Unit", "After", "a b", 4),
        Entry("Unit", "After", "c", 5),
        Entry("Service", "ExecStart", "/x -y=z", 7),
    )
    assert parsed.notes == ()


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"A=one\\\ntwo", "one two"),
        (b"A=one \\\n   two", "one     two"),
        (b"A=one\\\n# left out\ntwo", "one two"),
        (b"A=one\\\n; left out\\\ntwo", "one two"),
        (b"A=one\\\n\ntwo", "one"),
        (b"A=one\\", "one"),
        (b"A=one\\\\\n", "one\\\\"),
        (b"A=one\\\\\\\ntwo", "one\\\\ two"),
        (b"A=one\\ \ntwo", "one\\"),
        (b"A=a # b ; c", "a # b ; c"),
        (b"A=", ""),
        (b"A==", "="),
        (b"A=\xc3\xa9", "é"),
        (b"A=x\x0b", "x\x0b"),
    ],
)
def test_value(raw: bytes, value: str) -> None:
    assert _assignments(b"[S]\n" + raw)[0] == ("S", "A", value)


def test_a_continued_assignment_has_the_line_of_its_key() -> None:
    parsed = parse(b"[S]\nA=1\\\n2\nB=3\n")
    assert [entry.line for entry in parsed.entries] == [2, 4]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n\r", b"\0", b"\n\0"])
def test_line_ends(end: bytes) -> None:
    assert _assignments(end.join([b"[S]", b"A=1", b"", b"B=2", b""])) == [("S", "A", "1"), ("S", "B", "2")]


def test_byte_order_mark_is_taken_once_at_the_start_of_a_line() -> None:
    assert _assignments("\ufeff[S]\nA=1\n".encode()) == [("S", "A", "1")]
    assert _assignments("\ufeff[S]\n\ufeffA=1\n".encode()) == [("S", "\ufeffA", "1")]


def test_lines_that_are_no_assignments_are_noted_and_ignored() -> None:
    parsed = parse(b"A=1\n[S]\nnothing\n=2\nB=3\n")
    assert [(entry.key, entry.value) for entry in parsed.entries] == [("B", "3")]
    assert [note.line for note in parsed.notes] == [1, 3, 4]
    assert isinstance(parsed.notes[0], Note)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"[S]\nA=\xff\n", 2),
        (b"[S]\nA=1\n[T\n", 3),
        (b"[S] ; comment\n", 1),
        (b"[", 1),
        (b'[a"b]\n', 1),
        (b"[a\x07b]\n", 1),
        ("[S]\nA=\ufffe\n".encode(), 2),
        (b"[S]\n\nA=1\\\n2\\\n\xff\n", 3),
    ],
)
def test_what_spoils_the_file(raw: bytes, line: int) -> None:
    with pytest.raises(Malformed) as caught:
        parse(raw)
    assert caught.value.line == line


def test_bytes_that_are_not_utf8_do_no_harm_in_comments() -> None:
    assert _assignments(b"# \xff\n[S]\nA=1\n") == [("S", "A", "1")]


def test_limits_of_length() -> None:
    fits = b"x" * (LONGEST_LINE - 3)
    assert _assignments(b"[S]\nA=" + fits)[0][2] == fits.decode()
    with pytest.raises(Malformed, match="too long"):
        parse(b"[S]\nA=x" + fits)
    with pytest.raises(Malformed, match="too long"):
        parse(b"[S]\nA=" + b"x" * 1000 + b"\\\n" + fits)


def test_many_continuations_take_linear_time() -> None:
    assert _assignments(b"[S]\nA=" + b"\\\n" * 200_000) == [("S", "A", "")]


_KEYS = st.text("ABCabc", min_size=1, max_size=5)
_VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=20).map(lambda text: text.strip(" "))


@given(st.lists(st.tuples(st.sampled_from(["Unit", "Service"]), _KEYS, _VALUES.filter(lambda v: not v.endswith("\\")))))
def test_written_files_are_read_back(assignments: list[tuple[str, str, str]]) -> None:
    text = "".join(f"[{section}]\n{key}={value}\n" for section, key, value in assignments)
    assert _assignments(text.encode()) == assignments


@given(
    st.lists(
        st.sampled_from([b"[S]", b"\n", b"\\", b"A=b", b"=", b"#", b"\xff", b"\r", b"\0", b" ", b"]", b"\xef\xbb\xbf"])
    )
)
def test_only_own_errors(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    with suppress(Malformed):
        parsed = parse(raw)
        assert all(entry.key and entry.line >= 1 for entry in parsed.entries)


def test_recorded_fuzzer_inputs_are_read_or_refused(conformance: Path) -> None:
    inputs = sorted(path for path in (conformance / "fuzz-unit-file").iterdir() if path.is_file())
    assert inputs
    for path in inputs:
        with suppress(Malformed):
            parse(path.read_bytes())
