"""The sockets of socket units: open while their unit is, watched for traffic until the first sign of it.

They belong to the unit, not to its service: a service gets copies, and closing ours does not close its.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from unitd.host import listening
from unitd.model.effects import SocketPlan
from unitd.model.events import Incoming, ListenFailed, Listening


@dataclass(slots=True)
class _Open:
    """A unit's open sockets by (kind, address), in the plan's order."""

    plan: SocketPlan
    descriptors: dict[tuple[str, str], int] = field(default_factory=dict)
    watched: bool = False


class Sockets:
    """All listening sockets; `warn` hears of options that the kernel refuses."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        post: Callable[[Listening | ListenFailed | Incoming], object],
        warn: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._post = post
        self._warn = warn
        self._units: dict[str, _Open] = {}

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
                descriptors[key] = opened[key] = listening.open_address(plan, *key, refused)
            except OSError as error:
                for descriptor in opened.values():
                    os.close(descriptor)
                self._post(ListenFailed(plan.unit, key[1], error.errno or 0, error.strerror or str(error)))
                return
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

    def close(self) -> None:
        """Close all; the paths stay, as services may still listen on them."""
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
                    os.close(descriptor)
