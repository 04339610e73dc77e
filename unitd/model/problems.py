"""What is wrong with a unit's file: a value with its place, turned into words once."""

from msgspec import Struct


class Problem(Struct, frozen=True):
    """One fault in one file; `fatal` when the unit cannot be used because of it. `line` 0: the file as a whole."""

    unit: str
    file: str
    line: int
    setting: str
    reason: str
    fatal: bool = False

    @property
    def place(self) -> str:
        """file:line, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        verb = "cannot use" if self.fatal else "cannot use all of"
        setting = f"{self.setting}: " if self.setting else ""
        place = f"{self.place}: " if self.file else ""
        return f"{verb} {self.unit}: {place}{setting}{self.reason}"
