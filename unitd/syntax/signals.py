"""Signals by name and number on Linux (signal(7)), as on every architecture but alpha, mips and sparc."""

from typing import Final

from .errors import Bad
from .integers import parse_integer

SIGHUP: Final = 1
SIGINT: Final = 2
SIGABRT: Final = 6
SIGKILL: Final = 9
SIGPIPE: Final = 13
SIGTERM: Final = 15
SIGCONT: Final = 18
RTMIN: Final = 34
RTMAX: Final = 64

_NAMES: Final = {
    1: "HUP",
    2: "INT",
    3: "QUIT",
    4: "ILL",
    5: "TRAP",
    6: "ABRT",
    7: "BUS",
    8: "FPE",
    9: "KILL",
    10: "USR1",
    11: "SEGV",
    12: "USR2",
    13: "PIPE",
    14: "ALRM",
    15: "TERM",
    16: "STKFLT",
    17: "CHLD",
    18: "CONT",
    19: "STOP",
    20: "TSTP",
    21: "TTIN",
    22: "TTOU",
    23: "URG",
    24: "XCPU",
    25: "XFSZ",
    26: "VTALRM",
    27: "PROF",
    28: "WINCH",
    29: "IO",
    30: "PWR",
    31: "SYS",
}
_NUMBERS: Final = {name: number for number, name in _NAMES.items()}


def parse_signal(text: str) -> int:
    """A signal by number or name, with or without SIG, real-time ones as RTMIN+n or RTMAX-n; raises Bad."""
    try:
        number = parse_integer(text, -(2**31), 2**31 - 1)
    except Bad:
        return _by_name(text)
    if not 1 <= number <= RTMAX:
        raise Bad(f"{text!r} is not the number of a signal")
    return number


def signal_name(number: int) -> str:
    """The name without SIG; a number that has none as decimal digits."""
    if RTMIN <= number <= RTMAX:
        return f"RTMIN+{number - RTMIN}"
    return _NAMES.get(number, str(number))


def _by_name(text: str) -> int:
    name = text.removeprefix("SIG")
    if name in _NUMBERS:
        return _NUMBERS[name]
    for first, sign, start, span in (
        ("RTMIN", "+", RTMIN, (0, RTMAX - RTMIN)),
        ("RTMAX", "-", RTMAX, (RTMIN - RTMAX, 0)),
    ):
        rest = name.removeprefix(first)
        if rest == name:
            continue
        if not rest:
            return start
        if rest[0] == sign:
            return start + parse_integer(rest, *span)
    raise Bad(f"{text!r} is not a signal")
