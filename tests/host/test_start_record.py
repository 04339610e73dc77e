"""The start record on disk: whole at any instant, and of this boot or void."""

import asyncio
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unitd.host import start_record
from unitd.host.start_record import FORMAT, Head, StartRecord, read

HEAD = Head(FORMAT, "b00t", "/run/x")


class Made:
    """A record in `path`, in a loop that runs only when told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.loop = asyncio.new_event_loop()
        self.record = StartRecord(str(path), HEAD, self.loop, self.warnings.append)

    def put(self, *lines: tuple[str, str] | tuple[str, str, bool]) -> None:
        self.record.put([(line[0], line[1].encode(), len(line) == 2) for line in lines])

    def lines(self) -> list[str]:
        """What the next daemon finds."""
        return [line.decode() for _, line in read(str(self.path), HEAD).lines]

    def wait(self, true: Callable[[], bool]) -> None:
        async def wait() -> None:
            async with asyncio.timeout(30):
                while not true():
                    await asyncio.sleep(0.01)

        self.loop.run_until_complete(wait())

    def close(self) -> None:
        self.record.close(remove=False)
        self.loop.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    found = Made(tmp_path / "state" / "started")
    yield found
    found.close()


def test_each_turn_is_there_at_once_and_nothing_new_is_not_written(made: Made) -> None:
    made.record.begin([("a", b"a1", True)])
    made.put(("a", "a2"), ("b", "b1"))
    assert made.lines() == ["a1", "a2", "b1"]
    made.put(("a", "a2"))
    assert made.lines() == ["a1", "a2", "b1"]


def test_what_is_taken_back_is_told_once_and_not_kept(made: Made) -> None:
    made.record.begin([("a", b"a1", True)])
    made.put(("a", "no a", False), ("b", "no b", False))
    made.put(("a", "no a", False))
    assert made.lines() == ["a1", "no a"]
    made.record.begin()
    assert made.lines() == []


def test_it_is_written_anew_when_stale_lines_outgrow_the_others(made: Made) -> None:
    made.record.begin()
    for number in range(2 * start_record.SLACK // 100):
        made.put(("a", f"{number:0100}"))
    assert made.path.stat().st_size < start_record.SLACK + 1000
    assert int(made.lines()[-1]) == 2 * start_record.SLACK // 100 - 1
    assert not Path(f"{made.path}~").exists()


def test_a_torn_last_line_is_none(made: Made) -> None:
    made.record.begin([("a", b"a1", True), ("b", b"b1", True)])
    for cut in range(1, 4):
        os.truncate(made.path, made.path.stat().st_size - 1)
        assert made.lines() == ["a1"], cut
    assert [number for number, _ in read(str(made.path), HEAD).lines] == [2]


def test_only_its_owner_may_read_it(made: Made) -> None:
    made.record.begin()
    assert made.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Head(FORMAT, "b007", "/run/x"), "it is of another boot"),
        (Head(FORMAT, "b00t", "/run/y"), "it is of /run/x, format 1"),
        (Head(FORMAT + 1, "b00t", "/run/x"), "it is of /run/x, format 1"),
    ],
)
def test_what_is_of_another_boot_or_directory_or_format_is_void(made: Made, other: Head, why: str) -> None:
    made.record.begin([("a", b"a1", True)])
    past = read(str(made.path), other)
    assert (past.lines, past.void) == ((), why)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0\0\0", b'{"format": "x"}\n', b"[]\nx\n"])
def test_what_has_no_head_is_void(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "started"
    file.write_bytes(content)
    past = read(str(file), HEAD)
    assert past.lines == ()
    assert past.void.startswith("line 1 is not what it should be")


def test_none_is_empty(tmp_path: Path) -> None:
    assert read(str(tmp_path / "started"), HEAD) == start_record.Past()


def test_it_goes_when_nobody_has_to_know(made: Made) -> None:
    made.record.begin()
    made.record.close(remove=True)
    assert not made.path.exists()


def test_where_it_cannot_be_written_that_is_said_once_and_made_up_for(made: Made) -> None:
    made.path.parent.write_text("in the way")
    made.record.begin([("a", b"a1", True)])
    made.put(("a", "a2"))
    made.put(("b", "b1"))
    assert len(made.warnings) == 1
    assert f"cannot write {made.path}: " in made.warnings[0]
    made.path.parent.unlink()
    made.wait(made.path.exists)
    assert made.lines() == ["a2", "b1"]
    made.put(("a", "a3"))
    assert made.lines() == ["a2", "b1", "a3"]
    assert len(made.warnings) == 1


def test_a_line_that_did_not_fit_on_the_disk_is_written_as_soon_as_it_does(made: Made) -> None:
    made.record.begin([("a", b"a1", True)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (made.path.stat().st_size + 3, before[1]))
    try:
        made.put(("b", "bbbbbb"))
        assert made.lines() == ["a1"]
        assert len(made.warnings) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    made.put(("c", "c1"))
    made.wait(lambda: made.lines() == ["a1", "bbbbbb", "c1"])
