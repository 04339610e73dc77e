"""Reads unitd.conf and unitd.conf.d/*.conf into a model Config.

INI as configparser reads it, keys as they are written, no interpolation; a later file wins over an earlier one. What
cannot be read is a Problem with file and line, and the default stays: the daemon starts whatever the file says.
"""

import configparser
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from unitd.model.config import Config
from unitd.model.problems import Problem
from unitd.model.states import LOG_LEVELS
from unitd.syntax.values import Bad, parse_bool, parse_span_zero_is_infinity

DEFAULT_FILE: Final = "/etc/unitd.conf"
SECTION: Final = "Manager"


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise Bad(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return parse


_KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "DefaultTimeoutStartSec": ("default_timeout_start", parse_span_zero_is_infinity),
    "DefaultTimeoutStopSec": ("default_timeout_stop", parse_span_zero_is_infinity),
    "ShutdownTimeoutSec": ("shutdown_timeout", parse_span_zero_is_infinity),
    "OnRestart": ("on_restart", _one_of("adopt", "stop")),
    "ReadSystemdUnits": ("read_systemd_units", parse_bool),
    "SystemdCompat": ("systemd_compat", parse_bool),
    "AllowWeakerSandbox": ("allow_weaker_sandbox", parse_bool),
    "AutoReload": ("auto_reload", parse_bool),
    "LogLevel": ("log_level", _one_of(*LOG_LEVELS)),
}

_NOT_YET: Final = frozenset(("SystemdCompat",))
"""Known, and without effect so far."""


class _Parser(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """Keys are as they are written."""
        return optionstr


def files_of(path: str) -> list[str]:
    """The file and the fragments in PATH.d, in the order in which they are read."""
    directory = f"{path}.d"
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".conf"))
    except OSError:
        names = []
    return [path, *(f"{directory}/{name}" for name in names)]


def read(path: str = DEFAULT_FILE, *, user: bool = False) -> tuple[Config, tuple[Problem, ...]]:
    """The settings of the daemon, `user`: of a user's; a missing file says nothing."""
    config = Config(user=user)
    problems: list[Problem] = []
    for file in files_of(path):
        try:
            with open(file, encoding="utf-8") as opened:
                lines = opened.read().splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not valid UTF-8"
            problems.append(Problem("unitd", file, 0, "", reason))
            continue
        config = _apply(config, file, lines, problems)
    return config, tuple(problems)


def _apply(config: Config, file: str, lines: Sequence[str], problems: list[Problem]) -> Config:
    parser = _Parser(
        delimiters=("=",), comment_prefixes=("#", ";"), strict=False, empty_lines_in_values=False, default_section=""
    )
    try:
        parser.read_file(lines, file)
    except configparser.MissingSectionHeaderError as error:
        problems.append(Problem("unitd", file, error.lineno, "", "a setting outside of a section"))
        return config
    except configparser.ParsingError as error:
        problems += [Problem("unitd", file, line, "", "no '=' in the line") for line, _ in error.errors]
        return config
    for section in parser.sections():
        if section != SECTION:
            problems.append(Problem("unitd", file, _line(lines, f"[{section}]"), "", f"no section [{section}]"))
            continue
        for key, value in parser.items(section):
            config = _set(config, key, value, (file, _line(lines, key)), problems)
    return config


def _set(config: Config, key: str, value: str, place: tuple[str, int], problems: list[Problem]) -> Config:
    known = _KEYS.get(key)
    if known is None:
        problems.append(Problem("unitd", *place, f"{key}=", f"no such setting in [{SECTION}]"))
        return config
    attribute, parse = known
    try:
        meant = parse(value)
    except Bad as fault:
        problems.append(Problem("unitd", *place, f"{key}=", f"{fault}; the line is ignored"))
        return config
    if key in _NOT_YET and meant != getattr(Config(), attribute):
        problems.append(Problem("unitd", *place, f"{key}=", "it is not carried out yet"))
    return replace(config, **{attribute: meant})


def _line(lines: Sequence[str], start: str) -> int:
    """The number of the last line that begins with a key or header, for a message; configparser keeps none."""
    found = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(start) and text[len(start) :].lstrip()[:1] in ("", "=", "#", ";"):
            found = number
    return found
