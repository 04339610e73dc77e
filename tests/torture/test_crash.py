"""The daemon is killed at random instants while it is busy; the next one knows all, and has lost and doubled nothing.

UNITD_ROUNDS says how often (a few by default); UNITD_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.load import Load, units

pytestmark = [pytest.mark.host, pytest.mark.slow]

ROUNDS = int(os.environ.get("UNITD_ROUNDS", "5"))
SEED = int(os.environ.get("UNITD_SEED", "0")) or random.randrange(1, 1 << 30)


def test_killed_again_and_again_under_load(launch: Launch, tmp_path: Path) -> None:
    print(f"UNITD_SEED={SEED}")
    daemon = launch(units(tmp_path), target="all.target")
    load = Load(daemon, SEED)
    load.settle()
    load.check()
    began = time.monotonic()
    for number in range(ROUNDS):
        load.begin()
        time.sleep(load.chance.uniform(0.02, 0.6))
        daemon.crash()
        time.sleep(load.chance.choice((0, 0, 0.1)))
        daemon.__enter__()
        load.pause()
        load.settle()
        load.check()
        print(f"round {number}: {load.asked} asked, {len(load.starts())} starts, {time.monotonic() - began:.0f} s")
    dying = sum(1 for unit, _, _ in load.starts() if unit.startswith("dying"))
    assert dying > 6 * ROUNDS, "those that die are not started again"
    assert daemon.shut_down() < 30
