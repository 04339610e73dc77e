"""The order of versions, and tests of them."""

from itertools import pairwise

import pytest

from unitd.host.versions import compare, matches


def test_each_is_older_than_the_next() -> None:
    for older, newer in pairwise(["1~rc1", "1", "1-1", "1^post", "1.1", "1.1.1", "1.2", "1.10", "2", "10", "9" * 40]):
        assert compare(older, newer) < 0, (older, newer)
        assert compare(newer, older) > 0, (older, newer)


@pytest.mark.parametrize(
    ("left", "right"), [("1.0", "1.0"), ("1.01", "1.1"), ("a_1", "a1"), ("", ""), ("5.10+", "5.10"), ("0", "00")]
)
def test_these_are_the_same(left: str, right: str) -> None:
    assert compare(left, right) == 0


def test_letters_come_before_digits_and_absence_before_both() -> None:
    assert compare("1a", "1") > 0
    assert compare("a", "1") < 0
    assert compare("abc", "abd") < 0
    assert compare("ab", "abc") < 0


@pytest.mark.parametrize(
    ("actual", "test", "expected"),
    [
        ("5.10.0", ">=5.9", True),
        ("5.10.0", "<5.9", False),
        ("5.10.0", "!=5.10.0", False),
        ("5.10.0", "=5.10.0", True),
        ("5.10.0-amd64", "$=*-amd64", True),
        ("5.10.0-amd64", "!$=*-amd64", False),
        ("5.10.0", "5.10.0", None),
        ("5.10.0", ">=", None),
        ("5.10.0", ">= 5", None),
        ("5.10.0", "$=", None),
    ],
)
def test_a_test_passes_fails_or_is_none(actual: str, test: str, expected: bool | None) -> None:
    assert matches(actual, test) is expected
