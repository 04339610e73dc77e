"""The readers of single values, gathered: spans, sizes, signals, exit statuses, limits and addresses.

Each raises Bad, whose text gives the reason in words and never names the setting.
"""

from .addresses import ListenAddress, parse_listen_address
from .errors import Bad
from .exit_status import exit_status_name, parse_exit_status
from .integers import parse_integer, parse_unsigned
from .limits import parse_rlimit
from .signals import parse_signal, signal_name
from .sizes import parse_bool, parse_mode, parse_percent, parse_size_iec, parse_size_si
from .spans import (
    INFINITY,
    format_span,
    parse_span,
    parse_span_empty_is_infinity,
    parse_span_zero_is_infinity,
)

__all__ = [
    "INFINITY",
    "Bad",
    "ListenAddress",
    "exit_status_name",
    "format_span",
    "parse_bool",
    "parse_exit_status",
    "parse_integer",
    "parse_listen_address",
    "parse_mode",
    "parse_percent",
    "parse_rlimit",
    "parse_signal",
    "parse_size_iec",
    "parse_size_si",
    "parse_span",
    "parse_span_empty_is_infinity",
    "parse_span_zero_is_infinity",
    "parse_unsigned",
    "signal_name",
]
