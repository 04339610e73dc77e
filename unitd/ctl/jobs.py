"""The verbs that ask for jobs, and follow them to their end.

Signals are listened for before the first request, so that no end is missed (JobRemoved comes after the reply,
org.freedesktop.systemd1(5)). Several units are asked for at once, and waited for together.
"""

from typing import Any, NamedTuple

from unitd.ctl.connection import MANAGER_PATH, PROPERTIES, Reconnected, Refused, unit_path
from unitd.ctl.options import Usage
from unitd.ctl.processes import described
from unitd.ctl.session import Session
from unitd.ctl.terminal import say
from unitd.ctl.waiting import Waiting

_SIGNALS = ("JobRemoved", "PropertiesChanged", "ShutdownProgress")


class Verb(NamedTuple):
    """`method` of the daemon, the job `type` it makes, and how to say what was wanted: "start", "started"."""

    method: str
    type: str
    word: str
    mode: str = "replace"


class Outcome(NamedTuple):
    """How the job of a unit ended; `job` is 0 when none was made, `refused` then says why."""

    unit: str
    job: int
    result: str
    refused: Refused | None = None


def start(session: Session, words: list[str]) -> int:
    """Start units."""
    return _run(session, words, Verb("StartUnit", "start", "start"))


def stop(session: Session, words: list[str]) -> int:
    """Stop units."""
    return _run(session, words, Verb("StopUnit", "stop", "stop"))


def restart(session: Session, words: list[str]) -> int:
    """Restart units."""
    return _run(session, words, Verb("RestartUnit", "restart", "restart"))


def try_restart(session: Session, words: list[str]) -> int:
    """Restart units that are active."""
    return _run(session, words, Verb("TryRestartUnit", "try-restart", "restart"))


def reload(session: Session, words: list[str]) -> int:
    """Reload units."""
    return _run(session, words, Verb("ReloadUnit", "reload", "reload"))


def reload_or_restart(session: Session, words: list[str]) -> int:
    """Reload units that can be, restart the others."""
    return _run(session, words, Verb("ReloadOrRestartUnit", "reload-or-start", "reload or restart"))


def try_reload_or_restart(session: Session, words: list[str]) -> int:
    """The same, for units that are active."""
    return _run(session, words, Verb("ReloadOrTryRestartUnit", "try-reload", "reload or restart"))


def isolate(session: Session, words: list[str]) -> int:
    """Start a unit and stop all that it does not need; a word without a type is a target."""
    return _run(session, words, Verb("StartUnit", "start", "isolate", "isolate"), ".target")


def _run(session: Session, words: list[str], verb: Verb, suffix: str = ".service") -> int:
    mode = session.options.job_mode or verb.mode
    if mode == "help":
        session.print("Available job modes:", *_modes())
        return 0
    if mode not in _modes():
        raise Usage(f"cannot take --job-mode={mode}: the modes are {', '.join(_modes())}")
    units = session.names(words, suffix)
    session.link.subscribe(_SIGNALS)
    outcomes, jobs = _ask(session, units, verb, mode)
    _warn(session, [unit for unit in units if unit in jobs.values()])
    if session.options.block and jobs:
        try:
            with Waiting(session, verb.type) as waiting:
                outcomes += [Outcome(unit, _id(path), result) for path, unit, result in waiting.follow(jobs)]
        except KeyboardInterrupt:
            say("no longer looking; what was asked for goes on (unitctl cancel ends it)")
            return 130
    elif jobs:
        outcomes += [Outcome(unit, _id(path), "accepted") for path, unit in jobs.items()]
    status = _tell(session, outcomes, verb)
    if session.options.wait and session.options.block and status == 0:
        status = _until_down(session, units)
    return status


def _modes() -> tuple[str, ...]:
    return (
        *("fail", "replace", "replace-irreversibly", "isolate", "flush"),
        *("ignore-dependencies", "ignore-requirements", "triggering"),
    )


def _id(path: str) -> int:
    tail = path.rpartition("/")[2]
    return int(tail) if tail.isdecimal() else 0


