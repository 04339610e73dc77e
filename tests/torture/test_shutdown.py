"""A shutdown asked at bad moments, twice, and of units that want more time than there is; and what it leaves behind."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import program, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

STUBBORN = f"[Service]\nType=notify\nTimeoutStopSec=60\nExecStart={program('stubborn')}\n"
SLEEP = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"


def many(**counts: int) -> str:
    wants = (f"Wants={name}@{number}.service\n" for name, count in counts.items() for number in range(count))
    return "[Unit]\n" + "".join(wants)


STARTING = {
    "plain@.service": "[Service]\nType=exec\nExecStart=/bin/sh -c 'sleep 1000 & setsid sleep 1000 & wait'\n",
    "slow@.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=/bin/sleep 20\nExecStart=/bin/true\n",
    "mute@.service": "[Service]\nType=notify\nTimeoutStartSec=60\nExecStart=/bin/sh -c 'sleep 1000 & sleep 1000'\n",
    "after@.service": "[Unit]\nAfter=slow@%i.service\nRequires=slow@%i.service\n" + SLEEP,
    "fork@.service": "[Service]\nType=forking\nPIDFile=%t/never.pid\nExecStart=/bin/sh -c 'setsid sleep 1000 &'\n",
    "again@.service": "[Service]\nRestart=always\nRestartSec=10ms\nStartLimitBurst=0\nExecStart=/bin/sleep 0.05\n",
    "many.target": many(plain=40, slow=15, mute=15, after=10, fork=10, again=10),
}


@pytest.mark.parametrize("moment", [0, 30, 90])
def test_asked_in_the_middle_of_starting_a_hundred_units(moment: int, launch: Launch) -> None:
    """`moment`: how many processes are there when it is asked for."""
    daemon = launch(STARTING)
    daemon.must("start", "--no-block", "many.target")
    watch_for(lambda: len(daemon.living()) >= moment, f"{moment} processes")
    assert daemon.shut_down() < 30
    shutdown = daemon.line_of("asked for by SIGTERM")
    assert not [line for line in daemon.lines()[shutdown:] if re.search(r"start of .*: done", line)]


def test_asked_while_the_first_target_starts(launch: Launch) -> None:
    daemon = launch(STARTING, target="many.target")
    assert daemon.shut_down() < 30


# --- the cap ------------------------------------------------------------------------------------------------


CAP_S = 12
"""Of which the daemon keeps the last 0.8 for its own end."""
CAP = f"[Manager]\nShutdownTimeoutSec={CAP_S}s\n"
GREEDY = {
    "deaf.service": STUBBORN,
    "spared.service": STUBBORN + "SendSIGKILL=no\n",
    "long-stop.service": SLEEP + "TimeoutStopSec=60\nExecStop=/bin/sleep 60\n",
    "long-post.service": SLEEP + f"TimeoutStopSec=60\nExecStopPost={program('stubborn')}\n",
    "c0.service": STUBBORN,
    **{f"c{n}.service": f"[Unit]\nAfter=c{n - 1}.service\nRequires=c{n - 1}.service\n{STUBBORN}" for n in range(1, 6)},
}


@pytest.mark.parametrize("ask", ["request", "SIGINT"])
def test_the_cap_holds_whatever_units_want(ask: str, launch: Launch) -> None:
    """Rows A4, A12, A14: seen from outside, from the request until the daemon is gone."""
    daemon = launch(GREEDY, config=CAP)
    daemon.must("start", *GREEDY)
    assert len(daemon.living()) >= 16
    if ask == "request":
        began = time.monotonic()
        daemon.link.manager("PowerOff")
        assert daemon.wait_for_end() == 0
        took = time.monotonic() - began
        assert daemon.living() == {}
    else:
        took = daemon.shut_down(getattr(signal, ask))
    assert 5 < took <= CAP_S
    first = {one.unit: one.line for one in reversed(daemon.signals())}
    assert [first[f"c{n}.service"] for n in range(6)] == sorted(
        (first[f"c{n}.service"] for n in range(6)), reverse=True
    )


def test_a_stop_under_way_is_cut_by_a_shutdown(launch: Launch) -> None:
    daemon = launch(GREEDY, config=CAP)
    daemon.must("start", *GREEDY)
    daemon.must("stop", "--no-block", *GREEDY)
    for unit in ("deaf.service", "long-stop.service"):
        daemon.until(unit, "deactivating")
    assert daemon.shut_down() <= CAP_S


def test_a_second_signal_does_no_harm(launch: Launch) -> None:
    daemon = launch(GREEDY, config=CAP)
    daemon.must("start", *GREEDY)
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        daemon.send(number)
    daemon.until_line("asked for by SIG")
    daemon.link.manager("PowerOff")
    daemon.send(signal.SIGTERM)
    assert daemon.wait_for_end() == 0
    assert time.monotonic() - began <= CAP_S
    assert daemon.living() == {}


# --- what may and may not happen meanwhile ----------------------------------------------------------------------


def test_services_that_always_restart_do_not_come_back(launch: Launch) -> None:
    """Row B1: neither after a stop nor in a shutdown, nor while they wait for their restart."""
    text = "[Service]\nType=exec\nRestart=always\nRestartSec={}\nStartLimitBurst=0\nExecStart=/bin/sleep {}\n"
    units = {"long.service": text.format("10ms", 1000), "short.service": text.format("10ms", 0.02)}
    units |= {"waiting.service": text.format("60s", 0.02), "other.service": text.format("0", 1000)}
    daemon = launch(units)
    daemon.must("start", *units)
    daemon.until("waiting.service", "activating/auto-restart")
    daemon.must("stop", "long.service", "short.service")
    assert [daemon.state(f"{name}.service") for name in ("long", "short")] == ["inactive/dead"] * 2
    main = daemon.must("show", "other.service", "-p", "MainPID", "--value").strip()
    assert [pid for pid in daemon.living() if str(pid) != main] == []
    assert daemon.shut_down() < 20
    assert [one.unit for one in daemon.signals()].count("other.service") == 1


def test_others_answer_at_once_while_one_is_stopping(launch: Launch) -> None:
    """Row B6, and B10 for the shutdown that follows."""
    daemon = launch({"deaf.service": STUBBORN, "other.service": SLEEP, "more.service": SLEEP}, config=CAP)
    daemon.must("start", "deaf.service", "other.service")
    daemon.must("stop", "--no-block", "deaf.service")
    daemon.until("deaf.service", "deactivating/stop-sigterm")
    assert "active (running)" in daemon.ctl("status", "other.service").out
    daemon.must("restart", "other.service")
    assert daemon.state("deaf.service") == "deactivating/stop-sigterm"
    daemon.send(signal.SIGTERM)
    daemon.until_line("asked for by SIGTERM")
    refused = daemon.ctl("start", "more.service")
    assert refused.code != 0
    assert "a shutdown is under way" in refused.out
    assert "stopping" in daemon.ctl("is-system-running").out
    assert "deactivating" in daemon.ctl("status", "deaf.service").out
    assert daemon.wait_for_end() == 0
    assert daemon.living() == {}


def test_the_client_follows_to_the_end_and_only_the_state_stays(launch: Launch, tmp_path: Path) -> None:
    """Rows A1, A13, A15, A16."""
    socket = f"[Socket]\nListenStream={tmp_path}/listening\nRemoveOnStop=yes\n"
    units = {
        "deaf.service": STUBBORN.replace("=60", "=1"),
        "talks.service": "[Service]\nType=exec\nRuntimeDirectory=unitd-torture\n"
        "ExecStart=/bin/sh -c 'echo word; sleep 1000'\n",
        "lazy.socket": socket,
        "lazy.service": SLEEP,
    }
    daemon = launch(units)
    daemon.must("start", "deaf.service", "talks.service", "lazy.socket")
    groups = daemon.groups()
    told = daemon.ctl("poweroff")
    assert told.code == 0
    assert "deaf.service: stop-sigterm" in told.out
    assert "deaf.service: stop-sigkill" in told.out
    assert "no process is left" in told.out
    assert daemon.wait_for_end() == 0
    assert daemon.living() == {}
    assert not groups.exists()
    assert [path.name for path in daemon.runtime.iterdir()] == ["state"]
    assert "word" in (daemon.runtime / "state/logs/talks.service.log").read_text()
    assert not (tmp_path / "listening").exists()
    assert not Path("/run/unitd-torture").exists()


def test_with_nothing_running_it_ends_at_once(launch: Launch) -> None:
    daemon = launch()
    assert daemon.shut_down() < 20


def test_an_exit_code_is_the_daemons_own(launch: Launch) -> None:
    daemon = launch({"sleep.service": SLEEP})
    daemon.must("start", "sleep.service")
    daemon.ctl("exit", "7")
    assert daemon.wait_for_end() == 7
    assert daemon.living() == {}
