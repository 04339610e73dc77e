"""A daemon is killed: its fork server keeps what must not be lost for the next one, and is never in the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.host.host import invocation_of
from unitd.executor.keeper import unshelved
from unitd.host import keeper, processes
from unitd.host.keeper import PREFIX, Kept, LastWord, Shelf
from unitd.host.listen import Sockets
from unitd.host.notify import Notify
from unitd.model.effects import SocketPlan
from unitd.model.events import Event, Incoming, ListenFailed, Listening, Notified

T = TypeVar("T")
BOUND_S = 30.0
PATIENCE_S = 120.0


class Daemon:
    """The process of left_alone, and what it says."""

    def __init__(self, runtime: Path, patience: float = PATIENCE_S) -> None:
        command = [sys.executable, "-m", "tests.host.left_alone", str(runtime), str(patience)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.server = self.heard("server")

    def tell(self, *words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")

    def heard(self, *words: str) -> int:
        """Read until it says this; the number behind it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            *said, last = line.split()
            if tuple(said) == words:
                return int(last)
        raise AssertionError(f"it never said {words}")

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.wait(BOUND_S)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class Lab:
    """Daemons of one directory, one after the other; all that they started is killed at the end."""

    def __init__(self) -> None:
        self.runtime = Path(tempfile.mkdtemp(prefix="kept"))
        self.daemons: list[Daemon] = []
        self.taken: list[Kept] = []

    def daemon(self, patience: float = PATIENCE_S) -> Daemon:
        self.daemons.append(Daemon(self.runtime, patience))
        return self.daemons[-1]

    def take(self) -> Kept:
        self.taken.append(keeper.take(str(self.runtime), BOUND_S))
        return self.taken[-1]

    def doors(self) -> list[str]:
        return [name for name in os.listdir(self.runtime) if name.startswith(PREFIX)]

    def close(self) -> None:
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.kill()
        for kept in self.taken:
            kept.done()
            for fd in kept.fds.values():
                with contextlib.suppress(OSError):
                    os.close(fd)
        keeper.end_executors(str(self.runtime))
        for process in processes.everyone().values():
            if str(self.runtime) in processes.command_line(process.pid).split():
                processes.send(process.pid, process.birth, signal.SIGKILL)
                gone(process.pid)
        shutil.rmtree(self.runtime)


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        yield made
    finally:
        made.close()


def stays(lab: Lab) -> tuple[str, ...]:
    os.chmod(lab.runtime, 0o755)
    path = lab.runtime / "stay"
    if not path.exists():
        path.write_text("import signal\nsignal.pause()\n")
    return (sys.executable, "-I", "-S", str(path), str(lab.runtime))


def word(kept: Kept, unit: str) -> LastWord:
    (found,) = (word for word in kept.started if word.unit == unit)
    return found


