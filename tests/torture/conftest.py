"""A daemon for each test: made with what the test says, ended whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.torture.daemon import Daemon

Launch: TypeAlias = Callable[..., Daemon]


@pytest.fixture
def launch(tmp_path: Path, cgroup: Path, request: pytest.FixtureRequest) -> Iterator[Launch]:
    """Start the daemon on units, with what Daemon takes besides; it ends with the test."""
    if os.getuid() != 0:
        pytest.skip("a cgroup that is not ours, and other users, need root")
    with ExitStack() as stack:

        def start(units: dict[str, str] | None = None, **options: Any) -> Daemon:
            daemon = Daemon(tmp_path, cgroup, units or {}, **options)
            stack.push(lambda *_: daemon.__exit__(AssertionError if _has_failed(request) else None, None, None))
            return daemon.__enter__()

        yield start


def _has_failed(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.stash.get(FAILED, False))


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself failed, for the finalizer that shows the log."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report
