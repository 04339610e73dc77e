"""Without cgroups: the same answers, by descent, invocation id and start times."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.host import BOUND_S, CgroupEmpty, Execed, ProcessExited, Signalled, Spawned, World, invocation_of
from tests.host.test_kill import ESCAPE
from tests.host.test_sweep import PARENT
from unitd.host import processes
from unitd.host.children import Child
from unitd.model.effects import KillEverything, Verify
from unitd.model.events import Survivors

BOMB = """
import os, resource, signal, time
os.setgid(61234)
os.setuid(61234)
resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))
end, count = time.monotonic() + 60, 0
while time.monotonic() < end and count < 100000:
    count += 1
    signal.alarm(60)
    try:
        if os.fork() == 0 and count % 2:
            os._exit(0)
    except BlockingIOError:
        pass
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass
"""
"""As many as the limit allows, of a user that nobody else is; the dead are replaced at once."""
BARE = """
import os, sys
heard, told = os.pipe()
if os.fork():
    os.close(told)
    os.read(heard, 1)
    os._exit(0)
if "apart" in sys.argv:
    os.setsid()
if os.fork():
    os._exit(0)
os.execve("/bin/sleep", ["sleep", "100"], {})
"""
"""Ends when what it leaves runs another program, in an empty environment; "apart": in a session of its own."""


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
    assert not groups.claim("a.service", bare.host.spawner.fork_server.pid)
    assert groups.unit_of(pid) or groups.claim("b.service", pid)
    unit = groups.unit_of(pid)
    assert groups.members(unit) == [pid]
    assert not groups.claim("c.service", pid)
    bare.kill(signal.SIGKILL, unit, sure=True)
    await bare.until(lambda: groups.members(unit) == [])


@pytest.mark.skipif(os.getuid() != 0, reason="to be somebody else needs root")
@pytest.mark.parametrize("everything", [False, True])
async def test_a_bomb_under_a_process_limit(bare: World, everything: bool) -> None:
    """The dead make room for those who fork as fast as they may: so all are stopped before any is killed."""
    bare.python(BOMB)
    await bare.told(Execed)
    while len(bare.host.groups.members("a.service")) < 20:
        await asyncio.sleep(0)
    if everything:
        bare.host.perform(KillEverything(signal.SIGKILL))
    else:
        bare.kill(signal.SIGKILL, sure=True)
    await bare.told(CgroupEmpty)
    async with asyncio.timeout(BOUND_S):
        while True:
            bare.host.perform(Verify())
            count = len(bare.all(Survivors)) + 1
            if (await bare.told(Survivors, count=count)) == Survivors():
                break


async def test_a_look_alike_outlives_a_stop(bare: World) -> None:
    """Somebody copied the environment of a service; its parent was there before the daemon was one."""
    parent = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PARENT, invocation_of("a.service")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    try:
        bare.host.kinship.earlier.add((parent.pid, processes.birth(parent.pid)))
        bare.spawn("/bin/sleep", "100")
        main = (await bare.told(Spawned)).pid
        await bare.told(Execed)
        pid = int(parent.stdout.readline())
        assert bare.host.groups.members("a.service") == [main]
        bare.kill(signal.SIGKILL, sure=True)
        await bare.told(CgroupEmpty)
        assert len((await bare.told(Signalled)).sent) == 1
        alike = processes.read(pid)
        assert alike is not None
        assert alike.state == "S"
        os.kill(pid, signal.SIGKILL)
    finally:
        parent.stdout.close()
        parent.kill()
        parent.wait()


async def test_who_left_an_earlier_run_is_still_the_unit_s(bare: World) -> None:
    """Its id is not the unit's last one, and it was never seen before its parents were gone."""
    bare.python(ESCAPE)
    await bare.told(ProcessExited)
    children = bare.host.children
    children.add(Child("a.service", 1 << 22, processes.ticks(), invocation="of a later run"))
    children.remove(1 << 22)
    await members(bare, 1)
    bare.kill(signal.SIGKILL, sure=True)
    await bare.told(CgroupEmpty)


async def test_one_in_the_session_of_the_main_process_is_the_unit_s(bare: World, tmp_path: Path) -> None:
    """Without its environment and its parent: none of the processes between was ever seen."""
    bare.python(BARE)
    await bare.told(ProcessExited)
    (left,) = await members(bare, 1)
    assert processes.invocation(left) == ""
    bare.kill(signal.SIGTERM)
    await bare.told(CgroupEmpty)


async def test_one_that_left_all_behind_is_nobody_s_but_ends_with_the_daemon(bare: World) -> None:
    """What a unit's stop cannot tell: no environment, no session and no parent of the unit's."""
    bare.python(BARE, "apart")
    await bare.told(ProcessExited)
    bare.host.perform(Verify())
    (left,) = (await bare.told(Survivors)).left
    assert (left.unit, left.found) == ("", "child")
    bare.host.perform(KillEverything(signal.SIGTERM))
    async with asyncio.timeout(BOUND_S):
        while (process := processes.read(left.pid)) is not None and process.is_alive:
            await asyncio.sleep(0.005)


async def members(bare: World, count: int) -> list[int]:
    """Wait until the unit has so many."""
    async with asyncio.timeout(BOUND_S):
        while len(found := bare.host.groups.members("a.service")) != count:
            await asyncio.sleep(0)
    return found
