"""The plan, printed first: then the same order, the same cuts, the bound kept; and looking changes nothing."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import Daemon, program

pytestmark = [pytest.mark.host, pytest.mark.slow]

CHAIN = {
    f"c{number}.service": f"[Unit]\nAfter=c{number - 1}.service\n[Service]\nType=notify\nTimeoutStopSec=20\n"
    f"ExecStart={program('stubborn')}\n"
    for number in range(5)
}
NAMES = [f"c{number}.service" for number in range(4, -1, -1)]
CAP = "[Manager]\nShutdownTimeoutSec=6s\n"


def services(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The entries of services, in the order of the plan."""
    found = (entry for wave in plan["waves"] for entry in wave)
    return {entry["unit"]: entry for entry in found if entry["unit"].endswith(".service")}


def test_a_chain_of_five_stubborn_ones_goes_as_planned(launch: Launch) -> None:
    daemon = launch(CHAIN, config=CAP)
    daemon.must("start", *CHAIN)
    before = state(daemon)
    plan = json.loads(daemon.must("poweroff", "--dry-run", "-o", "json"))
    text = daemon.must("plan", "poweroff")
    print(text)
    assert state(daemon) == before
    assert text.splitlines()[-1] == "bound: 6 s (cap 6 s)"
    planned = services(plan)
    assert list(planned) == NAMES
    assert sorted(NAMES, key=text.index) == NAMES
    for name, entry in planned.items():
        assert [step["signal"] for step in entry["steps"]] == ["SIGTERM", "SIGKILL"]
        assert [step["cut_from_s"] for step in entry["steps"]] == [20, 20]
        assert sorted(entry["pids"]) == sorted(daemon.members(name))
        assert 0.4 < entry["steps"][0]["timeout_s"] < 0.6
    began = time.monotonic()
    assert daemon.ctl("poweroff").code == 0
    assert daemon.wait_for_end() == 0
    assert time.monotonic() - began <= plan["bound_s"] + 2
    assert daemon.living() == {}
    sent = daemon.signals()
    assert [one.unit for one in sent if one.name == "TERM"] == NAMES
    assert {one.unit: list(one.pids) for one in sent if one.name == "TERM"} == {n: planned[n]["pids"] for n in NAMES}
    told = [
        float(text)
        for text in re.findall(r"is cut from 20 s to ([\d.]+) s: the shutdown must end in 6 s", daemon.log())
    ]
    assert len(told) == 5
    assert told[0] == pytest.approx(planned[NAMES[0]]["steps"][0]["timeout_s"], abs=0.01)


def state(daemon: Daemon) -> str:
    """All that the daemon tells of its units and jobs."""
    return "\n".join(daemon.must(*words, "--no-legend") for words in (("list-units", "--all"), ("list-jobs",)))


def test_the_plan_of_a_stop_and_of_a_start(launch: Launch) -> None:
    daemon = launch(
        {
            "a.service": "[Unit]\nRequires=b.service\nAfter=b.service\n[Service]\nType=exec\nTimeoutStopSec=7\n"
            "ExecStart=/bin/sh -c 'sleep 1000 & sleep 1001'\nKillMode=mixed\n",
            "b.service": "[Service]\nType=exec\nTimeoutStopSec=3\nExecStart=/bin/sleep 1000\n",
            "idle.service": "[Unit]\nWants=more.service\n[Service]\nType=exec\nExecStart=/bin/sleep 1000\n",
            "more.service": "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n",
        }
    )
    daemon.must("start", "a.service")
    before = state(daemon)
    plan = json.loads(daemon.must("stop", "b", "--dry-run", "-o", "json"))
    assert (plan["verb"], plan["unit"], plan["cap_s"]) == ("stop", "b.service", None)
    assert list(services(plan)) == ["a.service", "b.service"]
    assert sorted(services(plan)["a.service"]["pids"]) == sorted(daemon.members("a.service"))
    main = int(daemon.must("show", "a.service", "-P", "MainPID"))
    assert services(plan)["a.service"]["pids"][0] == main
    text = daemon.must("plan", "stop", "b")
    print(text)
    assert text.splitlines()[-1] == "bound: 22 s (no cap)"
    started = daemon.must("start", "idle", "--dry-run")
    print(started)
    assert started.splitlines()[-1] == "bound: 90 s (no cap)"
    assert daemon.must("stop", "idle", "--dry-run") == "nothing to do\nbound: 0 s (no cap)\n"
    refused = daemon.ctl("stop", "nowhere", "--dry-run")
    assert state(daemon) == before
    assert refused.code == daemon.ctl("stop", "nowhere").code == 5
    daemon.shut_down()
