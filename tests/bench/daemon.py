"""What the whole daemon costs, from outside: 5000 definitions, 1000 idle services, the status of one of them."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.figures import Figure, report
from tests.conftest import own_cgroup, remove_cgroup
from tests.torture.daemon import Daemon

SLEEPS = "[Service]\nExecStart=/bin/sleep infinity\nStandardOutput=null\nStandardError=null\n"
QUIET = ("--log-level", "warning")
IDLE_S = 10.0
REPEATS = 15
UNITCTL = Path(sys.executable).with_name("unitctl")


@contextmanager
def _running(units: dict[str, str], target: str) -> Iterator[tuple[Daemon, float]]:
    """A daemon with these units, and the seconds that it took until it was ready."""
    group = own_cgroup()
    if group is None:
        sys.exit("cannot measure: no cgroup2 is mounted here")
    group = group / f"unitd-bench-{os.getpid()}"
    group.mkdir()
    try:
        with tempfile.TemporaryDirectory() as where:
            prepared = Daemon(Path(where), group, units, target=target, arguments=QUIET)
            began = time.monotonic()
            with prepared as daemon:
                yield daemon, time.monotonic() - began
    finally:
        remove_cgroup(group)


def _all(count: int, kind: str) -> dict[str, str]:
    units = {f"u{number:04d}.service": SLEEPS for number in range(count)}
    return units | {"all.target": "[Unit]\n" + "".join(f"{kind}={name}\n" for name in units)}


def _status(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {key: int(value.split()[0]) for key, value in pairs if value.split() and value.split()[0].isdigit()}


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    with _running({"all.target": "[Unit]\n"}, "all.target") as (_, bare):
        pass
    with _running(_all(5000, "After"), "all.target") as (_, full):
        yield Figure("5000 definitions, beyond an empty start", full - bare, "s", 0.3)
    with _running(_all(1000, "Wants"), "all.target") as (daemon, _):
        daemon.until("u0999.service", "active")
        pid = daemon.pid
        before = _status(pid)
        time.sleep(IDLE_S)
        after = _status(pid)
        woken = after["voluntary_ctxt_switches"] - before["voluntary_ctxt_switches"]
        yield Figure("wake-ups with 1000 idle services", woken / IDLE_S, "1/s", 1)
        yield Figure("resident size with 1000 services", after["VmRSS"] / 1024, "MB", 40)
        yield Figure("status of one by unitctl", 1000 * _asked(daemon), "ms", 40)


def _asked(daemon: Daemon) -> float:
    """Seconds that `unitctl is-active` takes as a whole process, the median."""
    took = []
    for _ in range(REPEATS):
        began = time.monotonic()
        subprocess.run(
            [UNITCTL, "--runtime-dir", daemon.runtime, "is-active", "u0500.service"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took.append(time.monotonic() - began)
    return statistics.median(took)


def run() -> bool:
    """Print the figures; whether all keep their budgets."""
    return report(figures())
