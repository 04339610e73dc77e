"""The verbs that list: units, unit files, jobs; with systemctl's columns, order, filters and last lines."""

from fnmatch import fnmatchcase
from typing import Any, Final

from unitd.ctl.connection import Refused
from unitd.ctl.options import Usage
from unitd.ctl.pager import page
from unitd.ctl.session import Session, unit_name
from unitd.ctl.table import Cell, render, state_colour
from unitd.ctl.terminal import BOLD

_TYPES: Final = (
    *("service", "mount", "swap", "socket", "target", "device"),
    *("automount", "timer", "path", "slice", "scope"),
)
_STATES: Final = (
    "stub loaded not-found bad-setting error merged masked",
    "active reloading inactive failed activating deactivating maintenance",
)
_LEGEND: Final = (
    "LOAD   = Reflects whether the unit definition was properly loaded.",
    "ACTIVE = The high-level unit activation state, i.e. generalization of SUB.",
    "SUB    = The low-level unit activation state, values depend on unit type.",
)


def list_units(session: Session, words: list[str]) -> int:
    """List units in memory: those that are active, failed or have a job; all with --all or --state."""
    if session.options.states == ["help"] or session.options.types == ["help"]:
        return _tell_words(session)
    rows = units(session, words)
    if session.options.json:
        keys = ("unit", "load", "active", "sub", "job", "description")
        session.json([dict(zip(keys, (row[0], *row[2:5], row[8], row[1]), strict=True)) for row in rows])
        return 0
    lines = _unit_table(session, rows)
    if session.options.legend and not session.options.quiet:
        lines += _unit_legend(session, rows)
    page(session, lines)
    return 0


def units(session: Session, words: list[str]) -> list[tuple[Any, ...]]:
    """The rows of ListUnits that the options and patterns ask for, by type, then name."""
    states = [state for state in session.options.states if state not in _TYPES]
    patterns = [unit_name(word, globs=True) for word in words]
    rows = session.link.manager("ListUnitsByPatterns", "asas", states, patterns)[0]
    types = _types(session)
    rows = [row for row in rows if not types or row[0].rpartition(".")[2] in types]
    if not session.options.all and not states:
        rows = [row for row in rows if row[7] or not (row[3] == "inactive" or row[5])]
    return sorted(rows, key=lambda row: (row[0].rpartition(".")[2].lower(), row[0].lower()))


def _types(session: Session) -> list[str]:
    for name in session.options.types:
        if name not in _TYPES:
            raise Usage(f"cannot list units of type {name}: the types are {' '.join(_TYPES)}")
    return session.options.types


def _tell_words(session: Session) -> int:
    if session.options.types == ["help"]:
        session.print("Available unit types:", *_TYPES)
    else:
        session.print("Available unit load states:", *_STATES[0].split())
        session.print("", "Available unit active states:", *_STATES[1].split())
    return 0


def _unit_table(session: Session, rows: list[tuple[Any, ...]]) -> list[str]:
    jobs = any(row[7] for row in rows)
    table = []
    for row in rows:
        colour = state_colour(row[2], row[3])
        mark = row[3] == "failed" or row[2] in ("not-found", "bad-setting", "error", "masked")
        cells = [] if session.options.plain else [Cell("●" if mark else " ", colour)]
        cells += [Cell(row[0], colour if mark else ""), Cell(row[2], colour if row[2] != "loaded" else "")]
        cells += [Cell(row[3], colour if mark else ""), Cell(row[4], colour if mark else "")]
        table.append([*cells, *([Cell(row[8])] if jobs else []), Cell(row[1])])
    if session.options.legend:
        titles = ["UNIT", "LOAD", "ACTIVE", "SUB", *(["JOB"] if jobs else []), "DESCRIPTION"]
        lead = [] if session.options.plain else [Cell(" ")]
        table.insert(0, lead + [Cell(title, BOLD) for title in titles])
    return render(table, full=session.options.full)


def _unit_legend(session: Session, rows: list[tuple[Any, ...]]) -> list[str]:
    lines: list[str] = []
    if rows:
        lines += ["", *_LEGEND, *(["JOB    = Pending job for the unit.", ""] if any(row[7] for row in rows) else [])]
    more = "" if session.options.all or session.options.states else " Pass --all to see loaded but inactive units, too."
    lines.append(f"{len(rows)} loaded units listed.{more}")
    if not session.options.states:
        lines.append("To show all installed unit files use 'unitctl list-unit-files'.")
    return lines


def list_unit_files(session: Session, words: list[str]) -> int:
    """List unit files with their state; the preset is what the daemon tells, else "-"."""
    patterns = [unit_name(word, globs=True) for word in words]
    try:
        files = session.link.manager("ListUnitFilesByPatterns", "asas", session.options.states, patterns)[0]
    except Refused as refused:
        return session.refuse("list unit files", refused)
    types = _types(session)
    names = sorted(
        ((path.rpartition("/")[2], state) for path, state in files),
        key=lambda row: (row[0].rpartition(".")[2].lower(), row[0].lower()),
    )
    names = [row for row in names if not types or row[0].rpartition(".")[2] in types]
    if session.options.json:
        session.json([{"unit_file": name, "state": state, "preset": None} for name, state in names])
        return 0
    table = [[Cell(name), Cell(state), Cell("-")] for name, state in names]
    if session.options.legend:
        table.insert(0, [Cell(title, BOLD) for title in ("UNIT FILE", "STATE", "PRESET")])
    lines = render(table, full=session.options.full)
    if session.options.legend:
        lines += ["", f"{len(names)} unit files listed."]
    page(session, lines)
    return 0


def list_jobs(session: Session, words: list[str]) -> int:
    """List jobs; --before adds those that a job waits for, --after those that wait for it."""
    every = sorted(session.link.manager("ListJobs")[0])
    patterns = [unit_name(word, globs=True) for word in words]
    rows = [row for row in every if not patterns or any(fnmatchcase(row[1], pattern) for pattern in patterns)]
    if session.options.json:
        keys = ("job", "unit", "type", "state")
        session.json([dict(zip(keys, row[:4], strict=True)) for row in rows])
        return 0
    if not rows:
        if session.options.legend:
            session.print("No jobs listed." if every else "No jobs running.")
        return 0
    table = [[Cell(title, BOLD) for title in ("JOB", "UNIT", "TYPE", "STATE")]] if session.options.legend else []
    for row in rows:
        table.append([Cell(str(row[0])), *(Cell(text) for text in row[1:4])])
        table += _neighbours(session, row[0])
    lines = render(table, full=session.options.full)
    page(session, [*lines, *(["", f"{len(rows)} jobs listed."] if session.options.legend else [])])
    return 0


def _neighbours(session: Session, job: int) -> list[list[Cell]]:
    found = []
    for asked, method, what in (
        (session.options.before, "GetJobBefore", "└─ waits for"),
        (session.options.after, "GetJobAfter", "└─ is waited for by"),
    ):
        if asked:
            for row in session.link.manager(method, "u", job)[0]:
                found.append([Cell(""), Cell(f"{what} job {row[0]} ({row[1]}/{row[2]})"), Cell(""), Cell("")])
    return found
