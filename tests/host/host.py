"""A Host on a real kernel, in a sub-tree of the test's own, with an engine that only listens."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from unitd.host.inotify import Inotify
from unitd.host.keeper import Shelf
from unitd.host.perform import Host
from unitd.model.effects import CheckConditions, Kill, Release, Scope, SocketPlan, Spawn
from unitd.model.events import (
    CgroupEmpty,
    ConditionsChecked,
    Event,
    Execed,
    ProcessExited,
    Signalled,
    Spawned,
    SpawnFailed,
)
from unitd.model.exec_plan import ExecPlan, Role, Stdio

BOUND_S = 30.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
E = TypeVar("E", bound=Any)


class Parts:
    """Stands for the logs, sockets and pid files, which these tests are not about."""

    def __init__(self) -> None:
        self.fds: dict[str, list[tuple[int, str]]] = {}
        self.log = ""

    def stdout_path(self, unit: str) -> str:
        return self.log

    def expect(self, unit: str, coming: bool) -> None:
        """Nothing to label."""

    def label(self, unit: str, program: str, pid: int) -> None:
        """Nothing to label."""

    def ended(self, unit: str, pid: int) -> None:
        """Nothing to label."""

    def reopen(self, unit: str, *, labelled: bool) -> bool:
        return False

    def close_fifo(self, unit: str) -> None:
        """Nothing to close."""

    def printed(self, unit: str, count: int) -> list[str]:
        return [f"said by {unit}"][:count]

    def descriptors(self, unit: str) -> list[tuple[int, str]]:
        return self.fds[unit]

    def listen(self, plan: SocketPlan) -> None:
        raise NotImplementedError

    def watch(self, unit: str, path: str = "") -> None:
        raise NotImplementedError

    def unwatch(self, unit: str, path: str = "", remove: bool = False) -> None:
        raise NotImplementedError

    def close_unit(self, unit: str, remove: bool) -> None:
        raise NotImplementedError


def invocation_of(unit: str) -> str:
    """The invocation id that the unit's processes are started with."""
    return hashlib.md5(unit.encode()).hexdigest()


class World:
    """The host under test, and all that it told, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.events: list[Event] = []
        self.warnings: list[str] = []
        self.parts = Parts()
        self._news = asyncio.Event()
        self.host: Host
        self.on_event: Callable[[Event], None] = lambda event: None

    def post(self, event: Event, then: Callable[[], None] | None = None) -> None:
        """As the pump does: handled in a later callback, and what follows, after it."""
        self.loop.call_soon(self._handle, event, then)

    def _handle(self, event: Event, then: Callable[[], None] | None) -> None:
        self.events.append(event)
        self._news.set()
        self.on_event(event)
        if then is not None:
            then()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for events until it holds; TimeoutError after BOUND_S."""
        try:
            async with asyncio.timeout(BOUND_S):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {BOUND_S} s; told were {self.events[-20:]}") from None

    async def told(self, kind: type[E], unit: str = "a.service", count: int = 1) -> E:
        """Wait until `count` events of the kind about the unit were told; the last of them."""
        await self.until(lambda: len(self.all(kind, unit)) >= count)
        return self.all(kind, unit)[count - 1]

    def all(self, kind: type[E], unit: str = "a.service") -> list[E]:
        return [event for event in self.events if isinstance(event, kind) and getattr(event, "unit", unit) == unit]

    def spawn(self, *argv: str, unit: str = "a.service", serial: int = 1, **more: Any) -> None:
        more.setdefault("stdio", Stdio(output="null"))
        more.setdefault("path", argv[0])
        self.host.perform(
            Spawn(
                ExecPlan(
                    unit=unit,
                    serial=serial,
                    role=Role.MAIN,
                    cgroup=f"system.slice/{unit}",
                    argv=argv,
                    invocation=invocation_of(unit),
                    **more,
                )
            )
        )

    async def run(self, *argv: str, **more: Any) -> ProcessExited | SpawnFailed:
        """Spawn and wait for the end, whichever it is."""
        self.spawn(*argv, **more)
        unit = more.get("unit", "a.service")
        await self.until(lambda: bool(self.all(ProcessExited, unit) or self.all(SpawnFailed, unit)))
        return (self.all(ProcessExited, unit) + self.all(SpawnFailed, unit))[-1]

    def python(self, code: str, *arguments: str, **more: Any) -> None:
        """Spawn a Python program."""
        self.spawn(sys.executable, "-I", "-S", "-c", code, *arguments, **more)

    def kill(self, number: int, unit: str = "a.service", scope: Scope = Scope.ALL, **more: Any) -> None:
        self.host.perform(Kill(unit, number, scope, **more))

    async def stopped(self, unit: str = "a.service") -> None:
        """Kill what is left of a unit, and wait until it is empty."""
        self.kill(9, unit, sure=True)
        await self.told(CgroupEmpty, unit)
        self.host.perform(Release(unit))


def no_conditions(asked: CheckConditions) -> ConditionsChecked:
    return ConditionsChecked(asked.unit, asked.serial, (), ())


@asynccontextmanager
async def world(runtime: Path, cgroup: str, boot_id: str = "") -> AsyncIterator[World]:
    """A host below `cgroup` (as in /proc/self/cgroup); at the end everything that it started is killed."""
    loop = asyncio.get_running_loop()
    here = World(loop)
    inotify, shelf = Inotify(loop), Shelf(str(runtime))
    here.host = Host(
        loop,
        here.post,
        inotify,
        runtime_dir=str(runtime),
        logs=here.parts,
        sockets=here.parts,
        pid_files=here.parts,
        conditions=no_conditions,
        environment={"PATH": PATH},
        notify="",
        warn=here.warnings.append,
        shelf=shelf,
        cgroup=cgroup,
        boot_id=boot_id,
    )
    try:
        yield here
        here.host.groups.kill_everyone()
        await here.until(lambda: not len(here.host.children))
    finally:
        here.host.groups.kill_everyone()
        await here.host.close()
        inotify.close()
        shelf.close()
        with contextlib.suppress(ProcessLookupError):
            assert not here.host.groups.everyone()


__all__ = ["CgroupEmpty", "Execed", "ProcessExited", "Signalled", "SpawnFailed", "Spawned", "World", "world"]
