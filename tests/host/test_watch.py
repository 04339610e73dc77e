"""The watch of unit directories: real files; the quiet is none, or counted on a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from unitd.host.inotify import Inotify
from unitd.host.watch import QUIET_S, UnitFileWatch
from unitd.model.events import UnitFilesChanged

BOUND_S = 30.0


class House:
    def __init__(self, folder: Path) -> None:
        self.etc, self.run = folder / "etc" / "unitd", folder / "run" / "units"
        self.etc.mkdir(parents=True)
        self.heard: asyncio.Queue[UnitFilesChanged] = asyncio.Queue()
        self.warnings: list[str] = []
        loop = asyncio.get_running_loop()
        self.inotify = Inotify(loop)
        self.watch = UnitFileWatch(
            self.inotify, loop, (str(self.etc), str(self.run)), self.heard.put_nowait, self.warnings.append, 0.0
        )

    async def told(self) -> None:
        """Wait until a change is told, and until all that is under way is."""
        await asyncio.wait_for(self.heard.get(), BOUND_S)
        await self.all_read()
        while not self.heard.empty():
            self.heard.get_nowait()

    async def all_read(self) -> None:
        """Wait until the kernel's queue is empty, as a mark of our own comes last."""
        mark = self.etc.parent / "mark"
        seen = asyncio.Event()
        number = self.inotify.add(str(mark.parent), 0x100, lambda mask, name: seen.set())
        mark.touch()
        await asyncio.wait_for(seen.wait(), BOUND_S)
        self.inotify.remove(number)
        mark.unlink()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    house.watch.close()
    house.inotify.close()
    assert house.warnings == []


@pytest.mark.parametrize(
    "change",
    [
        lambda etc: (etc / "b.service").write_text(""),
        lambda etc: (etc / "a.service").unlink(),
        lambda etc: (etc / "a.service").write_text("[Unit]"),
        lambda etc: (etc / "a.service").rename(etc / "c.service"),
        lambda etc: (etc / "b.target").symlink_to("/dev/null"),
        lambda etc: (etc / "a.service.d").mkdir(),
        lambda etc: (etc / "x.target.wants" / "a.service").symlink_to("../a.service"),
    ],
)
async def test_changes_are_told(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    etc = tmp_path / "etc" / "unitd"
    (etc / "x.target.wants").mkdir(parents=True)
    (etc / "a.service").touch()
    heard: asyncio.Queue[UnitFilesChanged] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    inotify = Inotify(loop)
    watch = UnitFileWatch(inotify, loop, (str(etc),), heard.put_nowait, print, 0.0)
    try:
        change(etc)
        assert await asyncio.wait_for(heard.get(), BOUND_S) == UnitFilesChanged()
    finally:
        watch.close()
        inotify.close()


async def test_other_files_are_nobodys_business(house: House) -> None:
    (house.etc / ".a.service.swp").touch()
    (house.etc / "README").touch()
    (house.etc / "folder").mkdir()
    await house.all_read()
    assert house.heard.empty()


async def test_a_drop_in_directory_that_is_young_is_watched(house: House) -> None:
    (house.etc / "a.service.d").mkdir()
    await house.told()
    (house.etc / "a.service.d" / "10.conf").touch()
    await house.told()


async def test_a_directory_that_is_missing_may_come_and_go(house: House, tmp_path: Path) -> None:
    house.run.mkdir(parents=True)
    await house.told()
    (house.run / "a.service").touch()
    await house.told()
    (house.run / "a.service").unlink()
    house.run.rmdir()
    await house.told()
    house.run.mkdir()
    await house.told()
    (house.run / "b.service").touch()
    await house.told()


async def test_a_closed_watch_is_silent(house: House) -> None:
    (house.etc / "a.service").touch()
    house.watch.close()
    await house.all_read()
    assert house.heard.empty()


class Timer:
    """A loop's clock and its one timer."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: tuple[float, Callable[[], None]] | None = None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        assert self.due is None
        self.due = (self.now + delay, callback)
        return self

    def cancel(self) -> None:
        self.due = None

    def pass_to_the_timer(self) -> None:
        assert self.due is not None
        (self.now, callback), self.due = self.due, None
        callback()


async def test_it_is_told_after_the_last_change_and_once(tmp_path: Path) -> None:
    heard: list[UnitFilesChanged] = []
    timer = Timer()
    inotify = Inotify(asyncio.get_running_loop())
    watch = UnitFileWatch(
        inotify, cast(asyncio.AbstractEventLoop, timer), (str(tmp_path),), heard.append, print, QUIET_S
    )
    try:
        (tmp_path / "a.service").touch()
        async with asyncio.timeout(BOUND_S):
            while timer.due is None:
                await asyncio.sleep(0)
        first = timer.due[0]
        timer.now += QUIET_S / 2
        seen = asyncio.Event()
        inotify.add(str(tmp_path), 0x8, lambda mask, name: seen.set())
        (tmp_path / "b.service").touch()
        await asyncio.wait_for(seen.wait(), BOUND_S)
        timer.pass_to_the_timer()
        assert timer.now == first
        assert heard == []
        timer.pass_to_the_timer()
        assert timer.now == pytest.approx(first + QUIET_S / 2)
        assert heard == [UnitFilesChanged()]
        assert timer.due is None
    finally:
        watch.close()
        inotify.close()
