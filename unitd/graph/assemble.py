"""From a name to a unit: fragment, drop-ins, .wants and .requires directories, implicit dependencies, verification.

Nothing that a file contains raises: it becomes a load state and problems with file and line, and other units never
notice. Checked against systemd 252 (conformance topics unit_parse and corpus_golden).
"""

from typing import Any, Final

from unitd.graph import builtin, implicit
from unitd.graph.draft import Draft
from unitd.graph.files import MASK, Entry, Found, Unreadable, entries_for, find, places
from unitd.graph.files import UnitFiles as UnitFiles
from unitd.graph.verify import verify
from unitd.model.config import Config
from unitd.model.dependencies import Dep
from unitd.model.problems import Problem
from unitd.model.setting import UNSET, Context, Fatal, Setting, Support
from unitd.model.settings import IGNORED, SECTIONS, TABLE
from unitd.model.states import INFINITY, Load
from unitd.model.unit import Origin, Unit
from unitd.syntax import unit_file, unit_name
from unitd.syntax.specifiers import HostFacts
from unitd.syntax.values import Bad

_WITHOUT_FILE: Final = ("slice", "device")
"""Types of units that exist although no file describes them."""
_MOST_READ: Final = 4096
_read: dict[tuple[Setting, str], Any] = {}
_LINKED: Final = ((".wants", Dep.WANTS), (".requires", Dep.REQUIRES))


def load(name: str, files: UnitFiles, facts: HostFacts, config: Config) -> Unit:
    """The unit of that name or alias; never raises for what files contain."""
    if not unit_name.valid(name, unit_name.PLAIN | unit_name.INSTANCE):
        problem = Problem(name, "", 0, "", "this is not the name of a unit that can be loaded", fatal=True)
        return Unit(name, load=Load.ERROR, problems=(problem,))
    found = find(name, files)
    kind = found.name[found.name.rindex(".") + 1 :]
    without_file = kind in _WITHOUT_FILE or found.name in builtin.NAMES
    if (found.fragment is None or kind == "scope") and not without_file:
        return Unit(name, load=Load.NOT_FOUND)
    if found.fragment is not None and found.fragment.target == MASK:
        return Unit(found.name, found.aliases, Load.MASKED, found.fragment.path)
    return _Assembly(found, files, facts, config).unit()


class _Assembly:
    """The making of one unit."""

    __slots__ = ("config", "context", "draft", "facts", "files", "found", "table", "unknown")

    def __init__(self, found: Found, files: UnitFiles, facts: HostFacts, config: Config) -> None:
        self.found = found
        self.files = files
        self.facts = facts
        self.config = config
        self.draft = Draft(found.name, found.aliases, config.user)
        self.table = TABLE[self.draft.type]
        fragment = found.fragment.path if found.fragment else ""
        self.context = Context(found.name, facts, fragment)
        self.unknown: set[str] = set()

    def unit(self) -> Unit:
        found, draft = self.found, self.draft
        fragment = found.fragment.path if found.fragment else ""
        if found.fragment is not None:
            try:
                raw = self.files.read(fragment)
            except Unreadable as fault:
                if fault.missing:
                    return Unit(found.name, found.aliases, Load.NOT_FOUND)
                return self._broken(fragment, 0, str(fault))
            if not raw:
                return Unit(found.name, found.aliases, Load.MASKED, fragment)
            try:
                parsed = unit_file.parse(raw)
                draft.whole = (fragment, _own_line(parsed, draft.type))
                self._apply(fragment, parsed)
            except unit_file.Malformed as fault:
                return self._broken(fragment, fault.line, fault.reason)
        where = places((found.name, *found.aliases))
        dropins = entries_for(where, ".d", self.files)
        for entry in dropins:
            self._apply_dropin(entry)
        for suffix, kind in _LINKED:
            for entry in entries_for(where, suffix, self.files):
                self._link(entry, kind)
        builtin.complete(draft)
        self._finish()
        return Unit(
            found.name,
            found.aliases,
            Load.BAD_SETTING if any(problem.fatal for problem in draft.problems) else Load.LOADED,
            fragment,
            tuple(entry.path for entry in dropins),
            draft.settings,
            draft.shared_deps(),
            tuple(draft.problems),
        )

    def _broken(self, file: str, line: int, reason: str) -> Unit:
        problem = Problem(self.found.name, file, line, "", reason, fatal=True)
        return Unit(self.found.name, self.found.aliases, Load.ERROR, file, problems=(problem,))

    def _note(self, file: str, line: int, setting: str, reason: str, *, fatal: bool = False) -> None:
        self.draft.problems.append(Problem(self.draft.name, file, line, setting, reason, fatal))

    def _apply_dropin(self, entry: Entry) -> None:
        if entry.target == MASK:
            return
        try:
            self._apply(entry.path, unit_file.parse(self.files.read(entry.path)))
        except Unreadable as fault:
            self._note(entry.path, 0, "", str(fault))
        except unit_file.Malformed as fault:
            self._note(entry.path, fault.line, "", f"{fault.reason}; the whole file is ignored")

    def _link(self, entry: Entry, kind: Dep) -> None:
        """One entry of a .wants or .requires directory; a link to /dev/null takes one of lower priority back."""
        if entry.target == MASK:
            return
        name = entry.name
        if unit_name.is_template(name):
            own = unit_name.instance(self.draft.name) or unit_name.prefix(self.draft.name)
            name = unit_name.with_instance(name, own)
        if unit_name.valid(name):
            self.draft.depend(kind, name, Origin.FILE)
        else:
            self._note(entry.path, 0, "", f"{name!r} is not the name of a unit")

    def _apply(self, file: str, parsed: unit_file.Parsed) -> None:
        """All lines of one file, in order."""
        for note in parsed.notes:
            self._note(file, note.line, "", note.text)
        for entry in parsed.entries:
            row = self.table.get((entry.section, entry.key))
            if row is None:
                self._not_known(file, entry)
            elif row.dep is not None:
                self._depend(file, entry, row, row.dep)
            else:
                self._set(file, entry, row)

    def _not_known(self, file: str, entry: unit_file.Entry) -> None:
        section, key = entry.section, entry.key
        if key.startswith("X-") or (section.startswith("X-") and section != "X-Unitd"):
            return
        if section in ("Unit", "Install", "X-Unitd", SECTIONS[self.draft.type]):
            reason = "it means nothing any more" if key in IGNORED else "no such setting"
            self._note(file, entry.line, f"{key}=", f"{reason} in [{section}]")
        elif section not in self.unknown:
            self.unknown.add(section)
            self._note(file, entry.line, "", f"no section [{section}] in a {self.draft.type}")

    def _depend(self, file: str, entry: unit_file.Entry, row: Setting, kind: Dep) -> None:
        for name in self._parse(file, entry, row) or ():
            self.draft.depend(kind, name, Origin.FILE)

    def _set(self, file: str, entry: unit_file.Entry, row: Setting) -> None:
        settings, targets = self.draft.settings, row.expands or (row.target,)
        if row.resets and not entry.value:
            value: Any = UNSET
        else:
            value = self._parse(file, entry, row)
            if value is None:
                return
        for target in targets:
            self.draft.places[target] = (file, entry.line)
            if value is UNSET:
                settings.pop(target, None)
            elif row.merge is None:
                settings[target] = value
            else:
                settings[target] = row.merge(settings.get(target, row.default), value)

    def _parse(self, file: str, entry: unit_file.Entry, row: Setting) -> Any:
        """The value of a line, None when it cannot be read; what was left out of it is noted."""
        text = entry.value
        value = _read.get((row, text)) if row.shared else None
        if value is not None:
            return value
        try:
            value = row.parse(text, self.context)
            if row.shared and "%" not in text and not self.context.notes:
                _remember(row, text, value)
        except Fatal as fault:
            self._note(file, entry.line, f"{entry.key}=", str(fault), fatal=True)
        except Bad as fault:
            self._note(file, entry.line, f"{entry.key}=", f"{fault}; the line is ignored")
        if self.context.notes:
            for reason in self.context.notes:
                self._note(file, entry.line, f"{entry.key}=", reason)
            self.context.notes.clear()
        return value

    def _finish(self) -> None:
        """Settings that follow from others, dependencies that no file states, and the verdict."""
        if self.draft.type == "service":
            _complete_service(self.draft, self.config)
        try:
            implicit.add(self.draft, self.files, self.facts)
        except Bad as fault:
            self.draft.problem("", f"no dependencies follow from it: {fault}", fatal=True)
        verify(self.draft)
        _judge_support(self.draft, self.config)


