"""Ports and programs that a unit claims: how they are written, and what is in their way."""

from __future__ import annotations

import pytest

from unitd.syntax.claims import Port, ProcessFilter, parse_port, parse_process_filter
from unitd.syntax.errors import Bad


@pytest.mark.parametrize(
    ("text", "canonical", "port"),
    [
        ("80", "80/tcp", Port(80)),
        ("53/udp", "53/udp", Port(53, "udp")),
        ("80/tcp", "80/tcp", Port(80)),
        ("127.0.0.1:80", "127.0.0.1:80/tcp", Port(80, "tcp", "127.0.0.1")),
        ("[0:0::1]:53/udp", "[::1]:53/udp", Port(53, "udp", "::1")),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1:80/tcp", Port(80, "tcp", "10.0.0.1")),
        ("[::]:80", "[::]:80/tcp", Port(80, "tcp", "::")),
    ],
)
def test_a_port(text: str, canonical: str, port: Port) -> None:
    assert parse_port(text) == port
    assert str(port) == canonical
    assert parse_port(canonical) == port


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "65536",
        "http",
        "80/sctp",
        "80/",
        ":80",
        "::1:80",
        "1.2.3:80",
        "localhost:80",
        "[1.2.3.4]:80",
        "-1",
        "[::1]",
    ],
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(Bad):
        parse_port(text)


@pytest.mark.parametrize(
    ("claim", "listens", "held"),
    [
        ("80", "80", True),
        ("80", "127.0.0.1:80", True),
        ("80", "[::1]:80", True),
        ("80", "81", False),
        ("80", "80/udp", False),
        ("127.0.0.1:80", "0.0.0.0:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.2:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("[::1]:80", "0.0.0.0:80", False),
        ("[::1]:80", "[::]:80", True),
        ("[::]:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", True),
    ],
)
def test_what_is_in_the_way(claim: str, listens: str, held: bool) -> None:
    assert parse_port(claim).is_held_by(parse_port(listens)) is held
    assert parse_port(listens).is_held_by(parse_port(claim)) is held


@pytest.mark.parametrize(
    ("text", "program", "arguments", "matches"),
    [
        ("/usr/bin/x", "/usr/bin/x", ("x",), True),
        ("/usr/bin/x", "/usr/bin/xy", ("x",), False),
        ("/usr/*/x", "/usr/local/bin/x", ("x",), True),
        ("/usr/bin/python3* -m http.server", "/usr/bin/python3.11", ("python3", "-m", "http.server", "80"), True),
        ("/usr/bin/python3* -m http.server", "/usr/bin/python3.11", ("python3", "http.server", "-m"), False),
        ("/usr/bin/python3* server", "/usr/bin/python3.11", ("python3", "http.server"), False),
        ("/b a a", "/b", ("b", "a"), False),
        ("/b a a", "/b", ("b", "a", "c", "a"), True),
        ('/b "two words"', "/b", ("b", "two words"), True),
        ("/b", "", (), False),
    ],
)
def test_a_filter(text: str, program: str, arguments: tuple[str, ...], matches: bool) -> None:
    assert parse_process_filter(text).matches(program, arguments) is matches


@pytest.mark.parametrize(
    ("glob", "fixed"),
    [("/usr/bin/x", "/usr/bin/x"), ("/usr/bin/x*", "/usr/bin"), ("/*/x", ""), ("/a/[bc]/d", "/a"), ("/a/b?/c", "/a")],
)
def test_what_of_a_glob_can_be_followed(glob: str, fixed: str) -> None:
    assert ProcessFilter(glob).fixed == fixed


@pytest.mark.parametrize("text", ["", "x", "*/x", '"/open'])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(Bad):
        parse_process_filter(text)
