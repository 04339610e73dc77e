"""-H HOST: run unitctl there by ssh, with the same arguments and, on a terminal, a terminal."""

import os
import sys

from unitd.ctl.options import Usage, parse


def run_there(host: str, arguments: list[str]) -> int:
    """Become ssh; returns only when there is none, raising Usage."""
    kept = without_host(arguments)
    if parse(kept)[0].host:
        raise Usage("cannot find the host to leave out: write -H HOST as an option of its own")
    command = ["ssh", *(["-t"] if sys.stdout.isatty() and sys.stdin.isatty() else []), "--", host, "unitctl"]
    command += [_quoted(argument) for argument in kept]
    sys.stdout.flush()
    try:
        os.execvp("ssh", command)
    except OSError as error:
        raise Usage(f"cannot run ssh to reach {host}: {error.strerror}") from None


def without_host(arguments: list[str]) -> list[str]:
    """The arguments without -H and its value, in any of its spellings."""
    kept: list[str] = []
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        if argument == "--":
            return [*kept, argument, *reversed(rest)]
        if argument in ("-H", "--host", "--hos", "--ho"):
            rest.pop()
        elif not argument.startswith(("--ho", "-H")):
            kept.append(argument)
    return kept


def _quoted(text: str) -> str:
    """The text as one word of the shell that ssh starts there."""
    return "'" + text.replace("'", "'\\''") + "'"
