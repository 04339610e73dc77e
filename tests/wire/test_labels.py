"""Escaping of unit names into object paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.wire.decode import path_valid
from unitd.wire.labels import escape, unescape


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("ssh.service", "ssh_2eservice"),
        ("-.mount", "_2d_2emount"),
        ("getty@tty1.service", "getty_40tty1_2eservice"),
        ("3com.timer", "_33com_2etimer"),
        ("a3.timer", "a3_2etimer"),
        ("a_b.service", "a_5fb_2eservice"),
        ("", "_"),
        ("ü", "_c3_bc"),
    ],
)
def test_a_name_has_one_label(name: str, label: str) -> None:
    assert escape(name) == label
    assert unescape(label) == name


def test_a_broken_escape_stays_as_it_is() -> None:
    assert unescape("a_zz_2") == "a_zz_2"


@given(st.text())
def test_every_name_comes_back(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    assert unescape(escape(name)) == name
    assert path_valid("/unit/" + escape(name))
