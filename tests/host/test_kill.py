"""Nobody escapes a kill, and the order of sending is from the deepest up."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.host.host import BOUND_S, CgroupEmpty, Execed, ProcessExited, Signalled, Spawned, World
from unitd.host import processes
from unitd.model.effects import GuessMain, KillEverything, Scope, Verify
from unitd.model.events import MainGuessed, Survivors
from unitd.model.exec_plan import Stdio

# A tree of `count` processes that ignore SIGTERM; every third one leaves its parent and its session.
TREE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
left, end = int(sys.argv[1]), time.monotonic() + 60
while left:
    share = (left + 1) // 2
    pid = os.fork()
    if pid == 0:
        if share % 3 == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
        left = share - 1
        continue
    if share % 3 == 0:
        os.waitpid(pid, 0)
    left -= share
os.write(1, b"x")
while time.monotonic() < end:
    signal.sigtimedwait([], 1)
"""

CHAIN = """
import os, time
end = time.monotonic() + 30
while time.monotonic() < end:
    time.sleep(0.001)
    if os.fork():
        os._exit(0)
"""

# 1024 processes at the most, none of which waits for another.
BOMB = """
import os, time
for _ in range(10):
    os.fork()
time.sleep(30)
"""

ESCAPE = """
import os, time
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
time.sleep(60)
"""


async def bytes_from(fd: int, count: int) -> None:
    """Wait until as many bytes came through a pipe."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    got = 0

    def read() -> None:
        nonlocal got
        got += len(os.read(fd, 65536))
        if got >= count and not done.done():
            done.set_result(None)

    loop.add_reader(fd, read)
    try:
        async with asyncio.timeout(BOUND_S):
            await done
    finally:
        loop.remove_reader(fd)


async def tree(here: World, tmp_path: Path, count: int, unit: str = "a.service") -> None:
    """Start a tree, and wait until all of it is there."""
    os.mkfifo(tmp_path / unit)
    fd = os.open(tmp_path / unit, os.O_RDWR | os.O_NONBLOCK)
    try:
        here.parts.log = str(tmp_path / unit)
        here.python(TREE, str(count - 1), unit=unit, stdio=Stdio())
        await bytes_from(fd, count)
    finally:
        os.close(fd)


async def test_a_tree_that_ignores_sigterm(here: World, tmp_path: Path) -> None:
    await tree(here, tmp_path, 200)
    members = here.host.groups.members("a.service")
    assert len(members) == 200
    main = here.all(Spawned)[0].pid
    parents = {pid: process.parent for pid in members if (process := processes.read(pid)) is not None}
    here.kill(signal.SIGTERM, pids=(main,), cont=True)
    told = await here.told(Signalled)
    sent = [target.pid for target in told.sent]
    assert sorted(sent) == sorted(members)
    assert sent[-1] == main
    at = {pid: index for index, pid in enumerate(sent)}
    assert all(at[pid] < at[parent] for pid, parent in parents.items() if parent in at)
    assert all(a.depth >= b.depth for a, b in pairwise(told.sent))
    assert len(here.host.groups.members("a.service")) == 200, "they ignore it"
    here.kill(signal.SIGKILL, pids=(main,), sure=True)
    await here.told(CgroupEmpty)
    left = [process for pid in members if (process := processes.read(pid)) is not None and process.is_alive]
    assert left == []


async def test_no_process_acts_on_a_death_before_its_own_signal(here: World, tmp_path: Path) -> None:
    """The parent prints who ended before it was signalled itself: frozen, it cannot have seen anybody end."""
    code = """
import os, signal, sys
early = []
def ended(*_):
    if signal.SIGTERM not in signal.sigpending():
        early.append(1)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
for _ in range(50):
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        signal.pause()
signal.signal(signal.SIGCHLD, ended)
os.write(1, b"x")
while signal.SIGTERM not in signal.sigpending():
    signal.pause() if not signal.sigpending() else None
sys.exit(len(early))
"""
    os.mkfifo(tmp_path / "log")
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_NONBLOCK)
    here.parts.log = str(tmp_path / "log")

    here.python(code, stdio=Stdio())
    try:
        await bytes_from(fd, 1)
    finally:
        os.close(fd)
    here.kill(signal.SIGTERM, pids=(here.all(Spawned)[0].pid,))
    assert (await here.told(ProcessExited)).exit.status == 0


async def test_a_chain_that_forks_and_exits(here: World) -> None:
    here.python(CHAIN)
    await here.told(ProcessExited)
    here.kill(signal.SIGTERM, sure=False)
    await here.told(CgroupEmpty)
    assert len((await here.told(Signalled)).sent) == 1, "frozen, the chain has one link"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_fork_bomb_while_it_goes_off(here: World, number: int) -> None:
    here.python(BOMB)
    await here.told(Execed)
    while len(here.host.groups.members("a.service")) < 4:
        await asyncio.sleep(0)
    here.kill(number, sure=number == signal.SIGKILL)
    await here.told(CgroupEmpty)
    assert len((await here.told(Signalled)).sent) >= 4
    here.host.perform(Verify())
    assert (await here.told(Survivors)).left == ()


@pytest.mark.slow
async def test_five_hundred_double_forks_do_not_escape(here: World) -> None:
    units = [f"a{index}.service" for index in range(50)]
    for _ in range(10):
        for unit in units:
            here.python(ESCAPE, unit=unit)
    for unit in units:
        await here.told(ProcessExited, unit, 10)
    for unit in units:
        here.kill(signal.SIGKILL, unit, sure=True)
    for unit in units:
        await here.told(CgroupEmpty, unit)
    here.host.perform(Verify())
    assert (await here.told(Survivors)).left == ()


async def test_who_was_killed_is_told_before_nobody_is_left(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all are dead and reaped while the kill is still under way."""
    killer = here.host.killer
    signal_all = killer._signal_all

    async def slowly(done: Any) -> None:
        await signal_all(done)
        await here.told(ProcessExited)
        await asyncio.sleep(0)

    monkeypatch.setattr(killer, "_signal_all", slowly)
    here.spawn("/bin/sleep", "100")
    await here.told(Execed)
    here.kill(signal.SIGKILL, sure=True)
    await here.told(CgroupEmpty)
    kinds = [type(event) for event in here.events if isinstance(event, Signalled | CgroupEmpty)]
    assert kinds == [Signalled, CgroupEmpty]


