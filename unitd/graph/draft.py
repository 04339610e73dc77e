"""A unit while its files are being put together; becomes a frozen model Unit at the end."""

from typing import Any

from unitd.model.dependencies import Dep
from unitd.model.problems import Problem
from unitd.model.settings import SETTINGS
from unitd.model.unit import Origin


class Draft:
    """`places`: the file and line that had the last word on each setting. `mounts`: paths that must be mounted."""

    __slots__ = ("aliases", "defaults", "deps", "mounts", "name", "places", "problems", "settings", "type", "user")

    def __init__(self, name: str, aliases: tuple[str, ...], user: bool) -> None:
        self.name = name
        self.aliases = aliases
        self.type = name[name.rindex(".") + 1 :]
        self.user = user
        self.defaults = SETTINGS[self.type]
        self.settings: dict[str, Any] = {}
        self.deps: dict[Dep, dict[str, Origin]] = {}
        self.mounts: dict[str, Origin] = {}
        self.places: dict[str, tuple[str, int]] = {}
        self.problems: list[Problem] = []

    def get(self, name: str) -> Any:
        """The setting, or its default."""
        try:
            return self.settings[name]
        except KeyError:
            return self.defaults[name].default

    def depend(self, kind: Dep, other: str, origin: Origin) -> None:
        """A dependency on another unit; one on itself is left out."""
        if other == self.name or other in self.aliases:
            return
        row = self.deps.get(kind)
        if row is None:
            self.deps[kind] = {other: origin}
        elif other in row:
            row[other] |= origin
        else:
            row[other] = origin

    def mount(self, path: str, origin: Origin) -> None:
        """The mount units of a path are wanted and waited for."""
        self.mounts[path] = self.mounts.get(path, origin) | origin

    def problem(self, setting: str, reason: str, *, fatal: bool = False) -> None:
        """A fault found after reading, with the place of the setting's last line."""
        file, line = self.places.get(setting, ("", 0))
        self.problems.append(Problem(self.name, file, line, f"{setting}=" if setting else "", reason, fatal))
