"""Unit files that are texts in a table: a UnitFiles for graph.assemble, and a UnitSource for the engine.

A key is a file name ("a.service"), a drop-in ("a.service.d/x.conf") or a link ("t.target.wants/a.service"); a value
that begins with "->" is a link to what follows. What changes in the table counts from the next refresh() on.
"""

from collections.abc import Mapping, Sequence

from unitd.graph import assemble
from unitd.graph.files import Entry, Folder, Unreadable
from unitd.model.config import Config
from unitd.model.unit import Unit
from unitd.syntax.specifiers import HostFacts

DIRECTORY = "/units"
FACTS = HostFacts()
LINK = "->"

USUAL: Mapping[str, str] = {
    "sysinit.target": "[Unit]\nDescription=early",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\nRefuseManualStart=yes",
    "poweroff.target": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target",
    "exit.target": "[Unit]\nDefaultDependencies=no\nRequires=shutdown.target\nAfter=shutdown.target",
}
"""What units with default dependencies need."""


class Files:
    """A UnitFiles over a table of texts, as of the moment it is made."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)
        self._aliases: dict[str, list[str]] = {}
        self._folders: dict[str, list[Entry]] = {}
        for name, text in sorted(self._texts.items()):
            folder, slash, _ = name.partition("/")
            if slash:
                self._folders.setdefault(folder, []).append(self._entry(name))
            elif text.startswith(LINK):
                self._aliases.setdefault(text.removeprefix(LINK).strip(), []).append(name)

    def _entry(self, name: str) -> Entry:
        text = self._texts[name]
        return Entry(f"{DIRECTORY}/{name}", text.removeprefix(LINK).strip() if text.startswith(LINK) else "")

    def entry(self, name: str) -> Entry | None:
        return self._entry(name) if name in self._texts else None

    def aliases(self, name: str) -> Sequence[str]:
        return self._aliases.get(name, [])

    def folders(self, name: str) -> Sequence[Folder]:
        entries = self._folders.get(name)
        return [Folder(0, entries)] if entries else []

    def read(self, path: str) -> bytes:
        text = self._texts.get(path.removeprefix(f"{DIRECTORY}/"))
        if text is None:
            raise Unreadable("no such file", missing=True)
        return text.encode()


class Source:
    """The engine's UnitSource; `texts` may be changed, `loads` counts how often each unit was read."""

    def __init__(self, texts: Mapping[str, str], config: Config | None = None) -> None:
        self.texts = dict(texts)
        self.loads: dict[str, int] = {}
        self._config = config or Config()
        self._files = Files(self.texts)

    def load(self, name: str) -> Unit:
        self.loads[name] = self.loads.get(name, 0) + 1
        return assemble.load(name, self._files, FACTS, self._config)

    def refresh(self) -> None:
        self._files = Files(self.texts)

    def afresh(self) -> "Source":
        return Source(self.texts, self._config)

    def is_gone(self, unit: Unit) -> bool:
        return bool(unit.fragment) and self._files.entry(unit.name) is None

    def changed_since_load(self, unit: Unit) -> bool:
        return False
