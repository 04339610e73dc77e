"""The stops under way as the daemon last told of them (ShutdownProgress): a report a unit, and the moment it came."""

import time
from collections.abc import Collection

from unitd.wire.drawing import Dated, printable, table
from unitd.wire.progress import NEVER, Report


class Stops:
    """What is known of each unit that is being stopped."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[Report, float]] = {}

    def take(self, report: Report) -> None:
        """A report replaces the one before; one about all that is left replaces all."""
        if not report.unit:
            self._reports.clear()
        self._reports.pop("", None)
        self._reports[report.unit] = (report, time.monotonic())

    def forget(self, unit: str) -> None:
        """It is stopped."""
        self._reports.pop(unit, None)

    def __contains__(self, unit: object) -> bool:
        return unit in self._reports

    def latest(self) -> Dated | None:
        """The report that came last."""
        if not self._reports:
            return None
        report, came = max(self._reports.values(), key=lambda one: one[1])
        return report, _since(came)

    def text(self, unit: str) -> str:
        """The report of a unit in words, of now."""
        report, came = self._reports[unit]
        return printable(report.text(passed_us=_since(came)))

    def told(self, among: Collection[str]) -> list[tuple[str, str, str]]:
        """(unit, phase, in words) of these units."""
        return [(unit, self._reports[unit][0].phase, f"{unit}: {self.text(unit)}") for unit in self.in_order(among)]

    def in_order(self, among: Collection[str] | None = None) -> list[str]:
        """The units, those first whose time is up first."""
        names = self._reports.keys() if among is None else self._reports.keys() & set(among)
        return sorted(names, key=lambda name: (self._due(name), name))

    def drawing(self, rows: int, among: Collection[str] | None = None) -> list[str]:
        """The table of these units, in no more than so many rows."""
        dated = [self._reports[name] for name in self.in_order(among)]
        return table([(report, _since(came)) for report, came in dated], rows)

    def _due(self, name: str) -> float:
        report, came = self._reports[name]
        return came + report.left_us / 1e6 if report.left_us < NEVER else float("inf")


def _since(came: float) -> int:
    return int((time.monotonic() - came) * 1e6)
