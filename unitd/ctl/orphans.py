"""`unitctl orphans`: processes of the daemon that are not where they belong, and who else holds what units claim."""

import json
import time

from unitd.ctl.connection import Refused
from unitd.ctl.pager import page
from unitd.ctl.session import Session
from unitd.ctl.table import Cell, render
from unitd.ctl.terminal import BOLD, YELLOW
from unitd.ctl.when import ago


def orphans(session: Session, words: list[str]) -> int:
    """List them; 0 also when there are some."""
    try:
        found = json.loads(session.link.manager("Orphans")[0])
    except Refused as refused:
        return session.refuse("list orphans", refused)
    if session.options.json:
        session.json(found)
        return 0
    if not found:
        session.print("no orphans")
        return 0
    rows = (
        []
        if not session.options.legend
        else [[Cell(title, BOLD) for title in ("PID", "UNIT", "FOUND BY", "AGE", "COMMAND")]]
    )
    now = time.time_ns() // 1000
    for each in found:
        notes = [each["note"]] if each["ours"] else ["not ours", each["note"]]
        note = "; ".join(part for part in notes if part)
        age = ago(now - int(each["age_s"] * 1_000_000), now).removesuffix(" ago") if each["pid"] else "-"
        words = [str(each["pid"] or "?"), each["unit"] or "-", each["found"], age]
        told = " ".join(part for part in (each["command"], f"({note})" if note else "") if part)
        rows.append([*(Cell(word) for word in words), Cell(told, "" if each["ours"] else YELLOW)])
    page(session, render(rows, full=session.options.full))
    return 0
