"""The verb status: a unit on one screen, in systemctl's layout, and the whole at a glance."""

import os
from typing import Any, Final

from unitd.ctl.connection import MANAGER_PATH, Refused
from unitd.ctl.failure import cause
from unitd.ctl.logs import Line, lines_of
from unitd.ctl.pager import page
from unitd.ctl.processes import described, group_tree, name_of, status_name
from unitd.ctl.session import Session
from unitd.ctl.table import dot, state_colour
from unitd.ctl.terminal import BOLD, RED, YELLOW, cut, paint, printable, say, width
from unitd.ctl.when import ago, stamp

LINES: Final = 10
_KILLED_SHOWN: Final = 4
NO_SUCH_UNIT: Final = 4
NOT_RUNNING: Final = 3
_LABEL: Final = 11
_INFINITY: Final = 2**64 - 1
_SINCE: Final = {
    "active": "ActiveEnterTimestamp",
    "reloading": "ActiveEnterTimestamp",
    "activating": "InactiveExitTimestamp",
    "deactivating": "ActiveExitTimestamp",
}
_PRESETTABLE: Final = ("enabled", "enabled-runtime", "disabled", "linked", "linked-runtime", "masked")
_COMMANDS: Final = (
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
)


def status(session: Session, words: list[str]) -> int:
    """Print the state of units; the first status that is not 0: 3 for one that is not running, 4 for one not known."""
    if not words:
        return _overview(session)
    result, found = 0, []
    lines: list[str] = []
    for unit in _units(session, words):
        view = View(session, unit)
        result = result or view.exit_status
        if view.exit_status == NO_SUCH_UNIT:
            say(f"Unit {unit} could not be found.")
        elif session.options.json:
            found.append(view.as_json())
        else:
            lines += ([""] if lines else []) + view.lines()
    if session.options.json:
        session.json(found)
    else:
        page(session, lines)
    return result


def _units(session: Session, words: list[str]) -> list[str]:
    """Unit names from names, patterns and pids."""
    units: list[str] = []
    for word in words:
        if word.isdecimal():
            path = session.link.manager("GetUnitByPID", "u", int(word))[0]
            units.append(session.link.properties(path)["Id"][1])
        else:
            units += session.names([word])
    return units


