"""Topics timespan and scalar: single values."""

from collections.abc import Callable
from pathlib import Path

from unitd.syntax import values
from unitd.syntax.values import INFINITY, Bad

from .comparison import Case, Comparison, Document

_SCALARS: dict[str, Callable[[Case], object]] = {
    "boolean": lambda case: values.parse_bool(case["input"]),
    "size_iec": lambda case: values.parse_size_iec(case["input"]),
    "size_si": lambda case: values.parse_size_si(case["input"]),
    "mode": lambda case: f"{values.parse_mode(case['input']):04o}",
    "percent": lambda case: values.parse_percent(case["input"]),
    "signal": lambda case: values.parse_signal(case["input"]),
    "exit_status": lambda case: values.parse_exit_status(case["input"]),
    "exit_status_name": lambda case: values.exit_status_name(case["input"]),
    "listen_address": lambda case: str(values.parse_listen_address(case["input"])),
    "rlimit": lambda case: [
        _shown(limit) for limit in values.parse_rlimit(case["directive"].removeprefix("Limit"), case["input"])
    ],
}
_SPANS: dict[str, Callable[[Case], int]] = {
    "parse_sec": lambda case: values.parse_span(case["input"]),
    "parse_sec_fix_0": lambda case: values.parse_span_zero_is_infinity(case["input"]),
    "parse_sec_def_infinity": lambda case: values.parse_span_empty_is_infinity(case["input"]),
    "parse_time": lambda case: values.parse_span(case["input"], case["default_unit_us"]),
}


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares one value; what is refused is null."""
    if case["op"] == "format_timespan":
        span = INFINITY if case["input_us"] == "infinity" else case["input_us"]
        return Comparison(case["expect"], values.format_span(span, case["accuracy_us"]))
    expected = case["expect_us"] if case["op"] in _SPANS else case["expect"]
    try:
        got = _shown(_SPANS[case["op"]](case)) if case["op"] in _SPANS else _SCALARS[case["op"]](case)
    except Bad:
        got = None
    return Comparison(expected, got)


def _shown(number: int) -> int | str:
    return "infinity" if number == INFINITY else number
