"""What every test may rely on: pure folders stay pure, host tests leave nothing behind.

The guard rests on audit events (PEP 578), which see a fork or a socket whoever asks for it. A cgroup is removed
by cgroup.kill, then rmdir deepest first (cgroup v2 documentation, "Basic Operations").
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import signal
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
PURE = frozenset(
    {"syntax", "model", "graph", "wire", "jobs", "machines", "shutdown", "engine", "contracts"},
)
IMPURE_EVENTS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        "socket.__new__",
        "subprocess.Popen",
    }
)
REMOVAL_BOUND_S = 10.0

# The same examples on every run; HYPOTHESIS_PROFILE=explore looks for others.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


class Impure(AssertionError):
    """A test in a pure folder asked the kernel for something."""


class _Guard:
    """Refuses IMPURE_EVENTS while `test` names a running pure test."""

    test = ""

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.test and event in IMPURE_EVENTS:
            raise Impure(f"cannot run {self.test}: a pure test must not cause {event}{arguments[:1]}")


_guard = _Guard()
sys.addaudithook(_guard)


def _no_sleep(seconds: object, /) -> None:
    """Stands in for time.sleep, which causes no audit event in Python 3.11."""
    raise Impure(f"cannot run {_guard.test}: a pure test must not cause time.sleep({seconds})")


def _room(item: pytest.Item) -> str:
    """The folder directly below tests/ that the item lives in; empty for a file beside this one."""
    inside = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
    return inside[0] if len(inside) > 1 else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Hold the guard over the test itself, not over its fixtures, which may read files."""
    if _room(item) not in PURE:
        return (yield)
    sleep = time.sleep
    _guard.test, time.sleep = item.nodeid, _no_sleep
    try:
        return (yield)
    finally:
        _guard.test, time.sleep = "", sleep


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true, what `make test` installs is there: a skip of a bus or daemons test would hide a gap."""
    report = yield
    wanted = item.get_closest_marker("bus") or item.get_closest_marker("daemons")
    if report.skipped and wanted and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"cannot skip a test marked {wanted.name} where CI=true: {reason}"
    return report


def children() -> dict[int, str]:
    """The children of this process, whichever thread made them: pid -> state letter and command (proc(5))."""
    found: dict[int, str] = {}
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            for pid in Path("/proc/self/task", thread, "children").read_text().split():
                stat = Path("/proc", pid, "stat").read_text(errors="replace")
                name, rest = stat.split("(", 1)[1].rsplit(")", 1)
                found[int(pid)] = f"{rest.split()[0]} {name}"
    return found


@pytest.fixture(autouse=True)
def no_child_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that may start processes ends all of them; what lives on is killed and fails the test."""
    if _room(request.node) in PURE:
        yield
        return
    before = children()
    yield
    left = {pid: text for pid, text in children().items() if pid not in before}
    for pid, text in left.items():
        if not text.startswith("Z"):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    alive = [f"{pid} ({text})" for pid, text in sorted(left.items()) if not text.startswith("Z")]
    assert not alive, f"the test left children behind: {', '.join(alive)}"


def cgroup2_mount() -> Path | None:
    """Where cgroup2 is mounted, alone or beside the hierarchies of version 1 (proc(5), mountinfo)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if source.startswith("cgroup2 "):
            return Path(fields.split()[4])
    return None


def own_cgroup() -> Path | None:
    """The directory of this process's own cgroup2 group; None when it cannot be seen from here."""
    mount = cgroup2_mount()
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::/") and mount is not None and "/../" not in f"{line}/":
            return mount / line.removeprefix("0::/")
    return None


def remove_cgroup(group: Path) -> None:
    """Kill everything in `group` and remove it with all below it; TimeoutError after REMOVAL_BOUND_S."""
    deadline = time.monotonic() + REMOVAL_BOUND_S
    if not group.exists():
        return
    events = os.open(group / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        (group / "cgroup.kill").write_text("1")
        _kill_headless(group)
        while b"populated 1" in os.pread(events, 200, 0):
            left_ms = int(1000 * (deadline - time.monotonic()))
            if left_ms <= 0:
                raise TimeoutError(f"cannot empty {group} within {REMOVAL_BOUND_S} s")
            poll.poll(left_ms)
    finally:
        os.close(events)
    for directory, _, _ in os.walk(group, topdown=False):
        os.rmdir(directory)


def _kill_headless(group: Path) -> None:
    """Processes whose first thread has ended are passed over by cgroup.kill (seen on Linux 6.18)."""
    for file in group.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            for pid in map(int, file.read_text().split()):
                if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                    os.kill(pid, signal.SIGKILL)


_serial = itertools.count()


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup2 directory of the test's own, empty; removed afterwards with every process in it."""
    own = own_cgroup()
    if own is None:
        pytest.skip("no cgroup2 is mounted here")
    group = own / f"unitd-test-{os.getpid()}-{next(_serial)}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"cannot make a cgroup below {own}: {error.strerror}")
    try:
        yield group
    finally:
        remove_cgroup(group)


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of case files: UNITD_CONFORMANCE, or shared/conformance beside the repository."""
    folder = Path(os.environ.get("UNITD_CONFORMANCE", ROOT.parent / "shared" / "conformance"))
    if not folder.is_dir():
        pytest.skip(f"no conformance cases at {folder}; UNITD_CONFORMANCE names another folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in tests/host starts real processes, so it carries the marker without saying so."""
    for item in items:
        if _room(item) == "host":
            item.add_marker(pytest.mark.host)


def pytest_report_header() -> list[str]:
    """What of the machine decides which tests can run."""
    library = os.environ.get("UNITD_DBUS", "dbus-fast")
    return [f"cgroup2: {own_cgroup() or 'none'}, uid: {os.getuid()}, D-Bus library: {library}"]
