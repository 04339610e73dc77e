"""The sockets of socket units: open while their unit is, watched for traffic until the first sign of it.

They belong to the unit, not to its service: a service gets copies, and closing ours does not close its. While they are
open they lie on the shelf too (host/keeper): a daemon that follows one that was killed goes on with the very same.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from unitd.host import listening, reclaim
from unitd.host.keeper import Shelf
from unitd.model.effects import SocketPlan
from unitd.model.events import Incoming, ListenFailed, Listening

_PREFIX = "socket:"


@dataclass(slots=True)
class _Open:
    """A unit's open sockets by (kind, address), in the plan's order."""

    plan: SocketPlan
    descriptors: dict[tuple[str, str], int] = field(default_factory=dict)
    watched: bool = False


class Sockets:
    """All listening sockets; `warn` hears of options that the kernel refuses.

    `served_by(unit)`: the processes of the service that a socket unit is for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Callable[[Listening | ListenFailed | Incoming], object],
        warn: Callable[[str], None],
        shelf: Shelf,
        served_by: Callable[[str], Iterable[int]] = lambda unit: (),
    ) -> None:
        self._loop = loop
        self._post = post
        self._warn = warn
        self._shelf = shelf
        self._served_by = served_by
        self._units: dict[str, _Open] = {}
        self._given: dict[str, int] = {}

    def give(self, fds: Mapping[str, int]) -> None:
        """Descriptors of an earlier daemon, by their names on its shelf: `listen` goes on with them."""
        self._given.update((name, fd) for name, fd in fds.items() if name.startswith(_PREFIX))

    def close_given(self) -> None:
        """Close those that no unit has asked for."""
        for descriptor in self._given.values():
            os.close(descriptor)
        self._given.clear()

    def listen(self, plan: SocketPlan) -> None:
        """Open what is not open yet; answered by Listening, or by ListenFailed with nothing new left open."""
        known = self._units.get(plan.unit)
        opened: dict[tuple[str, str], int] = {}
        descriptors: dict[tuple[str, str], int] = {}

        def refused(what: str) -> None:
            self._warn(f"cannot set an option of {plan.unit}: {what}")

        for key in plan.addresses:
            if known is not None and key in known.descriptors:
                descriptors[key] = known.descriptors[key]
                continue
            try:
                descriptors[key] = opened[key] = self._open(plan, key, refused)
            except OSError as error:
                for descriptor in opened.values():
                    os.close(descriptor)
                self._post(ListenFailed(plan.unit, key[1], error.errno or 0, error.strerror or str(error)))
                return
        for key, descriptor in opened.items():
            self._shelf.hold(_name(plan.unit, key), descriptor)
        self._drop(plan.unit, keep=frozenset(descriptors))
        self._units[plan.unit] = _Open(plan, descriptors)
        listening.link(plan, refused)
        self._post(Listening(plan.unit))

    def watch(self, unit: str) -> None:
        """Post Incoming at the first traffic on any of them, then be silent until asked again."""
        known = self._units.get(unit)
        if known is not None and not known.watched:
            known.watched = True
            for descriptor in known.descriptors.values():
                self._loop.add_reader(descriptor, self._incoming, unit)

    def unwatch(self, unit: str) -> None:
        """Be silent about traffic."""
        known = self._units.get(unit)
        if known is not None and known.watched:
            known.watched = False
            for descriptor in known.descriptors.values():
                self._loop.remove_reader(descriptor)

    def close_unit(self, unit: str, remove: bool) -> None:
        """Close the unit's sockets; `remove`: delete their paths and symbolic links too."""
        known = self._units.get(unit)
        if known is not None:
            self._drop(unit)
            if remove:
                listening.unlink(known.plan)

    def descriptors(self, unit: str) -> list[tuple[int, str]]:
        """What is passed to the unit's service, in order: (descriptor, FileDescriptorName=)."""
        known = self._units.get(unit)
        return [(descriptor, known.plan.name) for descriptor in known.descriptors.values()] if known else []

    def _open(self, plan: SocketPlan, key: tuple[str, str], refused: Callable[[str], None]) -> int:
        """The descriptor that was handed over, or a new one, or that of the unit's own service. OSError."""
        given = self._given.pop(_name(plan.unit, key), -1)
        if given >= 0:
            if listening.is_there(key):
                return given
            os.close(given)
        try:
            return listening.open_address(plan, *key, refused)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            found = reclaim.from_processes(self._served_by(plan.unit), lambda made: listening.is_at(made, key))
            if found is None:
                raise OSError(error.errno, listening.in_use(key), key[1]) from error
            return found

    def close(self) -> None:
        """Close all; the paths stay, as services may still listen on them."""
        self.close_given()
        for unit in list(self._units):
            self._drop(unit)

    def _incoming(self, unit: str) -> None:
        known = self._units.get(unit)
        if known is not None and known.watched:
            self.unwatch(unit)
            self._post(Incoming(unit))

    def _drop(self, unit: str, keep: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.unwatch(unit)
        known = self._units.pop(unit, None)
        if known is not None:
            for key, descriptor in known.descriptors.items():
                if key not in keep:
                    self._shelf.drop(_name(unit, key))
                    os.close(descriptor)


def _name(unit: str, key: tuple[str, str]) -> str:
    """A socket's name on the shelf; `key`: kind and address."""
    return "\0".join((_PREFIX + unit, *key))
