"""The verbs that ask one thing: is-active, is-failed, is-enabled, is-system-running, get-default, cat."""

import sys
from collections.abc import Callable
from contextlib import suppress

from unitd.ctl.connection import MANAGER, MANAGER_PATH, PROPERTIES, Reconnected, Refused, unit_path
from unitd.ctl.session import Session, unit_name
from unitd.ctl.terminal import GREY, paint, say

_ENABLED = frozenset(("enabled", "enabled-runtime", "alias", "static", "indirect", "generated"))
"""The states with which `is-enabled` is content (systemctl(1))."""


def is_active(session: Session, words: list[str]) -> int:
    """Print each unit's state; 0 when one is active, else 3."""
    return _states(session, words, lambda state: state in ("active", "reloading"), 3)


def is_failed(session: Session, words: list[str]) -> int:
    """Print each unit's state; 0 when one has failed, else 1. Without units: whether any has."""
    if words:
        return _states(session, words, lambda state: state == "failed", 1)
    state = _running(session)
    _answer(session, state, {"state": state})
    return 0 if state == "degraded" else 1


def _states(session: Session, words: list[str], good: Callable[[str], bool], otherwise: int) -> int:
    units = session.names(words)
    states = ["inactive" if isinstance(state, Refused) else state for state in session.get_each(units, "ActiveState")]
    if session.options.json:
        session.json([{"unit": unit, "active": state} for unit, state in zip(units, states, strict=True)])
    else:
        session.print(*states)
    return 0 if any(good(state) for state in states) else otherwise


def is_enabled(session: Session, words: list[str]) -> int:
    """Print the state of each unit's file; 0 when one is enabled in some way, else 1."""
    found, enabled = [], False
    for unit in [unit_name(word) for word in words]:
        try:
            state = session.link.manager("GetUnitFileState", "s", unit)[0]
        except Refused as refused:
            session.refuse(f"tell whether {unit} is enabled", refused)
            continue
        enabled = enabled or state in _ENABLED
        found.append({"unit": unit, "state": state})
        if not session.options.json:
            session.print(state)
    if session.options.json:
        session.json(found)
    return 0 if enabled else 1


def is_system_running(session: Session, words: list[str]) -> int:
    """Print the state of the whole; 0 when it is running."""
    link = session.link
    if session.options.wait:
        link.subscribe(["StartupFinished"])
    state = _running(session)
    while session.options.wait and state in ("initializing", "starting"):
        with suppress(Reconnected):
            link.signal(None)
        state = _running(session)
    _answer(session, state, {"state": state})
    return 0 if state == "running" else 1


def _running(session: Session) -> str:
    return str(session.link.ask(MANAGER_PATH, PROPERTIES, "Get", "ss", MANAGER, "SystemState")[0][1])


def _answer(session: Session, text: str, value: dict[str, str]) -> None:
    if session.options.json:
        session.json(value)
    else:
        session.print(text)


def get_default(session: Session, words: list[str]) -> int:
    """Print the name of the default target."""
    try:
        target = session.link.manager("GetDefaultTarget")[0]
    except Refused as refused:
        return session.refuse("tell the default target", refused)
    _answer(session, target, {"unit": target})
    return 0


def cat(session: Session, words: list[str]) -> int:
    """Print the fragment and the drop-ins of units, each under its path."""
    status = 0
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for unit in session.names(words):
        seen = session.link.properties(unit_path(unit))
        if seen["LoadState"][1] == "not-found":
            say(f"No files found for {unit}.")
            status = 1
            continue
        if seen.get("NeedDaemonReload", ("b", False))[1]:
            say(f"{unit} changed on disk; the daemon goes by an older version: unitctl daemon-reload")
        paths = [path for path in (seen["FragmentPath"][1], *seen["DropInPaths"][1]) if path]
        if not paths:
            say(f"{unit} has no file: it is made by the daemon itself")
        files = []
        for path in paths:
            try:
                files.append((path, _text(path)))
            except OSError as error:
                say(f"cannot read {path}: {error.strerror}")
                status = 1
        found.append((unit, files))
    if session.options.json:
        session.json([{"unit": unit, "files": [_keyed(*file) for file in files]} for unit, files in found])
        return status
    blocks = [file for _, files in found for file in files]
    sys.stdout.write("\n".join(f"{paint(f'# {path}', GREY)}\n{text}" for path, text in blocks))
    return status


def _keyed(path: str, text: str) -> dict[str, str]:
    return {"path": path, "text": text}


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="backslashreplace") as file:
        text = file.read()
    return text if text.endswith("\n") or not text else text + "\n"
