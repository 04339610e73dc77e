"""The end of a shutdown as clients hear it: a ShutdownProgress of no unit, just before the daemon is gone."""

from __future__ import annotations

import pytest

from tests.bus.clients import client
from tests.bus.fakes import Daemon
from unitd.model import effects
from unitd.model.events import Leaving
from unitd.model.processes import Left


@pytest.mark.parametrize(
    ("survivors", "phase", "pids"),
    [
        ((), "done", []),
        (
            (Left(7, unit="a.service", command="sleep 9", channel="do_wait"),),
            "survivors",
            [(7, "(sleep 9) of a.service in do_wait")],
        ),
    ],
)
async def test_the_last_report(
    daemon: Daemon, survivors: tuple[Left, ...], phase: str, pids: list[tuple[int, str]]
) -> None:
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    daemon.bus.tell(effects.Leave(Leaving.EXIT, 0, survivors))
    daemon.bus.flush()
    report = (await found.signals("ShutdownProgress"))[-1].body[0]
    assert (report["unit"], report["phase"]) == (("s", ""), ("s", phase))
    assert [tuple(each) for each in report["pids"][1]] == pids
    await found.close()