def _own_line(parsed: unit_file.Parsed, kind: str) -> int:
    """The line where the section of the unit's own type begins to say something; 1 when it does not."""
    section = SECTIONS[kind]
    return next((entry.line for entry in parsed.entries if entry.section == section), 1)


def _remember(row: Setting, text: str, value: Any) -> None:
    """Values that depend on nothing but their text are read once and shared."""
    if len(_read) >= _MOST_READ:
        _read.clear()
    _read[row, text] = value


def _complete_service(draft: Draft, config: Config) -> None:
    """What a service's settings are when the files do not say (systemd.service(5))."""
    settings = draft.settings
    if "Type" not in settings:
        settings["Type"] = "dbus" if draft.get("BusName") else "simple" if draft.get("ExecStart") else "oneshot"
    if "TimeoutStartSec" not in settings:
        oneshot = settings["Type"] == "oneshot"
        settings["TimeoutStartSec"] = INFINITY if oneshot else config.default_timeout_start
    if "TimeoutStopSec" not in settings:
        settings["TimeoutStopSec"] = config.default_timeout_stop
    if draft.get("NotifyAccess") == "none" and (
        settings["Type"] == "notify" or draft.get("WatchdogSec") or draft.get("FileDescriptorStoreMax")
    ):
        settings["NotifyAccess"] = "main"
    if "OOMPolicy" not in settings and draft.get("Delegate") != "no":
        settings["OOMPolicy"] = "continue"
    if settings.get("CPUSchedulingPolicy") in ("fifo", "rr") and not draft.get("CPUSchedulingPriority"):
        settings["CPUSchedulingPriority"] = 1


def _judge_support(draft: Draft, config: Config) -> None:
    """Says which settings are not carried out; a protection that is not is fatal unless the daemon may run without."""
    for name in draft.places:
        row = draft.defaults[name]
        if row.support in (Support.DONE, Support.METADATA) or name not in draft.settings:
            continue
        asked = draft.settings[name]
        if row.support is Support.LOSS:
            if asked != row.default:
                draft.problem(name, row.loss)
        elif asked in row.asks_nothing:
            continue
        elif config.allow_weaker_sandbox:
            draft.problem(name, "this protection is not carried out yet (AllowWeakerSandbox=yes)")
        else:
            reason = "this protection is not carried out yet, and the unit must not run without it"
            draft.problem(name, reason, fatal=True)
