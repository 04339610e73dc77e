"""The loaded units and all edges between them, seen from both ends.

Owned and changed by the engine alone. An edge is stored where it is stated, and under the name at its other end; so a
unit that is loaded later finds who named it, under whatever alias. A target is ordered after what it pulls in, unless
either side has DefaultDependencies=no or the target is ordered before the other one already (systemd.target(5)); that
is worked out when it is asked for, edge by edge, and nothing is stored.
"""

from collections.abc import Iterable
from typing import Final

from unitd.model import settings
from unitd.model.dependencies import INVERSE, KINDS, Atom, Dep
from unitd.model.states import Load
from unitd.model.unit import Unit

_PULLS: Final = (Dep.REQUIRES, Dep.REQUISITE, Dep.WANTS, Dep.BINDS_TO, Dep.UPHOLDS)
_PULLED: Final = tuple(INVERSE[kind] for kind in _PULLS)
_TARGET: Final = ".target"
_ORDERED_BY_DEFAULT: Final = (Dep.AFTER, Dep.BEFORE)


class Index:
    """Units by name, and their neighbours by kind of dependency or by what a dependency does."""

    def __init__(self) -> None:
        self._units: dict[str, Unit] = {}
        self._real: dict[str, str] = {}
        self._inverse: dict[str, dict[Dep, dict[str, None]]] = {}
        self._deps: dict[tuple[str, Dep], tuple[str, ...]] = {}
        self._related: dict[tuple[str, Atom], tuple[str, ...]] = {}
        self._cached: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._units)

    def __contains__(self, name: str) -> bool:
        return self.real(name) in self._units

    def add(self, unit: Unit) -> None:
        """Take in a unit, or put it in the place of the one with the same name."""
        if unit.name in self._units:
            self.remove(unit.name)
        self._units[unit.name] = unit
        for alias in unit.aliases:
            self._real[alias] = unit.name
        for kind, others in unit.deps.items():
            back = INVERSE[kind]
            for other in others:
                self._inverse.setdefault(other, {}).setdefault(back, {})[unit.name] = None
        self._forget(unit)

    def remove(self, name: str) -> None:
        """Forget a unit; who named it is remembered for when it comes back."""
        unit = self._units.pop(self.real(name), None)
        if unit is None:
            return
        self._forget(unit)
        for alias in unit.aliases:
            self._real.pop(alias, None)
        for kind, others in unit.deps.items():
            back = INVERSE[kind]
            for other in others:
                self._drop(other, back, unit.name)

    def _drop(self, name: str, kind: Dep, other: str) -> None:
        rows = self._inverse[name]
        del rows[kind][other]
        if not rows[kind]:
            del rows[kind]
        if not rows:
            del self._inverse[name]

    def _forget(self, unit: Unit) -> None:
        """Answers about a unit and its neighbours are worked out again."""
        if not self._cached:
            return
        self._forget_one(unit.name)
        for alias in unit.aliases:
            self._forget_one(alias)
        for name in self._neighbours(unit):
            self._forget_one(name)

    def _forget_one(self, name: str) -> None:
        name = self.real(name)
        if self._cached.pop(name, False):
            for kind in Dep:
                self._deps.pop((name, kind), None)
            for atom in Atom:
                self._related.pop((name, atom), None)

    def _neighbours(self, unit: Unit) -> Iterable[str]:
        for others in unit.deps.values():
            yield from others
        for name in (unit.name, *unit.aliases):
            for backs in self._inverse.get(name, {}).values():
                yield from backs

    def find(self, name: str) -> Unit | None:
        """The loaded unit of that name or alias."""
        return self._units.get(name) or self._units.get(self._real.get(name, ""))

    def real(self, name: str) -> str:
        """The real name behind an alias; a name that no loaded unit has stays as it is."""
        return name if name in self._units else self._real.get(name, name)

    def names(self) -> list[str]:
        """The real names of all loaded units, sorted."""
        return sorted(self._units)

    def deps(self, name: str, kind: Dep) -> tuple[str, ...]:
        """The real names at the other ends of a unit's edges of a kind, whichever side states them, sorted."""
        name = self.real(name)
        found = self._deps.get((name, kind))
        if found is None:
            others = self._stated(name, kind)
            if kind in _ORDERED_BY_DEFAULT:
                others |= self._by_default(name, kind)
            found = tuple(sorted(others))
            self._deps[name, kind] = found
            self._cached[name] = True
        return found

    def related(self, name: str, atom: Atom) -> tuple[str, ...]:
        """The real names that a behaviour of dependencies leads to, sorted."""
        name = self.real(name)
        found = self._related.get((name, atom))
        if found is None:
            kinds = KINDS[atom]
            if len(kinds) == 1:
                found = self.deps(name, kinds[0])
            else:
                found = tuple(sorted({other for kind in kinds for other in self.deps(name, kind)}))
            self._related[name, atom] = found
            self._cached[name] = True
        return found

    def _stated(self, name: str, kind: Dep) -> set[str]:
        """Edges that a unit states, from either side."""
        unit = self._units.get(name)
        names = (name, *unit.aliases) if unit is not None else (name,)
        others = {self.real(other) for one in names for other in self._inverse.get(one, {}).get(kind, ())}
        if unit is not None:
            others.update(self.real(other) for other in unit.deps.get(kind, ()))
        others.discard(name)
        return others

    def _by_default(self, name: str, kind: Dep) -> set[str]:
        """The default order between a target and what it pulls in."""
        if kind is Dep.AFTER:
            if not name.endswith(_TARGET) or not self._joins_default_order(name):
                return set()
            pulled = {other for pull in _PULLS for other in self._stated(name, pull)}
            already = self._stated(name, Dep.BEFORE) if pulled else set()
            return {one for one in pulled - already if self._joins_default_order(one) and self._leads(name, one)}
        if not self._joins_default_order(name):
            return set()
        targets = {one for pull in _PULLED for one in self._stated(name, pull) if one.endswith(_TARGET)}
        already = self._stated(name, Dep.AFTER) if targets else set()
        return {one for one in targets - already if self._joins_default_order(one) and self._leads(one, name)}

    def _leads(self, target: str, other: str) -> bool:
        """Of two targets that pull each other in, only one is ordered after the other: the first by name."""
        if not other.endswith(_TARGET) or target < other:
            return True
        return not any(target in self._stated(other, pull) for pull in _PULLS)

    def _joins_default_order(self, name: str) -> bool:
        unit = self._units.get(name)
        return unit is not None and unit.load is Load.LOADED and bool(settings.value(unit, "DefaultDependencies"))
