"""The descriptors that are kept for looking and killing: nobody else gets them, and no call keeps them."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Iterator

import pytest

from unitd.host import processes, reserve


@pytest.fixture
def exhausted() -> Iterator[None]:
    """No descriptor is left but the last ones."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserve.limit()
    hard = before[1]
    soft, now = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (soft, now) == (hard - reserve.KEPT, hard)
    # As if the soft limit were where the first free descriptor is.
    first = os.dup(0)
    os.close(first)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_who_has_to_look_and_to_kill_still_can(exhausted: None) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(OSError, match="Too many open files"):
        os.open("/proc/self/stat", os.O_RDONLY)
    assert processes.read(os.getpid()) is not None
    assert os.getpid() in processes.all_pids()
    assert processes.command_line(os.getpid())
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


def test_a_process_is_signalled_without_a_descriptor_left() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
            processes.send(child.pid, processes.birth(child.pid), signal.SIGTERM)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert child.wait(30) == -signal.SIGTERM


def test_another_error_is_told(exhausted: None) -> None:
    with pytest.raises(FileNotFoundError):
        reserve.sure(os.open, "/nonexistent", os.O_RDONLY)


def test_a_limit_that_may_not_be_raised_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    reserve.give_back((1, 2))
    with pytest.raises(OSError, match="Too many") as caught:
        reserve.sure(_full)
    assert caught.value.errno == errno.EMFILE


def _full() -> None:
    raise OSError(errno.EMFILE, "Too many open files")
