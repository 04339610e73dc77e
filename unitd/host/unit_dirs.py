"""The directories that unit files lie in: listed once, read when a unit is loaded, listed again after refresh().

Search path: docs/units.md (first wins); systemd.unit(5) for systemd's own directories. A listing goes by the type
that the directory tells of an entry, so a unit that nobody loads costs no stat and no read.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Final

from unitd.graph import assemble, install
from unitd.graph.files import MASK, SUBDIRECTORIES, Entry, Folder, Unreadable, entries_for, places
from unitd.model.config import Config
from unitd.model.unit import Unit
from unitd.syntax import unit_name
from unitd.syntax.specifiers import HostFacts

LARGEST_FILE: Final = 16 * 1024 * 1024

_PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SYSTEM: Final = ("/etc/unitd", "/run/unitd/units", "/usr/local/lib/unitd", "/usr/lib/unitd")
_SYSTEMD: Final = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)


def shipped_directory() -> str:
    """The units that unitd ships: beside the package in the repository, inside it when installed."""
    beside = os.path.join(os.path.dirname(_PACKAGE), "units")
    return beside if os.path.isdir(beside) else os.path.join(_PACKAGE, "units")


def search_path(
    config: Config, facts: HostFacts, unit_path: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """The directories of the daemon, first wins; `unit_path` replaces all but the shipped units, which are last."""
    if unit_path:
        own: tuple[str, ...] = tuple(os.path.abspath(path) for path in unit_path)
    elif config.user:
        own = _user_directories(config, facts, environment or {})
    else:
        own = (*_SYSTEM, *(_SYSTEMD if config.read_systemd_units else ()))
    return (*own, shipped_directory())


def _user_directories(config: Config, facts: HostFacts, environment: Mapping[str, str]) -> tuple[str, ...]:
    config_home = environment.get("XDG_CONFIG_HOME") or f"{facts.home}/.config"
    data_home = environment.get("XDG_DATA_HOME") or f"{facts.home}/.local/share"
    own = (f"{config_home}/unitd", f"{facts.runtime_dir}/unitd/units", "/etc/unitd/user", "/usr/lib/unitd/user")
    systemd = (
        f"{config_home}/systemd/user",
        f"{facts.runtime_dir}/systemd/transient",
        "/etc/systemd/user",
        f"{facts.runtime_dir}/systemd/user",
        "/run/systemd/user",
        f"{data_home}/systemd/user",
        "/usr/local/share/systemd/user",
        "/usr/share/systemd/user",
        "/usr/local/lib/systemd/user",
        "/usr/lib/systemd/user",
    )
    return (*own, *(systemd if config.read_systemd_units else ()))


class UnitDirs:
    """The source of units of the engine. Answers come from one listing until refresh() is called."""

    def __init__(self, directories: Sequence[str], facts: HostFacts, config: Config) -> None:
        self._directories = tuple(directories)
        self._facts = facts
        self._config = config
        self._listing: _Listing | None = None
        self._stamps: dict[str, int] = {}

    @property
    def files(self) -> "_Listing":
        """The current listing."""
        if self._listing is None:
            self._listing = _Listing(self._directories, self._stamps)
        return self._listing

    def load(self, name: str) -> Unit:
        """The unit of that name or alias, read now; never raises for what files contain."""
        return assemble.load(name, self.files, self._facts, self._config)

    def changed_since_load(self, unit: Unit) -> bool:
        """Whether a daemon-reload would read other files for a loaded unit, or other bytes in them."""
        if not unit.fragment and not unit.dropins:
            return False
        where = places((unit.name, *unit.aliases))
        if tuple(entry.path for entry in entries_for(where, ".d", self.files)) != unit.dropins:
            return True
        return any(self._stamp(path) != self._stamps.get(path) for path in (unit.fragment, *unit.dropins) if path)

    def is_gone(self, unit: Unit) -> bool:
        """Whether the unit had a file that is not there any more."""
        return bool(unit.fragment) and self._stamp(unit.fragment) is None

    def _stamp(self, path: str) -> int | None:
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return None

    def refresh(self) -> None:
        """List the directories again at the next look."""
        self._listing = None

    def list_files(self) -> list[tuple[str, str]]:
        """(path, state) of every unit file, by name; the state as GetUnitFileState tells it."""
        listing = self.files
        return [(entry.path, self.file_state(entry.name)) for entry in listing.all_entries()]

    def file_state(self, name: str) -> str:
        """Whether a unit is enabled, masked, static ...; "" when there is no such file (systemctl(1), is-enabled)."""
        return install.file_state(name, self.files)

    def real_name(self, name: str) -> str:
        """The name that links lead to from this one, within the search path; "" when there is no such file."""
        passed: set[str] = set()
        while (entry := self.files.entry(name)) is not None and entry.target not in ("", MASK) and name not in passed:
            passed.add(name)
            name = entry.target
        return name if entry is not None else ""

    def afresh(self) -> "UnitDirs":
        """The same directories as they are now, to compare with; what was loaded from these is not touched."""
        return UnitDirs(self._directories, self._facts, self._config)

    def directories(self) -> list[str]:
        """All directories that hold, or may come to hold, unit files; for inotify."""
        found = [path for path in self._directories if os.path.isdir(path)]
        return found + self.files.subdirectories()


class _Listing:
    """What lay in the directories at one moment; implements graph.files.UnitFiles."""

    def __init__(self, directories: Sequence[str], stamps: dict[str, int]) -> None:
        self._directories = directories
        self._stamps = stamps
        self._ranks: dict[str, int] = {}
        self._links: dict[str, Entry] = {}
        self._aliases: dict[str, list[str]] = {}
        self._places: dict[str, list[tuple[int, str]]] = {}
        self._folders: dict[str, tuple[Folder, ...]] = {}
        self._enabled: dict[str, int] | None = None
        self._known = {os.path.realpath(path) for path in directories} | set(directories)
        seen: set[str] = set()
        for rank, path in enumerate(directories):
            real = os.path.realpath(path)
            if real not in seen:
                seen.add(real)
                self._list(rank, path)

    def _list(self, rank: int, directory: str) -> None:
        try:
            with os.scandir(directory) as scan:
                found = sorted((entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in scan)
        except OSError:
            return
        for name, link, is_directory in found:
            if name.endswith(SUBDIRECTORIES):
                if link or is_directory:
                    self._places.setdefault(name, []).append((rank, f"{directory}/{name}"))
            elif not is_directory and name not in self._ranks and name.rpartition(".")[2] in unit_name.UNIT_TYPES:
                self._take(rank, directory, name, link)

    def _take(self, rank: int, directory: str, name: str, link: bool) -> None:
        if link:
            path = f"{directory}/{name}"
            target = self._target(directory, name)
            if target is None:
                return
            if target:
                self._links[name] = Entry(path, target)
                if target != MASK:
                    self._aliases.setdefault(target, []).append(name)
        self._ranks[name] = rank

    def _target(self, directory: str, name: str) -> str | None:
        """MASK, the name that a link is an alias of, "" for a file of its own, None for a link that is not valid."""
        try:
            written = os.readlink(f"{directory}/{name}")
        except OSError:
            return None
        if written == MASK:
            return MASK
        path = os.path.normpath(os.path.join(directory, written))
        above, _, other = path.rpartition("/")
        if above not in self._known or other == name:
            return ""
        return other if install.may_be_alias(name, other) else None

    def entry(self, name: str) -> Entry | None:
        link = self._links.get(name)
        if link is not None:
            return link
        rank = self._ranks.get(name)
        return None if rank is None else Entry(f"{self._directories[rank]}/{name}")

    def aliases(self, name: str) -> Sequence[str]:
        return self._aliases.get(name, ())

    def folders(self, name: str) -> Sequence[Folder]:
        places = self._places.get(name)
        if places is None:
            return ()
        folders = self._folders.get(name)
        if folders is None:
            ending = ".conf" if name.endswith(".d") else ""
            folders = tuple(Folder(rank, _entries(path, ending)) for rank, path in places)
            self._folders[name] = folders
        return folders

    def read(self, path: str) -> bytes:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise Unreadable(error.strerror or "cannot be opened", isinstance(error, FileNotFoundError)) from None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("not a regular file")
            if status.st_size > LARGEST_FILE:
                raise Unreadable("too large for a unit file")
            self._stamps[path] = status.st_mtime_ns
            return os.read(file, status.st_size + 1)
        except OSError as error:
            raise Unreadable(error.strerror or "cannot be read") from None
        finally:
            os.close(file)

    def rank(self, name: str) -> int:
        """The place in the search path of the directory that a name is from; KeyError when it is in none."""
        return self._ranks[name]

    def directory(self, rank: int) -> str:
        """The directory at a place of the search path."""
        return self._directories[rank]

    def enabled_by(self, name: str) -> str:
        """The directory of highest priority from which a .wants, a .requires or an alias leads to a name, or ""."""
        if self._enabled is None:
            self._enabled = self._links_to_units()
        rank = self._enabled.get(name)
        return "" if rank is None else self._directories[rank]

    def _links_to_units(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for directory in self._places:
            if directory.endswith((".wants", ".requires")):
                for folder in self.folders(directory):
                    for entry in folder.entries:
                        if entry.target not in ("", MASK):
                            found[entry.name] = min(folder.rank, found.get(entry.name, folder.rank))
        for target, names in self._aliases.items():
            for name in names:
                found[target] = min(self._ranks[name], found.get(target, self._ranks[name]))
        return found

    def all_entries(self) -> list[Entry]:
        """Every unit file, by name."""
        return [entry for name in sorted(self._ranks) if (entry := self.entry(name)) is not None]

    def subdirectories(self) -> list[str]:
        """The .d, .wants and .requires directories."""
        return sorted(path for places in self._places.values() for _, path in places)


def _entries(directory: str, ending: str) -> tuple[Entry, ...]:
    """Files and links whose names have that ending, by name."""
    try:
        with os.scandir(directory) as scan:
            found = sorted((entry.name, entry.is_symlink()) for entry in scan if entry.name.endswith(ending))
    except OSError:
        return ()
    return tuple(Entry(f"{directory}/{name}", _link_target(directory, name) if link else "") for name, link in found)


def _link_target(directory: str, name: str) -> str:
    try:
        return os.readlink(f"{directory}/{name}")
    except OSError:
        return ""
