"""How a connection is made when the daemon is very busy."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

import pytest

from unitd.ctl import connection


def test_it_waits_its_turn_when_very_many_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue is no refusal: a socket with a time-out of Python's would get EAGAIN at once (connect(2))."""
    monkeypatch.setattr(connection, "_SETUP", struct.pack("ll", 0, 50_000))
    path = str(tmp_path / "private")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as ahead:
        server.bind(path)
        server.listen(0)
        ahead.connect(path)
        began = time.monotonic()
        with pytest.raises(BlockingIOError):
            connection.open_path(path, "a busy daemon")
        assert time.monotonic() - began >= 0.05
