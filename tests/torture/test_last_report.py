"""The report of a shutdown, read after the next start: who obeyed, who was killed and why, and a sudden end."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import Daemon, program, until_gone, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

UNITS = {
    "deaf.service": f"[Service]\nType=notify\nTimeoutStopSec=1\nExecStart={program('stubborn')}\n",
    "polite.service": "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n",
    "hangs.service": "[Service]\nType=exec\nTimeoutStopSec=1\nExecStart=/bin/sleep 1000\nExecStop=/bin/sleep 1000\n",
}
ORPHANS = "[Service]\nType=exec\nKillMode=process\nExecStart=/bin/sh -c 'sleep 1000 & exec sleep 1001'\n"


def report(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(daemon.must("-o", "json", "last-shutdown"))
    return found


def test_it_is_read_after_the_next_start(launch: Launch) -> None:
    first = launch(UNITS)
    first.must("start", *UNITS)
    assert first.ctl("last-shutdown").code == 1
    assert "no report of one is kept" in first.ctl("last-shutdown").out
    pid = int(first.must("show", "-P", "MainPID", "deaf.service"))
    first.shut_down()
    second = launch(UNITS)
    told = report(second)
    assert told["outcome"] == "done"
    assert "SIGTERM" in told["by"]
    assert 0 < told["took_s"] <= told["bound_s"] <= told["cap_s"]
    units = {unit["unit"]: unit for unit in told["units"]}
    assert units.keys() == UNITS.keys()
    assert not units["polite.service"]["escalated"]
    assert [sent["signal"] for sent in units["polite.service"]["signals"]] == ["SIGTERM"]
    deaf = units["deaf.service"]
    assert [sent["signal"] for sent in deaf["signals"]] == ["SIGTERM", "SIGKILL"]
    assert deaf["escalated"]
    assert pid in [one["pid"] for one in deaf["killed"]]
    (seen,) = [one for one in deaf["evidence"]["stragglers"] if one["pid"] == pid]
    assert "stubborn" in seen["command"]
    assert seen["state"].startswith("S (sleeping)")
    assert units["hangs.service"]["exec_stop"] == "did not end in time"
    text = second.must("last-shutdown")
    assert "deaf.service was killed after" in text
    assert f"pid {pid} " in text
    assert "ExecStop= did not end in time" in text
    assert "nothing is left" in text.splitlines()[-1]


def test_a_daemon_that_is_killed_in_the_middle_leaves_word(launch: Launch) -> None:
    first = launch({"deaf.service": UNITS["deaf.service"].replace("=1", "=60")})
    first.must("start", "deaf.service")
    first.send(signal.SIGTERM)
    first.until_line("SIGTERM to deaf.service")
    assert report(first)["outcome"] == "interrupted"
    assert "it is under way" in first.must("last-shutdown")
    first.send(signal.SIGKILL)
    until_gone(first.pid)
    second = launch({})
    told = report(second)
    assert (told["outcome"], told["took_s"]) == ("interrupted", None)
    assert [unit["unit"] for unit in told["units"]] == ["deaf.service"]
    assert "it was interrupted" in second.must("last-shutdown")


def test_what_is_spared_or_not_waited_for_is_in_it_too(launch: Launch) -> None:
    spares = UNITS["deaf.service"].replace("=1", "=60") + "SendSIGKILL=no\n"
    first = launch({"spares.service": spares, "orphans.service": ORPHANS}, config="[Manager]\nShutdownTimeoutSec=8s\n")
    first.must("start", "spares.service", "orphans.service")
    watch_for(lambda: len(first.living()) >= 4, "all processes")
    main = int(first.must("show", "-P", "MainPID", "spares.service"))
    first.must("-f", "poweroff")
    assert first.wait_for_end() == 0
    assert first.living() == {}
    told = report(launch({}))
    assert (told["outcome"], told["survivors"]) == ("done", [])
    spared = next(unit for unit in told["units"] if unit["unit"] == "spares.service")
    assert spared["escalated"]
    assert main in [one["pid"] for one in spared["killed"]]
    assert told["took_s"] <= told["cap_s"]