async def test_named_ones_alone(here: World) -> None:
    here.spawn("/bin/sh", "-c", "sleep 100 & wait")
    main = await here.told(Spawned)
    await here.told(Execed)
    while len(here.host.groups.members("a.service")) < 2:
        await asyncio.sleep(0)
    here.kill(signal.SIGTERM, scope=Scope.NAMED, pids=(main.pid,))
    told = await here.told(Signalled)
    assert [target.pid for target in told.sent] == [main.pid]
    await here.told(ProcessExited)
    assert len(here.host.groups.members("a.service")) == 1
    await here.stopped()


async def test_a_foreign_pid_is_not_signalled(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    await here.told(Execed)
    here.kill(signal.SIGTERM, scope=Scope.NAMED, pids=(os.getpid(),))
    told = await here.told(Signalled)
    assert told.sent == ()
    assert "no process of a.service" in told.left[0]
    await here.stopped()


async def test_a_stopped_process_hears_the_signal(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    os.kill(pid, signal.SIGSTOP)
    here.kill(signal.SIGTERM, cont=True)
    assert (await here.told(ProcessExited)).exit.status == signal.SIGTERM


async def test_a_kill_waits_for_who_is_being_started(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    here.kill(signal.SIGKILL, sure=True)
    assert len((await here.told(Signalled)).sent) == 1
    await here.told(CgroupEmpty)


async def test_who_is_started_after_a_kill_was_asked_for_lives(here: World) -> None:
    here.kill(signal.SIGKILL, sure=True)
    here.spawn("/bin/sleep", "100")
    here.host.perform(Verify())
    await here.told(Execed)
    assert (await here.told(Signalled)).sent == ()
    assert here.all(ProcessExited) == []
    await here.stopped()


async def test_kills_of_a_unit_are_carried_out_in_order(here: World) -> None:
    here.spawn("/bin/sleep", "100")
    await here.told(Execed)
    for number in (signal.SIGCONT, signal.SIGWINCH, signal.SIGKILL):
        here.kill(number)
    await here.told(Signalled, count=3)
    assert [told.signal for told in here.all(Signalled)] == [signal.SIGCONT, signal.SIGWINCH, signal.SIGKILL]
    await here.told(CgroupEmpty)


async def test_a_unit_without_processes_has_nobody_to_signal(here: World) -> None:
    here.kill(signal.SIGTERM, "none.service", pids=(1 << 21,))
    assert await here.told(Signalled, "none.service") == Signalled("none.service", signal.SIGTERM, ())


async def test_who_is_left_is_named_and_then_killed(here: World, cgroup: Path) -> None:
    here.spawn("/bin/sleep", "100")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    elsewhere = cgroup / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "cgroup.procs").write_text(str(pid))
    here.host.perform(Verify())
    assert str((await here.told(Survivors)).left[0]).startswith(f"{pid} (/bin/sleep 100) of a.service")
    here.host.perform(KillEverything(signal.SIGKILL))
    assert (await here.told(ProcessExited)).exit.status == signal.SIGKILL
    here.host.perform(Verify())
    assert (await here.told(Survivors, count=2)).left == ()


async def test_the_main_process_of_a_forking_service_is_guessed(here: World) -> None:
    here.python(ESCAPE)
    await here.told(ProcessExited, count=2)
    here.host.perform(GuessMain("a.service"))
    guessed = await here.told(MainGuessed)
    assert [guessed.pid] == here.host.groups.members("a.service")
    assert guessed.birth == processes.birth(guessed.pid)
    await here.stopped()
    assert here.all(ProcessExited)[-1].pid == guessed.pid


@pytest.mark.parametrize("units", [200])
async def test_many_units_at_once(here: World, units: int) -> None:
    names = [f"a{index}.service" for index in range(units)]
    for name in names:
        here.spawn("/bin/sleep", "100", unit=name)
    for name in names:
        await here.told(Execed, name)
    for name in names:
        here.kill(signal.SIGTERM, name)
    for name in names:
        await here.told(CgroupEmpty, name)
    assert {exited.exit.status for name in names for exited in here.all(ProcessExited, name)} == {signal.SIGTERM}
