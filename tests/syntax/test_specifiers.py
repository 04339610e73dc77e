"""Specifiers: what each stands for, and what happens to the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax.errors import Bad
from unitd.syntax.specifiers import HostFacts, expand, name_table, unit_table

HOST = HostFacts(
    machine_id="0a" * 16, boot_id="1b" * 16, hostname="box.example", kernel="6.1", uid=7, user="ann", home="/h"
)


@pytest.mark.parametrize(
    ("specifier", "meaning"),
    [
        ("%n", "a-b@c-d\\x2de.service"),
        ("%N", "a-b@c-d\\x2de"),
        ("%p", "a-b"),
        ("%P", "a/b"),
        ("%i", "c-d\\x2de"),
        ("%I", "c/d-e"),
        ("%j", "b"),
        ("%J", "b"),
        ("%f", "/c/d-e"),
        ("%d", "/run/credentials/a-b@c-d\\x2de.service"),
        ("%H", "box.example"),
        ("%l", "box"),
        ("%q", "box.example"),
        ("%m", "0a" * 16),
        ("%b", "1b" * 16),
        ("%v", "6.1"),
        ("%u%U", "ann7"),
        ("%g%G", "root0"),
        ("%h", "/h"),
        ("%t%S%C%L%E", "/run/var/lib/var/cache/var/log/etc"),
        ("%T%V", "/tmp/var/tmp"),
        ("%y", "/etc/a.service"),
        ("%Y", "/etc"),
        ("%%n", "%n"),
        ("100%", "100%"),
        ("%.%é% ", "%.%é% "),
    ],
)
def test_meaning(specifier: str, meaning: str) -> None:
    assert expand(specifier, unit_table("a-b@c-d\\x2de.service", HOST, "/etc/a.service")) == meaning


def test_units_without_instance() -> None:
    table = unit_table("srv-my\\x20x.mount", HOST)
    assert expand("%i|%I|%j|%J|%f", table) == "||my\\x20x|my x|/srv/my x"


@pytest.mark.parametrize("text", ["%Z", "%0", "%y", "%Y"])
def test_refused(text: str) -> None:
    with pytest.raises(Bad):
        expand(text, unit_table("a.service", HOST))


def test_ids_that_are_not_known_are_refused() -> None:
    with pytest.raises(Bad, match="machine id"):
        expand("%m", unit_table("a.service", HostFacts()))


def test_broken_escapes_are_refused_only_when_they_are_used() -> None:
    table = unit_table("a@\\x2.service", HOST)
    assert expand("%i", table) == "\\x2"
    with pytest.raises(Bad):
        expand("%I", table)


@pytest.mark.parametrize("letter", "IJPfdtSCLEhsTVyY")
def test_names_are_made_of_fewer_specifiers(letter: str) -> None:
    with pytest.raises(Bad):
        expand("%" + letter, name_table("a@b.service", HOST))


def test_limit_counts_bytes() -> None:
    assert expand("é", {}, 2) == "é"
    with pytest.raises(Bad):
        expand("é", {}, 1)


@given(st.text(max_size=40))
def test_doubled_percent_signs_come_back(text: str) -> None:
    assert expand(text.replace("%", "%%"), {}) == text
