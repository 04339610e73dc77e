"""The command line: systemctl's grammar, by one table.

Options and words may come in any order; `--` ends the options; a long option may be cut short while it stays unique;
short ones may be bundled (getopt_long(3)). What has no meaning here is taken and does nothing; what would change the
meaning of the request, and is not carried out, is refused.
"""

from typing import Any, Final

_NONE, _NEEDS = 0, 1


class Usage(Exception):
    """A command line that cannot be carried out; the text says why."""


class Options:
    """What the command line asked for; times in microseconds."""

    def __init__(self) -> None:
        self.user = False
        self.host = ""
        self.runtime_dir = ""
        self.bus = ""
        self.types: list[str] = []
        self.states: list[str] = []
        self.properties: list[str] = []
        self.all = False
        self.full = False
        self.value = False
        self.reverse = False
        self.before = False
        self.after = False
        self.job_mode = ""
        self.show_transaction = False
        self.whom = "all"
        self.signal = "SIGTERM"
        self.quiet = False
        self.wait = False
        self.dry_run = False
        self.block = True
        self.legend = True
        self.pager = True
        self.plain = False
        self.force = 0
        """How often -f was given: --force, or --follow of logs."""
        self.lines: int | None = None
        self.output = ""
        self.since = ""
        self.reload = True
        self.help = False
        self.version = False

    @property
    def json(self) -> bool:
        """Whether the answer shall be JSON."""
        return self.output.startswith("json")


# long, short, whether it needs a value, what it sets: "+name" appends the parts of a list, "name=V" sets V.
_TABLE: Final = (
    ("help", "h", _NONE, "help=1"),
    ("version", "", _NONE, "version=1"),
    ("system", "", _NONE, "user=0"),
    ("user", "", _NONE, "user=1"),
    ("host", "H", _NEEDS, "host"),
    ("runtime-dir", "", _NEEDS, "runtime_dir"),
    ("bus", "", _NEEDS, "bus"),
    ("type", "t", _NEEDS, "+types"),
    ("state", "", _NEEDS, "+states"),
    ("failed", "", _NONE, "+states=failed"),
    ("property", "p", _NEEDS, "+properties"),
    ("", "P", _NEEDS, "+properties"),
    ("value", "", _NONE, "value=1"),
    ("all", "a", _NONE, "all=1"),
    ("full", "l", _NONE, "full=1"),
    ("reverse", "", _NONE, "reverse=1"),
    ("before", "", _NONE, "before=1"),
    ("after", "", _NONE, "after=1"),
    ("job-mode", "", _NEEDS, "job_mode"),
    ("show-transaction", "T", _NONE, "show_transaction=1"),
    ("kill-whom", "", _NEEDS, "whom"),
    ("kill-who", "", _NEEDS, "whom"),
    ("signal", "s", _NEEDS, "signal"),
    ("quiet", "q", _NONE, "quiet=1"),
    ("wait", "", _NONE, "wait=1"),
    ("no-block", "", _NONE, "block=0"),
    ("no-legend", "", _NONE, "legend=0"),
    ("legend", "", _NEEDS, "legend?"),
    ("no-pager", "", _NONE, "pager=0"),
    ("plain", "", _NONE, "plain=1"),
    ("force", "f", _NONE, "force+"),
    ("follow", "", _NONE, "force+"),
    ("lines", "n", _NEEDS, "lines#"),
    ("output", "o", _NEEDS, "output"),
    ("since", "S", _NEEDS, "since"),
    ("no-reload", "", _NONE, "reload=0"),
    ("fail", "", _NONE, "job_mode=fail"),
    ("irreversible", "", _NONE, "job_mode=replace-irreversibly"),
    ("ignore-dependencies", "", _NONE, "job_mode=ignore-dependencies"),
    *((name, "", _NONE, "") for name in ("no-wall", "no-warn", "no-ask-password", "show-types", "recursive", "now")),
    *((name, "", _NONE, "") for name in ("runtime", "global", "read-only", "mkdir", "with-dependencies")),
    ("", "r", _NONE, ""),
    ("", "i", _NONE, ""),
    *((name, "", _NEEDS, "") for name in ("check-inhibitors", "what", "preset-mode", "timestamp", "message")),
    *((name, "", _NEEDS, "") for name in ("reboot-argument", "boot-loader-menu", "boot-loader-entry")),
    ("firmware-setup", "", _NONE, ""),
    ("machine", "M", _NEEDS, "!"),
    ("root", "", _NEEDS, "!"),
    ("image", "", _NEEDS, "!"),
    ("dry-run", "", _NONE, "dry_run=1"),
    ("marked", "", _NONE, "!"),
)
_LONG: Final = {row[0]: row for row in _TABLE if row[0]}
_SHORT: Final = {row[1]: row for row in _TABLE if row[1]}


