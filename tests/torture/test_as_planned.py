"""Forty units of every kind that makes a shutdown hard: the report says afterwards what the plan said beforehand.

Order, signals, what each unit gets at most, and the bound; whatever state the units are in when it is asked for.
"""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import Daemon, program, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

CAP_S = 14
DEAF = f"[Service]\nType=notify\nNotifyAccess=all\nTimeoutStopSec=3\nExecStart={program('stubborn')}\n"
REST = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
TWO = "[Service]\nType=exec\nTimeoutStopSec=3\nExecStart=/bin/sh -c 'sleep 1001 & exec sleep 1000'\n"
FORKS = "[Service]\nType=forking\nTimeoutStopSec=3\n"


def after(*names: str) -> str:
    return "[Unit]\n" + "".join(f"After={name}.service\nWants={name}.service\n" for name in names)


def mixed(where: Path) -> dict[str, str]:
    """The unit files; those in starting() are still on their way when the shutdown comes."""
    units = {
        "tree": f"[Service]\nType=notify\nTimeoutStopSec=3\nExecStart={program('tree', 30)}\n",
        "escapees": "[Service]\nType=exec\n"
        "ExecStart=/bin/sh -c 'setsid sleep 1000 & (setsid sleep 1001 &) ; exec sleep 1002'\n",
        "headless": "[Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStopSec=3\n"
        f"ExecStart={program('leave', 6, 'deaf')}\n",
        "deaf": DEAF,
        "mixed": TWO + "KillMode=mixed\n",
        "process": TWO + "KillMode=process\n",
        "none": TWO + "KillMode=none\n",
        "spared": DEAF + "SendSIGKILL=no\n",
        "forever": DEAF.replace("TimeoutStopSec=3", "TimeoutStopSec=infinity"),
        "usr1": REST + "KillSignal=SIGUSR1\nRestartKillSignal=SIGUSR2\n",
        "hangs": REST + "TimeoutStopSec=2\nExecStop=/bin/sleep 1000\n",
        "hangs-post": REST + "TimeoutStopSec=2\nExecStopPost=/bin/sleep 1000\n",
        "fails-stop": REST + "ExecStop=/bin/false\nExecStop=/bin/true\n",
        "once": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/true\n",
        "forks": FORKS + "ExecStart=/bin/sh -c 'setsid sleep 1000 &'\n",
        "forks-two": FORKS + "GuessMainPID=no\nExecStart=/bin/sh -c 'setsid sleep 1000 & setsid sleep 1001 &'\n",
        "sighup": REST + "SendSIGHUP=yes\n",
        "cycle-a": "[Unit]\nAfter=cycle-b.service\n" + REST,
        "cycle-b": "[Unit]\nAfter=cycle-c.service\n" + REST,
        "cycle-c": "[Unit]\nAfter=cycle-a.service\n" + DEAF,
        "by": REST,
        "chain0": DEAF.replace("TimeoutStopSec=3", "TimeoutStopSec=20"),
        **{f"chain{n}": after(f"chain{n - 1}") + DEAF.replace("=3", "=20") for n in range(1, 5)},
        **{f"plain{n}": after("deaf", "once") + REST for n in range(8)},
        **starting(where),
    }
    found = {f"{name}.service": text for name, text in units.items()}
    found["by.socket"] = f"[Socket]\nListenStream={where}/by\nRemoveOnStop=yes\n"
    return found


def starting(where: Path) -> dict[str, str]:
    return {
        "pre": f"{REST}ExecStartPre=/bin/sleep 1000\n",
        "post": f"{REST}ExecStartPost=/bin/sleep 1000\n",
        "mute": "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep 1000\n",
        "again": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=1h\nExecStart=/bin/true\n",
        "later": after("mute") + REST,
        "reloads": f"{REST}ExecReload=/bin/sleep 1000\n",
        "stops": DEAF.replace("=3", "=1h"),
    }


SPARES = ("process.service", "none.service", "spared.service", "forever.service")
STATES = {
    "pre.service": "activating/start-pre",
    "post.service": "activating/start-post",
    "mute.service": "activating/start",
    "again.service": "activating/auto-restart",
    "reloads.service": "reloading/reload",
    "stops.service": "deactivating/stop-sigterm",
}


def bring_up(daemon: Daemon, where: Path) -> None:
    """Everything up, or where it is to be when the shutdown comes."""
    late = {f"{name}.service" for name in starting(where)}
    alone = [f"cycle-{letter}.service" for letter in "abc"]
    for name in alone:
        daemon.must("start", name)
    late |= {*alone, "by.service"}
    daemon.must("start", *(name for name in mixed(where) if name not in late), "reloads.service", "stops.service")
    daemon.must("start", "--no-block", "pre", "post", "mute", "again", "later")
    daemon.must("reload", "--no-block", "reloads.service")
    daemon.must("stop", "--no-block", "stops.service")
    for unit, state in STATES.items():
        daemon.until(unit, state)
    daemon.until_line("SIGTERM to stops.service")
    watch_for(lambda: len(daemon.members("escapees.service")) == 3, "who leaves")
    watch_for(lambda: all(len(daemon.members(f"{name}.service")) == 2 for name in ("mixed", "process", "none")), "two")


