"""The verb last-shutdown: how the last one went, unit by unit, from the report that the daemon kept."""

import json
import sys
from typing import Any, Final

from unitd.ctl.connection import MANAGER, MANAGER_PATH, PROPERTIES, Refused
from unitd.ctl.pager import page
from unitd.ctl.session import Session
from unitd.ctl.table import Cell, render
from unitd.ctl.terminal import BOLD, GREEN, RED, YELLOW, paint, printable
from unitd.ctl.when import stamp

_MOST_STRAYS: Final = 20


def last_shutdown(session: Session, words: list[str]) -> int:
    """Print the report; 1 when there is none."""
    try:
        told = json.loads(session.link.manager("LastShutdown")[0])
    except Refused as refused:
        return session.refuse("tell of the last shutdown", refused)
    except ValueError as error:
        return session.refuse(
            "tell of the last shutdown", Refused("InvalidFileContent", f"its report is broken: {error}")
        )
    if session.options.json:
        session.json(told)
        return 0
    under_way = told.get("outcome") == "interrupted" and _state(session) == "stopping"
    try:
        shown = lines(told, under_way=under_way, legend=session.options.legend, full=session.options.full)
    except (KeyError, TypeError):
        return session.refuse("show the last shutdown", Refused("", "another version of unitd wrote it; see -o json"))
    page(session, shown)
    return 0


def _state(session: Session) -> str:
    return str(session.link.ask(MANAGER_PATH, PROPERTIES, "Get", "ss", MANAGER, "SystemState")[0][1])


def lines(told: dict[str, Any], *, under_way: bool = False, legend: bool = True, full: bool = True) -> list[str]:
    """The report as text: who asked, a table of the units, who had to be killed and why, who is left, the sum."""
    leaving = "clean start" if told["leaving"] == "stay" else told["leaving"]
    head = f"{leaving}, asked for by {printable(told['by'])} on {stamp(told['began_us'])}"
    found = [paint(head, BOLD)]
    units = told["units"]
    if units:
        titles = [Cell(title, BOLD) for title in ("UNIT", "SIGNAL", "TIME", "ALLOTTED", "END")]
        found += [
            "",
            *render([*([titles] if legend else []), *(_row(unit, told["outcome"]) for unit in units)], full=full),
        ]
    for unit in units:
        found += _details(unit)
    found += _strays("found behind the units, and ended:", told["strays"])
    found += _strays("not ours, and left alone:", told["spared"])
    found += _strays("could not be ended:", told["survivors"], RED)
    return [*found, "", _sum(told, under_way)]


def _row(unit: dict[str, Any], outcome: str) -> list[Cell]:
    signals = ", ".join(sent["signal"] for sent in unit["signals"] if sent["processes"]) or "-"
    own, cut = unit["allotted_s"], unit["cut_from_s"]
    allotted = "no limit" if own is None else f"{_s(own)}, cut from {_s(cut)}" if cut is not None else _s(own)
    end, colour = _end(unit, outcome)
    return [Cell(unit["unit"]), Cell(signals), Cell(_s(unit["took_s"])), Cell(allotted), Cell(end, colour)]


def _end(unit: dict[str, Any], outcome: str) -> tuple[str, str]:
    """How it ended in a word or two, with its colour; who was killed by force has no time to change its state."""
    if unit["left"]:
        return "processes left", RED
    is_up = unit["state"] not in ("inactive", "failed")
    if is_up and (outcome != "done" or not unit["escalated"]):
        return unit["state"], RED
    if unit["escalated"]:
        return "killed", YELLOW
    return ("stopped", GREEN) if unit["result"] == "success" else (f"failed: {unit['result']}", YELLOW)


def _details(unit: dict[str, Any]) -> list[str]:
    """What kept the unit, and what it did besides ending; nothing for one that just ended."""
    commands = [
        f"  {name}= {ended}"
        for name, ended in (("ExecStop", unit["exec_stop"]), ("ExecStopPost", unit["exec_stop_post"]))
        if ended not in ("", "exited with status 0")
    ]
    evidence = unit["evidence"] or {"stragglers": [], "others": 0, "log": []}
    killed = [f"  {_straggler(one)}" for one in evidence["stragglers"]]
    seen = {one["pid"] for one in evidence["stragglers"]}
    names = [f"{one['pid']} ({printable(one['command'])})" for one in unit["killed"] if one["pid"] not in seen]
    unnamed = unit["killed_more"]
    if unit["escalated"] and (names or unnamed):
        more = [f"{unnamed} more"] if unnamed else []
        killed.append(f"  SIGKILL also to {', '.join([*names[:_MOST_STRAYS], *more])}")
    said = [f"    {printable(line)}" for line in evidence["log"]]
    hints = [f"  {text}" for text in dict.fromkeys((unit["left"], unit["hint"])) if text]
    if not (commands or unit["escalated"] or hints):
        return []
    head = f"{unit['unit']} was killed after {_s(unit['waited_s'])}:" if unit["escalated"] else f"{unit['unit']}:"
    return ["", head, *commands, *killed, *(["  it printed last:", *said] if said else []), *hints]


def _straggler(one: dict[str, Any]) -> str:
    doing = f"{one['state']} in {one['channel']}" if one["channel"] else one["state"]
    return ", ".join((f"pid {one['pid']} {printable(one['command'])}", doing, *map(printable, one["sockets"])))


def _strays(head: str, found: list[dict[str, Any]], colour: str = "") -> list[str]:
    if not found:
        return []
    rows = [
        "  "
        + ", ".join(
            part
            for part in (
                f"pid {one['pid']} {printable(one['command'])}" + (f" of {one['unit']}" if one["unit"] else ""),
                "" if one["found"] in ("cgroup", "child") else one["found"],
                printable(one["note"]),
            )
            if part
        )
        for one in found[:_MOST_STRAYS]
    ]
    more = [f"  and {len(found) - _MOST_STRAYS} more"] if len(found) > _MOST_STRAYS else []
    return ["", paint(head, colour), *rows, *more]


def _sum(told: dict[str, Any], under_way: bool) -> str:
    """How long it took, of what, and whether all ended."""
    plan = f" (plan {_s(told['bound_s'])})" if told["bound_s"] is not None else ""
    cap = f" of {_s(told['cap_s'])}" if told["cap_s"] is not None else ""
    count = f"{len(told['units'])} service{'' if len(told['units']) == 1 else 's'}"
    match told["outcome"]:
        case "done":
            return paint(f"took {_s(told['took_s'])}{cap}{plan}: {count}, nothing is left", GREEN, sys.stdout)
        case "survivors":
            alive = len(told["survivors"])
            left = f"{alive} processes are left" if alive != 1 else "1 process is left"
            return paint(f"took {_s(told['took_s'])}{cap}{plan}: {count}, {left}", RED, sys.stdout)
        case _ if under_way:
            return f"it is under way, and may take {_s(told['cap_s'])}{plan}" if cap else "it is under way"
        case _:
            return paint("it was interrupted: the daemon or the machine was ended in the middle of it", RED, sys.stdout)


def _s(seconds: float) -> str:
    """Seconds as people write them: "0.02 s", "3.2 s", "30 s"."""
    text = f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " s"
