"""The shared inotify descriptor: sharing of kernel watches, ends of watches, overflow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from unitd.host.inotify import IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_IGNORED, IN_Q_OVERFLOW, Inotify

BOUND_S = 30.0


class Heard:
    """Collects what a watch tells; `until` waits for the n-th."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[int, str]] = asyncio.Queue()

    def __call__(self, mask: int, name: str) -> None:
        self.events.put_nowait((mask, name))

    async def next(self) -> tuple[int, str]:
        return await asyncio.wait_for(self.events.get(), BOUND_S)


@pytest.fixture
async def watcher() -> AsyncIterator[Inotify]:
    watcher = Inotify(asyncio.get_running_loop())
    yield watcher
    watcher.close()


async def test_each_watch_hears_what_it_asked_for(watcher: Inotify, tmp_path: Path) -> None:
    made, gone = Heard(), Heard()
    watcher.add(str(tmp_path), IN_CREATE, made)
    watcher.add(str(tmp_path), IN_DELETE, gone)
    (tmp_path / "a").touch()
    (tmp_path / "a").unlink()
    assert await made.next() == (IN_CREATE, "a")
    assert await gone.next() == (IN_DELETE, "a")
    assert made.events.empty()


async def test_a_removed_watch_is_silent_and_leaves_its_twin(watcher: Inotify, tmp_path: Path) -> None:
    first, second = Heard(), Heard()
    number = watcher.add(str(tmp_path), IN_CREATE, first)
    watcher.add(str(tmp_path), IN_CREATE, second)
    watcher.remove(number)
    watcher.remove(number)
    (tmp_path / "a").touch()
    assert await second.next() == (IN_CREATE, "a")
    assert first.events.empty()


async def test_a_watched_directory_that_goes_ends_its_watch(watcher: Inotify, tmp_path: Path) -> None:
    heard = Heard()
    number = watcher.add(str(tmp_path / "."), IN_CREATE, heard)
    tmp_path.rmdir()
    mask, _ = await heard.next()
    assert mask & IN_IGNORED
    watcher.remove(number)
    tmp_path.mkdir()
    watcher.add(str(tmp_path), IN_CREATE, heard)
    (tmp_path / "b").touch()
    assert await heard.next() == (IN_CREATE, "b")


async def test_a_missing_path_is_an_error(watcher: Inotify, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        watcher.add(str(tmp_path / "missing"), IN_CREATE, Heard())


async def test_a_callback_that_fails_does_not_stop_the_others(watcher: Inotify, tmp_path: Path) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
    heard = Heard()

    def fail(mask: int, name: str) -> None:
        raise ValueError(name)

    watcher.add(str(tmp_path), IN_CREATE, fail)
    watcher.add(str(tmp_path), IN_CREATE, heard)
    (tmp_path / "a").touch()
    assert await heard.next() == (IN_CREATE, "a")
    assert [type(fault) for fault in faults] == [ValueError]


async def test_overflow_is_told_to_every_watch(watcher: Inotify, tmp_path: Path) -> None:
    """More changes than the queue holds, while nobody reads (fs.inotify.max_queued_events)."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 70_000:
        pytest.skip(f"the kernel queues {limit} events here")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    quiet = Heard()
    watcher.add(str(elsewhere), IN_CREATE, quiet)
    watcher.add(str(tmp_path), IN_CREATE | IN_DELETE | IN_CLOSE_WRITE, lambda mask, name: None)
    name = tmp_path / "a"
    for _ in range(limit // 3 + 1):
        name.touch()
        name.unlink()
    assert await quiet.next() == (IN_Q_OVERFLOW, "")
