"""What resists: uninterruptible sleep, ptrace, stops and freezes, threads without a head, bombs; and what runs short.

The cap holds, seen from outside; who survives is named, and nobody else survives; the daemon says what happened.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import PYTHON, Daemon, small_file_system, until_gone, watch_for
from unitd.ctl.connection import Refused

pytestmark = [pytest.mark.host, pytest.mark.slow]

CAP_S = 12
CAP = f"[Manager]\nShutdownTimeoutSec={CAP_S}s\n"
SLEEP = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
HARD = Path(__file__).with_name("hard.py")


def hard(name: str, *words: object, settings: str = "", type: str = "notify") -> str:
    """A service that runs one of hard.py."""
    argv = " ".join(f'"{word}"' for word in (PYTHON, "-I", "-S", HARD, name, *words))
    return f"[Service]\nType={type}\nTimeoutStopSec=1\n{settings}\nExecStart={argv}\n"


def within_the_cap(daemon: Daemon, number: int = signal.SIGTERM) -> int:
    """Shut down by a signal; the exit status, after no more than the cap."""
    began = time.monotonic()
    daemon.send(number)
    code = daemon.wait_for_end()
    assert time.monotonic() - began <= CAP_S
    assert "Traceback" not in daemon.log()
    return code


# --- uninterruptible sleep -----------------------------------------------------------------------------------------


@dataclass
class Silent:
    """A file system that never answers."""

    server: subprocess.Popen[str]
    file: Path

    def end(self) -> None:
        """Whoever waits for it is released."""
        self.server.kill()
        self.server.wait()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    """In a mount namespace of its own."""
    where = tmp_path / "silent"
    where.mkdir()
    argv = [PYTHON, "-I", "-S", str(HARD), "never_answer", str(where)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        if server.stdout.readline() != "mounted\n":
            server.kill()
            pytest.skip("cannot mount a FUSE file system here")
        made = Silent(server, where / "file")
        try:
            yield made
        finally:
            made.end()


def state(pid: int) -> str:
    """The letter of proc(5); "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_stop_of_who_is_in_uninterruptible_sleep_says_who_and_where(silent: Silent, launch: Launch) -> None:
    """Row C7: the stop ends, fails, and names pid, state and wait channel; the start after the release works."""
    daemon = launch({"stuck.service": hard("wait_for_answer", silent.server.pid, silent.file)})
    daemon.must("start", "stuck.service")
    (pid,) = daemon.members("stuck.service")
    told = daemon.ctl("stop", "stuck.service")
    assert state(pid) == "D"
    assert f"pid {pid} " in told.out
    assert "D (disk sleep) in request_wait_answer" in told.out
    assert daemon.state("stuck.service") == "failed/failed"
    assert str(pid) in daemon.ctl("status", "stuck.service").out
    silent.end()
    until_gone(pid)
    assert daemon.shut_down() < CAP_S


def test_a_shutdown_names_who_is_in_uninterruptible_sleep(silent: Silent, launch: Launch) -> None:
    """Rows A11, A12, B5: the others are gone, the cap holds, the exit status is 1, and all three are named."""
    stuck = hard("wait_for_answer", silent.server.pid, silent.file, 2)
    daemon = launch({"stuck.service": stuck, "other.service": SLEEP}, config=CAP)
    daemon.must("start", "stuck.service", "other.service")
    watch_for(lambda: len(daemon.members("stuck.service")) == 3, "all that are to be stuck")
    pids = daemon.members("stuck.service")
    began = time.monotonic()
    with daemon.start("poweroff") as client:
        assert daemon.wait_for_end() == 1
        took = time.monotonic() - began
        out, _ = client.communicate(timeout=30)
    try:
        assert daemon.living().keys() == set(pids)
        assert [state(pid) for pid in pids] == ["D"] * 3
        assert client.returncode == 1
        assert "cannot stop all: 3 processes are left" in out
        last_words = "\n".join(line for line in daemon.lines() if "cannot end" in line)
        for pid in pids:
            assert f"pid {pid} " in out
            assert str(pid) in last_words
        assert "request_wait_answer" in last_words
        # The client began a moment later than the clock here.
        assert took <= CAP_S + 1
    finally:
        silent.end()
        for pid in pids:
            until_gone(pid)


