"""What one directive is: its place, how its text is read, how several lines add up, and whether unitd carries it out.

The rows themselves are in model/rows, one module per man page; model/settings gathers them.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, TypeAlias

from msgspec import Struct

from unitd.model.dependencies import Dep
from unitd.syntax import specifiers
from unitd.syntax.specifiers import HostFacts
from unitd.syntax.values import Bad


class Support(Enum):
    """What unitd does with a directive that it knows."""

    DONE = auto()
    METADATA = auto()
    """There is nothing to carry out."""
    LOSS = auto()
    """Not carried out yet, and harmless: a warning."""
    LIE = auto()
    """Not carried out yet, and ignoring it would pretend a protection: the unit is refused."""


class Fatal(Bad):
    """A value that cannot be read and without which the unit must not run."""


class Context:
    """Whose value is read: the unit, its specifiers, its daemon's directories; and what was left out of the value."""

    __slots__ = ("_fragment", "_names", "_table", "facts", "notes", "unit")

    def __init__(self, unit: str, facts: HostFacts, fragment: str = "") -> None:
        self.unit = unit
        self.facts = facts
        self.notes: list[str] = []
        self._fragment = fragment
        self._names: specifiers.Table | None = None
        self._table: specifiers.Table | None = None

    def expand(self, text: str) -> str:
        """The text with specifiers expanded; raises Bad."""
        if "%" not in text:
            return text
        if self._table is None:
            self._table = specifiers.unit_table(self.unit, self.facts, self._fragment)
        return specifiers.expand(text, self._table)

    def expand_name(self, text: str) -> str:
        """As expand(), with the specifiers that unit names may have; raises Bad."""
        if "%" not in text:
            return text
        if self._names is None:
            self._names = specifiers.name_table(self.unit, self.facts)
        return specifiers.expand(text, self._names)

    def note(self, reason: str) -> None:
        """A part of the value is left out; the rest counts."""
        self.notes.append(reason)


Parse: TypeAlias = Callable[[str, Context], Any]
Merge: TypeAlias = Callable[[Any, Any], Any]


class Unset:
    """The value that a parser returns for "as if it had not been said"."""


UNSET = Unset()


class Setting(Struct, frozen=True, eq=False):
    """One directive.

    `merge(old, new)`: how a further line adds to the value; None: the last line wins. `resets`: an empty value takes
    back all that was said. `key`: the setting that the line is about, when it is not `name` (ConditionUser= is about
    Conditions). `expands`: the settings that an abbreviation stands for. `asks_nothing`: values of a Support.LIE that
    ask for no protection. `loss`: what a Support.LOSS leaves out, when it is not all. `shared`: few texts occur, and
    without specifiers the value follows from the text alone, so it is read once. `prop`: D-Bus name and signature.
    """

    section: str
    name: str
    parse: Parse
    default: Any
    doc: str
    merge: Merge | None = None
    resets: bool = False
    support: Support = Support.DONE
    prop: tuple[str, str] | None = None
    dep: Dep | None = None
    key: str = ""
    expands: tuple[str, ...] = ()
    asks_nothing: tuple[Any, ...] = ()
    loss: str = "it is not carried out yet"
    shared: bool = False

    @property
    def target(self) -> str:
        """The name in Unit.settings."""
        return self.key or self.name


def extend(old: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list grows by each line."""
    return old + new
