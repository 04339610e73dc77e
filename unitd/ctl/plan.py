"""What a verb would do: `unitctl plan VERB [UNIT...]`, and --dry-run of the verb itself. Nothing is done.

The daemon makes the plan; here it becomes a timeline. Times count from the beginning, and are the latest possible: who
ends early makes room for those that follow.
"""

from collections.abc import Iterator
from typing import Any, Final

from unitd.ctl.connection import Refused
from unitd.ctl.options import Usage
from unitd.ctl.processes import name_of
from unitd.ctl.session import Session
from unitd.ctl.table import Cell, render
from unitd.ctl.terminal import BOLD, GREY, RED, YELLOW, printable
from unitd.ctl.verbs import ALIASES, ENDS, PLANNED
from unitd.wire.drawing import cut

_SHOWN: Final = 8
"""Processes of a unit that are named; --full names all."""
_COMMAND: Final = 60
"""Characters of a command line that are shown."""
_TITLES: Final = ("     AT", "UNIT", "STEP", "AT MOST", "PROCESSES")


def plan(session: Session, words: list[str]) -> int:
    """Show what a verb would do."""
    verb, rest = ALIASES.get(words[0], words[0]), words[1:]
    if verb not in PLANNED:
        raise Usage(f"cannot plan {words[0]}: the verbs that have a plan are {', '.join(PLANNED)}")
    if session.options.job_mode or session.options.force:
        raise Usage("cannot plan with --job-mode or --force: a plan is of the verb as it is")
    if verb in ENDS:
        return _show(session, verb, "")
    if not rest:
        raise Usage(f"cannot plan {verb} without a unit: unitctl plan {verb} UNIT...")
    units = session.names(rest, ".target" if verb == "isolate" else ".service")
    if not units:
        return _tell(session, {"verb": verb, "unit": "", "bound_s": 0.0, "cap_s": None, "waves": []})
    return _show(session, verb, " ".join(units))


def _show(session: Session, verb: str, unit: str) -> int:
    import json

    try:
        return _tell(session, json.loads(session.link.manager("Plan", "ss", verb, unit)[0]))
    except Refused as refused:
        return session.refuse(f"plan {verb} {unit}".rstrip(), refused)


def _tell(session: Session, plan: dict[str, Any]) -> int:
    if session.options.json:
        session.json(plan)
        return 0
    rows = list(_rows(plan, None if session.options.full else _SHOWN))
    if not rows:
        session.print("nothing to do")
    elif session.options.legend:
        rows.insert(0, [Cell(title, BOLD) for title in _TITLES])
    session.print(*render(rows, full=session.options.full))
    if plan["verb"] in ENDS or plan["cap_s"] is not None:
        session.print("then what is left anywhere gets SIGTERM and SIGKILL, until it is proved that nothing is")
    cap = "no cap" if plan["cap_s"] is None else f"cap {_length(plan['cap_s'])}"
    session.print(f"bound: {_length(plan['bound_s'])} ({cap})")
    return 0


def _rows(plan: dict[str, Any], most: int | None) -> Iterator[list[Cell]]:
    """A line for each unit and step, in the order in which the units begin."""
    entries = [entry for wave in plan["waves"] for entry in wave]
    for entry in sorted(entries, key=lambda entry: _or_never(entry["begins_s"])):
        at, who = _or_never(entry["begins_s"]), _processes(entry["pids"], most)
        if not entry["steps"]:
            yield [Cell(text, GREY) for text in (_instant(at), entry["unit"], "has no process", "", "")]
        for step in entry["steps"]:
            signals = step["signal"] is not None
            colour = RED if step["step"] in ("kill", "final-kill") else ""
            cut = step["cut_from_s"] is not None
            limit = _length(step["timeout_s"]) if step["timeout_s"] != 0 else ""
            yield [
                Cell(_instant(at)),
                Cell(entry["unit"]),
                Cell(_words(step), colour),
                Cell(f"{limit} (cut from {_length(step['cut_from_s'])})" if cut else limit, YELLOW if cut else ""),
                Cell(who if signals else ""),
            ]
            who = "" if signals else who
            at += _or_never(step["timeout_s"])


def _words(step: dict[str, Any]) -> str:
    """What is done in a step."""
    if step["command"]:
        name = step["step"]
        return f"{name}{'=' if name.startswith('Exec') else ': '}{cut(printable(step['command']), _COMMAND)}"
    if step["signal"] is None:
        return str({"close": "sockets are closed"}.get(step["step"], step["step"]))
    whom = {"main": " to the main process", "control": " to the control process"}.get(step["whom"], "")
    rest = " to what ExecStopPost= left" if step["step"].startswith("final") and not whom else ""
    return f"{step['signal']}{whom}{rest}"


def _processes(pids: list[int], most: int | None) -> str:
    """Who is signalled, in the order of sending."""
    shown = ", ".join(f"{pid} ({name_of(pid)})" for pid in pids[:most])
    return shown if most is None or len(pids) <= most else f"{shown} and {len(pids) - most} more"


def _or_never(seconds: float | None) -> float:
    return float("inf") if seconds is None else seconds


def _instant(at: float) -> str:
    return "  never" if at == float("inf") else f"{at:5.1f} s"


def _length(seconds: float | None) -> str:
    """A length as "30 s", "4.4 s", "0.48 s", to the hundredth above."""
    return "infinity" if seconds is None else f"{-(-round(seconds * 1000) // 10) / 100:.10g} s"
