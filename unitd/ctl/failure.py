"""Why a job failed, in words: the cause, how to look further, and the last lines that the unit printed."""

from typing import Any, Final, NamedTuple

from unitd.ctl.connection import Refused
from unitd.ctl.logs import Line, lines_of
from unitd.ctl.processes import status_name
from unitd.ctl.session import Session
from unitd.ctl.terminal import printable

LINES: Final = 10
_EXITED: Final = 1
_CORED: Final = 3
_NOT_RUN: Final = 200
"""From here on a status is systemd's for a step between fork and exec that failed (systemd.exec(5))."""
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
    result = seen.get("Result", "success")
    told = seen.get("StatusText", "")
    error = seen.get("LoadError", ("", ""))
    if error[1]:
        return str(error[1])
    if result in ("success", "exec-condition"):
        return ""
    clause = {
        "timeout": f"{_too_long(seen)}{_killed(seen)}",
        "watchdog": "the service did not report in time (WatchdogSec=)",
        "protocol": "the service did not do what its Type= promises",
        "resources": "the system did not give what it needs",
        "start-limit-hit": "it was started too often in too short a time (StartLimitBurst=); "
        f"unitctl reset-failed {seen.get('Id', '')} allows it again",
        "oom-kill": "the kernel killed it for want of memory",
        "internal": "unitd made a mistake, which its log shows",
    }.get(result, "")
    if result in ("exit-code", "signal", "core-dump"):
        clause = ended(seen)
    said = f'; its last status was "{printable(told)}"' if told else ""
    return f"{clause or f'its result is {result}'}{said}"


def _too_long(seen: dict[str, Any]) -> str:
    """Which time was up: that for its stop when the unit was active in this run, else that for its start."""
    stopping = seen.get("ActiveEnterTimestamp", 0) > seen.get("InactiveExitTimestamp", 0)
    what, setting = ("stop", "TimeoutStop") if stopping else ("start", "TimeoutStart")
    span = seen.get(f"{setting}USec", 0)
    limit = f" is {span / 1e6:g} s" if 0 < span < 2**63 else ""
    return f"it took too long to {what} ({setting}Sec={limit})"


def _killed(seen: dict[str, Any]) -> str:
    if seen.get("ExecMainCode", 0) <= _EXITED:
        return ""
    return f", and its main process was killed by {_signal(seen.get('ExecMainStatus', 0))}"


def _signal(number: int) -> str:
    from unitd.syntax.signals import signal_name

    return f"SIG{signal_name(number)}"


def ended(seen: dict[str, Any]) -> str:
    """How the process that failed ended: an Exec command other than the main one, or the main process."""
    for name in ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"):
        for command in seen.get(name, ()):
            if command[8] and (command[9] or command[8] > _EXITED) and not command[2]:
                return f"{name}={' '.join(command[1])} {_ending(command[8], command[9])}"
    commands = seen.get("ExecStart", ())
    program = f" ({commands[-1][0]})" if commands else ""
    pid = f" {seen['ExecMainPID']}" if seen.get("ExecMainPID", 0) else ""
    return f"its main process{pid}{program} {_ending(seen.get('ExecMainCode', 0), seen.get('ExecMainStatus', 0))}"


def _ending(code: int, status: int) -> str:
    if code == _EXITED:
        return f"exited with status {status_name(status)}{', before the program ran' if status >= _NOT_RUN else ''}"
    if not code:
        return "did not run"
    return f"was killed by {_signal(status)}" + (" and dumped core" if code == _CORED else "")


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
