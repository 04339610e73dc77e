"""The daemon's sub-tree: where it is, what is found in it again, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from pathlib import Path

from msgspec.structs import replace

from tests.conftest import cgroup2_mount
from tests.host.host import CgroupEmpty, Execed, ProcessExited, Spawned, World, world
from unitd.host import processes
from unitd.host.cgroups import INIT_SCOPE, Cgroups
from unitd.host.children import Children
from unitd.host.reaper import Reaper
from unitd.model.effects import Adoptee, Release
from unitd.model.events import Exit, How, LeftBehind
from unitd.model.exec_plan import Role, Stdio
from unitd.syntax.unit_name import path_escape

BOOT = "f" * 32


def relative(cgroup: Path) -> str:
    mount = cgroup2_mount()
    assert mount is not None
    return f"/{cgroup.relative_to(mount)}"


async def test_the_daemon_sits_in_its_own_scope(here: World, cgroup: Path, tmp_path: Path) -> None:
    root = cgroup / f"unitd-{path_escape(str(tmp_path))}"
    assert isinstance(here.host.groups, Cgroups)
    assert here.host.groups.root == str(root)
    assert processes.cgroup(os.getpid()).endswith(f"/{root.name}/{INIT_SCOPE}")
    assert (tmp_path / "cgroup").read_text() == f" {root}\n"


async def test_nothing_stays(cgroup: Path, tmp_path: Path) -> None:
    before = processes.cgroup(os.getpid())
    async with world(tmp_path, relative(cgroup)) as here:
        await here.run("/bin/true")
        await here.told(CgroupEmpty)
    assert processes.cgroup(os.getpid()) == before
    assert [entry for entry in cgroup.iterdir() if entry.is_dir()] == []


async def test_a_released_cgroup_is_gone(here: World) -> None:
    await here.run("/bin/true")
    await here.told(CgroupEmpty)
    here.host.perform(Release("a.service"))
    assert here.host.groups.units() == {}
    await here.run("/bin/true")
    await here.told(CgroupEmpty, count=2)


async def test_one_that_was_emptied_while_frozen_is_not_found_frozen(here: World) -> None:
    """The last process died during the freeze, and the cgroup was given back before the thaw."""
    groups = here.host.groups
    procs = Path(groups.realise("a.service", "system.slice/a.service"))
    assert await groups.freeze("a.service")
    groups.release("a.service")
    groups.thaw("a.service")
    assert groups.realise("a.service", "system.slice/a.service") == str(procs)
    assert procs.with_name("cgroup.freeze").read_text() == "0\n"
    await here.run("/bin/true")


async def test_one_that_is_in_use_is_not_released(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    await here.told(Execed)
    here.host.perform(Release("a.service"))
    assert here.host.groups.units() == {"a.service": "system.slice/a.service"}
    assert here.warnings == []
    await here.stopped()


async def test_who_is_spared_is_named(here: World) -> None:
    here.host.perform(Release("a.service", spared=True))
    here.spawn("/bin/sleep", "100")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    here.host.perform(Release("a.service", spared=True))
    left = await here.told(LeftBehind)
    assert [one.pid for one in left.left] == [pid]
    await here.stopped()


async def test_emptiness_is_told_once_and_after_every_exit(here: World) -> None:
    here.spawn("/bin/sleep", "100", serial=1)
    await here.told(Spawned)
    here.spawn("/bin/true", serial=2)
    await here.told(ProcessExited)
    assert not here.all(CgroupEmpty)
    await here.stopped()
    await here.told(ProcessExited, count=2)
    kinds = [type(event) for event in here.events if isinstance(event, ProcessExited | CgroupEmpty)]
    assert kinds == [ProcessExited, ProcessExited, CgroupEmpty]


async def test_the_next_daemon_finds_the_units_again(cgroup: Path, tmp_path: Path) -> None:
    async with world(tmp_path, relative(cgroup), BOOT) as first:
        first.spawn("/bin/sleep", "100")
        spawned = await first.told(Spawned)
        await first.told(Execed)
        await first.host.groups.freeze("a.service")
        # The daemon dies: what it held is closed, and nothing is cleaned up.
        first.host.spawner.close()
        await first.host.reaper.close(first.host.spawner.fork_server.pid)
        async with world(tmp_path, "/", BOOT) as second:
            assert second.host.groups.units() == {"a.service": "system.slice/a.service"}
            adoptee = Adoptee(1, spawned.pid, spawned.birth, Role.MAIN, True, "sleep")
            assert not second.host.adopt("a.service", "", replace(adoptee, birth=spawned.birth + 1))
            assert not second.host.adopt("b.service", "", replace(adoptee, birth=0))
            assert second.host.adopt("a.service", "", adoptee)
            second.kill(signal.SIGTERM)
            assert (await second.told(ProcessExited)).exit == Exit(How.KILLED, signal.SIGTERM)
            await second.told(CgroupEmpty)
        first.host.children.remove(spawned.pid)


async def test_the_status_of_a_process_that_is_not_our_child() -> None:
    """As PID 1 does, its parent reaps it; the pidfd keeps the status."""
    loop = asyncio.get_running_loop()
    ready, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        child = os.fork()
        if child == 0:
            signal.pause()
        os.write(tell, str(child).encode())
        os.waitpid(child, 0)
        signal.pause()
    try:
        pid = int(os.read(ready, 20))
        told = loop.create_future()
        reaper = Reaper(
            loop,
            lambda event, then=None: told.set_result(event),
            Children(),
            unit_of=lambda pid: "",
            is_waiting=lambda: False,
            reaped=lambda pid, unit: None,
            server=lambda: 0,
        )
        reaper.watch("a.service", pid)
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            event = await told
        assert event.exit in (Exit(How.KILLED, signal.SIGTERM), Exit(How.EXITED, 255))
        await reaper.close()
    finally:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        os.close(ready)
        os.close(tell)


async def test_a_terminal_becomes_the_controlling_one(here: World) -> None:
    ours, theirs = pty.openpty()
    try:
        here.spawn(
            "/bin/sh",
            "-c",
            "read line; echo got $line > /dev/tty; echo $TERM",
            stdio=Stdio("tty", "tty", "inherit", tty=os.ttyname(theirs)),
        )
        await here.told(Execed)
        os.write(ours, b"text\n")
        await here.told(ProcessExited)
        assert os.read(ours, 200).split() == [b"text", b"got", b"text", b"vt220"]
    finally:
        os.close(ours)
        os.close(theirs)
