"""What a topic module hands back for one case."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Case = Mapping[str, Any]
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The recorded fact and what unitd makes of the same input; equal means passed."""

    expected: object
    got: object

    @property
    def passed(self) -> bool:
        """True when unitd agrees; True never equals 1 here."""
        return _plain(self.expected) == _plain(self.got)


def _plain(value: object) -> object:
    """The value with tuples as lists and booleans told apart from numbers."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value
