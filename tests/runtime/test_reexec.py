"""Trying out the next program, coming to rest, and what happens when either cannot be; nothing is executed here."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import msgpack

from unitd.bus.bus import Kept as KeptBus
from unitd.bus.dispatch import Kept as KeptCalls
from unitd.engine.snapshot import Snapshot
from unitd.host.children import Kept as KeptChildren
from unitd.host.logs import Kept as KeptLogs
from unitd.host.perform import Kept as KeptHost
from unitd.host.ports import KeptGroups
from unitd.runtime import reexec
from unitd.runtime.handover import Handover, Unready
from unitd.runtime.reexec import Renewal

BOUND_S = 30
SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)


class Resting:
    """A daemon that is busy as often as `busy` says, and lists what is asked of it."""

    def __init__(self, lock: int) -> None:
        self.busy: list[str] = []
        self.told: list[str] = []
        self.refused: dict[int, str] = {}
        self.done = asyncio.Event()
        self._lock = lock

    def under_way(self, *, patient: bool) -> str:
        return self.busy.pop(0) if self.busy else ""

    def rest(self) -> None:
        self.told.append("rest")

    def go_on(self) -> None:
        self.told.append("go on")

    async def drain(self, seconds: float) -> None:
        self.told.append("drain")

    def handover(self) -> Handover:
        self.told.append("handover")
        host = KeptHost(KeptGroups(), (1, 2), 0, (), KeptChildren({}, {}))
        bus = KeptBus({"/x": self._lock}, KeptCalls(0))
        return Handover("1", "info", self._lock, "/door", {}, host, KeptLogs(), bus, Snapshot())

    def refuse(self, token: int, text: str) -> None:
        self.refused[token] = text
        self.done.set()


def program(monkeypatch: pytest.MonkeyPatch, where: Path, text: str) -> None:
    file = where / "program.py"
    file.write_text(text)
    monkeypatch.setattr(reexec, "program", lambda: [sys.executable, "-I", "-S", str(file)])


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    yield
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(SIGNALS)


@pytest_asyncio.fixture
async def daemon() -> AsyncIterator[Resting]:
    fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    yield Resting(fd)
    assert not os.get_inheritable(fd)
    os.close(fd)


async def refused(daemon: Resting) -> str:
    """What is said when two ask at once."""
    said: list[str] = []
    renewal = Renewal(asyncio.get_running_loop(), daemon, SIGNALS, lambda level, text: said.append(text))
    renewal.ask(7)
    renewal.ask(8)
    async with asyncio.timeout(BOUND_S):
        await daemon.done.wait()
        await asyncio.sleep(0)
    assert set(daemon.refused) == {7, 8}
    assert set(daemon.refused.values()) == {said[-1]}
    assert daemon.told[-1] == "go on"
    return said[-1]


async def test_a_program_says_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(monkeypatch, tmp_path, "import sys; print('a warning', file=sys.stderr); print('unitd 2.0', sys.argv[1])")
    assert await reexec.try_out(asyncio.get_running_loop()) == "unitd 2.0 --version"
    os.waitpid(-1, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ImportError('no such thing')", "does not start: ImportError: no such thing"),
        ("print('something else')", "does not start: something else"),
        ("", "does not start: it says nothing"),
        ("import time; time.sleep(1000)", "does not end within 1 s"),
    ],
)
async def test_a_program_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, why: str
) -> None:
    monkeypatch.setattr(reexec, "_TRIAL_S", 1.0 if "sleep" in text else BOUND_S)
    program(monkeypatch, tmp_path, text)
    with pytest.raises(Unready, match=why):
        await reexec.try_out(asyncio.get_running_loop())
    os.waitpid(-1, 0)


async def test_a_program_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, daemon: Resting) -> None:
    monkeypatch.setattr(reexec, "program", lambda: ["/there/is/none"])
    assert await refused(daemon) == "cannot re-execute: /there/is/none cannot be started: No such file or directory"
    assert daemon.told == ["go on"]


async def test_who_is_busy_for_too_long_goes_on(monkeypatch: pytest.MonkeyPatch, daemon: Resting) -> None:
    monkeypatch.setattr(reexec, "try_out", _fine)
    monkeypatch.setattr(reexec, "_SETTLE_S", 0.05)
    daemon.busy = ["a.service is being signalled"] * 1_000_000
    assert await refused(daemon) == "cannot re-execute: a.service is being signalled, and does not come to its end"
    assert daemon.told == ["rest", "drain", "go on"]


async def test_it_waits_until_nothing_is_under_way(monkeypatch: pytest.MonkeyPatch, daemon: Resting) -> None:
    """Also when something comes up after all was still; and an exec that fails is no end."""
    monkeypatch.setattr(reexec, "try_out", _fine)
    monkeypatch.setattr(reexec, "program", lambda: ["/there/is/none"])
    daemon.busy = ["a", "b", "", "c", "d"]
    assert "No such file or directory" in await refused(daemon)
    assert daemon.busy == []
    assert daemon.told == ["rest", "drain", "handover", "go on"]


async def test_a_signal_that_came_just_before_is_dealt_with_first(
    monkeypatch: pytest.MonkeyPatch, daemon: Resting
) -> None:
    """It is taken while signals are blocked already, and what it asks for comes up before the exec."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(reexec, "try_out", _fine)
    heard: list[int] = []

    def hear() -> None:
        heard.append(1)
        loop.call_soon(daemon.busy.extend, ["the signal's doing"] * 1_000_000)

    loop.add_signal_handler(SIGNALS[0], hear)
    real = signal.pthread_sigmask

    def block(how: int, signals: object) -> object:
        if how == signal.SIG_BLOCK and not heard:
            os.kill(os.getpid(), SIGNALS[0])
        return real(how, signals)  # type: ignore[arg-type]

    monkeypatch.setattr(reexec, "_SETTLE_S", 0.05)
    monkeypatch.setattr(signal, "pthread_sigmask", block)
    assert "the signal's doing" in await refused(daemon)
    assert daemon.told == ["rest", "drain", "go on"]
    loop.remove_signal_handler(SIGNALS[0])


async def test_what_is_handed_over_is_read_back(monkeypatch: pytest.MonkeyPatch, daemon: Resting) -> None:
    given = daemon.handover()
    fd = os.memfd_create("test")
    os.write(fd, msgpack.encode(given))
    os.set_inheritable(given.lock, True)
    monkeypatch.setenv(reexec.VARIABLE, str(fd))
    assert reexec.receive(lambda text: None) == given
    assert reexec.VARIABLE not in os.environ
    assert reexec.receive(lambda text: None) is None


async def test_what_cannot_be_read_is_said_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    closed: list[bool] = []
    monkeypatch.setattr(reexec, "close_rest", lambda: closed.append(True))
    fd = os.memfd_create("test")
    os.write(fd, b"\x00")
    monkeypatch.setenv(reexec.VARIABLE, str(fd))
    assert reexec.receive(said.append) is None
    assert closed == [True]
    assert said[0].startswith("cannot go on with what unitd did")


async def _fine(loop: asyncio.AbstractEventLoop) -> str:
    return "unitd 2.0"
