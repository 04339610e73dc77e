"""Topic exec_command: command lines, read as the value of ExecStart= in a unit file."""

from pathlib import Path
from typing import Final

from unitd.syntax.command import BadCommand, Command, parse_commands
from unitd.syntax.specifiers import expand, unit_table
from unitd.syntax.unit_file import parse

from .comparison import Case, Comparison, Document
from .expansions import RECORDED_HOST

_FLAGS: Final = {
    "argv0": "argv0",
    "ambient": "ambient_magic",
    "full_privileges": "fully_privileged",
    "ignore_failure": "ignore_failure",
    "no_expand": "no_env_expand",
    "no_setuid": "no_setuid",
}


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares whether the line is taken, the arguments of all commands and the flags of the first."""
    expected = [
        case["accepted"],
        [command["argv"] for command in case["commands"]],
        [command["flags"] for command in case["commands"][:1]],
    ]
    commands = _commands(case)
    flags = [sorted(shown for name, shown in _FLAGS.items() if getattr(command, name)) for command in commands[:1]]
    return Comparison(expected, [bool(commands), [command.argv for command in commands], flags])


def _commands(case: Case) -> tuple[Command, ...]:
    """The commands of all ExecStart= lines; none when one of them makes the unit unusable."""
    text = f"[Service]\nType=oneshot\nExecStart={case['input']}\n"
    table = unit_table(case["unit"], RECORDED_HOST)
    commands: tuple[Command, ...] = ()
    for entry in parse(text.encode("utf-8", "surrogateescape")).entries:
        if entry.key != "ExecStart":
            continue
        try:
            commands += parse_commands(entry.value, lambda word: expand(word, table))
        except BadCommand as refusal:
            if refusal.fatal:
                return ()
            commands += refusal.kept
    return commands
