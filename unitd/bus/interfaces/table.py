"""The rows that interfaces are made of."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct

from unitd.bus.calls import Call, Outcome
from unitd.bus.policy import Action
from unitd.bus.ports import World

Arguments: TypeAlias = tuple[tuple[str, str], ...]
"""(name, type) each."""


class Emits(StrEnum):
    """What PropertiesChanged says of a property (D-Bus specification, EmitsChangedSignal)."""

    CONST = "const"
    CHANGE = "true"
    INVALIDATES = "invalidates"
    NONE = "false"


class Method(Struct, frozen=True):
    """`run` gets the call, the world and the object that it is about: a Status, a Job, or None."""

    name: str
    takes: Arguments
    gives: Arguments
    run: Callable[[Call, World, Any], Outcome]
    doc: str
    action: Action

    @property
    def signature(self) -> str:
        return "".join(type for _, type in self.takes)


class Property(Struct, frozen=True):
    """`set`: what becomes of a new value; None: it is read-only."""

    name: str
    type: str
    emits: Emits
    get: Callable[[World, Any], Any]
    doc: str = ""
    set: Callable[[Any], Outcome] | None = None


class Signal(Struct, frozen=True):
    name: str
    gives: Arguments
    doc: str


class Interface(Struct, frozen=True):
    """`own_name`: the name is complete, the dialect puts nothing before it."""

    name: str
    methods: dict[str, Method]
    properties: dict[str, Property]
    signals: dict[str, Signal]
    doc: str = ""
    own_name: bool = False


def interface(
    name: str,
    methods: Iterable[Method] = (),
    properties: Iterable[Property] = (),
    signals: Iterable[Signal] = (),
    doc: str = "",
    *,
    own_name: bool = False,
) -> Interface:
    """An interface of these rows, each kind in the order of its names."""
    return Interface(
        name,
        {row.name: row for row in sorted(methods, key=lambda row: row.name)},
        {row.name: row for row in sorted(properties, key=lambda row: row.name)},
        {row.name: row for row in sorted(signals, key=lambda row: row.name)},
        doc,
        own_name,
    )


def arguments(text: str) -> Arguments:
    """arguments("name:s mode:s") == (("name", "s"), ("mode", "s"))."""
    pairs = (word.partition(":") for word in text.split())
    return tuple((name, type) for name, _, type in pairs)
