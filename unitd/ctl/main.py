"""The entry: a command line to a verb, and what goes wrong to an exit status and a sentence."""

import io
import sys
from typing import Any

from unitd.ctl.connection import Disconnected, Refused, Unreachable
from unitd.ctl.options import Options, Usage, near_miss, parse
from unitd.ctl.session import Session, flush
from unitd.ctl.terminal import say
from unitd.ctl.verbs import ALIASES, VERBS, Verb, usage


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command line; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        flush()
        return status
    except (Usage, Unreachable) as problem:
        say(str(problem))
    except Disconnected as gone:
        say(f"cannot go on: {gone}; the daemon stopped, or died")
    except Refused as refused:
        say(f"cannot go on: {refused.text}")
    except BrokenPipeError:
        flush()
    except KeyboardInterrupt:
        return 130
    return 1


def _run(arguments: list[str]) -> int:
    options, words = parse(arguments)
    if options.help:
        print(usage())
        return 0
    if options.version:
        from unitd import __version__

        print(f"unitctl {__version__}")
        return 0
    if options.host:
        from unitd.ctl.remote import run_there

        return run_there(options.host, arguments)
    name, *rest = words or ["list-units"]
    verb = _verb(ALIASES.get(name, name))
    if len(rest) < verb.least:
        what = verb.usage.split()[0].rstrip(".").lower()
        raise Usage(f"cannot {name} without a {what}: unitctl {name} {verb.usage}")
    if len(rest) > verb.most:
        raise Usage(f"cannot take {rest[verb.most]!r}: the whole of it is unitctl {name} {verb.usage}".rstrip())
    if options.dry_run and name != "plan":
        verb, rest = VERBS["plan"], [name, *rest]
    return _carry_out(verb, options, rest)


def _verb(name: str) -> Verb:
    if name in VERBS:
        return VERBS[name]
    near = near_miss(name, list(VERBS))
    hint = f"did you mean {near}?" if near else "`unitctl --help` lists them"
    raise Usage(f"Unknown command verb {name}: {hint}")


def _carry_out(verb: Verb, options: Options, words: list[str]) -> int:
    if options.output not in ("", "json", "json-pretty", "short", "cat", "json-short"):
        raise Usage(f"cannot take --output={options.output}: json, json-pretty, short and cat are known")
    function: Any = getattr(__import__(f"unitd.ctl.{verb.module}", fromlist=[verb.function]), verb.function)
    session = Session(options)
    try:
        return int(function(session, words))
    finally:
        session.close()


if __name__ == "__main__":
    sys.exit(main())