def _ask(session: Session, units: list[str], verb: Verb, mode: str) -> tuple[list[Outcome], dict[str, str]]:
    """Ask for all at once: what was refused, and job path -> unit of the rest."""
    link = session.link
    refused: list[Outcome] = []
    jobs: dict[str, str] = {}
    if session.options.show_transaction:
        for unit in units:
            try:
                jobs[_show_transaction(session, unit, verb, mode)] = unit
            except Refused as problem:
                refused.append(Outcome(unit, 0, "refused", problem))
        return refused, jobs
    serials = [(unit, link.send(MANAGER_PATH, "org.pyzinit.Manager", verb.method, "ss", unit, mode)) for unit in units]
    for unit, serial in serials:
        try:
            jobs[link.reply(serial)[0]] = unit
        except Refused as problem:
            refused.append(Outcome(unit, 0, "refused", problem))
    return refused, jobs


def _show_transaction(session: Session, unit: str, verb: Verb, mode: str) -> str:
    """Ask, and print every job that the request made; the path of the unit's own."""
    job, path, name, _, kind, others = session.link.manager("EnqueueUnitJob", "sss", unit, verb.type, mode)
    session.print(f"Enqueued anchor job {job} {name}/{kind}.")
    if others:
        session.print("Enqueued auxiliary jobs:" if len(others) > 1 else "Enqueued auxiliary job:")
        session.print(*(f"    {other[0]} {other[2]}/{other[4]}" for other in others))
    return str(path)


def _warn(session: Session, units: list[str]) -> None:
    if session.options.quiet:
        return
    for unit, stale in zip(units, session.get_each(units, "NeedDaemonReload"), strict=True):
        if stale is True:
            say(f"Warning: the files of {unit} changed on disk; this is the older version: unitctl daemon-reload")


def _tell(session: Session, outcomes: list[Outcome], verb: Verb) -> int:
    """Say what happened; the exit status."""
    status, told = 0, []
    for outcome in outcomes:
        good = outcome.result in ("done", "skipped", "accepted")
        entry: dict[str, Any] = {"unit": outcome.unit, "job": outcome.job, "type": verb.type, "result": outcome.result}
        if outcome.refused is not None and not session.options.json:
            status = session.refuse(f"{verb.word} {outcome.unit}", outcome.refused)
        elif outcome.refused is not None:
            entry["error"] = {"name": outcome.refused.name, "text": outcome.refused.text}
            status = session.exit_of(outcome.refused)
        elif not good:
            from unitd.ctl.failure import explain

            status = 1
            explanation = explain(session, outcome.unit, verb.word, outcome.result)
            entry["reason"] = explanation.reason
            if not session.options.quiet and not session.options.json:
                say("\n".join(explanation.lines))
        elif verb.type == "stop" and outcome.result == "done":
            _tell_of_stop(session, outcome.unit, entry)
        told.append(entry)
    if session.options.json:
        session.json(told)
    return status


def _tell_of_stop(session: Session, unit: str, entry: dict[str, Any]) -> None:
    """A success, but an operator wants to know that it did not go well, or that something goes on."""
    if session.get(unit, "ActiveState") == "failed":
        _tell_of_end(session, unit, "is stopped, but failed")
    try:
        hint = session.get(unit, "Hint")
        left = list(session.link.manager("GetUnitProcesses", "s", unit)[0]) if hint else []
    except Refused:
        return
    if not hint:
        return
    entry["hint"] = hint
    if left:
        entry["spared"] = [{"pid": pid, "command": command} for _, pid, command in left]
    if session.options.quiet or session.options.json:
        return
    if left:
        rest = "; ".join(described(pid, command) for _, pid, command in left)
        say(f"{unit} is stopped, but processes of it are left: {rest}")
    say(f"  {hint}")


def _tell_of_end(session: Session, unit: str, how: str) -> None:
    """Say why a unit is failed now that it is down."""
    if session.options.quiet or session.options.json:
        return
    from unitd.ctl.failure import cause

    say(f"{unit} {how}: {cause(session.values(unit))}")


def _until_down(session: Session, units: list[str]) -> int:
    """Wait until every unit is inactive or failed (--wait); 1 when one failed."""
    left, failed = set(units), False
    while left:
        for unit in sorted(left):
            state, job = session.get(unit, "ActiveState"), session.get(unit, "Job")
            if state in ("inactive", "failed") and not job[0]:
                left.discard(unit)
                if state == "failed":
                    failed = True
                    _tell_of_end(session, unit, "ended, and failed")
        if left:
            _next_change(session, left)
    return int(failed)


def _next_change(session: Session, units: set[str]) -> None:
    paths = {unit_path(unit) for unit in units}
    while True:
        try:
            signal = session.link.signal(None)
        except Reconnected:
            return
        if signal is not None and signal.interface == PROPERTIES and signal.path in paths:
            return
