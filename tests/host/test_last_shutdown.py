"""The report of a shutdown outlives the daemon, is whole at every moment, and never keeps an end waiting."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from unitd.host.last_shutdown import NAME, LastShutdown
from unitd.model.report import DONE, Report

REPORT = Report("poweroff", "SIGTERM", 1_000_000, 30.0)
OFFSET = 1_700_000_000_000_000


def keeper(directory: Path, warnings: list[str], group: int = -1) -> LastShutdown:
    return LastShutdown(str(directory), "ab" * 16, "1.2", lambda: OFFSET, warnings.append, group)


def test_the_latest_one_is_kept_with_wall_clock_and_boot(tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = keeper(tmp_path / "state", warnings)
    assert kept.read() == ""
    kept.keep(REPORT)
    assert json.loads(kept.read())["outcome"] == "interrupted"
    kept.keep(replace(REPORT, outcome=DONE, took_s=1.5))
    told = json.loads(keeper(tmp_path / "state", warnings).read())
    assert (told["outcome"], told["took_s"], told["version"], told["boot_id"]) == ("done", 1.5, "1.2", "ab" * 16)
    assert told["began_us"] == OFFSET + 1_000_000
    assert os.listdir(tmp_path / "state") == [NAME]
    assert warnings == []


def test_there_are_lines_of_logs_in_it_so_it_is_not_for_everybody(tmp_path: Path) -> None:
    keeper(tmp_path, [], os.getgid()).keep(REPORT)
    found = (tmp_path / NAME).stat()
    assert (found.st_mode & 0o777, found.st_gid) == (0o640, os.getgid())


def test_what_cannot_be_written_is_said_once_and_what_was_there_stays(tmp_path: Path) -> None:
    warnings: list[str] = []
    kept = keeper(tmp_path, warnings)
    kept.keep(REPORT)
    (tmp_path / f"{NAME}.tmp").mkdir()
    kept.keep(replace(REPORT, outcome=DONE))
    kept.keep(replace(REPORT, outcome=DONE))
    assert len(warnings) == 1
    assert warnings[0].startswith(f"cannot keep the report of this shutdown in {tmp_path}/{NAME}: ")
    assert json.loads(kept.read())["outcome"] == "interrupted"


def test_a_full_disk_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    kept = keeper(tmp_path, warnings)
    kept.keep(REPORT)
    (tmp_path / f"{NAME}.tmp").symlink_to("/dev/full")
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    kept.keep(replace(REPORT, outcome=DONE))
    assert warnings == [f"cannot keep the report of this shutdown in {tmp_path}/{NAME}: No space left on device"]
    assert os.listdir(tmp_path) == [NAME]
    assert json.loads(kept.read())["outcome"] == "interrupted"


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    state = tmp_path / "state"
    state.mkdir()
    (state / f"{NAME}.tmp").symlink_to(victim)
    keeper(state, []).keep(REPORT)
    assert victim.read_text() == "mine"
