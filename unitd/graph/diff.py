"""What a reload changed: units by name, before and after."""

from collections.abc import Mapping

from msgspec import Struct

from unitd.model.states import Load
from unitd.model.unit import Unit


class Diff(Struct, frozen=True):
    """Real names, sorted. A unit counts as there when a file or the daemon itself describes it."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff(before: Mapping[str, Unit], after: Mapping[str, Unit]) -> Diff:
    """The difference between two sets of loaded units, by real name."""
    old = {name for name, unit in before.items() if unit.load is not Load.NOT_FOUND}
    new = {name for name, unit in after.items() if unit.load is not Load.NOT_FOUND}
    return Diff(
        added=tuple(sorted(new - old)),
        removed=tuple(sorted(old - new)),
        changed=tuple(sorted(name for name in old & new if before[name] != after[name])),
    )
