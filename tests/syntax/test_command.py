"""Command lines: prefixes, arguments, separators, and which faults spoil the unit."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax.command import BadCommand, Command, parse_commands
from unitd.syntax.errors import Bad


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/bin/x", Command("/bin/x", ("/bin/x",))),
        ("x a", Command("x", ("x", "a"))),
        ("/bin//./x a", Command("/bin/x", ("/bin//./x", "a"))),
        ("/x 'a b' \"c\" d\\te", Command("/x", ("/x", "a b", "c", "d\te"))),
        ("/x \\q \\", Command("/x", ("/x", "\\q", "\\"))),
        ("/x \\; a;b ';' \\x3b", Command("/x", ("/x", ";", "a;b", ";", ";"))),
        ("/x ''", Command("/x", ("/x", ""))),
        ("-/x", Command("/x", ("/x",), ignore_failure=True)),
        ("@/x zero one", Command("/x", ("zero", "one"), argv0=True)),
        (":/x", Command("/x", ("/x",), no_expand=True)),
        ("+/x", Command("/x", ("/x",), full_privileges=True)),
        ("!/x", Command("/x", ("/x",), no_setuid=True)),
        ("!!/x", Command("/x", ("/x",), ambient=True)),
        ("!-!/x", Command("/x", ("/x",), ambient=True, ignore_failure=True)),
        ("-- a", Command("-", ("-", "a"), ignore_failure=True)),
        ("'/a b/x' $V", Command("/a b/x", ("/a b/x", "$V"))),
        ("/x/..", Command("/x/..", ("/x/..",))),
    ],
)
def test_command(line: str, command: Command) -> None:
    assert parse_commands(line) == (command,)


def test_several_commands() -> None:
    paths = [command.path for command in parse_commands("; /a x ; ; -/b\t;\t/c y ;")]
    assert paths == ["/a", "/b", "/c"]


@pytest.mark.parametrize("line", ["", " ", ";", "; ;"])
def test_no_command(line: str) -> None:
    assert parse_commands(line) == ()


@pytest.mark.parametrize(
    "line",
    [
        "/bin/",
        "+!/x",
        "!!!/x",
        "a/b",
        ".",
        '"" a',
        "@/x",
        "/x\\n",
        "/x\\q",
        "/x 'open",
        "/x %z",
        "/" + "a" * 256,
        "/a" * 2048,
    ],
)
def test_faults_that_spoil_the_unit(line: str) -> None:
    def expand(word: str) -> str:
        if "%" in word:
            raise Bad("not known")
        return word

    with pytest.raises(BadCommand) as caught:
        parse_commands("/before ; " + line, expand)
    assert caught.value.fatal
    assert [command.path for command in caught.value.kept] == ["/before"]


@pytest.mark.parametrize("line", ["-/bin/", "-", "--/x", "-/x 'open", "-@/x", "'open"])
def test_faults_that_only_end_the_line(line: str) -> None:
    with pytest.raises(BadCommand) as caught:
        parse_commands(f"/before ; {line} ; /after")
    assert not caught.value.fatal
    assert [command.path for command in caught.value.kept] == ["/before"]


def test_program_and_arguments_are_expanded_after_they_are_cut() -> None:
    commands = parse_commands("%p/x %p '%p'", lambda word: word.replace("%p", "/a b"))
    assert commands == (Command("/a b/x", ("/a b/x", "/a b", "/a b")),)


@given(st.text(st.sampled_from("/x -@:+!;'\"\\%q\té\udcff"), max_size=25))
def test_only_own_errors(line: str) -> None:
    with suppress(BadCommand):
        for command in parse_commands(line):
            assert command.path
            assert command.argv
