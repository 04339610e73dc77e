"""The verbs that are done when they are answered: kill, reset-failed, cancel, daemon-reload, daemon-reexec."""

import time
from contextlib import suppress
from typing import Final

from unitd.ctl.connection import (
    BUS,
    BUS_NAME,
    MANAGER,
    MANAGER_PATH,
    PROPERTIES,
    Disconnected,
    Refused,
    Unreachable,
)
from unitd.ctl.options import Usage
from unitd.ctl.session import Session

_RELOAD_S: Final = 180.0
"""Seconds that a daemon-reload may take; the reply comes when it is done."""
_REEXEC_S: Final = 60.0
"""Seconds until the new program answers: the old one tries it out and lets what is under way come to its end first."""
_COME_BACK_S: Final = 10.0
_PAUSE_S: Final = 0.05
_WHOM: Final = ("all", "main", "control", "all-fail", "main-fail", "control-fail")


def kill(session: Session, words: list[str]) -> int:
    """Send --signal to --kill-whom of units."""
    from unitd.syntax.errors import Bad
    from unitd.syntax.signals import parse_signal

    if session.options.signal in ("help", "list"):
        from unitd.syntax.signals import RTMIN, signal_name

        session.print(*(f"SIG{signal_name(number)}" for number in range(1, RTMIN - 2)))
        return 0
    try:
        number = parse_signal(session.options.signal)
    except Bad as bad:
        raise Usage(f"cannot kill: {bad}") from None
    if session.options.whom not in _WHOM:
        raise Usage(f"cannot take --kill-whom={session.options.whom}: {', '.join(_WHOM)} are known")
    return _each(session, "send a signal to", "KillUnit", words, "ssi", session.options.whom, number)


def reset_failed(session: Session, words: list[str]) -> int:
    """Forget that units failed; without units, that any did."""
    if not words:
        return _once(session, "reset what failed", "ResetFailed")
    return _each(session, "reset", "ResetFailedUnit", words, "s")


def _each(session: Session, intent: str, method: str, words: list[str], signature: str, *rest: object) -> int:
    status = 0
    units = session.names(words)
    for unit in units:
        try:
            session.link.manager(method, signature, unit, *rest)
        except Refused as refused:
            status = session.refuse(f"{intent} {unit}", refused)
    if session.options.json and status == 0:
        session.json([{"unit": unit, "result": "done"} for unit in units])
    return status


def cancel(session: Session, words: list[str]) -> int:
    """Cancel jobs by number; without one, all."""
    if not words:
        return _once(session, "cancel all jobs", "ClearJobs")
    status = 0
    for word in words:
        if not word.isdecimal() or int(word) >= 2**32:
            raise Usage(f"cannot cancel {word!r}: it is not the number of a job; unitctl list-jobs shows them")
        try:
            session.link.manager("CancelJob", "u", int(word))
        except Refused as refused:
            status = session.refuse(f"cancel job {word}", refused)
    if session.options.json and status == 0:
        session.json([{"job": int(word), "result": "done"} for word in words])
    return status


def _once(session: Session, intent: str, method: str) -> int:
    try:
        session.link.manager(method)
    except Refused as refused:
        return session.refuse(intent, refused)
    if session.options.json:
        session.json({"result": "done"})
    return 0


def daemon_reload(session: Session, words: list[str]) -> int:
    """Have the daemon read all unit files again, and wait until it has."""
    serial = session.link.send(MANAGER_PATH, MANAGER, "Reload")
    if not session.options.block:
        return 0
    try:
        session.link.reply(serial, _RELOAD_S)
    except Refused as refused:
        return session.refuse("reload", refused)
    if session.options.json:
        session.json({"result": "done"})
    return 0


def daemon_reexec(session: Session, words: list[str]) -> int:
    """Have the daemon go on as the program that is on disk now, and wait until it does."""
    link = session.link
    before = _version(session)
    serial = link.send(MANAGER_PATH, MANAGER, "Reexecute")
    if not session.options.block:
        return 0
    try:
        link.reply(serial, _REEXEC_S, again=False)
    except Disconnected:
        # On a private socket the end of the connection is the answer.
        pass
    except Refused as refused:
        return session.refuse("re-execute", refused)
    after = _version_after(session)
    pid = session.link.call(BUS, "/org/freedesktop/DBus", BUS, "GetConnectionUnixProcessID", "s", BUS_NAME)[0]
    if session.options.json:
        session.json({"result": "done", "from": before, "to": after, "pid": pid})
    else:
        session.print(f"the daemon re-executed itself: unitd {before} became unitd {after}, still pid {pid}")
    return 0


def _version_after(session: Session) -> str:
    """The version of the next program, which makes a new socket where it cannot go on with the old one."""
    until = time.monotonic() + _COME_BACK_S
    while True:
        try:
            return _version(session)
        except (Disconnected, Unreachable):
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE_S)
        with suppress(Unreachable):
            session.connect_again()


def _version(session: Session) -> str:
    found: str = session.link.ask(MANAGER_PATH, PROPERTIES, "Get", "ss", MANAGER, "Version")[0][1]
    return found
