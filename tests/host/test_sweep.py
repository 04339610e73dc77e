"""Who is ours at the end, who only looks as if, and who holds what units claim: with real processes of each kind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.host import Execed, ProcessExited, Spawned, World, invocation_of
from unitd.host import processes, reserve
from unitd.host.children import Child, Children
from unitd.host.kin import Kinship, at_once
from unitd.model.claims import Claim
from unitd.model.effects import KillEverything, LookForOrphans, Release, Verify
from unitd.model.events import LeftBehind, OrphansFound, Survivors
from unitd.model.processes import Left
from unitd.syntax.claims import Port, ProcessFilter

A = "a.service"
LISTEN = """
import os, signal, socket, sys
kind = socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM
def asked(number, frame):
    print("asked", flush=True)
    if "deaf" not in sys.argv:
        os._exit(0)
signal.signal(signal.SIGTERM, asked)
open_ = socket.socket(socket.AF_INET, kind)
open_.bind(("127.0.0.1", 0))
if kind == socket.SOCK_STREAM:
    open_.listen()
signal.alarm(120)
print(open_.getsockname()[1], flush=True)
while True:
    signal.pause()
"""
PARENT = """
import os, signal, sys
print(os.posix_spawn("/bin/sleep", ["sleep", "120"], {"INVOCATION_ID": sys.argv[1]}), flush=True)
signal.alarm(120)
signal.pause()
"""


class Strangers:
    """Processes that are not the daemon's: below a child that this process had before there was a daemon."""

    def __init__(self) -> None:
        self._roots: list[subprocess.Popen[str]] = []

    def start(self, code: str, *words: str) -> tuple[subprocess.Popen[str], int]:
        """A Python program; the number that it prints first."""
        root = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, *words],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath},
        )
        self._roots.append(root)
        assert root.stdout is not None
        return root, int(root.stdout.readline())

    def end(self) -> None:
        for root in self._roots:
            assert root.stdout is not None
            root.stdout.close()
            root.kill()
            root.wait()


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    made = Strangers()
    yield made
    made.end()


def foreign(here: World, pid: int) -> None:
    """From now on it counts as what the daemon's process had started before it was a daemon."""
    here.host.kinship.earlier.add((pid, processes.birth(pid)))


def is_alive(pid: int) -> bool:
    process = processes.read(pid)
    return process is not None and process.is_alive


def rest_of(root: subprocess.Popen[str]) -> str:
    assert root.stdout is not None
    return root.stdout.read()


async def verified(here: World, *claims: Claim) -> Survivors:
    count = len(here.all(Survivors)) + 1
    here.host.perform(Verify(claims))
    return await here.told(Survivors, count=count)


async def gone(pid: int) -> None:
    """Wait for the end of any process, whoever reaps it."""
    async with asyncio.timeout(30):
        while (process := processes.read(pid)) is not None and process.is_alive:
            await asyncio.sleep(0.005)


def move(pid: int, cgroup: Path) -> None:
    elsewhere = cgroup / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "cgroup.procs").write_text(str(pid))


def take_all(hoard: list[int]) -> None:
    """Every descriptor that there is to have."""
    with contextlib.suppress(OSError):
        while True:
            hoard.append(os.open("/dev/null", os.O_RDONLY))


async def found_pids(here: World, *claims: Claim, up: frozenset[str] = frozenset()) -> dict[int, Left]:
    token = len(here.all(OrphansFound)) + 1
    here.host.perform(LookForOrphans(token, claims, up))
    told = await here.told(OrphansFound, count=token)
    return {left.pid: left for left in told.left}


# --- ours -----------------------------------------------------------------------------------------------


async def test_one_that_left_its_cgroup_is_found_and_killed(here: World, cgroup: Path) -> None:
    here.spawn("/bin/sleep", "120")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    move(pid, cgroup)
    (left,) = (await verified(here)).left
    assert (left.pid, left.unit, left.found, left.ours) == (pid, A, "child", True)
    assert left.birth == processes.birth(pid)
    assert left.command == "/bin/sleep 120"
    here.host.perform(KillEverything(signal.SIGKILL))
    assert (await here.told(ProcessExited)).exit.status == signal.SIGKILL
    assert await verified(here) == Survivors()


async def test_the_unit_of_one_that_left_all_behind_is_known_by_its_session(here: World, cgroup: Path) -> None:
    """Its cgroup, its parent and its environment: what stays is the session that the unit's main process leads."""
    here.spawn("/bin/sh", "-c", "(env -i sleep 120 &) ; exec sleep 120")
    await here.told(Execed)
    main = here.all(Spawned)[0].pid
    pid = 0
    while not pid:
        await asyncio.sleep(0)
        others = [processes.read(each) for each in here.host.groups.members(A) if each != main]
        bare = (each for each in others if each is not None and each.command == "sleep" and each.parent == os.getpid())
        pid = next((each.pid for each in bare if not processes.invocation(each.pid)), 0)
    move(pid, cgroup)
    assert {left.unit for left in (await verified(here)).left if left.pid == pid} == {A}
    os.kill(pid, signal.SIGKILL)
    await here.stopped()


