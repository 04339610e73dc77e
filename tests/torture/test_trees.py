"""Trees that do not want to end: many, deaf, torn apart, growing, or without a head.

Survivors 0, every time.
"""

from __future__ import annotations

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import NOBODY, program, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

DESCENDANTS = """
[Service]
TimeoutStopSec=10
ExecStart=/bin/sh -c 'sleep 1000 & (sleep 1000 &); setsid sleep 1000 & (setsid sleep 1000 &); sleep 1000 & wait'
"""


def many(name: str, count: int) -> str:
    """A target that wants so many instances of a template."""
    return "[Unit]\n" + "".join(f"Wants={name}@{number}.service\n" for number in range(count))


def test_two_hundred_services_with_five_descendants_each(launch: Launch) -> None:
    daemon = launch({"five@.service": DESCENDANTS, "many.target": many("five", 200)})
    daemon.must("start", "many.target")
    watch_for(lambda: len(daemon.living()) >= 1200, "all descendants")
    daemon.shut_down()
    assert "SIGKILL" not in daemon.log()


def test_fifty_that_ignore_sigterm_die_together_after_their_own_timeout(launch: Launch) -> None:
    """Rows A3, A7, B7: each is killed four seconds after its own SIGTERM, and nobody waits for another one."""
    stubborn = f"[Service]\nType=exec\nTimeoutStopSec=4\nExecStart={program('stubborn')}\n"
    daemon = launch({"deaf@.service": stubborn, "many.target": many("deaf", 50)})
    daemon.must("start", "many.target")
    watch_for(lambda: len(daemon.living()) >= 100, "all that are deaf")
    daemon.shut_down()
    sent = daemon.signals()
    asked = {one.unit: one.at for one in sent if one.name == "TERM"}
    killed = {one.unit: one.at for one in sent if one.name == "KILL"}
    assert len(asked) == len(killed) == 50
    assert all(len(one.pids) == 2 for one in sent)
    waits = [killed[unit] - asked[unit] for unit in asked]
    # The time runs from the decision, somewhat before the line about the signal; one by one it would be 200 s.
    assert 2 < min(waits) <= max(waits) < 20
    last_asked = max(one.line for one in sent if one.name == "TERM")
    assert last_asked < min(one.line for one in sent if one.name == "KILL")


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_a_deaf_tree_of_a_thousand(verb: str, launch: Launch) -> None:
    text = f"[Service]\nType=notify\nTimeoutStopSec=1\nExecStart={program('tree', 1000)}\n"
    daemon = launch({"tree.service": text})
    daemon.must("start", "tree.service")
    before = daemon.living()
    assert len(before) >= 1000
    if verb == "stop":
        daemon.must("stop", "tree.service")
        assert daemon.living() == {}
        assert daemon.state("tree.service") == "failed/failed"
        assert "Result=timeout" in daemon.must("show", "tree.service", "-p", "Result")
    daemon.shut_down()
    assert [one.name for one in daemon.signals()] == ["TERM", "KILL"]


@pytest.mark.parametrize("remains", ["yes", "no"])
@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_a_chain_that_forks_and_exits_every_millisecond(verb: str, remains: str, launch: Launch) -> None:
    """Rows B3, B12: its main process is gone at once, and no pid lives long enough to be told of."""
    text = f"""
[Service]
Type=exec
User={NOBODY}
LimitNPROC=64
RemainAfterExit={remains}
KillMode={"control-group" if remains == "yes" else "mixed"}
ExecStart={program("chain", 100000)}
"""
    daemon = launch({"chain.service": text})
    daemon.must("start", "chain.service")
    if remains == "yes":
        daemon.until("chain.service", "active/exited")
        assert daemon.members("chain.service")
    else:
        # Without its main process the service is over, and what it left behind is ended.
        daemon.until("chain.service", "inactive/dead")
        assert daemon.living() == {}
    if verb == "stop":
        daemon.must("stop", "chain.service")
        assert daemon.living() == {}
    daemon.shut_down()


HEADLESS = {
    "forking": "Type=forking\nGuessMainPID=no",
    "forking-guess": "Type=forking",
    "exited": "Type=exec\nRemainAfterExit=yes",
    "oneshot": "Type=oneshot\nRemainAfterExit=yes",
}
SIX = program("leave", 6)
SIX_DEAF = program("leave", 6, "deaf")


def left(kind: str, mode: str, leave: str) -> str:
    """A service without a main process; its children live on."""
    return f"[Service]\nKillMode={mode}\nTimeoutStopSec=500ms\n{HEADLESS[kind]}\nExecStart={leave}\n"


def state(kind: str) -> str:
    """What it is in when its first process has left."""
    return "active/running" if kind.startswith("forking") else "active/exited"


@pytest.mark.parametrize("mode", ["control-group", "mixed"])
@pytest.mark.parametrize("kind", HEADLESS)
def test_a_main_process_that_died_long_before_its_children(kind: str, mode: str, launch: Launch) -> None:
    """Row B3; half of the children are deaf and in sessions of their own."""
    daemon = launch({"left.service": left(kind, mode, SIX_DEAF)})
    daemon.must("start", "left.service")
    daemon.until("left.service", state(kind))
    assert len(daemon.living()) == 6
    daemon.must("stop", "left.service")
    assert daemon.living() == {}
    daemon.must("start", "left.service")
    daemon.shut_down()


@pytest.mark.parametrize(("kind", "mode"), [*((kind, "process") for kind in HEADLESS), ("forking", "none")])
def test_what_killmode_spares_is_named_by_a_stop_and_ended_by_a_shutdown(kind: str, mode: str, launch: Launch) -> None:
    """Row A11."""
    daemon = launch({"left.service": left(kind, mode, SIX)})
    daemon.must("start", "left.service")
    daemon.until("left.service", state(kind))
    daemon.must("stop", "left.service")
    spared = daemon.living()
    assert len(spared) == 6
    told = daemon.ctl("status", "left.service").out
    assert [pid for pid in spared if str(pid) not in told] == []
    daemon.shut_down()
    assert daemon.log().count("was spared") == 6


def test_what_is_spared_and_deaf_is_killed_in_the_end(launch: Launch) -> None:
    daemon = launch({"left.service": left("exited", "none", SIX_DEAF)})
    daemon.must("start", "left.service")
    daemon.until("left.service", state("exited"))
    assert daemon.shut_down() < 30


def test_a_service_whose_main_process_leaves_is_cleaned_up_at_once(launch: Launch) -> None:
    daemon = launch({"left.service": f"[Service]\nType=exec\nTimeoutStopSec=500ms\nExecStart={SIX_DEAF}\n"})
    daemon.must("start", "left.service")
    daemon.until("left.service", "failed/failed")
    assert daemon.living() == {}
    daemon.shut_down()
