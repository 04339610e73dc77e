"""PID files: real files and processes, the table of units made up."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unitd.host import processes
from unitd.host.inotify import Inotify
from unitd.host.pid_files import PidFiles
from unitd.model.events import PidFileRead

BOUND_S = 30.0
UNIT = "a.service"


class House:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: asyncio.Queue[PidFileRead] = asyncio.Queue()
        self.units = {os.getpid(): UNIT}
        self.inotify = Inotify(asyncio.get_running_loop())
        self.files = PidFiles(self.inotify, self.heard.put_nowait, lambda pid: self.units.get(pid, ""))

    def write(self, text: str) -> None:
        """As a careful daemon does: all at once."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.path)

    async def next(self) -> PidFileRead:
        return await asyncio.wait_for(self.heard.get(), BOUND_S)

    async def until_pid(self, pid: int) -> PidFileRead:
        while (read := await self.next()).pid != pid:
            continue
        return read


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "a.pid")
    yield house
    house.files.close()
    house.inotify.close()


def mine() -> PidFileRead:
    return PidFileRead(UNIT, os.getpid(), processes.birth(os.getpid()))


async def test_a_file_that_is_there_is_read_at_once(house: House) -> None:
    house.write(f" {os.getpid()} \nand more\n")
    house.files.watch(UNIT, str(house.path))
    assert house.heard.get_nowait() == mine()


async def test_a_file_that_comes_later_is_heard_of(house: House) -> None:
    house.files.watch(UNIT, str(house.path))
    assert "No such file" in house.heard.get_nowait().reason
    house.write(f"{os.getpid()}\n")
    assert await house.next() == mine()


async def test_a_file_written_in_place_is_heard_of(house: House) -> None:
    house.files.watch(UNIT, str(house.path))
    with house.path.open("w") as file:
        file.flush()
        file.write(str(os.getpid()))
    assert await house.until_pid(os.getpid()) == mine()


async def test_directories_may_come_later_and_come_back(house: House, tmp_path: Path) -> None:
    deep = tmp_path / "one" / "two"
    house.path = deep / "a.pid"
    house.files.watch(UNIT, str(house.path))
    assert house.heard.get_nowait().pid == 0
    deep.mkdir(parents=True)
    house.write(str(os.getpid()))
    assert await house.until_pid(os.getpid()) == mine()
    deep.rename(tmp_path / "moved")
    assert (await house.next()).pid == 0
    deep.mkdir()
    house.write(str(os.getpid()))
    assert await house.until_pid(os.getpid()) == mine()


async def test_a_directory_that_was_removed_comes_back(house: House, tmp_path: Path) -> None:
    house.path = tmp_path / "run" / "a.pid"
    house.path.parent.mkdir()
    house.files.watch(UNIT, str(house.path))
    house.path.parent.rmdir()
    house.path.parent.mkdir()
    house.write(str(os.getpid()))
    assert await house.until_pid(os.getpid()) == mine()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("1", "it is no pid but '1'"),
        ("0", "it is no pid"),
        ("-5", "it is no pid"),
        ("12x", "it is no pid but '12x'"),
        ("\u0663", "it is no pid"),
        ("9" * 100, "it is no pid"),
        ("4194304", "no process 4194304 lives"),
    ],
)
async def test_a_file_that_names_no_process(house: House, text: str, reason: str) -> None:
    house.write(text)
    house.files.watch(UNIT, str(house.path))
    read = house.heard.get_nowait()
    assert read.pid == 0
    assert reason in read.reason
    assert read.reason.startswith("cannot use ")


async def test_a_process_of_another_unit_is_refused(house: House) -> None:
    house.write(str(os.getppid()))
    house.units[os.getppid()] = "b.service"
    house.files.watch(UNIT, str(house.path))
    read = house.heard.get_nowait()
    assert read.pid == 0
    assert read.reason.endswith(f"process {os.getppid()} is not of a.service but of b.service")


async def test_a_zombie_is_not_alive(house: House) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    house.units[child] = UNIT
    house.write(str(child))
    house.files.watch(UNIT, str(house.path))
    os.waitpid(child, 0)
    assert house.heard.get_nowait().pid == 0


async def test_a_fifo_does_not_hold_us_up(house: House) -> None:
    os.mkfifo(house.path)
    house.files.watch(UNIT, str(house.path))
    assert house.heard.get_nowait().pid == 0


async def test_an_unwatched_file_is_silent_and_may_be_removed(house: House) -> None:
    house.write(str(os.getpid()))
    house.files.watch(UNIT, str(house.path))
    assert house.heard.get_nowait() == mine()
    house.files.unwatch(UNIT, str(house.path), remove=True)
    assert not house.path.exists()
    house.files.unwatch(UNIT, str(house.path), remove=True)
    heard: list[str] = []
    marker = house.inotify.add(str(house.path.parent), 0x100, lambda mask, name: heard.append(name))
    house.write("1")
    async with asyncio.timeout(BOUND_S):
        while not heard:
            await asyncio.sleep(0)
    house.inotify.remove(marker)
    assert house.heard.empty()


async def test_a_changed_pid_is_told_and_the_same_is_not(house: House) -> None:
    house.write(str(os.getpid()))
    house.files.watch(UNIT, str(house.path))
    house.write(f"{os.getpid()}\n")
    house.write("none")
    assert await house.next() == mine()
    assert "none" in (await house.next()).reason
    assert house.heard.empty()
