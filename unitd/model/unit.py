"""A unit as its files describe it: one frozen value, made by graph/assemble, kept until the next reload.

`settings` holds only what the files say; a setting that is not there has the default of model/settings.
"""

from collections.abc import Mapping
from enum import IntFlag
from typing import Any

from msgspec import Struct, field

from unitd.model.dependencies import Dep
from unitd.model.problems import Problem
from unitd.model.states import Load


class Origin(IntFlag):
    """Who says that a dependency exists."""

    FILE = 1
    DEFAULT = 2
    IMPLICIT = 4
    MOUNT_FILE = 8


class Unit(Struct, frozen=True):
    """One unit, its files merged. `name` is its real name; `aliases` are all the other names it answers to."""

    name: str
    aliases: tuple[str, ...] = ()
    load: Load = Load.LOADED
    fragment: str = ""
    dropins: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    deps: Mapping[Dep, Mapping[str, Origin]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    transient: bool = False

    @property
    def type(self) -> str:
        """The unit type, e.g. "service"."""
        return self.name.rpartition(".")[2]

    @property
    def fatal(self) -> Problem | None:
        """Why the unit cannot be used, when it cannot."""
        return next((p for p in self.problems if p.fatal), None)