async def test_what_a_stop_leaves_behind_is_named(here: World, cgroup: Path) -> None:
    here.spawn("/bin/sh", "-c", "setsid sleep 120 & exec sleep 120")
    main = (await here.told(Spawned)).pid
    await here.told(Execed)
    while len(here.host.groups.members(A)) < 2:
        await asyncio.sleep(0)
    (pid,) = (pid for pid in here.host.groups.members(A) if pid != main)
    move(pid, cgroup)
    await here.stopped()
    (left,) = (await here.told(LeftBehind)).left
    assert (left.pid, left.unit, left.found) == (pid, A, "child")
    orphan = (await found_pids(here))[pid]
    assert (orphan.unit, orphan.ours, orphan.note) == (A, True, "it left its cgroup")
    here.host.perform(KillEverything(signal.SIGKILL))
    await gone(pid)


async def test_what_is_spared_is_named_and_listed(here: World) -> None:
    here.spawn("/bin/sleep", "120")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    here.host.perform(Release(A, spared=True))
    assert [left.pid for left in (await here.told(LeftBehind)).left] == [pid]
    assert (await found_pids(here))[pid].note == "its unit is down"
    assert pid not in await found_pids(here, up=frozenset({A}))
    await here.stopped()


# --- only as if --------------------------------------------------------------------------------------------


