"""The fork server may die, be absent, or be flooded: every request is answered, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.host.host import CgroupEmpty, Execed, ProcessExited, Spawned, SpawnFailed, World
from unitd.host import processes
from unitd.model.exec_plan import Stdio


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


async def test_a_dead_server_is_replaced(here: World) -> None:
    await here.run("/bin/true")
    first = here.host.spawner.fork_server.pid
    os.kill(first, signal.SIGKILL)
    end = await here.run("/bin/true", unit="b.service")
    assert isinstance(end, ProcessExited)
    await here.run("/bin/true", unit="c.service")
    assert here.host.spawner.fork_server.pid != first


async def test_every_request_is_answered_whenever_the_server_dies(here: World) -> None:
    units = [f"a{index}.service" for index in range(100)]
    for unit in units:
        here.spawn("/bin/sleep", "100", unit=unit)
    await here.told(Execed, units[10])
    os.kill(here.host.spawner.fork_server.pid, signal.SIGKILL)
    await here.until(lambda: all(here.all(Execed, unit) or here.all(SpawnFailed, unit) for unit in units))
    failed = [unit for unit in units if here.all(SpawnFailed, unit)]
    assert all(here.all(SpawnFailed, unit)[0].stage == "fork" for unit in failed)
    await here.until(lambda: all(child.settled and not child.failed for child in here.host.children))
    alive = [unit for unit in units if here.host.groups.members(unit)]
    assert alive == [unit for unit in units if unit not in failed]
    assert not [unit for unit in units if len(here.all(Spawned, unit)) > 1]


async def test_a_server_that_keeps_dying_is_done_without(here: World) -> None:
    here.host.spawner.fork_server.executor = "/no/such/folder"
    for round in range(5):
        unit = f"a{round}.service"
        end = await here.run("/bin/sh", "-c", "exit 4", unit=unit)
        assert isinstance(end, ProcessExited)
        assert end.exit.status == 4
        here.spawn("/no/such/program", unit=f"b{round}.service")
        assert (await here.told(SpawnFailed, f"b{round}.service")).stage == "exec"


async def test_two_hundred_at_once(here: World) -> None:
    units = [f"a{index}.service" for index in range(200)]
    for unit in units:
        here.spawn("/bin/true", unit=unit)
    for unit in units:
        await here.told(CgroupEmpty, unit)
    assert len(here.host.children) == 0


async def test_one_that_hangs_delays_no_other(here: World, tmp_path: Path) -> None:

    os.mkfifo(tmp_path / "nobody")
    here.spawn("/bin/true", stdio=Stdio(input=f"file:{tmp_path}/nobody", output="null"))
    await here.told(Spawned)
    await here.run("/bin/true", unit="b.service")
    assert not here.all(Execed)
    here.kill(signal.SIGKILL)
    await here.told(CgroupEmpty)


async def test_no_descriptor_is_left(here: World) -> None:
    await here.run("/bin/true", unit="warm.service")
    server = here.host.spawner.fork_server.pid
    before = open_files(os.getpid()), open_files(server)
    for index in range(30):
        here.spawn("/bin/true", unit=f"a{index}.service")
        here.spawn("/no/such/program", unit=f"b{index}.service")
        here.kill(signal.SIGTERM, f"a{index}.service")
    for index in range(30):
        await here.told(CgroupEmpty, f"a{index}.service")
        await here.told(SpawnFailed, f"b{index}.service")
    await here.until(lambda: not len(here.host.children))
    while (open_files(os.getpid()), open_files(server)) != before:
        await asyncio.sleep(0)


async def test_the_server_hears_no_terminal(here: World) -> None:
    await here.run("/bin/true")
    server = here.host.spawner.fork_server.pid
    assert os.getsid(server) == server
    assert "unitd/executor" in processes.command_line(server)
    assert processes.cgroup(server).endswith("/init.scope")
