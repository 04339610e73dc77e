"""What the daemon is told: command line, environment, defaults by role.

As PID 1 nothing here may end the program: unknown arguments are ignored with a warning, and the kernel command line
chooses the target (bootup(7), kernel-command-line(7)).
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

from msgspec import Struct, field

from unitd import __version__
from unitd.model.states import LOG_LEVELS

DEFAULT_TARGET = "default.target"
TARGETS = {
    "single": "rescue.target",
    "rescue": "rescue.target",
    "emergency": "emergency.target",
    "1": "rescue.target",
    "2": "multi-user.target",
    "3": "multi-user.target",
    "4": "multi-user.target",
    "5": "graphical.target",
}
"""Words of the kernel command line that choose the target."""


class Options(Struct, frozen=True):
    """`bus`: system, session, none, or an address. `warnings`: what was ignored."""

    user: bool
    unit_path: tuple[str, ...]
    runtime_dir: str
    state_dir: str
    bus: str
    cgroup: str
    target: str
    config: str
    log_level: str
    warnings: tuple[str, ...] = field(default=())


class Usage(Exception):
    """The command line cannot be used; the text says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(message)


def _parser() -> _Parser:
    parser = _Parser(
        prog="unitd",
        description="Start and supervise units, and stop them all so that nothing is left.",
        epilog="Signals: SIGHUP reloads unit files; SIGTERM and SIGINT stop everything and exit. See unitd(8).",
        allow_abbrev=False,
    )
    role = parser.add_mutually_exclusive_group()
    role.add_argument("--system", action="store_true", help="serve the machine (the default for root)")
    role.add_argument("--user", action="store_true", help="serve this user (the default for everybody else)")
    parser.add_argument(
        "--unit-path",
        action="append",
        metavar="DIR",
        help="read units from DIR alone; repeatable",
    )
    parser.add_argument("--runtime-dir", metavar="DIR", help="sockets and other things that go with the daemon")
    parser.add_argument("--state-dir", metavar="DIR", help="logs and records that stay")
    parser.add_argument("--bus", metavar="system|session|none|ADDRESS", help="the D-Bus to serve beside the socket")
    parser.add_argument("--cgroup", metavar="PATH", default="", help="make the sub-tree below this cgroup")
    parser.add_argument("--target", metavar="UNIT|none", help="what to start first (default.target)")
    parser.add_argument("--config", metavar="FILE", default="/etc/unitd.conf", help="settings of the daemon")
    parser.add_argument("--log-level", metavar="LEVEL", choices=LOG_LEVELS, help=f"one of {', '.join(LOG_LEVELS)}")
    parser.add_argument("--version", action="version", version=f"unitd {__version__}")
    return parser


def parse(argv: Sequence[str], environment: Mapping[str, str], *, pid1: bool, kernel: Sequence[str] = ()) -> Options:
    """The options; raises Usage, but never as PID 1."""
    parser = _parser()
    warnings: list[str] = []
    if pid1:
        given, unknown = _lenient(parser, argv)
        words = [*unknown, *kernel]
        warnings += [f"argument {word!r} is ignored" for word in unknown if word not in TARGETS]
    else:
        given, words = parser.parse_args(list(argv)), []
    user = given.user or (not given.system and os.geteuid() != 0 and not pid1)
    paths = given.unit_path or [p for p in environment.get("UNITD_UNIT_PATH", "").split(":") if p]
    runtime = given.runtime_dir or environment.get("UNITD_RUNTIME_DIR", "")
    explicit = bool(runtime)
    if not runtime:
        runtime = "/run/unitd" if not user else _in(environment, "XDG_RUNTIME_DIR")
    if not runtime:
        raise Usage("XDG_RUNTIME_DIR is not set: --runtime-dir DIR is required")
    return Options(
        user=user,
        unit_path=tuple(paths),
        runtime_dir=os.path.abspath(runtime),
        state_dir=os.path.abspath(given.state_dir or _state(environment, runtime, user=user, explicit=explicit)),
        bus=given.bus or environment.get("UNITD_BUS", "") or ("session" if user else "system"),
        cgroup=given.cgroup,
        target=given.target or _target(words) or DEFAULT_TARGET,
        config=given.config,
        log_level=given.log_level or "",
        warnings=tuple(warnings),
    )


def _lenient(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """As much of the arguments as can be used, and the rest."""
    try:
        return parser.parse_known_args(list(argv))
    except (Usage, SystemExit):
        return parser.parse_args([]), list(argv)


def _target(words: Sequence[str]) -> str:
    """The target that the words of a kernel command line choose; the last one counts."""
    chosen = ""
    for word in words:
        key, _, value = word.partition("=")
        if key in ("unitd.unit", "systemd.unit") and value:
            chosen = value
        elif word in TARGETS:
            chosen = TARGETS[word]
    return chosen


def _in(environment: Mapping[str, str], name: str) -> str:
    above = environment.get(name, "")
    return f"{above}/unitd" if above else ""


def _state(environment: Mapping[str, str], runtime: str, *, user: bool, explicit: bool) -> str:
    if explicit:
        return f"{runtime}/state"
    if not user:
        return "/var/lib/unitd"
    return _in(environment, "XDG_STATE_HOME") or os.path.expanduser("~/.local/state/unitd")
