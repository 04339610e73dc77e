"""The verb show: properties of units, jobs and the daemon, one NAME=VALUE a line."""

from typing import Any

from unitd.ctl.connection import MANAGER_PATH, Refused, unit_path
from unitd.ctl.pager import page
from unitd.ctl.session import Session
from unitd.ctl.values import format_property


def show(session: Session, words: list[str]) -> int:
    """Print all properties, or those that -p names; empty ones only with --all or when named."""
    status = 0
    blocks: list[list[str]] = []
    found = []
    for what, path in _objects(session, words):
        try:
            seen = session.link.properties(path)
        except Refused as refused:
            status = session.refuse(f"show {what}", refused)
            continue
        chosen = {
            name: seen[name] for name in seen if name in session.options.properties or not session.options.properties
        }
        found.append({name: plain(value) for name, (_, value) in chosen.items()})
        blocks.append(_lines(session, chosen))
    if session.options.json:
        session.json(found if words else (found[0] if found else {}))
    else:
        page(session, [line for index, block in enumerate(blocks) for line in (["", *block] if index else block)])
    return status


def _objects(session: Session, words: list[str]) -> list[tuple[str, str]]:
    """What to show, in words, and its object path."""
    if not words:
        return [("the daemon", MANAGER_PATH)]
    found: list[tuple[str, str]] = []
    for word in words:
        if word.isdecimal():
            found.append((f"job {word}", f"/org/pyzinit/job/{word}"))
        else:
            found += [(unit, unit_path(unit)) for unit in session.names([word])]
    return found


def _lines(session: Session, seen: dict[str, tuple[str, Any]]) -> list[str]:
    options = session.options
    empty = options.all or bool(options.properties)
    lines = []
    for name, (kind, value) in seen.items():
        prefix = "" if options.value else f"{name}="
        texts = format_property(name, kind, value)
        if texts is None:
            texts = ["[unprintable]"] if options.all else []
        elif not texts and empty:
            texts = [""]
        lines += [prefix + text for text in texts]
    return lines


def plain(value: Any) -> Any:
    """A value as JSON has it: variants without their type, bytes as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