class View:
    """What there is to say about one unit."""

    def __init__(self, session: Session, unit: str) -> None:
        self._session = session
        self.unit = unit
        self.seen = session.values(unit)
        self._processes: list[Any] | None = None
        load, active = self.seen["LoadState"], self.seen["ActiveState"]
        up = active in ("active", "reloading")
        self.exit_status = 0 if up else NO_SUCH_UNIT if load == "not-found" and active == "inactive" else NOT_RUNNING

    def get(self, name: str, default: Any = "") -> Any:
        """A property, or the default where the unit has none of this name."""
        return self.seen.get(name, default)

    # --- what is asked for besides the properties -------------------------------------------------------

    def processes(self) -> list[Any]:
        """(control group, pid, command line) of each process."""
        if self._processes is None:
            try:
                self._processes = self._session.link.manager("GetUnitProcesses", "s", self.get("Id"))[0]
            except Refused:
                self._processes = []
        return self._processes

    def log(self) -> tuple[list[Line], str]:
        """The last lines, and why there are none where they are not for this user."""
        wanted = self._session.options.lines
        lines = LINES if wanted is None else wanted
        if not lines or not self.get("InactiveExitTimestamp", 0):
            return [], ""
        try:
            return lines_of(self._session, self.get("Id"), lines), ""
        except Refused as refused:
            return [], refused.text

    # --- text -------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The whole, line by line."""
        load, active = self.get("LoadState"), self.get("ActiveState")
        sign = paint(dot(load, active), state_colour(load, active))
        described = f" - {self.get('Description')}" if self.get("Description") not in ("", self.get("Id")) else ""
        lines = [f"{sign} {self.get('Id')}{described}"]
        for label, values in (*self._what_it_is(), *self._what_it_does(), *self._what_it_uses()):
            for index, value in enumerate(values):
                lines.append(f"{'' if index else label + ':':>{_LABEL + 1}} {value}")
        lines = [line.rstrip() for line in lines]
        return [self._cut(line) for line in lines] + self._log_lines()

    def _cut(self, line: str) -> str:
        return line if self._session.options.full or "\x1b" in line else cut(line, width())

    def _what_it_is(self) -> list[tuple[str, list[str]]]:
        triggers = [("TriggeredBy", self._with_state("TriggeredBy")), ("Triggers", self._with_state("Triggers"))]
        return [
            ("Loaded", [self._loaded()]),
            ("Transient", ["yes"] if self.get("Transient") else []),
            ("Drop-In", self._drop_ins()),
            ("Active", [self._active()]),
            ("Reason", [cause(self.seen)] if self.get("ActiveState") == "failed" and cause(self.seen) else []),
            ("Killed", self._killed()),
            ("Left", self._left_behind()),
            ("Hint", [self.get("Hint")] if self.get("Hint") else []),
            ("Job", self._job()),
            ("Warning", [paint(problem, YELLOW) for problem in self._problems()]),
            *triggers,
            ("Listen", [f"{address} ({kind})" for kind, address in self.get("Listen", ())]),
            ("Docs", list(self.get("Documentation", ()))),
        ]

    def _killed(self) -> list[str]:
        """Who outlived the time for the stop, as long as the unit is failed for it."""
        from unitd.syntax.spans import format_span

        if self.get("ActiveState") != "failed" or self.get("Result") != "timeout":
            return []
        rows = self.get("Stragglers", ())
        more = len(rows) - _KILLED_SHOWN
        return [
            f"after {format_span(waited, 100_000)}: pid {pid} {printable(command)}, "
            + ", ".join((f"{state} in {channel}" if channel else state, *map(printable, sockets)))
            for pid, command, waited, state, channel, sockets in rows[-_KILLED_SHOWN:]
        ] + ([f"and {more} more: unitctl show -p Stragglers {self.unit}"] if more > 0 else [])

    def _left_behind(self) -> list[str]:
        """Processes of a unit that is down."""
        down = self.get("ActiveState") in ("inactive", "failed")
        rows = self.processes() if down and self.get("Hint") else []
        return [described(pid, command) for _, pid, command in rows]

    def _problems(self) -> list[str]:
        """What is wrong with the unit's files, and that they changed on disk; but not again why it cannot be used."""
        stale = "its files changed on disk; this is the older version: unitctl daemon-reload"
        error = self.get("LoadError", ("", ""))[1]
        problems = [problem for problem in self.get("Problems", ()) if problem not in error]
        return [*problems, *([stale] if self.get("NeedDaemonReload") else [])]

    def _loaded(self) -> str:
        load = self.get("LoadState")
        word = paint(load, RED) if load in ("error", "bad-setting", "not-found") else load
        error = self.get("LoadError", ("", ""))[1]
        parts = [self.get("FragmentPath") or self.get("SourcePath"), self.get("UnitFileState")]
        if self.get("UnitFilePreset") and self.get("UnitFileState") in _PRESETTABLE:
            parts.append(f"preset: {self.get('UnitFilePreset')}")
        if error and load != "loaded":
            parts = [f"Reason: {error}"]
        detail = "; ".join(part for part in parts if part)
        return f"{word} ({detail})" if detail else word

    def _drop_ins(self) -> list[str]:
        """The directories of drop-ins, each with a tree of its files."""
        by_directory: dict[str, list[str]] = {}
        for path in self.get("DropInPaths", ()):
            by_directory.setdefault(path.rpartition("/")[0], []).append(path.rpartition("/")[2])
        return [line for directory, names in by_directory.items() for line in (directory, f"└─{', '.join(names)}")]

    def _active(self) -> str:
        active, sub, result = self.get("ActiveState"), self.get("SubState"), self.get("Result", "success")
        words = active if not sub or sub == active else f"{active} ({sub})"
        if result not in ("", "success") and active not in ("active", "reloading"):
            words = f"{active} (Result: {result})" if sub == active else f"{active} ({sub}) (Result: {result})"
        painted = paint(words, state_colour("loaded", active))
        since = self.get(_SINCE.get(active, "InactiveEnterTimestamp"), 0)
        return f"{painted} since {stamp(since)}; {ago(since)}" if since not in (0, _INFINITY) else painted

    def _job(self) -> list[str]:
        number, path = self.get("Job", (0, "/"))
        if not number:
            return []
        try:
            job = self._session.link.properties(path)
        except Refused:
            return []
        waits = "" if job["State"][1] != "waiting" else f"; unitctl list-jobs --before {self.unit} tells for what"
        return [f"{number} ({job['JobType'][1]}, {job['State'][1]}{waits})"]

    def _with_state(self, name: str) -> list[str]:
        units = self.get(name, ())
        states = self._session.get_each(units, "ActiveState")
        words = ["inactive" if isinstance(state, Refused) else state for state in states]
        return [f"{paint(dot('', w), state_colour('', w))} {unit}" for unit, w in zip(units, words, strict=True)]

    def _what_it_does(self) -> list[tuple[str, list[str]]]:
        error = self.get("StatusErrno", 0)
        control = self.get("ControlPID", 0)
        return [
            ("Condition", self._conditions()),
            ("Process", self._ended_commands()),
            ("Main PID", self._main()),
            ("Cntrl PID", [f"{control} ({name_of(control)})"] if control else []),
            ("Status", [f'"{printable(self.get("StatusText"))}"'] if self.get("StatusText") else []),
            ("Error", [f"{error} ({os.strerror(error)})"] if error else []),
        ]

    def _conditions(self) -> list[str]:
        failed = self.get("ConditionTimestamp", 0) and not self.get("ConditionResult", True)
        if not failed:
            return []
        when = self.get("ConditionTimestamp")
        unmet = [
            f"└─ {kind}={'!' if negate else ''}{parameter} was not met"
            for kind, _, negate, parameter, state in self.get("Conditions", ())
            if state < 0
        ]
        return [f"start condition failed at {stamp(when)}; {ago(when)}", *unmet]

    def _ended_commands(self) -> list[str]:
        """Commands that ended, but for the main process."""
        main = self.get("ExecMainPID", 0)
        return [
            f"{row[7]} {name}={printable(' '.join(row[1]))} ({ending(row[8], row[9])})"
            for name in _COMMANDS
            for row in self.get(name, ())
            if row[7] and row[8] and row[7] != main
        ]

    def _main(self) -> list[str]:
        pid, last = self.get("MainPID", 0), self.get("ExecMainPID", 0)
        if pid:
            name = name_of(pid)
            return [f"{pid} ({name})" if name else str(pid)]
        if last and self.get("ExecMainCode", 0):
            return [f"{last} ({ending(self.get('ExecMainCode'), self.get('ExecMainStatus'))})"]
        return []

    def _what_it_uses(self) -> list[tuple[str, list[str]]]:
        from unitd.syntax.spans import format_span

        tasks, most = self.get("TasksCurrent", _INFINITY), self.get("TasksMax", _INFINITY)
        memory, cpu = self.get("MemoryCurrent", _INFINITY), self.get("CPUUsageNSec", _INFINITY)
        limit = f" (limit: {most})" if most != _INFINITY else ""
        group = self.get("ControlGroup")
        tree = group_tree(group, self.processes()) if group or self.get("MainPID", 0) else []
        return [
            ("Tasks", [f"{tasks}{limit}"] if tasks != _INFINITY else []),
            ("Memory", [size(memory)] if memory != _INFINITY else []),
            ("CPU", [format_span(cpu // 1000, 1000)] if cpu != _INFINITY else []),
            (
                "CGroup",
                [group or "none (no control groups here)", *tree] if tree or (group and self.get("MainPID")) else [],
            ),
        ]

    def _log_lines(self) -> list[str]:
        lines, why = self.log()
        if why:
            return ["", f"its log is not shown: {why}"]
        output = self._session.options.output
        return ["", *(self._cut(line.rendered(output)) for line in lines)] if lines else []

    # --- JSON -------------------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """The same for programs; what the unit does not have is null."""
        lines, _ = self.log()
        infinite = {name: self.get(name, _INFINITY) for name in ("TasksCurrent", "MemoryCurrent", "CPUUsageNSec")}
        numbers = {name: None if value == _INFINITY else value for name, value in infinite.items()}
        active = self.get("ActiveState")
        return {
            "unit": self.get("Id"),
            "description": self.get("Description"),
            "load": self.get("LoadState"),
            "load_error": self.get("LoadError", ("", ""))[1] or None,
            "fragment": self.get("FragmentPath") or None,
            "drop_ins": list(self.get("DropInPaths", ())),
            "file_state": self.get("UnitFileState") or None,
            "active": active,
            "sub": self.get("SubState"),
            "since_us": self.get(_SINCE.get(active, "InactiveEnterTimestamp"), 0) or None,
            "result": self.get("Result") or None,
            "reason": cause(self.seen) or None,
            "hint": self.get("Hint") or None,
            "stragglers": [
                dict(zip(("pid", "command", "waited_us", "state", "channel", "sockets"), row, strict=True))
                for row in self.get("Stragglers", ())
            ],
            "problems": self._problems(),
            "main_pid": self.get("MainPID", 0) or None,
            "status_text": self.get("StatusText") or None,
            "tasks": numbers["TasksCurrent"],
            "memory_bytes": numbers["MemoryCurrent"],
            "cpu_ns": numbers["CPUUsageNSec"],
            "cgroup": self.get("ControlGroup") or None,
            "processes": [{"cgroup": row[0], "pid": row[1], "command": row[2]} for row in self.processes()],
            "log": [line.as_json(self.get("Id")) for line in lines],
        }


def ending(code: int, number: int) -> str:
    """How a process ended, as systemctl says it: "code=exited, status=1/FAILURE", "code=killed, signal=KILL"."""
    if code == 1:
        return f"code=exited, status={status_name(number)}"
    from unitd.syntax.signals import signal_name

    return f"code={'dumped' if code == 3 else 'killed'}, signal={signal_name(number)}"


def size(octets: int) -> str:
    """A size in the largest unit of 1024 that it fills: "3.2M"."""
    for power, letter in ((6, "E"), (5, "P"), (4, "T"), (3, "G"), (2, "M"), (1, "K")):
        unit = 1024**power
        if octets >= unit:
            return f"{octets // unit}.{octets % unit * 10 // unit}{letter}"
    return f"{octets}B"


def _overview(session: Session) -> int:
    """The daemon: its state, jobs, failed units and processes."""
    seen = {name: value for name, (_, value) in session.link.properties(MANAGER_PATH).items()}
    if session.options.json:
        keys = {
            "state": "SystemState",
            "units": "NNames",
            "jobs": "NJobs",
            "failed": "NFailedUnits",
            "version": "Version",
        }
        session.json({key: seen.get(name) for key, name in keys.items()})
        return 0
    state, failed = seen.get("SystemState", ""), seen.get("NFailedUnits", 0)
    colour = state_colour("loaded", {"running": "active", "degraded": "failed"}.get(state, "activating"))
    since = seen.get("UserspaceTimestamp", 0)
    lines = [
        f"{paint('●', colour)} {paint(os.uname().nodename, BOLD)}",
        f"    State: {paint(state, colour)}",
        f"    Units: {seen.get('NNames', 0)} loaded (incl. loaded aliases)",
        f"     Jobs: {seen.get('NJobs', 0)} queued",
        f"   Failed: {failed} units",
        *([f"    Since: {stamp(since)}; {ago(since)}"] if since else []),
        f"    unitd: {seen.get('Version', '')}",
    ]
    try:
        rows = session.link.manager("GetUnitProcesses", "s", "-.slice")[0]
        group = seen.get("ControlGroup", "") or "/"
        lines += [f"   CGroup: {group}", *(f"           {line}" for line in group_tree(group, rows))]
    except Refused:
        pass  # without control groups the tree is not known
    page(session, lines)
    return 0
