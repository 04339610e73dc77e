"""A call and what may become of it, as values."""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec import Struct

from unitd.model.events import Caller, Request
from unitd.model.refusals import Kind, Refusal


class Credentials(Struct, frozen=True):
    """Who is at the other end, as the kernel or the bus daemon tells; uid -1: not known, may do nothing."""

    uid: int
    pid: int = 0
    gids: tuple[int, ...] = ()


class Call(Struct, frozen=True):
    """A method call; interface "" when the caller named none."""

    path: str
    interface: str
    member: str
    signature: str
    body: tuple[Any, ...]
    by: Credentials

    @property
    def caller(self) -> Caller:
        return Caller(uid=self.by.uid, pid=self.by.pid, what="D-Bus")


class Reply(Struct, frozen=True):
    signature: str = ""
    body: tuple[Any, ...] = ()


class Fault(Struct, frozen=True):
    """`kind` becomes the dialect's error name; None: our own failure, which has no better name than Failed."""

    kind: Kind | None
    text: str


class Ask(Struct, frozen=True):
    """The engine has to be asked: `request` makes the event for a token; `then` judges what it answered."""

    request: Callable[[int], Request]
    then: Callable[[Any], "Outcome"]


class Enrol(Struct, frozen=True):
    """The caller wants signals, or no more."""

    wanted: bool


class ExitWith(Struct, frozen=True):
    """The daemon is to exit with this code."""

    code: int


class LogAt(Struct, frozen=True):
    """The daemon's own log is to keep what is at least this urgent."""

    level: str


class Hold(Struct, frozen=True):
    """The caller refers to a unit, or does no more; every reference is taken back by itself."""

    unit: str
    wanted: bool


Outcome: TypeAlias = Reply | Fault | Ask | Enrol | ExitWith | LogAt | Hold


def fault(refusal: Refusal) -> Fault:
    """The refusal as the caller is told it."""
    return Fault(refusal.kind, str(refusal))