def gone(pid: int) -> None:
    """Wait until the process has ended."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            assert select.select([pidfd], [], [], BOUND_S)[0]
        finally:
            os.close(pidfd)


def running(argv: tuple[str, ...]) -> list[int]:
    """The processes with this command line."""
    return [pid for pid in processes.all_pids() if processes.command_line(pid) == " ".join(argv)]


def executors(lab: Lab) -> list[int]:
    return [pid for pid in processes.all_pids() if keeper.is_executor(pid, str(lab.runtime))]


def waited(look: Callable[[], list[T]]) -> list[T]:
    """What `look` finds, as soon as it is anything."""
    until = time.monotonic() + BOUND_S
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


# --- last words -------------------------------------------------------------------------------------


def test_what_was_started_is_told_whether_it_was_heard_or_not(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.tell("spawn", "heard.service", *stays(lab))
    pid = daemon.heard("Spawned", "heard.service")
    daemon.tell("spawn", "none.service", "/no/such/program")
    daemon.heard("SpawnFailed", "none.service")
    daemon.tell("blind", "unheard.service", *stays(lab))
    daemon.heard("asked", "unheard.service")
    (started,) = waited(lambda: [p for p in running(stays(lab)) if p != pid])
    daemon.kill()
    kept = lab.take()
    assert word(kept, "heard.service") == LastWord(
        "heard.service", 7, invocation_of("heard.service"), pid, processes.birth(pid), "execed"
    )
    unheard = word(kept, "unheard.service")
    assert (unheard.pid, unheard.birth, unheard.what) == (started, processes.birth(started), "execed")
    failed = word(kept, "none.service")
    assert (failed.what, failed.stage, failed.errno) == ("failed", "exec", 2)


def test_what_lies_in_the_channel_is_not_started(lab: Lab) -> None:
    daemon = lab.daemon()
    os.kill(daemon.server, signal.SIGSTOP)
    for index in range(5):
        daemon.tell("spawn", f"a{index}.service", *stays(lab))
        daemon.heard("asked", f"a{index}.service")
    for index in range(5, 31):
        daemon.tell("spawn", f"a{index}.service", *stays(lab), "x" * 3000)
        daemon.heard("asked", f"a{index}.service")
    daemon.tell("spawn", "long.service", *stays(lab), "x" * 70_000)
    daemon.heard("asked", "long.service")
    daemon.kill()
    os.kill(daemon.server, signal.SIGCONT)
    kept = lab.take()
    assert {(each.unit, each.what, each.pid) for each in kept.started} == {
        *((f"a{index}.service", "unstarted", 0) for index in range(31)),
        ("long.service", "unstarted", 0),
    }
    kept.done()
    gone(daemon.server)
    assert not running(stays(lab))


def test_a_child_that_hangs_before_exec_is_named(lab: Lab) -> None:
    daemon = lab.daemon()
    fifo = lab.runtime / "nobody"
    os.mkfifo(fifo)
    daemon.tell("hang", "hung.service", str(fifo))
    pid = daemon.heard("Spawned", "hung.service")
    daemon.kill()
    kept = lab.take()
    hung = word(kept, "hung.service")
    assert (hung.what, hung.pid, hung.birth) == ("spawned", pid, processes.birth(pid))


def test_a_child_that_execs_later_is_told_as_execed(lab: Lab) -> None:
    daemon = lab.daemon()
    fifo = lab.runtime / "late"
    os.mkfifo(fifo)
    daemon.tell("hang", "late.service", str(fifo))
    daemon.heard("Spawned", "late.service")
    daemon.kill()
    writer = os.open(fifo, os.O_WRONLY)
    kept = lab.take()
    os.close(writer)
    assert word(kept, "late.service").what == "execed"


# --- descriptors --------------------------------------------------------------------------------------


def test_what_was_sent_meanwhile_is_there(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.tell("listen")
    port = daemon.heard("port")
    daemon.kill()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", f"{lab.runtime}/notify")
    with socket.create_connection(("127.0.0.1", port), BOUND_S) as caller:
        kept = lab.take()
        with socket.socket(fileno=os.dup(kept.fds["notify"])) as notes:
            assert notes.recv(100) == b"READY=1"
        with socket.socket(fileno=os.dup(kept.fds["calls"])) as listening:
            listening.settimeout(BOUND_S)
            answering, _ = listening.accept()
            with answering:
                answering.sendall(b"hello")
                assert caller.recv(100) == b"hello"


def test_a_fork_server_that_dies_is_replaced_and_the_new_one_keeps_the_same(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.tell("listen")
    daemon.heard("port")
    os.kill(daemon.server, signal.SIGKILL)
    waited(lambda: [pid for pid in executors(lab) if pid != daemon.server])
    daemon.kill()
    assert sorted(lab.take().fds) == ["calls", "notify"]


def test_a_daemon_that_dies_before_it_is_done_loses_nothing(lab: Lab) -> None:
    first = lab.daemon()
    first.tell("listen")
    first.heard("port")
    first.tell("spawn", "a.service", *stays(lab))
    first.heard("Execed", "a.service")
    first.kill()
    for _ in range(2):
        kept = lab.take()
        assert sorted(kept.fds) == ["calls", "notify"]
        assert word(kept, "a.service").what == "execed"
        for end in kept.keepers:
            end.close()
        kept.keepers.clear()
    kept = lab.take()
    kept.done()
    gone(first.server)
    assert lab.doors() == []
    assert lab.take() == Kept()


def test_two_daemons_killed_in_a_row_are_both_heard(lab: Lab) -> None:
    for unit in ("a.service", "b.service"):
        daemon = lab.daemon()
        daemon.tell("spawn", unit, *stays(lab))
        daemon.heard("Execed", unit)
        daemon.kill()
    kept = lab.take()
    assert [each.unit for each in kept.started] == ["a.service", "b.service"]
    assert len(kept.keepers) == 2
    assert kept.is_whole


def test_a_later_keeper_that_was_killed_leaves_less_than_the_whole(lab: Lab) -> None:
    earlier, later = lab.daemon(), lab.daemon()
    for daemon in (earlier, later):
        daemon.kill()
    os.kill(later.server, signal.SIGKILL)
    gone(later.server)
    kept = lab.take()
    assert len(kept.keepers) == 1
    assert not kept.is_whole


# --- not in the way -------------------------------------------------------------------------------------


def test_nobody_comes(lab: Lab) -> None:
    daemon = lab.daemon(patience=0.1)
    daemon.kill()
    gone(daemon.server)
    assert lab.doors() == []


def test_the_directory_goes(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.kill()
    keeper.forget(str(lab.runtime))
    gone(daemon.server)


def test_a_daemon_that_ends_well_leaves_nobody(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.tell("listen")
    daemon.heard("port")
    daemon.tell("end")
    daemon.close()
    gone(daemon.server)
    assert lab.doors() == []
    assert lab.take() == Kept()


def test_a_killed_keeper_leaves_a_name_that_is_removed(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.kill()
    os.kill(daemon.server, signal.SIGKILL)
    gone(daemon.server)
    assert len(lab.doors()) == 1
    assert lab.take() == Kept()
    assert lab.doors() == []


def test_a_keeper_that_says_nothing_is_not_waited_for_long(lab: Lab) -> None:
    daemon = lab.daemon()
    os.kill(daemon.server, signal.SIGSTOP)
    daemon.kill()
    assert keeper.take(str(lab.runtime), 0.1) == Kept()
    assert keeper.end_executors(str(lab.runtime), bound=BOUND_S) == [daemon.server]
    assert lab.take() == Kept()
    assert lab.doors() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_gets_nothing(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.tell("listen")
    daemon.heard("port")
    daemon.kill()
    os.chmod(lab.runtime, 0o755)
    (door,) = lab.doors()
    path = lab.runtime / door
    assert path.stat().st_mode & 0o777 == 0o600
    os.chmod(path, 0o666)
    script = "import socket as s; k = s.socket(s.AF_UNIX, s.SOCK_SEQPACKET); k.connect(sys.argv[1]); print(k.recv(1))"
    command = ["/usr/bin/env", "python3", "-c", f"import sys; {script}", str(path)]
    asked = subprocess.run(command, user=65534, capture_output=True, text=True, timeout=BOUND_S, check=True)
    assert asked.stdout == "b''\n"
    assert sorted(lab.take().fds) == ["calls", "notify"]


def test_hanging_up_a_terminal_does_not_end_it(lab: Lab) -> None:
    daemon = lab.daemon()
    daemon.kill()
    lab.take().keepers.pop().close()
    os.kill(daemon.server, signal.SIGHUP)
    os.kill(daemon.server, signal.SIGPIPE)
    assert len(lab.take().keepers) == 1


def test_executors_of_an_earlier_daemon_are_ended_and_nobody_else(lab: Lab) -> None:
    daemon = lab.daemon()
    fifo = lab.runtime / "nobody"
    os.mkfifo(fifo)
    daemon.tell("hang", "hung.service", str(fifo))
    hung = daemon.heard("Spawned", "hung.service")
    daemon.tell("spawn", "a.service", *stays(lab))
    pid = daemon.heard("Spawned", "a.service")
    daemon.heard("Execed", "a.service")
    other = Lab()
    try:
        spared = other.daemon().server
        daemon.kill()
        assert set(keeper.end_executors(str(lab.runtime), bound=BOUND_S)) == {hung, daemon.server}
        assert processes.birth(spared)
        assert processes.birth(pid)
    finally:
        other.close()


# --- the shelf ---------------------------------------------------------------------------------------


def test_what_is_dropped_is_closed_at_once(lab: Lab) -> None:
    shelf = Shelf(str(lab.runtime))
    address = ("127.0.0.1", 0)
    for _ in range(300):
        made = socket.create_server(address)
        shelf.hold("x", made.fileno())
        address = made.getsockname()
        shelf.drop("x")
        made.close()
    shelf.close()


@pytest.mark.parametrize("filling", ["", "x" * 300], ids=["short", "long"])
def test_a_thousand_are_kept(lab: Lab, filling: str) -> None:
    shelf = Shelf(str(lab.runtime))
    reads, writes = os.pipe()
    for index in range(1000):
        shelf.hold(f"n{index}" + filling, reads)
    for index in range(0, 1000, 2):
        shelf.drop(f"n{index}" + filling)
    held = unshelved(os.dup(shelf.filenos()[0]))
    assert sorted(held) == sorted(f"n{index}" + filling for index in range(1, 1000, 2))
    for fd in (*held.values(), reads, writes):
        os.close(fd)
    shelf.close()


# --- who goes on with them ------------------------------------------------------------------------------


async def test_notify_goes_on_with_the_socket_of_the_daemon_before(lab: Lab) -> None:
    loop, path = asyncio.get_running_loop(), f"{lab.runtime}/notify"
    heard: asyncio.Queue[Event] = asyncio.Queue()

    def post(event: Event, then: Callable[[], None] | None = None) -> None:
        heard.put_nowait(event)

    first = Notify(path, loop, post, lambda pid: "a.service", print)
    given = os.dup(first.fileno())
    first.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", path)
    following = Notify(path, loop, post, lambda pid: "a.service", print, given=given)
    try:
        async with asyncio.timeout(BOUND_S):
            assert await heard.get() == Notified("a.service", os.getpid(), (("READY", "1"),))
        assert following.fileno() == given
    finally:
        following.close()


async def test_notify_binds_anew_when_the_name_is_gone(lab: Lab) -> None:
    loop, path = asyncio.get_running_loop(), f"{lab.runtime}/notify"
    first = Notify(path, loop, lambda event, then=None: None, lambda pid: "", print)
    given = os.dup(first.fileno())
    first.close()
    os.unlink(path)
    following = Notify(path, loop, lambda event, then=None: None, lambda pid: "", print, given=given)
    try:
        assert os.path.exists(path)
    finally:
        following.close()


class Listeners:
    """Sockets of a.socket, and what they tell."""

    def __init__(self, shelf: Shelf, served_by: list[int]) -> None:
        self.heard: list[Listening | ListenFailed | Incoming] = []
        self.sockets = Sockets(
            asyncio.get_running_loop(), self.heard.append, pytest.fail, shelf, lambda unit: served_by
        )

    def listen(self, *addresses: tuple[str, str]) -> Listening | ListenFailed | Incoming:
        self.sockets.listen(SocketPlan("a.socket", addresses, "name", 16, 0o600, 0o755))
        return self.heard[-1]

    def inode(self) -> list[int]:
        return [os.fstat(fd).st_ino for fd, _ in self.sockets.descriptors("a.socket")]


async def test_socket_units_go_on_with_theirs(lab: Lab) -> None:
    (lab.runtime / "2").mkdir()
    shelf, following_shelf = Shelf(str(lab.runtime)), Shelf(f"{lab.runtime}/2")
    first = Listeners(shelf, [])
    addresses = (("Stream", f"{lab.runtime}/s"), ("Datagram", f"{lab.runtime}/d"), ("FIFO", f"{lab.runtime}/f"))
    assert first.listen(*addresses) == Listening("a.socket")
    inodes = first.inode()
    kept = unshelved(os.dup(shelf.filenos()[0]))
    following = Listeners(following_shelf, [])
    following.sockets.give(kept)
    os.unlink(f"{lab.runtime}/d")
    assert following.listen(*addresses[:2]) == Listening("a.socket")
    assert following.inode()[0] == inodes[0]
    assert following.inode()[1] != inodes[1]
    following.sockets.close_given()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{lab.runtime}/s")
    assert len(unshelved(os.dup(following_shelf.filenos()[0]))) == 2
    for listeners in (first, following):
        listeners.sockets.close()
    for end in (shelf, following_shelf):
        end.close()


@pytest.mark.parametrize("kind", ["Stream", "SequentialPacket", "Datagram"])
@pytest.mark.parametrize("where", ["path", "abstract", "port"])
async def test_a_socket_comes_back_from_the_unit_s_own_service(lab: Lab, kind: str, where: str) -> None:
    types = {
        "Stream": socket.SOCK_STREAM,
        "SequentialPacket": socket.SOCK_SEQPACKET,
        "Datagram": socket.SOCK_DGRAM,
    }
    if where == "port" and kind == "SequentialPacket":
        return
    made = socket.socket(socket.AF_INET if where == "port" else socket.AF_UNIX, types[kind])
    name: str | tuple[str, int] = f"{lab.runtime}/s"
    if where == "abstract":
        name = f"\0{lab.runtime}"
    made.bind(("127.0.0.1", 0) if where == "port" else name)
    if kind != "Datagram":
        made.listen()
    address = f"127.0.0.1:{made.getsockname()[1]}" if where == "port" else str(name).replace("\0", "@")
    service = subprocess.Popen(list(stays(lab)), pass_fds=[made.fileno()])
    inode = os.fstat(made.fileno()).st_ino
    made.close()
    shelf = Shelf(str(lab.runtime))
    theirs, ours = Listeners(shelf, []), Listeners(shelf, [service.pid])
    try:
        refused = theirs.listen((kind, address))
        assert isinstance(refused, ListenFailed)
        assert f"by {service.pid} " in refused.detail
        assert ours.listen((kind, address)) == Listening("a.socket")
        assert ours.inode() == [inode]
    finally:
        service.kill()
        service.wait(BOUND_S)
        ours.sockets.close()
        shelf.close()
