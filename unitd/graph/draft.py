"""A unit while its files are being put together; becomes a frozen model Unit at the end."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from unitd.model.dependencies import Dep
from unitd.model.problems import Problem
from unitd.model.settings import SETTINGS
from unitd.model.unit import Origin


@lru_cache(maxsize=1024)
def _one(other: str, origin: Origin) -> Mapping[str, Origin]:
    return {other: origin}


class Draft:
    """`places`: the file and line that had the last word on each setting; `whole`: what stands for the unit itself.

    `mounts`: paths that must be mounted.
    """

    __slots__ = (
        "aliases",
        "defaults",
        "deps",
        "mounts",
        "name",
        "places",
        "problems",
        "settings",
        "type",
        "user",
        "whole",
    )

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
        self.whole = ("", 0)
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

    def shared_deps(self) -> dict[Dep, Mapping[str, Origin]]:
        """The dependencies; kinds with one edge, which thousands of units have alike, share it."""
        return {kind: _one(*next(iter(row.items()))) if len(row) == 1 else row for kind, row in self.deps.items()}

    def problem(self, setting: str, reason: str, *, fatal: bool = False) -> None:
        """A fault found after reading, with the place of the setting's last line, or of the unit itself."""
        file, line = self.places.get(setting, self.whole)
        self.problems.append(Problem(self.name, file, line, f"{setting}=" if setting else "", reason, fatal))
