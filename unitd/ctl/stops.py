"""The stops under way as the daemon last told of them (ShutdownProgress): what was told of each unit, and when."""

import time
from collections.abc import Collection

from unitd.wire.drawing import Dated, printable, table
from unitd.wire.progress import NEVER, Progress


class Stops:
    """What is known of each unit that is being stopped."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Progress, float]] = {}

    def take(self, one: Progress) -> None:
        """What is told replaces what was told before; of all that is left, it replaces all."""
        if not one.unit:
            self._told.clear()
        self._told.pop("", None)
        self._told[one.unit] = (one, time.monotonic())

    def forget(self, unit: str) -> None:
        """It is stopped."""
        self._told.pop(unit, None)

    def __contains__(self, unit: object) -> bool:
        return unit in self._told

    def latest(self) -> Dated | None:
        """What came last."""
        if not self._told:
            return None
        one, came = max(self._told.values(), key=lambda dated: dated[1])
        return one, _since(came)

    def text(self, unit: str) -> str:
        """What was told of a unit in words, as of now."""
        one, came = self._told[unit]
        return printable(one.text(passed_us=_since(came)))

    def told(self, among: Collection[str]) -> list[tuple[str, str, str]]:
        """(unit, phase, in words) of these units."""
        return [(unit, self._told[unit][0].phase, f"{unit}: {self.text(unit)}") for unit in self.in_order(among)]

    def in_order(self, among: Collection[str] | None = None) -> list[str]:
        """The units, those first whose time is up first."""
        names = self._told.keys() if among is None else self._told.keys() & set(among)
        return sorted(names, key=lambda name: (self._due(name), name))

    def drawing(self, rows: int, among: Collection[str] | None = None) -> list[str]:
        """The table of these units, in no more than so many rows."""
        dated = [self._told[name] for name in self.in_order(among)]
        return table([(one, _since(came)) for one, came in dated], rows)

    def _due(self, name: str) -> float:
        one, came = self._told[name]
        return came + one.left_us / 1e6 if one.left_us < NEVER else float("inf")


def _since(came: float) -> int:
    return int((time.monotonic() - came) * 1e6)
