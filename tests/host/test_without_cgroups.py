"""Without cgroups: the same answers, by descent, invocation id and start times."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.host.host import CgroupEmpty, Execed, ProcessExited, Signalled, Spawned, World
from tests.host.test_kill import ESCAPE
from unitd.model.effects import KillEverything, Verify
from unitd.model.events import Survivors


async def test_from_start_to_end(bare: World) -> None:
    bare.spawn("/bin/true")
    await bare.told(CgroupEmpty)
    assert [type(event) for event in bare.events] == [Spawned, Execed, ProcessExited, CgroupEmpty]


async def test_a_double_fork_is_found(bare: World) -> None:
    bare.python(ESCAPE)
    await bare.told(ProcessExited)
    bare.kill(signal.SIGTERM)
    assert len((await bare.told(Signalled)).sent) >= 1
    await bare.told(CgroupEmpty)
    bare.host.perform(Verify())
    assert (await bare.told(Survivors)).left == ()


async def test_a_process_without_its_mark_is_found_by_descent(bare: World) -> None:
    bare.spawn("/bin/sh", "-c", "env -i sleep 100 & wait")
    await bare.told(Execed)
    while len(bare.host.groups.members("a.service")) < 2:
        await asyncio.sleep(0)
    bare.kill(signal.SIGTERM, pids=(bare.all(Spawned)[0].pid,))
    assert len((await bare.told(Signalled)).sent) == 2
    await bare.told(CgroupEmpty)


async def test_units_are_told_apart(bare: World) -> None:
    bare.spawn("/bin/sleep", "100", unit="a.service")
    bare.spawn("/bin/sleep", "100", unit="b.service")
    await bare.told(Execed, "a.service")
    await bare.told(Execed, "b.service")
    bare.kill(signal.SIGTERM, "a.service")
    await bare.told(CgroupEmpty, "a.service")
    pid = bare.all(Spawned, "b.service")[0].pid
    assert bare.host.groups.members("b.service") == [pid]
    assert not bare.all(ProcessExited, "b.service")


async def test_the_last_resort(bare: World) -> None:
    bare.python(ESCAPE)
    await bare.told(ProcessExited, count=1)
    bare.host.perform(KillEverything(signal.SIGKILL))
    await bare.told(CgroupEmpty)


async def test_nothing_foreign_is_a_unit_s(bare: World) -> None:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        bare.spawn("/bin/true")
        await bare.told(CgroupEmpty)
        assert bare.host.groups.everyone() == {}
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def test_an_orphan_without_its_mark_is_claimed(bare: World, tmp_path: Path) -> None:
    """It cleared its environment and left its parent and session; then the unit's file names it."""
    file = tmp_path / "pid"
    bare.spawn("/bin/sh", "-c", f"env -i setsid sh -c 'echo $$$$ >{file}; exec sleep 100' & exit 0")
    await bare.told(ProcessExited)
    while not file.exists() or not file.read_text().endswith("\n"):
        await asyncio.sleep(0)
    pid = int(file.read_text())
    groups = bare.host.groups
    assert not groups.claim("a.service", os.getpid())
    assert not groups.claim("a.service", bare.host.spawner.server)
    assert groups.unit_of(pid) or groups.claim("b.service", pid)
    unit = groups.unit_of(pid)
    assert groups.members(unit) == [pid]
    assert not groups.claim("c.service", pid)
    bare.kill(signal.SIGKILL, unit, sure=True)
    await bare.until(lambda: groups.members(unit) == [])