def parse(arguments: list[str]) -> tuple[Options, list[str]]:
    """Options, and the words that are none; raises Usage."""
    options = Options()
    words: list[str] = []
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        if argument == "--":
            words.extend(reversed(rest))
            break
        if argument.startswith("--"):
            _long(options, argument[2:], rest)
        elif argument.startswith("-") and argument != "-":
            _bundle(options, argument[1:], rest)
        else:
            words.append(argument)
    return options, words


def _long(options: Options, text: str, rest: list[str]) -> None:
    name, equals, value = text.partition("=")
    row = _LONG.get(name)
    if row is None:
        fits = [known for known in _LONG if known.startswith(name)]
        if len({_LONG[known][3] or known for known in fits}) != 1:
            raise Usage(_unknown(name, fits))
        row = _LONG[fits[0]]
    if row[2] == _NONE and equals:
        raise Usage(f"cannot take a value for --{row[0]}")
    _set(options, f"--{row[0]}", row, _value(f"--{row[0]}", value if equals else None, rest) if row[2] else "")


def _bundle(options: Options, text: str, rest: list[str]) -> None:
    while text:
        row, text = _SHORT.get(text[0]), text[1:] if text[0] in _SHORT else text
        if row is None:
            raise Usage(f"cannot take the option -{text[0]}: there is none; `unitctl --help` lists them")
        if row[2]:
            _set(options, f"-{row[1]}", row, _value(f"-{row[1]}", text or None, rest))
            return
        _set(options, f"-{row[1]}", row, "")


def _value(option: str, given: str | None, rest: list[str]) -> str:
    if given is not None:
        return given
    if not rest:
        raise Usage(f"cannot take {option} without a value")
    return rest.pop()


def _unknown(name: str, fits: list[str]) -> str:
    if fits:
        return f"cannot tell which option --{name} is: " + ", ".join(f"--{known}" for known in fits)
    near = near_miss(name, list(_LONG))
    return f"cannot take the option --{name}: there is none" + (f"; did you mean --{near}?" if near else "")


def _set(options: Options, option: str, row: tuple[str, str, int, str], value: str) -> None:
    """Carry out one row of the table."""
    for action in row[3].split():
        if action == "!":
            raise Usage(f"cannot carry out {option}: unitd does not have it")
        name, fixed, preset = action.rstrip("#?+").lstrip("+").partition("=")
        text = preset if fixed else value
        if action[0] == "+":
            getattr(options, name).extend(part for part in text.split(",") if part)
        elif action[-1] == "+":
            setattr(options, name, getattr(options, name) + 1)
        else:
            setattr(options, name, _converted(option, action, text, bool(fixed)))
    if row[1] == "P":
        options.value = True


def _converted(option: str, action: str, text: str, fixed: bool) -> Any:
    if fixed and text in ("0", "1"):
        return text == "1"
    if action[-1] == "?":
        if text.lower() not in ("yes", "no", "true", "false", "on", "off", "1", "0", "y", "n", "t", "f"):
            raise Usage(f"cannot take {option}={text}: it is neither yes nor no")
        return text.lower() in ("yes", "true", "on", "1", "y", "t")
    if action[-1] == "#":
        if text == "all":
            return 2**32 - 1
        if not text.isdecimal() or int(text) >= 2**32:
            raise Usage(f"cannot take {option} {text}: it is no number of lines")
        return int(text)
    return text


def near_miss(word: str, known: list[str]) -> str:
    """The known word that was probably meant, or an empty string."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, 1, 0.7)
    return found[0] if found else ""
