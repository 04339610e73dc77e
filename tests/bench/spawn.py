"""Milliseconds per spawn, from asking to reaped and released, and the longest stall of the loop.

Run as root: `python -m tests.bench spawn`. Also: 1000 processes killed and verified in one unit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Figure, report
from tests.conftest import cgroup2_mount, own_cgroup, remove_cgroup
from tests.host.host import World, world
from unitd.model.effects import Release, Verify
from unitd.model.events import CgroupEmpty, Execed, Signalled, Survivors

FORKS = "import os, signal\nfor _ in range({0}):\n    if os.fork() == 0:\n        break\nsignal.pause()"


class Stalls:
    """The longest time that the loop did not come round, sampled whenever it does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._last, self.longest = loop, time.monotonic(), 0.0
        self._again()

    def _again(self) -> None:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now
        self._timer = self._loop.call_later(0.0005, self._again)

    def close(self) -> None:
        self._timer.cancel()


async def rounds(here: World, count: int) -> None:
    """`count` units that run `true`, all asked for at once; thrice, for the first one warms up."""
    for _ in range(3):
        here.events.clear()
        left = count
        done = asyncio.Event()

        def seen(event: object, done: asyncio.Event = done) -> None:
            nonlocal left
            if isinstance(event, CgroupEmpty):
                here.host.perform(Release(event.unit))
                left -= 1
                if not left:
                    done.set()

        here.on_event = seen
        stalls = Stalls(here.loop)
        began, used = time.monotonic(), time.process_time()
        for index in range(count):
            here.spawn("/bin/true", unit=f"a{index}.service")
            if index % 64 == 63:
                await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await done.wait()
        took, used = time.monotonic() - began, time.process_time() - used
        stalls.close()
        each = f"{1000 * took / count:.3f} ms each, {1000 * used / count:.3f} ms of the daemon's"
        print(f"{count} spawns: {each}")
        report([Figure("a spawn, all in", 1000 * took / count, "ms", 1.2)])
        report([Figure("longest stall of the loop", 1000 * stalls.longest, "ms", 15)])
    here.on_event = lambda event: None


async def tree(here: World, count: int) -> None:
    """One unit of so many processes, killed and verified."""
    here.python(FORKS.format(count - 1), unit="tree.service")
    await here.told(Execed, "tree.service")
    while len(here.host.groups.members("tree.service")) < count:
        await asyncio.sleep(0.01)
    stalls = Stalls(here.loop)
    began = time.monotonic()
    here.kill(signal.SIGKILL, "tree.service", sure=True)
    await here.told(Signalled, "tree.service")
    sent = time.monotonic()
    await here.told(CgroupEmpty, "tree.service")
    empty = time.monotonic()
    here.host.perform(Verify())
    left = (await here.told(Survivors)).left
    end = time.monotonic()
    stalls.close()
    steps = {"signalled": sent, "empty": empty, "verified": end}
    words = ", ".join(f"{step} after {1000 * (at - began):.0f} ms" for step, at in steps.items())
    print(f"{count} processes: {words}, {len(left)} left, longest stall {1000 * stalls.longest:.1f} ms")
    report([Figure(f"{count} processes killed and verified", end - began, "s", 0.1)])


async def main(count: int) -> None:
    group, mount = own_cgroup(), cgroup2_mount()
    if group is None or mount is None:
        sys.exit("cannot measure: no cgroup2 is mounted here")
    group = group / f"unitd-bench-{os.getpid()}"
    group.mkdir()
    try:
        with tempfile.TemporaryDirectory() as runtime:
            async with world(Path(runtime), f"/{group.relative_to(mount)}") as here:
                await rounds(here, count)
                await tree(here, 1000)
                status = Path(f"/proc/{here.host.spawner.fork_server.pid}/status").read_text()
                print("fork server:", next(line for line in status.splitlines() if line.startswith("VmRSS")))
    finally:
        remove_cgroup(group)


def run() -> bool:
    """Print the figures; the budgets are judged line by line, as a shared machine cannot promise them."""
    asyncio.run(main(1000))
    return True
