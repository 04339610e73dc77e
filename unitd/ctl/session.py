"""One run of unitctl: its options, and the connection, made when it is first needed."""

import os
import sys
from collections.abc import Iterable
from typing import Any, Final

from unitd.ctl.connection import PROPERTIES, UNIT, Connection, Refused, Unreachable, open_path, unit_path
from unitd.ctl.options import Options, Usage
from unitd.ctl.terminal import say

EXIT_OF: Final = {
    "AccessDenied": 4,
    "OnlyByDependency": 4,
    "NoIsolation": 4,
    "TransactionIsDestructive": 4,
    "InteractiveAuthorizationRequired": 4,
    "NoSuchUnit": 5,
    "JobTypeNotApplicable": 3,
    "NotSupported": 3,
    "LoadFailed": 6,
}
"""systemctl's exit status by the last part of the error's name; any other: 1."""
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-:@")
_TYPES: Final = (
    "service",
    "socket",
    "target",
    "device",
    "mount",
    "automount",
    "swap",
    "timer",
    "path",
    "slice",
    "scope",
)
_SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"


class Session:
    """What a verb is given."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._connection: Connection | None = None

    @property
    def link(self) -> Connection:
        """The connection to the daemon; raises Unreachable."""
        if self._connection is None:
            self._connection = connect(self.options)
        return self._connection

    def connect_again(self) -> None:
        """Make the connection anew; raises Unreachable."""
        self.close()
        self._connection = connect(self.options)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    # --- unit names -----------------------------------------------------------------------------------

    def names(self, words: list[str], suffix: str = ".service") -> list[str]:
        """Unit names from words; patterns are matched against the units in memory. Raises Usage."""
        found: list[str] = []
        for name in (unit_name(word, suffix, globs=True) for word in words):
            if is_glob(name):
                found.extend(sorted(row[0] for row in self.link.manager("ListUnitsByPatterns", "asas", [], [name])[0]))
            else:
                found.append(name)
        return list(dict.fromkeys(found))

    def get(self, unit: str, name: str, interface: str = UNIT) -> Any:
        """One property of a unit; raises Refused."""
        return self.link.ask(unit_path(unit), PROPERTIES, "Get", "ss", interface, name)[0][1]

    def values(self, unit: str) -> dict[str, Any]:
        """All properties of a unit by name, without their types; raises Refused."""
        return {name: value for name, (_, value) in self.link.properties(unit_path(unit)).items()}

    def get_each(self, units: Iterable[str], name: str) -> list[Any]:
        """The same property of many units, asked in one go; a Refused stands for one that was not answered."""
        serials = [self.link.send(unit_path(unit), PROPERTIES, "Get", "ss", UNIT, name) for unit in units]
        answers: list[Any] = []
        for serial in serials:
            try:
                answers.append(self.link.reply(serial)[0][1])
            except Refused as refused:
                answers.append(refused)
        return answers

    # --- what is printed ------------------------------------------------------------------------------

    def json(self, value: Any) -> None:
        """Print a value as JSON: on one line, or indented with --output=json-pretty."""
        import json

        pretty = self.options.output == "json-pretty"
        indent, separators = (2, (",", ": ")) if pretty else (None, (",", ":"))
        print(json.dumps(value, indent=indent, separators=separators, ensure_ascii=False, default=_plain))

    def refuse(self, intent: str, refused: Refused) -> int:
        """Tell of a request that was not accepted; its exit status."""
        text = refused.text if refused.text.startswith("cannot ") else f"cannot {intent}: {refused.text}"
        if self.options.json:
            first, _, hint = text.partition("\n")
            self.json({"error": {"name": refused.name, "text": first, "hint": hint}})
        else:
            say(text)
            if refused.short in ("AccessDenied", "InteractiveAuthorizationRequired") and os.geteuid():
                say("this needs root or the daemon's own user")
        return self.exit_of(refused)

    @staticmethod
    def exit_of(refused: Refused) -> int:
        """The exit status for a request that was not accepted."""
        return EXIT_OF.get(refused.short, 1)

    def print(self, *lines: str) -> None:
        """Print lines, unless told to be quiet."""
        if not self.options.quiet:
            for line in lines:
                print(line)


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def is_glob(name: str) -> bool:
    """Whether it is a pattern rather than a name."""
    return any(character in name for character in "*?[")


def unit_name(word: str, suffix: str = ".service", globs: bool = False) -> str:
    """The unit that a word means, by systemctl's rules; raises Usage. The common case needs no regular expression."""
    if _PLAIN.issuperset(word) and 0 < len(word) < 240 and word[0] not in "@.":
        stem, dot, kind = word.rpartition(".")
        if dot and stem and kind in _TYPES:
            return word
        if "." not in word and not word.endswith("@"):
            return word + suffix
    from unitd.syntax.errors import Bad
    from unitd.syntax.unit_name import mangle

    try:
        return mangle(word, suffix, globs=globs)
    except Bad as bad:
        raise Usage(f"cannot take {word!r} as a unit: {bad}") from None


