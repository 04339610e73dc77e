"""A peer in a directory of the test's own, and a way to run unitctl against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ctl.peer import Peer
from unitd.ctl.main import main


class Said(NamedTuple):
    """What a run of unitctl came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path)
    yield peer
    peer.close()


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run unitctl in this process, in UTC."""
    monkeypatch.setenv("TZ", "UTC")

    def run(*words: str) -> Said:
        status = main(["--runtime-dir", str(tmp_path), *words])
        return Said(status, *capsys.readouterr())

    return run
