"""Logs of units: real FIFOs and files, a clock that stands still."""

import asyncio
import errno
import os
import random
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from unitd.host import log_files, logs
from unitd.host.log_files import FILE_LIMIT, MEMORY_LIMIT, Line, file_name
from unitd.host.log_stream import LINE_LIMIT
from unitd.host.logs import Logs

BOUND_S = 30.0
NOON = 1_763_640_000_000_123


class Noon:
    now = NOON

    def realtime(self) -> int:
        return self.now


class House:
    """Logs in a folder of the test's own, and a writer for each unit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Noon()
        self.warnings: list[str] = []
        self.logs = self.open()

    def open(self) -> Logs:
        loop = asyncio.get_running_loop()
        return Logs(str(self.folder / "run"), str(self.folder / "state"), loop, self.clock, self.warnings.append)

    def writer(self, unit: str) -> int:
        """The FIFO opened as a child opens it."""
        return os.open(self.logs.stdout_path(unit), os.O_RDWR | os.O_CLOEXEC)

    def file(self, unit: str) -> Path:
        return self.folder / "state" / "logs" / f"{unit}.log"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    house.logs.close()


async def until(holds: Callable[[], bool]) -> None:
    """Run the loop until it holds."""

    async def turn() -> None:
        while not holds():
            await asyncio.sleep(0)

    await asyncio.wait_for(turn(), BOUND_S)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


async def test_lines_come_back_with_time_program_and_pid(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "cat food", 7)
    os.write(writer, b"one\ntwo\nthr")
    assert house.logs.tail("a.service", 9) == [(NOON, "cat_food", 7, "one"), (NOON, "cat_food", 7, "two")]
    os.write(writer, b"ee\n")
    assert house.logs.tail("a.service", 1) == [(NOON, "cat_food", 7, "three")]
    os.close(writer)


async def test_the_file_is_readable_by_its_group_only_and_for_people(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "sh", 7)
    os.write(writer, b"one\n")
    await until(house.file("a.service").exists)
    assert house.file("a.service").read_text() == "2025-11-20T12:00:00.000123Z sh[7]: one\n"
    assert stat.S_IMODE(house.file("a.service").stat().st_mode) == 0o640
    assert stat.S_IMODE(os.stat(house.logs.stdout_path("a.service")).st_mode) == 0o600
    os.close(writer)


async def test_a_label_holds_for_what_was_printed_before_it_too(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "first", 1)
    os.write(writer, b"of the first\nunfinished")
    house.logs.label("a.service", "second", 2)
    os.write(writer, b"of the second\n")
    assert [line[1:] for line in house.logs.tail("a.service", 9)] == [
        ("first", 1, "of the first"),
        ("first", 1, "unfinished"),
        ("second", 2, "of the second"),
    ]
    os.close(writer)


async def test_what_is_printed_before_the_pid_is_known_has_its_pid(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "first", 1)
    os.write(writer, b"of the first\n")
    house.logs.expect("a.service", True)
    os.write(writer, b"its last\n")
    house.logs.ended("a.service", 1)
    os.write(writer, b"of the second\nunfinished")
    assert [line[1:] for line in house.logs.tail("a.service", 9)] == [
        ("first", 1, "of the first"),
        ("first", 1, "its last"),
    ]
    house.logs.label("a.service", "second", 2)
    os.write(writer, b" no more\n")
    assert [line[1:] for line in house.logs.tail("a.service", 2)] == [
        ("second", 2, "of the second"),
        ("second", 2, "unfinished no more"),
    ]
    os.close(writer)


@pytest.mark.parametrize("whole", [False, True])
async def test_what_was_held_for_a_process_that_never_was_is_not_lost(house: House, whole: bool) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "first", 1)
    house.logs.ended("a.service", 1)
    house.logs.expect("a.service", True)
    os.write(writer, b"by a child\n" if whole else b"by a child")
    if whole:
        house.logs.expect("a.service", False)
        assert [line[1:] for line in house.logs.tail("a.service", 9)] == [("first", 1, "by a child")]
    else:
        house.logs.close_fifo("a.service")
        os.close(writer)
        await until(lambda: house.logs.tail("a.service", 9) != [])
        assert texts(house.logs.tail("a.service", 9)) == ["by a child"]
        return
    os.close(writer)


async def test_what_is_printed_after_a_control_process_is_the_main_process_s(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "main", 1)
    house.logs.label("a.service", "reload", 2)
    os.write(writer, b"of reload\n")
    house.logs.ended("a.service", 2)
    os.write(writer, b"of main\n")
    house.logs.ended("a.service", 7)
    house.logs.ended("a.service", 1)
    os.write(writer, b"of its children\n")
    house.logs.ended("none.service", 1)
    assert [line[1:] for line in house.logs.tail("a.service", 9)] == [
        ("reload", 2, "of reload"),
        ("main", 1, "of main"),
        ("main", 1, "of its children"),
    ]
    os.close(writer)


async def test_bytes_that_are_no_text_are_kept_visibly(house: House) -> None:
    writer = house.writer("a.service")
    os.write(writer, b"a\0b\xff\xc3\n\n\r]: [1\xe2\x80\xa8z\n")
    assert texts(house.logs.tail("a.service", 9)) == ["a\\x00b\\xff\\xc3", "", "\r]: [1\u2028z"]
    os.close(writer)


async def test_a_long_line_is_cut_between_characters(house: House) -> None:
    writer = house.writer("a.service")
    line = "x" + "\u00e9" * LINE_LIMIT
    for start in range(0, len(line), 8192):
        os.write(writer, line[start : start + 8192].encode())
        house.logs.tail("a.service", 1)
    os.write(writer, b"\n")
    got = texts(house.logs.tail("a.service", 9))
    assert "".join(got) == line
    assert max(len(piece.encode()) for piece in got) <= LINE_LIMIT
    assert len(got) == 3
    os.close(writer)


@pytest.mark.parametrize("seed", range(5))
async def test_lines_do_not_depend_on_how_they_are_written(house: House, seed: int) -> None:
    chance = random.Random(seed)
    words = ("a", "\n", "\n\n", "b" * 900, "\u00e9" * 900, "\U0001f600" * 200)
    text = "".join(chance.choice(words) for _ in range(500))
    printed, at, seen = text.encode(), 0, 0
    writer = house.writer("a.service")
    while at < len(printed):
        at += os.write(writer, printed[at : at + chance.choice((1, 7, 500, 9000))])
        if chance.random() < 0.2 or at - seen > 32 * 1024:
            house.logs.tail("a.service", 1)
            seen = at
    os.close(writer)
    house.logs.close_fifo("a.service")
    assert "\n".join(texts(house.logs.tail("a.service", 0))) == text.removesuffix("\n")


async def test_what_was_printed_before_the_end_is_not_lost(house: House) -> None:
    writer = house.writer("a.service")
    path = house.logs.stdout_path("a.service")
    os.write(writer, b"last words\nwithout end")
    os.close(writer)
    house.logs.close_fifo("a.service")
    assert texts(house.logs.tail("a.service", 9)) == ["last words", "without end"]
    assert not os.path.exists(path)


async def test_a_process_that_outlives_its_unit_is_still_heard(house: House) -> None:
    writer = house.writer("a.service")
    path = house.logs.stdout_path("a.service")
    house.logs.close_fifo("a.service")
    os.write(writer, b"still here\n")
    await until(lambda: texts(house.logs.tail("a.service", 9)) == ["still here"])
    os.close(writer)
    await until(lambda: not os.path.exists(path))


async def test_a_unit_that_starts_again_meanwhile_keeps_its_fifo(house: House) -> None:
    old = house.writer("a.service")
    house.logs.close_fifo("a.service")
    young = house.writer("a.service")
    os.write(old, b"old\n")
    os.close(old)
    os.write(young, b"young\n")
    await until(lambda: texts(house.logs.tail("a.service", 9)) == ["old", "young"])
    assert os.path.exists(house.logs.stdout_path("a.service"))
    os.close(young)


async def test_released_units_hold_no_descriptor(house: House) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(200):
        house.logs.stdout_path(f"{number}.service")
    assert len(os.listdir("/proc/self/fd")) == before + 200
    for number in range(200):
        house.logs.close_fifo(f"{number}.service")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_next_daemon_reads_on(house: House) -> None:
    writer = house.writer("a.service")
    os.write(writer, b"one\n")
    house.logs.close()
    os.write(writer, b"two\n")
    house.logs = house.open()
    assert house.logs.reopen("a.service")
    assert texts(house.logs.tail("a.service", 9)) == ["one", "two"]
    assert not house.logs.reopen("b.service")
    os.close(writer)


async def test_what_cannot_be_read_at_first_is_read_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor is left after a crash; it is told once."""
    writer = house.writer("a.service")
    house.logs.close()
    os.write(writer, b"one\n")
    house.logs = house.open()
    opened, tries = house.logs._open, []

    def none_left(*arguments: object) -> None:
        tries.append(arguments)
        if len(tries) < 3:
            raise OSError(errno.EMFILE, "none")
        opened(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(house.logs, "_open", none_left)
    assert not house.logs.reopen("a.service")
    await until(lambda: texts(house.logs.tail("a.service", 9)) == ["one"])
    assert len(tries) == 3
    assert len(house.warnings) == 1
    os.close(writer)


async def test_no_daemon_at_all_is_no_broken_pipe(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.close()
    assert os.write(writer, b"nobody listens\n") == 15
    os.close(writer)


async def test_the_log_is_two_files_and_no_more(house: House) -> None:
    writer = house.writer("a.service")
    house.logs.label("a.service", "p", 1)
    for number in range(40 * 4):
        os.write(writer, b"".join(b"%06d %s\n" % (number, b"x" * 900) for _ in range(17)))
        house.logs.tail("a.service", 1)
    names = sorted(path.name for path in house.file("a.service").parent.iterdir())
    assert names == ["a.service.log", "a.service.log.1"]
    assert all(path.stat().st_size <= FILE_LIMIT for path in house.file("a.service").parent.iterdir())
    kept = texts(house.logs.since("a.service", 0))
    assert kept[-1].startswith("000159 ")
    assert len(kept) > 1000
    assert texts(house.logs.tail("a.service", 1500)) == kept[-1500:]
    os.close(writer)


async def test_since_is_a_time(house: House) -> None:
    house.logs.say("a.service", "early")
    house.clock.now += 1
    house.logs.say("a.service", "late\nlater\n")
    assert texts(house.logs.since("a.service", NOON)) == ["early", "late", "later"]
    assert texts(house.logs.since("a.service", NOON + 1)) == ["late", "later"]
    assert house.logs.since("a.service", NOON + 2) == []
    assert house.logs.tail("a.service", 1) == [(NOON + 1, "unitd", os.getpid(), "later")]
    assert house.logs.tail("a.service", 0) == house.logs.since("a.service", 0)


async def test_our_words_come_behind_what_was_printed(house: House) -> None:
    writer = house.writer("a.service")
    os.write(writer, b"printed\n")
    house.logs.say("a.service", "exited")
    assert texts(house.logs.tail("a.service", 9)) == ["printed", "exited"]
    os.close(writer)


async def test_followers_hear_lines_until_they_end(house: House) -> None:
    heard: list[Line] = []
    end = house.logs.follow("a.service", heard.extend)
    writer = house.writer("a.service")
    house.logs.label("a.service", "sh", 3)
    os.write(writer, b"one\n\ntwo\n")
    await until(lambda: len(heard) == 3)
    assert heard == house.logs.tail("a.service", 9)
    end()
    end()
    os.write(writer, b"three\n")
    assert texts(house.logs.tail("a.service", 1)) == ["three"]
    assert len(heard) == 3
    os.close(writer)


async def test_memory_stands_in_while_the_disk_is_not_writable(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "RETRY_S", 0.0)
    monkeypatch.setattr(logs, "SOON_S", 0.0)
    (house.folder / "state").write_text("a file where the folder should be")
    house.logs.say("a.service", "first")
    for number in range(MEMORY_LIMIT // 1000):
        house.logs.say("b.service", f"{number} {'x' * 1500}")
        await asyncio.sleep(0)
    assert texts(house.logs.tail("a.service", 9)) == ["first"]
    kept = texts(house.logs.tail("b.service", 999))
    assert 30 < len(kept) <= 44
    assert kept[-1].startswith(f"{MEMORY_LIMIT // 1000 - 1} ")
    (house.folder / "state").unlink()
    await until(house.file("b.service").exists)
    assert texts(house.logs.tail("b.service", 999)) == kept
    assert house.file("a.service").read_text().endswith(": first\n")
    assert len(house.warnings) == 1
    assert house.warnings[0].startswith("cannot write logs in ")


async def test_forgetting_deletes(house: House) -> None:
    house.logs.stdout_path("a.service")
    house.logs.say("a.service", "gone")
    await until(house.file("a.service").exists)
    house.logs.forget("a.service")
    assert not house.file("a.service").exists()
    assert not list((house.folder / "run" / "log").iterdir())
    assert house.logs.tail("a.service", 9) == []


async def test_a_flood_leaves_the_others_their_share(house: House) -> None:
    """Fifty units that always have something to say, and one that says a line: it is heard, and turns stay short."""
    flooders = [house.writer(f"{number}.service") for number in range(50)]
    for writer in flooders:
        os.set_blocking(writer, False)
    quiet = house.writer("quiet.service")
    heard: list[Line] = []
    house.logs.follow("quiet.service", heard.extend)
    reads = 0
    real_read = os.read

    def counting(fd: int, limit: int) -> bytes:
        nonlocal reads
        chunk = real_read(fd, limit)
        reads += len(chunk)
        return chunk

    most = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "read", counting)
        os.write(quiet, b"help\n")
        for _ in range(100_000):
            for writer in flooders:
                try:
                    os.write(writer, b"y\n" * 2048)
                except BlockingIOError:
                    continue
            before = reads
            await asyncio.sleep(0)
            most = max(most, reads - before)
            if heard and reads > 1024 * 1024:
                break
    assert texts(heard) == ["help"]
    assert 0 < most <= 2 * 64 * 1024
    for writer in (*flooders, quiet):
        os.close(writer)


async def test_a_file_that_is_no_fifo_is_not_read(house: House) -> None:
    folder = house.folder / "run" / "log"
    folder.mkdir(parents=True)
    (folder / "a.service.fifo").write_text("surprise")
    assert house.logs.stdout_path("a.service") == ""
    assert not house.logs.reopen("a.service")
    assert house.warnings[0].startswith("cannot keep what a.service prints: ")


async def test_lines_of_a_foreign_hand_are_passed_over(house: House) -> None:
    house.logs.say("a.service", "ours")
    await until(house.file("a.service").exists)
    with house.file("a.service").open("ab") as file:
        file.write(b"hello\n2025-99-99T12:00:00.000123Z sh[7]: no such day\n\xff[]: \n")
    assert texts(house.logs.tail("a.service", 9)) == ["ours"]


@pytest.mark.parametrize("unit", ["../../etc/passwd", "a/b.service", ".hidden", "\0", "x" * 300])
def test_a_file_name_stays_in_its_folder(unit: str) -> None:
    name = file_name(unit)
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")
    assert len(name) <= 240


def test_long_names_do_not_meet() -> None:
    assert file_name("x" * 300 + "a") != file_name("x" * 300 + "b")
    assert file_name("dev-sda\\x2d1.device") == "dev-sda\\x2d1.device"
