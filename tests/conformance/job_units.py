"""Units for the job topics: the files of a set, written to a directory and loaded as the daemon loads them."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unitd.graph.builtin import PERPETUAL
from unitd.graph.index import Index
from unitd.host.unit_dirs import UnitDirs
from unitd.jobs.job import Job
from unitd.jobs.queue import Queue
from unitd.jobs.transaction import build
from unitd.model.config import Config
from unitd.model.dependencies import Atom
from unitd.model.states import Active, JobMode, JobType
from unitd.model.unit import Unit
from unitd.syntax.specifiers import HostFacts

Files = Mapping[str, str | Mapping[str, str]]


class LoadedUnits:
    """The port Graph over the units of one directory and of what they name; states are set by hand."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._index = Index()
        for unit in units:
            self._index.add(unit)
        self.states = dict.fromkeys(PERPETUAL, Active.ACTIVE)
        self.queue = Queue()

    def find(self, name: str) -> Unit:
        unit = self._index.find(name)
        if unit is None:
            raise LookupError(f"cannot find {name}: nothing in the set names it")
        return unit

    def related(self, name: str, atom: Atom) -> Sequence[str]:
        return self._index.related(name, atom)

    def active(self, name: str) -> Active:
        return self.states.get(name, Active.INACTIVE)

    def job(self, name: str) -> Job | None:
        return self.queue.job_of(name)

    def loaded(self) -> Iterable[str]:
        return self._index.names()

    def ask(self, type: str, unit: str, mode: str) -> None:
        """Queues a request; raises Refusal."""
        self.queue.install(build(self, unit, JobType(type), JobMode(mode)), None, 0)


def load(files: Files, wanted: Iterable[str]) -> list[Unit]:
    """The units of all files, the wanted ones, and all that any of them names."""
    with tempfile.TemporaryDirectory() as folder:
        _write(files, Path(folder))
        source = UnitDirs([folder], HostFacts(), Config())
        units: dict[str, Unit] = {}
        known: set[str] = set()
        names = [name for name in files if "/" not in name and "@." not in name] + sorted(wanted)
        while names:
            name = names.pop()
            if name in known:
                continue
            unit = source.load(name)
            known |= {name, unit.name, *unit.aliases}
            units[unit.name] = unit
            names += [other for others in unit.deps.values() for other in others]
    return [units[name] for name in sorted(units)]


def _write(files: Files, folder: Path) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str):
            path.write_text(text, encoding="utf-8")
        else:
            path.symlink_to(text["link"])
