"""What is seen of a process that outlived its time: what it does, what it waits for, what it has open."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from tests.host.host import BOUND_S, Execed, Signalled, Spawned, World
from unitd.host import forensics, net_table, processes
from unitd.host.forensics import Forensics
from unitd.model.effects import Kill, KillEverything, Scope
from unitd.model.processes import Evidence

LISTENER = """
import signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tcp = socket.create_server(("127.0.0.1", 0))
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.bind(("::1", 0))
unix = socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[1])
unix.listen()
print(tcp.getsockname()[1], udp.getsockname()[1], flush=True)
while True:
    signal.pause()
"""


def looker(remembered: str = "") -> Forensics:
    return Forensics(lambda pid: remembered, lambda unit, count: ["said last"][:count])


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def seen(process: subprocess.Popen[str]) -> processes.Process:
    found = processes.read(process.pid)
    assert found is not None
    return found


def until_state(pid: int, state: str) -> None:
    """Wait for what nobody is told of; the test's own time is the bound."""
    while (process := processes.read(pid)) is not None and process.state != state:
        os.sched_yield()


def test_a_process_that_sleeps_and_listens(tmp_path: object) -> None:
    path = f"{tmp_path}/s"
    with running(sys.executable, "-I", "-S", "-c", LISTENER, path) as process:
        assert process.stdout is not None
        tcp, udp = process.stdout.readline().split()
        until_state(process.pid, "S")
        (one,) = looker().look_now([seen(process)]).stragglers
    assert (one.pid, one.birth, one.parent) == (process.pid, one.birth, os.getpid())
    assert one.command.startswith(f"{sys.executable} -I -S -c")
    assert one.state == "S (sleeping)"
    assert set(one.sockets) >= {f"tcp 127.0.0.1:{tcp} listening", f"unix {path} listening", f"udp [::1]:{udp}"}
    assert 0 <= one.age_us < BOUND_S * 1_000_000
    if os.geteuid() == 0:
        assert one.channel


def test_a_process_that_is_stopped() -> None:
    with running("sleep", "60") as process:
        process.send_signal(signal.SIGSTOP)
        until_state(process.pid, "T")
        (one,) = looker().look_now([seen(process)]).stragglers
    assert (one.command, one.state, one.sockets) == ("sleep 60", "T (stopped)", ())


def test_the_command_line_of_one_in_uninterruptible_sleep_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory may be locked for as long as it sleeps: reading it would keep the daemon waiting."""
    monkeypatch.setattr(processes, "command_line", lambda pid: pytest.fail("read"))
    me = processes.read(os.getpid())
    assert me is not None
    asleep = replace(me, state="D", threads=1)
    (one,) = looker("/bin/what it was").look_now([asleep]).stragglers
    assert (one.command, one.state) == ("/bin/what it was", "D (disk sleep)")
    (one,) = looker().look_now([asleep]).stragglers
    assert one.command == me.command


async def test_a_crowd_is_counted_and_the_main_process_is_among_those_looked_at() -> None:
    me = processes.read(os.getpid())
    assert me is not None
    crowd = [replace(me, birth=number) for number in range(100)]
    found = await looker().look("a.service", crowd)
    assert [one.birth for one in found.stragglers] == [*range(forensics.MOST - 2), 98, 99]
    assert found.others == 100 - forensics.MOST
    assert found.log == ("said last",)


async def test_a_thousand_looks_at_once_are_not_all_carried_out() -> None:
    me = processes.read(os.getpid())
    assert me is not None
    looks = looker()
    found = await asyncio.gather(*(looks.look("a.service", [me] * forensics.MOST) for _ in range(1000)))
    assert {len(each.stragglers) + each.others for each in found} == {forensics.MOST}
    assert found[0].stragglers
    assert sum(each.others for each in found) > 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("tcp", "0100007F:0016", "00000000:0000", "0A"), "tcp 127.0.0.1:22 listening"),
        (("tcp", "0100007F:0016", "0200007F:1000", "01"), "tcp 127.0.0.1:22 to 127.0.0.2:4096"),
        (("udp", "00000000:0035", "00000000:0000", "07"), "udp 0.0.0.0:53"),
        (("tcp6", "0" * 24 + "01000000:0050", "0" * 32 + ":0000", "0A"), "tcp [::1]:80 listening"),
    ],
)
def test_rows_of_the_kernel_in_words(row: tuple[str, str, str, str], words: str) -> None:
    if sys.byteorder == "little":
        assert str(net_table.Internet(*row, uid=0, inode=1)) == words


def test_who_is_gone_has_nothing_open() -> None:
    with running("true") as process:
        process.wait(BOUND_S)
    assert net_table.Sockets().words(process.pid, [1]) == []
    with socket.socket() as plain:
        inode = int(os.readlink(f"/proc/self/fd/{plain.fileno()}")[8:-1])
        assert net_table.Sockets().words(os.getpid(), [inode]) == []


@pytest.mark.host
async def test_a_kill_looks_first_when_it_is_asked_to(here: World) -> None:
    here.spawn("/bin/sleep", "1000")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    until_state(pid, "S")
    here.host.perform(Kill("a.service", signal.SIGKILL, Scope.ALL, (pid,), sure=True, examine=True))
    told = await here.told(Signalled)
    assert isinstance(told.evidence, Evidence)
    assert [(one.pid, one.command) for one in told.evidence.stragglers] == [(pid, "/bin/sleep 1000")]
    assert told.evidence.stragglers[0].state == "S (sleeping)"
    assert told.evidence.log == ("said by a.service",)


@pytest.mark.host
async def test_the_last_of_all_are_looked_at_too(here: World) -> None:
    here.spawn("/bin/sleep", "1000")
    pid = (await here.told(Spawned)).pid
    await here.told(Execed)
    until_state(pid, "S")
    here.host.perform(KillEverything(signal.SIGKILL))
    told = await here.told(Signalled)
    assert told.evidence is not None
    assert [one.pid for one in told.sent] == [one.pid for one in told.evidence.stragglers] == [pid]
