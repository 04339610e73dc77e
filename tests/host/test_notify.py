"""The notification socket: real datagrams from this process and a child, the table of units made up."""

import array
import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from unitd.host.notify import MESSAGE_LIMIT, Notify
from unitd.model.events import Event, Notified

BOUND_S = 30.0


class Post:
    """A socket whose senders belong to the units of `units`."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.heard: list[Notified] = []
        self.warnings: list[str] = []
        self.units = {os.getpid(): "a.service"}
        self.some = asyncio.Event()
        self.early = False
        self.handles = True
        self.then: list[Callable[[], None]] = []
        self.notify = Notify(
            self.path,
            asyncio.get_running_loop(),
            self.take,
            lambda pid: self.units.get(pid, ""),
            self.complain,
            lambda pid: self.early,
        )

    def take(self, event: Event, then: Callable[[], None] | None = None) -> None:
        assert isinstance(event, Notified)
        self.heard.append(event)
        self.some.set()
        self.then.append(then or (lambda: None))
        while self.handles and self.then:
            self.then.pop(0)()

    def complain(self, text: str) -> None:
        self.warnings.append(text)
        self.some.set()

    async def until(self, count: int) -> None:
        while len(self.heard) + len(self.warnings) < count:
            self.some.clear()
            await asyncio.wait_for(self.some.wait(), BOUND_S)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    post = Post(tmp_path)
    yield post
    post.notify.close()


def send(path: str, message: bytes, descriptors: tuple[int, ...] = ()) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        sender.sendmsg([message], control, 0, path)


async def test_fields_come_with_unit_and_pid(post: Post) -> None:
    send(post.path, b"READY=1\nSTATUS=at work: a=b\n\nnonsense\n=x\0")
    await post.until(1)
    assert post.heard == [Notified("a.service", os.getpid(), (("READY", "1"), ("STATUS", "at work: a=b")))]
    assert not post.warnings


async def test_a_sender_without_unit_is_dropped_and_the_log_is_not_flooded(post: Post) -> None:
    mine = post.units.pop(os.getpid())
    send(post.path, b"READY=1")
    await post.until(1)
    post.units[os.getpid()] = mine
    for _ in range(5):
        send(post.path, b"not\0taken")
    send(post.path, b"WATCHDOG=1")
    await post.until(2)
    assert [event.fields for event in post.heard] == [(("WATCHDOG", "1"),)]
    assert post.warnings == [f"cannot take a notification: pid {os.getpid()} belongs to no unit"]


@pytest.mark.parametrize("message", [b"READY=1\0READY=1", b"READY=1\n" + b"x" * MESSAGE_LIMIT, b"READY=1 \0\0"])
async def test_malformed_messages_are_dropped_whole(post: Post, message: bytes) -> None:
    send(post.path, message)
    send(post.path, b"STOPPING=1")
    await post.until(2)
    assert [event.fields for event in post.heard] == [(("STOPPING", "1"),)]


async def test_a_field_that_is_no_text_is_dropped_alone(post: Post) -> None:
    send(post.path, b"STATUS=\xff\nREADY=1")
    await post.until(2)
    assert post.heard[0].fields == (("READY", "1"),)


@pytest.mark.parametrize("value", [b"1", b"0", b"-1", b"x", b"99999999999", "\u0661".encode()])
async def test_a_main_pid_must_be_of_the_unit(post: Post, value: bytes) -> None:
    post.units[1] = "b.service"
    send(post.path, b"MAINPID=" + value + b"\nREADY=1")
    await post.until(2)
    assert post.heard[0].fields == (("READY", "1"),)
    send(post.path, b"MAINPID=%d" % os.getpid())
    await post.until(3)
    assert post.heard[1].fields == (("MAINPID", str(os.getpid())),)


async def test_a_barrier_is_over_when_all_before_it_was_handled(post: Post) -> None:
    mine, theirs = os.pipe()
    over = asyncio.Event()
    send(post.path, b"READY=1")
    send(post.path, b"BARRIER=1", (theirs,))
    os.close(theirs)
    loop = asyncio.get_running_loop()
    loop.add_reader(mine, over.set)
    await asyncio.wait_for(over.wait(), BOUND_S)
    loop.remove_reader(mine)
    os.close(mine)
    assert [event.fields for event in post.heard] == [(("READY", "1"),)]


async def test_descriptors_sent_along_are_closed(post: Post) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open("/dev/null") as null:
        for message in (b"FDSTORE=1", b"\0\0", b""):
            send(post.path, message, (null.fileno(),) * 200)
        send(post.path, b"READY=1")
        while (("READY", "1"),) not in [event.fields for event in post.heard]:
            await post.until(len(post.heard) + len(post.warnings) + 1)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_burst_loses_nothing(post: Post) -> None:
    """A child sends as fast as it can; the kernel makes it wait where we are slower."""
    count = 500
    child = os.fork()
    if child == 0:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for number in range(count):
                sender.sendto(b"STATUS=%d" % number, post.path)
        os._exit(0)
    post.units[child] = "b.service"
    await post.until(count)
    os.waitpid(child, 0)
    assert [event.fields[0][1] for event in post.heard] == [str(number) for number in range(count)]
    assert {(event.unit, event.pid) for event in post.heard} == {("b.service", child)}


async def test_a_user_may_send_but_not_in_anothers_name(post: Post) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to become another user")
    Path(post.path).parent.chmod(0o755)
    assert stat.S_IMODE(os.stat(post.path).st_mode) == 0o777
    descriptor = os.open(Path(post.path).parent, os.O_PATH | os.O_DIRECTORY)
    child = os.fork()
    if child == 0:
        os.fchdir(descriptor)
        os.setgid(65534)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", "notify")
            forged = array.array("i", (1, 0, 0)).tobytes()
            try:
                sender.sendmsg([b"READY=1"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, forged)], 0, "notify")
            except PermissionError:
                os._exit(0)
        os._exit(1)
    os.close(descriptor)
    post.units[child] = "b.service"
    await post.until(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert post.heard == [Notified("b.service", child, (("READY", "1"),))]


async def test_the_next_daemon_takes_the_name_over(post: Post) -> None:
    following = Notify(post.path, asyncio.get_running_loop(), post.take, lambda pid: "c.service", post.complain)
    post.notify.close()
    send(post.path, b"READY=1")
    await post.until(1)
    following.close()
    following.close()
    assert post.heard[0].unit == "c.service"


async def test_a_path_that_cannot_be_bound_is_named() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(OSError, match="cannot listen for notifications"):
        Notify("/nonexistent/notify", loop, lambda event, then=None: None, lambda pid: "", print)


@pytest.mark.parametrize("known", [True, False])
async def test_who_speaks_before_it_was_told_of_waits(post: Post, known: bool) -> None:
    post.early = True
    units = dict(post.units)
    if not known:
        post.units.clear()
    send(post.path, b"READY=1")
    post.notify.read()
    post.notify.read()
    assert post.heard == []
    post.early = False
    post.units.update(units)
    send(post.path, b"STATUS=later")
    post.notify.read()
    assert [event.fields[0][0] for event in post.heard] == ["READY", "STATUS"]
    assert post.warnings == []


async def test_what_the_engine_has_not_handled_is_heard_by_the_next_daemon(post: Post) -> None:
    post.handles = False
    for text in (b"READY=1", b"STATUS=" + b"x" * 5000, b"STATUS=here"):
        send(post.path, text)
    await post.until(3)
    post.then.pop(0)()
    given = os.dup(post.notify.fileno())
    following: list[Event] = []
    done = asyncio.Event()

    def take(event: Event, then: Callable[[], None] | None = None) -> None:
        following.append(event)
        done.set()

    next_one = Notify(post.path, asyncio.get_running_loop(), take, lambda pid: "a.service", post.complain, given=given)
    try:
        await asyncio.wait_for(done.wait(), BOUND_S)
        assert following == [Notified("a.service", os.getpid(), (("STATUS", "here"),))]
    finally:
        next_one.close()