async def test_a_look_alike_below_somebody_else_is_named_and_lives(here: World, strangers: Strangers) -> None:
    here.spawn("/bin/sleep", "120")
    await here.told(Execed)
    root, pid = strangers.start(PARENT, invocation_of(A))
    foreign(here, root.pid)
    told = await verified(here)
    alike = next(left for left in told.named if left.pid == pid)
    assert (alike.unit, alike.found, alike.ours) == (A, "invocation id", False)
    assert alike.note == f"its parent {root.pid} is no process of ours; left alone"
    assert pid not in {left.pid for left in told.left}
    here.host.perform(KillEverything(signal.SIGKILL))
    assert (await here.told(ProcessExited)).exit.status == signal.SIGKILL
    assert processes.read(pid) is not None
    assert (await found_pids(here))[pid].ours is False
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("since", "session", "ours"), [(0, 7, True), (10**12, 7, False), (0, 1, False)])
def test_an_orphan_of_an_earlier_daemon(since: int, session: int, ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below PID 1 with an id of ours: it counts when it is not older than that, and not in the session of PID 1."""

    def process(pid: int, parent: int, session: int) -> processes.Process:
        return processes.Process(pid, parent, 100, "x", "S", session, 1, 0)

    ourselves = os.getpid()
    table = {
        1: process(1, 0, 1),
        ourselves: process(ourselves, 1, 2),
        3: process(3, 1, session),
        4: process(4, 3, 7),
        5: process(5, 1, 5),
    }
    monkeypatch.setattr(processes, "all_pids", lambda: sorted(table))
    monkeypatch.setattr(processes, "inspect", table.get)
    monkeypatch.setattr(processes, "invocation", lambda pid: "id" if pid == 3 else "")
    children = Children()
    children.add(Child(A, 9, since, invocation="id"))
    children.remove(9)
    look = at_once(Kinship(children, lambda: 0).look(dict))
    assert {pid: each.unit for pid, each in look.ours.items()} == ({3: A, 4: A} if ours else {})
    assert {pid: each.unit for pid, each in look.alike.items()} == ({} if ours else {3: A})


def test_a_forged_start_time_is_never_signalled() -> None:
    child = subprocess.Popen(["/bin/sleep", "120"])
    try:
        birth = processes.birth(child.pid)
        processes.send(child.pid, birth - 1, signal.SIGKILL)
        processes.send(child.pid, birth + 1, signal.SIGKILL)
        assert child.poll() is None
        processes.send(child.pid, birth, signal.SIGKILL)
        assert child.wait(30) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()


async def test_ids_of_earlier_runs_are_kept_while_somebody_carries_them(here: World) -> None:
    children = here.host.children
    for number in range(5000):
        children.add(Child(f"u{number}.service", 1 << 22 | number, 1, invocation=f"id{number}"))
        children.remove(1 << 22 | number)
    here.spawn("/bin/sleep", "120")
    await here.told(Execed)
    assert len(children.given) == 5001
    await found_pids(here)
    assert set(children.given) == {invocation_of(A)}
    assert not children.has_much_to_forget
    await here.stopped()


# --- when looking fails ------------------------------------------------------------------------------------


async def test_who_cannot_be_looked_at_counts_as_alive(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.spawn("/bin/sleep", "120")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    monkeypatch.setattr(processes, "inspect", lambda at: processes.Process(at, 0, 0, "", "?", 0, 1, 0))
    assert pid in {left.pid for left in (await verified(here)).left}
    monkeypatch.undo()
    await here.stopped()


async def test_an_environment_that_cannot_be_read_changes_nothing(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.spawn("/bin/sleep", "120")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    monkeypatch.setattr(processes, "environment", lambda pid: [])
    assert [left.pid for left in (await verified(here)).left] == [pid]
    monkeypatch.undo()
    await here.stopped()


async def test_without_a_descriptor_left_it_still_looks(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.spawn("/bin/sleep", "120")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    hoard: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 64, limits[1]))
        take_all(hoard)
        assert [left.pid for left in (await verified(here)).left] == [pid]
        with monkeypatch.context() as held:
            held.setattr(reserve, "give_back", lambda limits: None)
            (blind,) = (await verified(here)).left
        assert str(blind) == "cannot look for processes that are left: Too many open files"
    finally:
        for fd in hoard:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    await here.stopped()


# --- who holds what units claim -----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("kill", [False, True])
async def test_a_foreign_listener(here: World, strangers: Strangers, protocol: Any, kill: bool) -> None:
    root, number = strangers.start(LISTEN, protocol)
    foreign(here, root.pid)
    claim = Claim("web.service", (Port(number, protocol),), kill=kill)
    told = await verified(here, claim)
    (seen,) = told.left if kill else told.named
    assert (told.named if kill else told.left) == ()
    assert (seen.pid, seen.unit, seen.found, seen.ours) == (
        root.pid,
        "web.service",
        f"port {number}/{protocol}",
        False,
    ) or (seen.found == f"port 127.0.0.1:{number}/{protocol}")
    assert seen.note == ("" if kill else "left alone")
    assert (await found_pids(here, claim))[root.pid].ours is False
    here.host.perform(KillEverything(signal.SIGKILL, (claim,)))
    if kill:
        await gone(root.pid)
        assert rest_of(root) == "asked\n"
    else:
        assert is_alive(root.pid)
        assert f"is held by {seen.command} (PID {root.pid}), which is not ours: left alone" in seen.sentence


async def test_a_foreign_one_that_does_not_obey_is_killed(here: World, strangers: Strangers) -> None:
    root, number = strangers.start(LISTEN, "tcp", "deaf")
    foreign(here, root.pid)
    claim = Claim("web.service", (Port(number),), kill=True)
    async with asyncio.timeout(30):
        while is_alive(root.pid):
            here.host.perform(KillEverything(signal.SIGKILL, (claim,)))
            await asyncio.sleep(0.05)
    assert rest_of(root) == "asked\n"


async def test_a_listener_of_the_unit_itself_is_no_conflict(here: World) -> None:
    here.python(LISTEN, "tcp")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    claim = Claim(A, (Port(1),), (ProcessFilter("/*"),), kill=True)
    told = await verified(here, claim)
    assert pid in {left.pid for left in told.left if left.ours}
    assert pid not in {left.pid for left in (*told.left, *told.named) if not left.ours}
    await here.stopped()


async def test_a_socket_that_the_daemon_itself_holds_is_no_conflict(here: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        assert await verified(here, Claim(A, (Port(held.getsockname()[1]),), kill=True)) == Survivors()


@pytest.mark.parametrize("kill", [False, True])
async def test_a_foreign_program(here: World, strangers: Strangers, kill: bool) -> None:
    root, _ = strangers.start(LISTEN, "tcp", "marked-by-this-test")
    foreign(here, root.pid)
    claim = Claim("web.service", (), (ProcessFilter(sys.executable, ("tcp", "marked-by-this-test")),), kill=kill)
    told = await verified(here, claim)
    (seen,) = told.left if kill else told.named
    assert (seen.pid, seen.found, seen.ours) == (root.pid, "process filter", False)
    other = Claim("web.service", (), (ProcessFilter(sys.executable, ("marked-by-this-test", "tcp")),), kill=True)
    assert await verified(here, other) == Survivors()
    here.host.perform(KillEverything(signal.SIGTERM, (claim,)))
    if kill:
        await gone(root.pid)
    assert is_alive(root.pid) is not kill


async def test_who_we_run_below_is_never_ended(here: World) -> None:
    """A filter for everything finds the ancestors of the daemon too."""
    claim = Claim("web.service", (), (ProcessFilter("/*"),), kill=True)
    told = await verified(here, claim)
    above = {os.getppid(), 1} & {left.pid for left in (*told.left, *told.named)}
    assert above.isdisjoint(left.pid for left in told.left)
    assert os.getpid() not in {left.pid for left in (*told.left, *told.named)}
