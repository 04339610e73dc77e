"""Readings of units: a cgroup of the test's own, and processes counted without one."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unitd.host import processes
from unitd.host.cgroups import Cgroups
from unitd.host.children import Children
from unitd.host.gauges import Gauges
from unitd.host.inotify import Inotify
from unitd.host.without_cgroups import WithoutCgroups


@contextmanager
def sleeper(procs: str = "") -> Iterator[int]:
    """A child that may join a cgroup, works a moment and sleeps; killed at the end."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        if procs:
            Path(procs).write_text("0")
        sum(range(300_000))
        os.write(tell, b"x")
        while True:
            signal.pause()
    try:
        os.read(ready, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


async def test_a_unit_and_its_slices(cgroup: Path) -> None:
    inotify = Inotify(asyncio.get_running_loop())
    try:
        groups = Cgroups(inotify, lambda event, then=None: None, Children(), root=str(cgroup), origin="/nonexistent")
        procs = groups.realise("a.service", "my.slice/my-own.slice/a.service")
        other = groups.realise("b.service", "system.slice/b.service")
        gauges = Gauges(groups)
        with sleeper(procs) as first, sleeper(procs) as second, sleeper(other) as third:
            assert gauges.tasks("a.service") == 2
            command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            place = processes.cgroup(first)
            assert place.endswith("/my.slice/my-own.slice/a.service")
            assert gauges.processes("a.service") == [(place, pid, command[:4096]) for pid in sorted((first, second))]
            assert [pid for _, pid, _ in gauges.processes("my.slice")] == sorted((first, second))
            assert [pid for _, pid, _ in gauges.processes("my-own.slice")] == sorted((first, second))
            assert {pid for _, pid, _ in gauges.processes("-.slice")} == {first, second, third}
            assert gauges.in_order("a.service", [first]) == [second, first]
            assert gauges.in_order("a.service", [second, third]) == [first, second, third]
            memory, cpu = gauges.memory("a.service"), gauges.cpu("a.service")
            assert memory is not None
            assert memory > 100_000
            assert cpu is not None
            assert 0 < cpu < 60 * 10**9
        assert gauges.processes("a.service") == []
        assert gauges.processes("none.service") == []
        assert gauges.memory("none.service") is None
        assert gauges.cpu("none.service") is None
        assert gauges.tasks("none.service") is None
    finally:
        inotify.close()


class OneUnit(WithoutCgroups):
    """Holds a.service together by a list of pids."""

    def __init__(self, pids: list[int]) -> None:
        self.pids = pids

    def members(self, unit: str) -> list[int]:
        return self.pids if unit == "a.service" else []


def test_without_cgroups_the_processes_are_summed() -> None:
    with sleeper() as first, sleeper() as second:
        one, both = Gauges(OneUnit([first])), Gauges(OneUnit([first, second]))
        assert both.tasks("a.service") == 2
        memory = [gauges.memory("a.service") or 0 for gauges in (one, both)]
        assert 0 < memory[0] < memory[1]
        assert both.cpu("a.service") is not None
        assert [(place, pid) for place, pid, _ in both.processes("a.service")] == [("", first), ("", second)]
        assert both.tasks("b.service") is None


def test_a_process_that_is_gone_is_passed_over() -> None:
    with sleeper() as pid:
        gauges = Gauges(OneUnit([pid, 2**22]))
        assert gauges.tasks("a.service") == 1
        assert gauges.memory("a.service") is not None
