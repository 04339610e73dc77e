"""Single values: times, sizes, signals, exit statuses, limits, modes and truth."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.syntax import values
from unitd.syntax.spans import DAY, HOUR, MINUTE, MONTH, SECOND, YEAR
from unitd.syntax.values import INFINITY, Bad


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("5", 5 * SECOND),
        (" 5 s ", 5 * SECOND),
        ("1.5", 1_500_000),
        (".25s", 250_000),
        ("2min 3s", 123 * SECOND),
        ("2min3", 123 * SECOND),
        ("1h30m", 90 * MINUTE),
        ("1M", MONTH),
        ("1m", MINUTE),
        ("1 month 1 day", MONTH + DAY),
        ("1y", YEAR),
        ("3us", 3),
        ("3µs", 3),
        ("1.0000019s", 1_000_001),
        ("+4", 4 * SECOND),
        ("infinity", INFINITY),
        (" infinity ", INFINITY),
    ],
)
def test_span(text: str, span: int) -> None:
    assert values.parse_span(text) == span


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "1.", "1.s", "1x", "s", "1.2.3", "infinityx", "2 infinity", "1 -1", "٣", "584943y", "9" * 5000],
)
def test_span_refused(text: str) -> None:
    with pytest.raises(Bad):
        values.parse_span(text)


def test_span_variants() -> None:
    assert values.parse_span("200", 1) == 200
    assert values.parse_span_zero_is_infinity("0s") == INFINITY
    assert values.parse_span_zero_is_infinity("1") == SECOND
    assert values.parse_span_empty_is_infinity(" ") == INFINITY
    assert values.parse_span_empty_is_infinity("0") == 0


@pytest.mark.parametrize(
    ("span", "accuracy", "text"),
    [
        (0, 1, "0"),
        (INFINITY, 1, "infinity"),
        (90 * SECOND, 1, "1min 30s"),
        (1_500_000, 1, "1.500000s"),
        (1_500_000, 1000, "1.500s"),
        (1_500_000, SECOND, "1s"),
        (1_500, 1000, "1ms"),
        (25 * HOUR, MINUTE, "1d 1h"),
        (YEAR + MONTH, 1, "1y 1month"),
    ],
)
def test_format_span(span: int, accuracy: int, text: str) -> None:
    assert values.format_span(span, accuracy) == text


@given(st.integers(0, 2**63) | st.integers(0, 10**9))
def test_a_formatted_span_is_read_back(span: int) -> None:
    assert values.parse_span(values.format_span(span)) == span


@pytest.mark.parametrize(
    ("text", "iec", "si"),
    [
        ("0", 0, 0),
        ("512", 512, 512),
        ("1K", 1024, 1000),
        ("1.5M", 1_572_864, 1_500_000),
        ("1G 1M", 2**30 + 2**20, 1_001_000_000),
        ("2 K", 2048, 2000),
        ("1.K", 1024, 1000),
    ],
)
def test_size(text: str, iec: int, si: int) -> None:
    assert (values.parse_size_iec(text), values.parse_size_si(text)) == (iec, si)


@pytest.mark.parametrize("text", ["", "K", "1k", "1KB", "1M 1G", "-1", "0x1", "1K ", ".5K", "16E", "infinity"])
def test_size_refused(text: str) -> None:
    with pytest.raises(Bad):
        values.parse_size_iec(text)


@pytest.mark.parametrize("text", ["1", "yes", "Y", "True", "t", "ON"])
def test_true(text: str) -> None:
    assert values.parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "no", "N", "False", "f", "oFF"])
def test_false(text: str) -> None:
    assert values.parse_bool(text) is False


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("TERM", 15),
        ("9", 9),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("0xf", 15),
        ("64", 64),
    ],
)
def test_signal(text: str, number: int) -> None:
    assert values.parse_signal(text) == number


def test_signal_names_are_read_back() -> None:
    for number in range(1, 65):
        assert values.parse_signal(values.signal_name(number)) == number
    assert values.signal_name(9) == "KILL"
    assert values.signal_name(34) == "RTMIN+0"


def test_exit_statuses() -> None:
    assert values.parse_exit_status("DATAERR") == 65
    assert values.parse_exit_status("0x10") == 16
    assert values.exit_status_name(203) == "EXEC"
    assert values.exit_status_name(223) is None
    for number in range(256):
        name = values.exit_status_name(number)
        assert name is None or values.parse_exit_status(name) == number


@pytest.mark.parametrize(
    ("kind", "text", "limits"),
    [
        ("NOFILE", "1024:4096", (1024, 4096)),
        ("NOFILE", "infinity", (INFINITY, INFINITY)),
        ("MEMLOCK", "64K", (65536, 65536)),
        ("CPU", "1500ms", (2, 2)),
        ("CPU", "1s:infinity", (1, INFINITY)),
        ("RTTIME", "1ms", (1000, 1000)),
        ("NICE", "+5:-5", (15, 25)),
        ("NICE", "40", (40, 40)),
    ],
)
def test_rlimit(kind: str, text: str, limits: tuple[int, int]) -> None:
    assert values.parse_rlimit(kind, text) == limits


def test_mode_and_percent() -> None:
    assert values.parse_mode("0755") == 0o755
    assert values.parse_percent("40%") == 40


@pytest.mark.parametrize(
    "refused",
    [
        lambda: values.parse_bool("2"),
        lambda: values.parse_bool(" yes"),
        lambda: values.parse_mode("10000"),
        lambda: values.parse_mode("8"),
        lambda: values.parse_mode("-1"),
        lambda: values.parse_percent("101%"),
        lambda: values.parse_percent("1"),
        lambda: values.parse_signal("0"),
        lambda: values.parse_signal("65"),
        lambda: values.parse_signal("sigterm"),
        lambda: values.parse_signal("RTMIN-1"),
        lambda: values.parse_exit_status("256"),
        lambda: values.parse_exit_status("EX_USAGE"),
        lambda: values.parse_rlimit("NOFILE", "10K"),
        lambda: values.parse_rlimit("NOFILE", "2:1"),
        lambda: values.parse_rlimit("NOFILE", "1:2:3"),
        lambda: values.parse_rlimit("NOFILE", ""),
        lambda: values.parse_rlimit("NICE", "infinity"),
    ],
)
def test_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(Bad):
        refused()


_READERS = [
    values.parse_span,
    values.parse_size_iec,
    values.parse_mode,
    values.parse_percent,
    values.parse_signal,
    values.parse_exit_status,
    values.parse_listen_address,
    lambda text: values.parse_rlimit("CPU", text),
    lambda text: values.parse_rlimit("NICE", text),
]


@pytest.mark.parametrize("read", _READERS)
@given(text=st.text(st.sampled_from("0159.+- \t\vxbokKMEsmin:%[]/@RTSIG\udcffé"), max_size=12) | st.text(max_size=8))
def test_only_own_errors(read: Callable[[str], object], text: str) -> None:
    with suppress(Bad):
        read(text)
