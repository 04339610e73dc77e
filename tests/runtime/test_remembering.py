"""The start record cut off anywhere: what is left of it can be gone on with, and names nobody whom it never knew."""

import asyncio
import os
from pathlib import Path

import pytest
from msgspec import json

from tests.fakes.house import House
from tests.fakes.kernel import Program
from unitd.engine.snapshot import Snapshot
from unitd.host.start_record import FORMAT, Head, StartRecord
from unitd.model.effects import Adopt, Effect
from unitd.model.events import Event, Leaving
from unitd.model.states import SECOND
from unitd.runtime.remembering import Memory, recall

HEAD = Head(FORMAT, "b00t", "/run/x")
BARE = "[Unit]\nDefaultDependencies=no\n"
SLOW = Program(spawning=SECOND, execing=SECOND)
UNITS = {
    "a.service": f"{BARE}StartLimitIntervalSec=0\n[Service]\nExecStart=/bin/a\nExecStop=/bin/stop\nRestart=always\n",
    "b.service": f"{BARE}Requires=a.service\nAfter=a.service\n[Service]\nType=notify\nExecStart=/bin/b\n",
    "once.service": f"{BARE}[Service]\nType=oneshot\nExecStartPre=/bin/slow\nExecStart=/bin/slow\n",
    "by.socket": f"{BARE}[Socket]\nListenStream=/run/by\n",
    "by.service": f"{BARE}[Service]\nExecStart=/bin/a\n",
    "all.target": f"{BARE}Wants=a.service b.service once.service by.socket\n",
}


class Written(House):
    """A house whose every turn is written down."""

    memory: Memory | None = None

    def feed(self, event: Event) -> list[Effect]:
        effects = super().feed(event)
        if self.memory is not None:
            self.memory.note(effects)
        return effects


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """What a daemon that had a good deal to do has written until it was killed in a shutdown."""
    house = Written(UNITS, {"/bin/slow": SLOW, "/bin/stop": SLOW})
    loop = asyncio.new_event_loop()
    file = StartRecord(str(tmp_path / "started"), HEAD, loop, pytest.fail)
    house.memory = Memory(house.engine, file)
    house.memory.begin()
    house.start("all.target", span=3 * SECOND)
    for unit in ("a.service", "b.service"):
        house.job("restart", unit)
        house.run(SECOND // 2)
    house.shutdown(Leaving.EXIT)
    house.run(SECOND // 2)
    house.memory.close(remove=False)
    loop.close()
    return tmp_path / "started"


def test_every_beginning_of_it_can_be_gone_on_with(record: Path) -> None:
    whole = record.read_bytes()
    lines = whole.split(b"\n")
    assert len(lines) > 20
    pids = {pid for line in lines if line for pid in _pids(line)}
    told: list[str] = []
    restored: set[bytes] = set()
    for length in range(len(whole) - 1, -1, -1):
        os.truncate(record, length)
        past = recall(str(record), HEAD, told.append) or Snapshot()
        text = json.encode(past)
        if text not in restored:
            restored.add(text)
            assert _adopted(past) <= pids
    assert len(restored) > 20
    # A line that is torn off is no mistake; only a file without a head is.
    assert all("line 1 is not what it should be" in text for text in told)


def _adopted(past: Snapshot) -> set[int]:
    """Who is taken over, if they live, by a daemon that finds this."""
    house = House(UNITS)
    effects = house.engine.restore(past, house.clock.now, resend=True)
    return {each.pid for effect in effects if isinstance(effect, Adopt) for each in effect.processes if each.pid}


def _pids(line: bytes) -> set[int]:
    """The values of "pid" in it, however deep."""
    found: set[int] = set()
    values = [json.decode(line)]
    for value in values:
        if isinstance(value, dict):
            found |= {each for key, each in value.items() if key == "pid" and isinstance(each, int)}
            values += value.values()
        elif isinstance(value, list):
            values += value
    return found