def test_who_waits_for_a_vfork_child_is_killed(launch: Launch) -> None:
    """It shows as D too, but fatal signals reach it (kernel/fork.c, wait_for_vfork_done(): TASK_KILLABLE)."""
    daemon = launch({"a.service": hard("in_vfork")}, config=CAP)
    daemon.must("start", "a.service")
    watch_for(lambda: sorted(map(state, daemon.members("a.service"))) == ["D", "S"], "parent and child")
    assert within_the_cap(daemon) == 0
    assert daemon.living() == {}


# --- those that do not hear ------------------------------------------------------------------------------------------

DEAF = {
    "all-blocked": (hard("all_blocked"), 3),
    "traced": (hard("traced"), 2),
    "headless": (hard("headless"), 1),
    "stopped": (hard("stopped", 9), 10),
    "frozen-below": (hard("frozen_below", settings="Delegate=yes"), 2),
}


@pytest.mark.parametrize("name", DEAF)
def test_one_that_does_not_hear_is_stopped(name: str, launch: Launch) -> None:
    text, count = DEAF[name]
    daemon = launch({"a.service": text})
    daemon.must("start", "a.service")
    watch_for(lambda: len(daemon.living()) == count, f"{count} processes")
    daemon.must("stop", "a.service")
    assert daemon.living() == {}
    assert daemon.state("a.service") == "failed/failed"
    assert "Result=timeout" in daemon.must("show", "a.service", "-p", "Result")
    assert daemon.shut_down() < CAP_S


