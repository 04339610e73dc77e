"""Live readings of a unit, descendants included: memory, processor time, tasks, processes.

From the cgroup's own files where its controllers are enabled (cgroup-v2.rst); elsewhere summed over its processes in
/proc, where memory is the proportional set size and the time of processes that ended is missing.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from unitd.engine.units import slice_path
from unitd.host import processes
from unitd.host.cgroups import INIT_SCOPE, Cgroups
from unitd.host.kill import in_order
from unitd.host.ports import Groups
from unitd.host.virtualization import text

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Gauges:
    """Readings by unit name, slices included; None where there is nothing to read."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._root = groups.root if isinstance(groups, Cgroups) else ""
        self.cgroup = groups.prefix if isinstance(groups, Cgroups) else None
        """The daemon's sub-tree, as in /proc/PID/cgroup; "" for the root, None where units have no cgroups."""

    def memory(self, unit: str) -> int | None:
        """Bytes in use."""
        counted = _number(text(f"{self._directory(unit)}/memory.current"))
        return counted if counted is not None else _sum(_memory(pid) for pid in self._pids(unit))

    def cpu(self, unit: str) -> int | None:
        """Nanoseconds of processor time."""
        for line in text(f"{self._directory(unit)}/cpu.stat").splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec" and value.isdecimal():
                return int(value) * 1000
        return _sum(_cpu(pid) for pid in self._pids(unit))

    def tasks(self, unit: str) -> int | None:
        """Processes and threads."""
        counted = _number(text(f"{self._directory(unit)}/pids.current"))
        if counted is not None:
            return counted
        found = (processes.read(pid) for pid in self._pids(unit))
        return _sum(process.threads if process is not None else None for process in found)

    def processes(self, unit: str) -> list[tuple[str, int, str]]:
        """(cgroup as in /proc/PID/cgroup, pid, command line) of each process; cgroup "" where units have none."""
        found = [(self._place(pid), pid, _title(pid)) for pid in self._pids(unit)]
        return sorted(found)

    def situations(self, units: Mapping[str, Sequence[int]], most: int) -> dict[str, tuple[int, list[tuple[int, str]]]]:
        """Of each unit: how many processes it has, and some of them as (pid, `COMMAND, S (sleeping) in WCHAN`).

        The pids that are given with a unit come first; `most` are looked at in all, each unit gets its share.
        """
        living = self._members(units)
        found: dict[str, tuple[int, list[tuple[int, str]]]] = {}
        for number, (unit, first) in enumerate(units.items()):
            pids = living.get(unit, [])
            share = max(most // (len(units) - number), 1)
            ordered = [pid for pid in first if pid in pids] + [pid for pid in pids if pid not in first]
            words = [(pid, text) for pid in ordered[:share] if (text := processes.situation(pid))]
            most -= len(words)
            found[unit] = (len(pids), words)
        return found

    def _members(self, units: Iterable[str]) -> dict[str, list[int]]:
        """The processes of some units; without cgroups one look at all there are is enough for all of them."""
        if self._root:
            return {unit: sorted(self._groups.members(unit)) for unit in units}
        found: dict[str, list[int]] = {}
        for pid, unit in sorted(self._groups.everyone().items()):
            found.setdefault(unit, []).append(pid)
        return found

    def in_order(self, unit: str, last: Sequence[int]) -> list[int]:
        """The unit's processes in the order in which they would be signalled: deepest first, `last` last."""
        pids = {*self._groups.members(unit), *last}
        found = {pid: process for pid in pids if (process := processes.read(pid)) is not None and process.is_alive}
        return [target.pid for target in in_order(found, tuple(last))]

    def unit_of(self, pid: int) -> str:
        """Whose process it is; init.scope is the daemon's own, "" no unit's."""
        return INIT_SCOPE if pid == os.getpid() else self._groups.unit_of(pid)

    def _directory(self, unit: str) -> str:
        """The unit's cgroup; a path that does not exist where it has none."""
        path = slice_path(unit) if unit.endswith(".slice") else self._groups.units().get(unit)
        return f"{self._root}/{path}".rstrip("/") if self._root and path is not None else "/nonexistent"

    def _pids(self, unit: str) -> list[int]:
        if not unit.endswith(".slice"):
            return self._groups.members(unit)
        path = slice_path(unit)
        inside = f"{path}/" if path else ""
        below = [name for name, place in self._groups.units().items() if place.startswith(inside)]
        return [pid for name in below for pid in self._groups.members(name)]

    def _place(self, pid: int) -> str:
        return processes.cgroup(pid) if self._root else ""


def _number(counted: str) -> int | None:
    return int(counted) if counted.strip().isdecimal() else None


def _sum(readings: Iterable[int | None]) -> int | None:
    """The sum of what could be read; None when nothing could."""
    known = [reading for reading in readings if reading is not None]
    return sum(known) if known else None


def _memory(pid: int) -> int | None:
    """Proportional set size in bytes, or the resident one where that is not told."""
    for file, field in ((f"/proc/{pid}/smaps_rollup", "Pss:"), (f"/proc/{pid}/status", "VmRSS:")):
        for line in text(file).splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return None


def _cpu(pid: int) -> int | None:
    """Its own time and that of the children it waited for, in nanoseconds."""
    fields = text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICK_NS if len(fields) > 14 else None


def _title(pid: int) -> str:
    process = processes.read(pid)
    return processes.arguments(process) or f"({process.command})" if process is not None else ""