# --- where the daemon is ------------------------------------------------------------------------------


def connect(options: Options) -> Connection:
    """Connect as the options and the environment say; raises Unreachable, saying what to do."""
    runtime = options.runtime_dir or ("" if options.bus else os.environ.get("UNITD_RUNTIME_DIR", ""))
    bus = options.bus or ("" if runtime else os.environ.get("UNITD_BUS", ""))
    if options.runtime_dir or (runtime and not options.bus):
        return _private(runtime)
    if bus and bus != "none":
        return _bus(bus)
    directory = _own_directory(options.user)
    try:
        return _private(directory)
    except Unreachable as unreachable:
        try:
            return _bus("session" if options.user else "system")
        except (Unreachable, Refused):
            raise unreachable from None


def _own_directory(user: bool) -> str:
    if not user:
        return "/run/unitd"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime:
        raise Unreachable(
            "cannot find the user's daemon: XDG_RUNTIME_DIR is not set; --runtime-dir names another place"
        )
    return f"{runtime}/unitd"


def _private(directory: str) -> Connection:
    path = f"{directory}/private"
    try:
        return open_path(path, path)
    except OSError as error:
        raise Unreachable(f"cannot connect to {path}: {error.strerror or error}\n{_advice(directory, error)}") from None


def _advice(directory: str, error: OSError) -> str:
    """What a failed connection means and what to do, from what lies in the runtime directory."""
    if isinstance(error, PermissionError):
        return "the directory is another user's; try as that user or as root"
    if isinstance(error, ConnectionRefusedError):
        return "the socket is there but no daemon listens: it died; start unitd again and it finds its services"
    if os.path.exists(f"{directory}/lock"):
        return "a daemon is starting or stopping there, or died while it was; see its log"
    user = os.environ.get("XDG_RUNTIME_DIR", "")
    if directory == "/run/unitd" and user and os.path.exists(f"{user}/unitd/private"):
        return "no system daemon seems to run, but yours does: unitctl --user"
    return (
        f"no daemon seems to run there: start one (unitd --runtime-dir {directory}), or name another with --runtime-dir"
    )


def _bus(name: str) -> Connection:
    own = f"unix:path={os.environ.get('XDG_RUNTIME_DIR', '')}/bus"
    address = {
        "system": os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", _SYSTEM_BUS),
        "session": os.environ.get("DBUS_SESSION_BUS_ADDRESS", own),
    }.get(name, name)
    problem = "it has no unix: address"
    for path in _bus_paths(address):
        try:
            return open_path(path, f"the bus at {address}", bus=True)
        except OSError as error:
            problem = error.strerror or str(error)
    raise Unreachable(f"cannot connect to the bus at {address}: {problem}")


def _bus_paths(address: str) -> list[str]:
    """Socket paths in a D-Bus address (specification, "Server Addresses"); a leading NUL means abstract."""
    found = []
    for one in address.split(";"):
        kind, _, rest = one.partition(":")
        pairs = dict(pair.partition("=")[::2] for pair in rest.split(","))
        if kind == "unix" and (pairs.get("path") or pairs.get("abstract")):
            found.append(_unescape(pairs["path"]) if pairs.get("path") else "\0" + _unescape(pairs["abstract"]))
    return found


def _unescape(text: str) -> str:
    head, *escaped = text.split("%")
    return os.fsdecode(os.fsencode(head) + b"".join(bytes.fromhex(e[:2]) + os.fsencode(e[2:]) for e in escaped))


def flush() -> None:
    """Write out what was printed; a reader that left is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
