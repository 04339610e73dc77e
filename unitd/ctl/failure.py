"""Why a job failed, in words: the cause, how to look further, and the last lines that the unit printed."""

from typing import Any, Final, NamedTuple

from unitd.ctl.connection import Refused
from unitd.ctl.logs import Line, lines_of
from unitd.ctl.processes import described
from unitd.ctl.session import Session
from unitd.ctl.terminal import printable

LINES: Final = 10
_OF_JOB: Final = {
    "canceled": "the job was canceled",
    "timeout": "the job's own time (JobTimeoutSec=) was up",
    "invalid": "the unit is not active",
    "assert": "an Assert...= of the unit does not hold",
    "unsupported": "units of this type are not carried out here",
    "collected": "the unit was dropped from memory",
    "once": "the unit was started once already and cannot be again",
}


class Explanation(NamedTuple):
    """`reason` in one clause, and all that is worth telling as lines, the reason included."""

    reason: str
    lines: list[str]


def explain(session: Session, unit: str, verb: str, result: str) -> Explanation:
    """Why the job that was to `verb` the unit ended with this result; asks the daemon for what it knows."""
    try:
        seen = session.values(unit)
        if verb in ("stop", "restart") and result in ("dependency", "canceled", "timeout"):
            return _of_stop(session, unit, verb, result, seen)
        path = [(unit, seen)] + (_failed_dependencies(session, seen) if result == "dependency" else [])
    except Refused as refused:
        return Explanation(refused.text, [f"cannot {verb} {unit}: {refused.text}"])
    culprit, seen = path[-1]
    reason = _reason([name for name, _ in path[1:]], seen, result)
    lines = [f"cannot {verb} {unit}: {reason}"]
    if result in ("failed", "timeout", "dependency", "assert"):
        lines += [f"  {problem}" for problem in seen.get("Problems", ())]
        lines += _last_lines(session, culprit, seen)
        lines.append(f"  look further: unitctl status {culprit}; unitctl logs {culprit}")
    return Explanation(reason, lines)


def _of_stop(session: Session, unit: str, verb: str, result: str, seen: dict[str, Any]) -> Explanation:
    """A stop that was given up: why, how far it is, who is left and what to do."""
    reason = _OF_JOB.get(result, "")
    hint = seen.get("Hint", "")
    if result == "dependency":
        reason = "a unit that needs it is not stopped"
        for other in sorted({name for kind in ("RequiredBy", "BoundBy", "ConsistsOf") for name in seen.get(kind, ())}):
            told = session.get(other, "Hint")
            if told:
                reason, hint = f"{other}, which needs it, is not stopped", told
                break
    lines = [f"cannot {verb} {unit}: {reason}; it is {seen.get('ActiveState')} ({seen.get('SubState')})"]
    rows = session.link.manager("GetUnitProcesses", "s", unit)[0]
    lines += [f"  left: {described(pid, command)}" for _, pid, command in rows[:LINES]]
    lines.append(f"  {hint or f'unitctl stop {unit} asks again, unitctl kill -s KILL {unit} ends what is left'}")
    return Explanation(reason, lines)


def _reason(path: list[str], seen: dict[str, Any], result: str) -> str:
    """The clause, from the units between the one asked for and the one that failed, and what the latter tells."""
    if result == "dependency":
        if not path:
            return "a unit that it requires failed"
        why = cause(seen) or f"is {seen.get('ActiveState', 'not active')}"
        return f"it requires {', which requires '.join(path)}, which failed: {why}"
    if result != "failed":
        return _OF_JOB.get(result, f"the job ended with result {result}")
    return cause(seen) or f"the unit is {seen.get('ActiveState', 'in an unknown state')} after it"


def _failed_dependencies(session: Session, seen: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The way down from a unit to one that failed by itself: each required by the one before."""
    path: list[tuple[str, dict[str, Any]]] = []
    known: set[str] = set()
    while True:
        wanted = {unit for kind in ("Requires", "Requisite", "BindsTo") for unit in seen.get(kind, ())} - known
        states = list(zip(sorted(wanted), session.get_each(sorted(wanted), "ActiveState"), strict=True))
        failed = [unit for unit, state in states if state == "failed"]
        down = failed or [unit for unit, state in states if state == "inactive"]
        if not down:
            return path
        known.add(down[0])
        seen = session.values(down[0])
        path.append((down[0], seen))
        if failed:
            return path


def cause(seen: dict[str, Any]) -> str:
    """Why a unit failed, from its properties, as a clause; an empty string when it did not."""
    error, reason, told = seen.get("LoadError", ("", ""))[1], seen.get("Reason", ""), seen.get("StatusText", "")
    if error or not reason or not told:
        return str(error or reason)
    return f'{reason}; its last status was "{printable(told)}"'


def _last_lines(session: Session, unit: str, seen: dict[str, Any]) -> list[str]:
    """What the unit printed since its last start, at most LINES."""
    since = seen.get("InactiveExitTimestamp", 0)
    try:
        found: list[Line] = lines_of(session, unit, LINES, since)
    except Refused as refused:
        return [f"  its log is not for everyone: {refused.text}"] if refused.short == "AccessDenied" else []
    if not found:
        return ["  its log is empty"]
    return [f"  the last lines of the log of {unit}:", *(f"    {line.rendered()}" for line in found)]