def test_all_that_do_not_hear_at_once(launch: Launch) -> None:
    daemon = launch({f"{name}.service": text for name, (text, _) in DEAF.items()}, config=CAP)
    daemon.must("start", *(f"{name}.service" for name in DEAF))
    watch_for(lambda: len(daemon.living()) == sum(count for _, count in DEAF.values()), "all processes")
    assert within_the_cap(daemon) == 0
    assert daemon.living() == {}


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_a_debugger_of_somebody_else_holds_the_main_process(verb: str, launch: Launch) -> None:
    """It hears no signal but SIGKILL, and nobody hears of its end before the debugger looks; that is said."""
    daemon = launch({"a.service": SLEEP + "TimeoutStopSec=1\n"}, config=CAP)
    daemon.must("start", "a.service")
    (pid,) = daemon.members("a.service")
    argv = [PYTHON, "-I", "-S", str(HARD), "trace", str(pid)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as debugger:
        try:
            assert debugger.stdout is not None
            if debugger.stdout.readline() != "traced\n":
                pytest.skip("cannot trace a process here")
            if verb == "stop":
                daemon.ctl("stop", "a.service")
                assert daemon.state("a.service") == "failed/failed"
            assert within_the_cap(daemon) == 0
        finally:
            debugger.kill()
    assert daemon.living() == {}
    assert f"pid {pid} is held by a debugger" in daemon.log()


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_somebody_freezes_the_cgroup_again_and_again(verb: str, launch: Launch) -> None:
    """Whoever is frozen hears nothing, but SIGKILL reaches the frozen as well."""
    daemon = launch({"a.service": SLEEP + "TimeoutStopSec=1\n"}, config=CAP)
    daemon.must("start", "a.service")
    file, over = daemon.groups() / "system.slice/a.service/cgroup.freeze", threading.Event()

    def freeze() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                file.write_text("1")

    outsider = threading.Thread(target=freeze)
    outsider.start()
    try:
        if verb == "stop":
            daemon.must("stop", "a.service")
            assert daemon.living() == {}
        assert within_the_cap(daemon) == 0
    finally:
        over.set()
        outsider.join()
    assert daemon.living() == {}


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_a_bomb_under_a_process_limit(verb: str, launch: Launch) -> None:
    # The limit counts all of a user's processes: one that nobody else uses.
    bomber = hard("bomb", 1_000_000, settings="User=bin\nLimitNPROC=120", type="exec")
    daemon = launch({"bomb.service": bomber, "a.service": SLEEP}, config=CAP)
    daemon.must("start", "bomb.service", "a.service")
    watch_for(lambda: len(daemon.members("bomb.service")) >= 50, "the bomb")
    if verb == "stop":
        daemon.must("stop", "bomb.service")
        assert daemon.members("bomb.service") == []
        assert "active (running)" in daemon.ctl("status", "a.service").out
    assert within_the_cap(daemon) == 0
    assert daemon.living() == {}


# --- what runs short -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    with small_file_system(tmp_path / "small", "size=256k") as where:
        yield where


def fill(where: Path) -> None:
    """Until not one more byte fits."""
    with open(where / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def read_only(where: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(where)], check=True)


def cover(where: Path) -> None:
    """Read-only for every name; one on which files are open for writing cannot itself become so (mount(2), EBUSY)."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "cover", str(where)], check=True)


@pytest.mark.parametrize(
    ("spoil", "moment"), [(fill, "before"), (read_only, "before"), (fill, "running"), (cover, "running")]
)
def test_the_state_directory_takes_nothing(
    spoil: Callable[[Path], None], moment: str, small_disk: Path, launch: Launch
) -> None:
    """Full or read-only, from the beginning or from one moment on: start, stop, restart and shutdown go on."""
    talks = "[Service]\nType=exec\nExecStart=/bin/sh -c 'while echo word; do sleep 0.01; done'\n"
    units = {f"u{number}.service": SLEEP for number in range(10)} | {"talks.service": talks}
    if moment == "before":
        spoil(small_disk)
    daemon = launch(units, config=CAP, arguments=["--state-dir", str(small_disk)])
    daemon.must("start", "u0.service", "talks.service")
    if moment == "running":
        watch_for(lambda: "word" in daemon.ctl("logs", "talks.service").out, "what it said")
        spoil(small_disk)
    with pytest.raises(OSError):  # noqa: PT011
        (small_disk / "probe").write_bytes(b"x" * 8192)
    daemon.must("start", *units)
    daemon.must("restart", "u1.service")
    daemon.must("stop", "u2.service", "talks.service")
    assert within_the_cap(daemon) == 0
    assert daemon.living() == {}


def test_more_units_than_descriptors(launch: Launch) -> None:
    """What needs one fails with a clear word; who runs is still asked to end, politely, and in time."""
    units = {f"u{number}.service": SLEEP for number in range(80)}
    daemon = launch(units, config=CAP, descriptors=64)
    link = daemon.link
    asked = ("/org/pyzinit/Manager", "org.pyzinit.Manager", "StartUnit", "ss")
    serials = {unit: link.send(*asked, unit, "replace") for unit in units}
    refused = {}
    for unit, serial in serials.items():
        try:
            link.reply(serial)
        except Refused as error:
            refused[unit] = error.text
    watch_for(lambda: not link.manager("ListJobs")[0], "the end of all jobs")
    failed = [unit for unit in units if daemon.state(unit).startswith("failed")]
    assert refused
    assert len(daemon.living()) == 80 - len(refused) - len(failed)
    assert [text for text in refused.values() if "Too many open files" not in text] == []
    assert within_the_cap(daemon) == 0
    assert daemon.living() == {}
    assert "SIGKILL" not in daemon.log()


def test_clients_hold_all_descriptors(launch: Launch) -> None:
    """Said once; who is connected is served, and units are stopped as ever."""
    deaf = DEAF["all-blocked"][0]
    daemon = launch({"a.service": SLEEP, "deaf.service": deaf}, config=CAP, descriptors=64)
    daemon.must("start", "a.service", "deaf.service")
    link = daemon.link
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(_connected(daemon))
        daemon.until_line("cannot accept a client")
        began = time.monotonic()
        while time.monotonic() < began + 2.5:
            assert link.manager("ListJobs")[0] == []
            time.sleep(0.1)
        assert daemon.log().count("cannot accept a client") == 1
        assert within_the_cap(daemon) == 0
    assert daemon.living() == {}
    assert [(one.name, one.unit) for one in daemon.signals() if one.unit == "a.service"] == [("TERM", "a.service")]


@contextlib.contextmanager
def _connected(daemon: Daemon) -> Iterator[None]:
    """A client that asks for nothing and reads nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(daemon.runtime / "private"))
        client.sendall(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n")
        yield


def test_a_hundred_clients_that_do_not_read(launch: Launch) -> None:
    """Each of them is told every change, and takes none of it."""
    units = {f"u{number}.service": SLEEP for number in range(100)} | {"deaf.service": DEAF["all-blocked"][0]}
    daemon = launch(units, config=CAP)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(_connected(daemon))
        daemon.must("start", *units)
        assert within_the_cap(daemon) == 0
    assert daemon.living() == {}