def entries(plan: dict[str, Any]) -> dict[str, tuple[int, dict[str, Any]]]:
    """By unit: the number of its wave, and its plan."""
    return {entry["unit"]: (number, entry) for number, wave in enumerate(plan["waves"], 1) for entry in wave}


def the_report(launch: Launch) -> dict[str, Any]:
    """As the next daemon tells it."""
    found: dict[str, Any] = json.loads(launch({}).must("-o", "json", "last-shutdown"))
    return found


def test_forty_units_of_all_kinds(launch: Launch, tmp_path: Path) -> None:
    daemon = launch(mixed(tmp_path), config=f"[Manager]\nShutdownTimeoutSec={CAP_S}s\n")
    bring_up(daemon, tmp_path)
    plan = json.loads(daemon.must("poweroff", "--dry-run", "-o", "json"))
    print(daemon.must("poweroff", "--dry-run"))
    planned = entries(plan)
    began = time.monotonic()
    done = daemon.ctl("poweroff")
    assert done.code == 0, done.out
    assert daemon.wait_for_end() == 0
    took = time.monotonic() - began
    assert daemon.living() == {}
    assert not (tmp_path / "by").exists()
    assert took <= CAP_S + 2
    log, sent = daemon.log(), daemon.signals()
    assert "Traceback" not in log
    told = the_report(launch)
    print(json.dumps(told, indent=1))
    assert (told["outcome"], told["survivors"]) == ("done", [])
    assert told["took_s"] <= told["bound_s"] <= plan["bound_s"] + 0.2
    units = {unit["unit"]: unit for unit in told["units"]}
    assert units.keys() == {name for name in planned if name.endswith(".service")}
    for name, unit in units.items():
        wave, entry = planned[name]
        assert unit["wave"] == wave, name
        check(unit, entry)
    began_at = {name: min((phase["at_s"] for phase in unit["phases"]), default=0.0) for name, unit in units.items()}
    for name, unit in units.items():
        if name == "stops.service":
            continue
        assert began_at[name] <= planned[name][1]["begins_s"] + 2, (name, unit)
    sent_at = {one.unit: one.line for one in reversed(sent)}
    for number in range(4):
        assert sent_at[f"chain{number}.service"] > sent_at[f"chain{number + 1}.service"]
    for number in range(8):
        assert sent_at["deaf.service"] > sent_at[f"plain{number}.service"]
    assert re.search(r"ordering cycle .*cycle-a", log)


def check(unit: dict[str, Any], entry: dict[str, Any]) -> None:
    """What was done to one unit is the beginning of what was planned, in its order."""
    ladder = [step["signal"] for step in entry["steps"] if step["signal"]]
    done = [one["signal"] for one in unit["signals"] if one["signal"] not in ("SIGCONT", "SIGHUP")]
    if unit["unit"] in SPARES and done[-1:] == ["SIGKILL"]:
        # In the stage after the waves, as for whatever is left then.
        done.pop()
    rest = iter(ladder)
    assert all(each in rest for each in done), (unit["unit"], done, ladder)
    lengths = [step["timeout_s"] for step in entry["steps"]]
    if None not in lengths and unit["unit"] != "stops.service":
        assert unit["took_s"] <= sum(lengths) + 2, (unit, entry)


@pytest.mark.parametrize("cap", ["1s", "0", "infinity"])
def test_whatever_the_cap(cap: str, launch: Launch, tmp_path: Path) -> None:
    """Hardly any time, no cap by its two names; a second request of another kind changes nothing."""
    units = {name: text.replace("TimeoutStopSec=20", "TimeoutStopSec=2") for name, text in mixed(tmp_path).items()}
    daemon = launch(units, config=f"[Manager]\nShutdownTimeoutSec={cap}\n")
    bring_up(daemon, tmp_path)
    if cap != "1s":
        # Without a cap nobody but us ends these.
        daemon.must("kill", "--kill-whom=all", "-s", "KILL", "forever.service", "stops.service")
    plan = json.loads(daemon.must("reboot", "--dry-run", "-o", "json"))
    print(daemon.must("poweroff", "--dry-run"))
    assert plan["cap_s"] == (1 if cap == "1s" else None)
    daemon.send(signal.SIGTERM)
    daemon.until_line("asked for by SIGTERM")
    again = daemon.ctl("reboot")
    assert again.code == 0, again.out
    assert daemon.wait_for_end() == 0
    assert daemon.living() == {}
    told = the_report(launch)
    assert (told["outcome"], told["survivors"]) == ("done", [])
    if cap == "1s":
        assert told["took_s"] <= told["bound_s"]
