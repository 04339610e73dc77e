"""What the parts of the host ask of each other and of the runtime, so that each can be tested alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from unitd.model.events import Event


class Post(Protocol):
    """Queue an event for the engine; `then` is called once the engine has handled it."""

    def __call__(self, event: Event, then: Callable[[], None] | None = None) -> None: ...


class LogSink(Protocol):
    def stdout_path(self, unit: str) -> str:
        """The FIFO that the unit's processes print to; "" when there is none, and output is thrown away."""


class SocketSource(Protocol):
    def descriptors(self, unit: str) -> list[tuple[int, str]]:
        """The open descriptors of a socket unit with their names; they stay the owner's."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every process gets. `environment`: below all others; `notify`: the path of NOTIFY_SOCKET, or ""."""

    logs: LogSink
    sockets: SocketSource
    environment: Mapping[str, str]
    notify: str = ""
