"""Environment: files, lines of assignments, substitution."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax.environment import load, parse_assignments, substitute, valid_assignment, valid_name
from unitd.syntax.errors import Bad


@pytest.mark.parametrize(
    ("text", "assignments"),
    [
        ("", []),
        ("A=1", ["A=1"]),
        ("A = 1 \nB=\n", ["A=1", "B="]),
        ("# A=1\n; B=2\nC=3", ["C=3"]),
        ("# c\\\nA=1\nB=2", ["B=2"]),
        ("A\n=x\nB=1", ["B=1"]),
        ("A=1\nB=2\nA=3", ["A=3", "B=2"]),
        ("A='x y' \n", ["A=x y"]),
        ("A='x'\"y\"'z'", ["A=xyz"]),
        ("A='x' y\"z\"", ['A=xy"z"']),
        ("A=x'y'", ["A=x'y'"]),
        ('A="\\$\\`\\"\\\\\\n"', ['A=$`"\\\\n']),
        ('A="x\\\ny"', ["A=xy"]),
        ("A='x\ny'", ["A=x\ny"]),
        ("A=x\\\n  y", ["A=x  y"]),
        ("A=x\\ ", ["A=x "]),
        ("A=x\\", ["A=x"]),
        ("A=x  \\\n", ["A=x  "]),
        ("A='open\nB=1", ["A=open\nB=1"]),
        ("export A=1", ["export A=1"]),
        ("A=1\rB=2", ["A=1", "B=2"]),
    ],
)
def test_load(text: str, assignments: list[str]) -> None:
    assert load(text) == assignments


@pytest.mark.parametrize("text", ["A=\0", "A=\udcff", "\udcff=1", "A=\ufffe"])
def test_load_refused(text: str) -> None:
    with pytest.raises(Bad):
        load(text)


def test_assignments_of_one_line() -> None:
    assert parse_assignments("A=1 'B=x y' C=\"z\" A=2") == (["A=2", "B=x y", "C=z"], [])


def test_assignments_that_are_left_out() -> None:
    accepted, refusals = parse_assignments("A=1 2B=x plain C=\\xff D=4 'E=5")
    assert accepted == ["A=1", "D=4"]
    assert len(refusals) == 4


def test_assignments_are_expanded_word_by_word() -> None:
    def expand(word: str) -> str:
        if "bad" in word:
            raise Bad("no")
        return word.replace("%i", "x y")

    assert parse_assignments("A=%i B=bad", expand) == (["A=x y"], ["no"])


@pytest.mark.parametrize(
    ("name", "valid"), [("A_1", True), ("_", True), ("1A", False), ("", False), ("A-B", False), ("é", False)]
)
def test_valid_name(name: str, valid: bool) -> None:
    assert valid_name(name) is valid
    assert valid_assignment(f"{name}=v") is valid


@pytest.mark.parametrize(
    ("argument", "replaced"),
    [
        ("plain", ["plain"]),
        ("$W", ["a", "b c"]),
        ("${W}", ["a 'b c'"]),
        ("x${W}y", ["xa 'b c'y"]),
        ("x$W", ["x$W"]),
        ("$NONE", []),
        ("${NONE}", [""]),
        ("$EMPTY", []),
        ("$", []),
        ("$$W", ["$W"]),
        ("x$$$$", ["x$$"]),
        ("${W", ["${W"]),
        ("${W$$", ["${W$$"]),
        ("${W:-x}", ["${W:-x}"]),
        ("${W:${E}}", ["${W:1}"]),
        ("$W/x", []),
        ("a$", ["a$"]),
    ],
)
def test_substitute(argument: str, replaced: list[str]) -> None:
    assert substitute([argument], {"W": "a 'b c'", "EMPTY": "", "E": "1"}) == replaced


@given(st.text(st.sampled_from("AB=\n\r '\"\\#;\t$`\udcff"), max_size=40))
def test_only_own_errors(text: str) -> None:
    with suppress(Bad):
        assert all("=" in assignment for assignment in load(text))


@given(st.text(st.sampled_from("${}A:x ")), st.text(st.sampled_from("a '\"\\"), max_size=6))
def test_substitution_never_fails(argument: str, value: str) -> None:
    assert isinstance(substitute([argument], {"A": value}), list)


@given(
    st.dictionaries(st.sampled_from(["A", "B", "C_1"]), st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])))
)
def test_quoted_values_come_back(variables: dict[str, str]) -> None:
    lines = [f"{name}='" + value.replace("'", "'\"'\"'") + "'\n" for name, value in variables.items()]
    assert load("".join(lines)) == [f"{name}={value}" for name, value in variables.items()]


def test_recorded_fuzzer_inputs_are_read_or_refused(conformance: Path) -> None:
    inputs = sorted(path for path in (conformance / "fuzz-env-file").iterdir() if path.is_file())
    assert inputs
    for path in inputs:
        with suppress(Bad):
            load(path.read_bytes().decode("utf-8", "surrogateescape"))
