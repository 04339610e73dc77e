"""The port through which unit files are read, and the rules by which a unit's files are found in it.

A unit's drop-ins come from NAME.d, TEMPLATE.d, PREFIX-.TYPE.d and TYPE.d of every name it has, in every directory of
the search path. They are read in the order of their file names; of two with one name the one in the directory of
higher priority counts, then the one of the more specific name (systemd.unit(5), "Unit File Load Path").
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from unitd.syntax import unit_name

Places: TypeAlias = tuple[tuple[Sequence[str], ...], str]

MASK: Final = "/dev/null"
SUBDIRECTORIES: Final = (".d", ".wants", ".requires")
"""How the names of directories of drop-ins and links end."""
_MOST_LINKS: Final = 32


class Entry(Struct, frozen=True):
    """One name in a directory: `target` is "" for a file, MASK, or where a symbolic link leads (as it is written)."""

    path: str
    target: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Folder(Struct, frozen=True):
    """One directory such as x.service.d; `rank` is the place in the search path of what holds it, 0 first."""

    rank: int
    entries: Sequence[Entry]


class Unreadable(Exception):
    """A file that cannot be read; the text says why. `missing`: a link leads nowhere."""

    def __init__(self, reason: str, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


class UnitFiles(Protocol):
    """What lies in the search path. All answers are of one moment."""

    def entry(self, name: str) -> Entry | None:
        """What the first directory that has the name has under it; an alias's target is the other name."""
        ...

    def aliases(self, name: str) -> Sequence[str]:
        """All names whose entries are links to this one, sorted."""
        ...

    def folders(self, name: str) -> Sequence[Folder]:
        """The directories of that name, in the order of the search path."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of a file; raises Unreadable."""
        ...


class Found(Struct, frozen=True):
    """Where a unit comes from: its real name, its other names, and its fragment (None: there is none)."""

    name: str
    aliases: tuple[str, ...]
    fragment: Entry | None


def find(name: str, files: UnitFiles) -> Found:
    """Follows aliases and templates from a name to a fragment; a loop of links or a dangling one is no fragment."""
    entry = files.entry(name)
    instance = unit_name.instance(name) if "@" in name else None
    if entry is None and instance:
        entry = files.entry(unit_name.template_of(name))
    real = name
    for _ in range(_MOST_LINKS):
        if entry is None or entry.target in ("", MASK):
            break
        real = _instantiated(entry.target, instance)
        entry = files.entry(entry.target) or _template_entry(entry.target, files)
    else:
        entry = None
    if entry is None:
        return Found(name, (), None)
    return Found(real, _other_names(name, real, instance, files), entry)


def _template_entry(name: str, files: UnitFiles) -> Entry | None:
    return files.entry(unit_name.template_of(name)) if unit_name.is_instance(name) else None


def _instantiated(name: str, instance: str | None) -> str:
    return unit_name.with_instance(name, instance) if instance and "@." in name else name


def _other_names(name: str, real: str, instance: str | None, files: UnitFiles) -> tuple[str, ...]:
    """All aliases of the real name, of its template, and of those; sorted."""
    found = {name, real}
    waiting = [real]
    while waiting:
        one = waiting.pop()
        names = list(files.aliases(one))
        if instance and unit_name.is_instance(one):
            names += [_instantiated(alias, instance) for alias in files.aliases(unit_name.template_of(one))]
        for alias in names:
            if alias not in found:
                found.add(alias)
                waiting.append(alias)
    found.discard(real)
    return tuple(sorted(found))


@lru_cache(maxsize=256)
def _above(prefix: str) -> tuple[str, ...]:
    """a-b-c: a-b-, a-."""
    found: list[str] = []
    while True:
        dash = prefix.rstrip("-").rfind("-") if prefix.endswith("-") else prefix.rfind("-")
        if dash < 0:
            return tuple(found)
        prefix = prefix[: dash + 1]
        found.append(prefix)


def specific_names(name: str) -> Sequence[str]:
    """The names under which directories for a unit may lie, the most specific first, without the type's own."""
    if "-" not in name and "@" not in name:
        return (name,)
    stem, _, ending = name.rpartition(".")
    prefix, at, instance = stem.partition("@")
    found: list[str] = []
    for one in (prefix, *_above(prefix)):
        found.append(f"{one}{at}{instance}.{ending}")
        if instance:
            found.append(f"{one}@.{ending}")
    return found


def places(names: Sequence[str]) -> Places:
    """Where files for a unit may lie: for each of its names in turn those of specific_names(), then the type."""
    return tuple(specific_names(name) for name in names), names[0].rpartition(".")[2]


def entries_for(where: Places, suffix: str, files: UnitFiles) -> list[Entry]:
    """The files for a unit in all its directories with that suffix, sorted by file name, overridden ones left out."""
    candidates: list[tuple[int, int, int, Entry]] = []
    named, kind = where
    for place, directories in enumerate((*named, (kind,))):
        for specific, directory in enumerate(directories):
            for folder in files.folders(directory + suffix):
                candidates += ((place, folder.rank, specific, entry) for entry in folder.entries)
    if not candidates:
        return []
    winners: dict[str, Entry] = {}
    for *_, entry in sorted(candidates, key=lambda one: one[:3]):
        winners.setdefault(entry.name, entry)
    return [winners[name] for name in sorted(winners)]
