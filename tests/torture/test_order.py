"""Who goes when, by the log and by the kernel: dependents first, deepest first, side by side, and never in a circle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.torture.conftest import Launch
from tests.torture.daemon import parent, program, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

DEEP = """
trap '' TERM
sh -c 'sh -c "sleep 1000 & sleep 1000 & wait" & sleep 1000 & wait' &
sh -c 'sleep 1000 & wait' &
wait
"""


def test_dependents_are_gone_before_what_they_depend_on_hears_anything(launch: Launch, tmp_path: Path) -> None:
    """Row A8. The dependency itself writes down who lived in the dependent's cgroup when it was asked to end."""
    daemon = launch()
    seen = tmp_path / "seen"
    procs = daemon.groups() / "system.slice/dependent.service/cgroup.procs"
    daemon.add(
        {
            "base.service": f"[Service]\nType=notify\nExecStart={program('dump', procs, seen)}\n",
            "dependent.service": "[Unit]\nRequires=base.service\nAfter=base.service\n"
            f"[Service]\nType=notify\nTimeoutStopSec=1\nExecStart={program('tree', 20)}\n",
        }
    )
    daemon.must("start", "dependent.service")
    assert len(procs.read_text().split()) >= 20
    daemon.shut_down()
    assert seen.read_text() == "seen: []\n"
    first = {one.unit: one.line for one in reversed(daemon.signals())}
    last = {one.unit: one.line for one in daemon.signals()}
    assert first["base.service"] > last["dependent.service"] > first["dependent.service"]
    assert daemon.line_of("stop of dependent.service: done") < first["base.service"]


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_deepest_first_and_the_main_process_last(verb: str, launch: Launch, tmp_path: Path) -> None:
    """Row A6, for the stop signal and for SIGKILL."""
    script = tmp_path / "deep.sh"
    script.write_text(DEEP)
    daemon = launch({"deep.service": f"[Service]\nType=exec\nTimeoutStopSec=500ms\nExecStart=/bin/sh {script}\n"})
    daemon.must("start", "deep.service")
    watch_for(lambda: len(daemon.members("deep.service")) == 8, "the whole tree")
    main = int(daemon.must("show", "deep.service", "-p", "MainPID", "--value"))
    parents = {pid: parent(pid) for pid in daemon.members("deep.service")}
    if verb == "stop":
        daemon.must("stop", "deep.service")
    daemon.shut_down()
    sent = daemon.signals()
    assert [one.name for one in sent] == ["TERM", "KILL"]
    for one in sent:
        assert set(one.pids) == set(parents)
        assert one.pids[-1] == main
        place = {pid: number for number, pid in enumerate(one.pids)}
        assert [(pid, above) for pid, above in parents.items() if above in place and place[above] < place[pid]] == []


def many(template: str, count: int) -> str:
    return "[Unit]\n" + "".join(f"Wants={template}@{number}.service\n" for number in range(count))


@pytest.mark.parametrize("verb", ["stop", "shutdown"])
def test_those_that_need_three_seconds_each_end_in_about_three(verb: str, launch: Launch) -> None:
    """Rows A7, B8: every one of them is asked before the first one is gone."""
    text = f"[Unit]\nPartOf=many.target\n[Service]\nType=notify\nExecStart={program('slowly', 3)}\n"
    daemon = launch({"slow@.service": text, "many.target": many("slow", 20)})
    daemon.must("start", "many.target")
    if verb == "stop":
        daemon.must("stop", *(f"slow@{number}.service" for number in range(20)))
    daemon.shut_down()
    sent = [one for one in daemon.signals() if one.unit.startswith("slow@")]
    assert [one.name for one in sent] == ["TERM"] * 20
    done = [number for number, line in enumerate(daemon.lines()) if re.search(r"stop of slow@\d+.service: done", line)]
    assert len(done) == 20
    assert max(one.line for one in sent) < min(done)


def test_inactive_units_and_early_ends_cost_no_time(launch: Launch) -> None:
    """Rows A3, A9."""
    text = "[Service]\nType=exec\nTimeoutStopSec=20\nExecStart=/bin/sleep 1000\n"
    chain = {
        f"c{number}.service": f"[Unit]\nAfter=c{number + 1}.service\nWants=c{number + 1}.service\n{text}"
        for number in range(30)
    }
    never = {
        f"never{number}.service": "[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sleep 5\n"
        for number in range(30)
    }
    daemon = launch({**chain, **never})
    daemon.must("start", "c0.service")
    assert daemon.shut_down() < 20
    assert "never" not in daemon.log()
    order = [one.unit for one in daemon.signals()]
    assert order == [f"c{number}.service" for number in range(30)]


# --- cycles -----------------------------------------------------------------------------------------------


def circle(kind: str, words: str) -> dict[str, str]:
    service = f"[Service]\nType=exec\nTimeoutStopSec=1\nExecStart={words}\n"
    following = {"a": "b", "b": "c", "c": "a"}
    return {
        f"{name}.service": f"[Unit]\nAfter={other}.service\n{kind}={other}.service\n{service}"
        for name, other in following.items()
    }


def test_a_cycle_of_requirements_is_refused_with_its_path_and_places(launch: Launch) -> None:
    """Rows B9, C23."""
    daemon = launch(circle("Requires", "/bin/sleep 1000"))
    refused = daemon.ctl("start", "a.service")
    assert refused.code != 0
    for name in "abc":
        assert f"{name}.service" in refused.out
    assert re.search(r"[abc]\.service -> [abc]\.service -> [abc]\.service -> [abc]\.service", refused.out)
    assert daemon.living() == {}
    assert daemon.shut_down() < 20


@pytest.mark.parametrize("words", ["/bin/sleep 1000", program("stubborn")], ids=["obeys", "deaf"])
def test_a_cycle_of_units_that_run_never_hangs_the_end(words: str, launch: Launch) -> None:
    """Their order cannot be kept, and is not waited for: one by one they could be started."""
    daemon = launch(circle("Description", words))
    for name in "abc":
        daemon.must("start", f"{name}.service")
    assert len(daemon.living()) >= 3
    assert daemon.shut_down() < 30
    assert "ordering cycle a.service -> " in daemon.log()


def test_a_cycle_of_units_that_run_never_hangs_a_stop(launch: Launch) -> None:
    """Stops that would wait for each other are refused with the path; one after another they are not."""
    daemon = launch(circle("Description", "/bin/sleep 1000"))
    for name in "abc":
        daemon.must("start", f"{name}.service")
    refused = daemon.ctl("stop", "a.service", "b.service", "c.service")
    assert "cannot stop c.service: ordering cycle a.service -> b.service -> c.service -> a.service" in refused.out
    daemon.must("stop", "c.service")
    assert daemon.living() == {}
    daemon.shut_down()


def test_a_cycle_of_wants_is_broken_and_told(launch: Launch) -> None:
    units = circle("Wants", "/bin/sleep 1000")
    units["outer.service"] = "[Unit]\nWants=a.service\nAfter=a.service\n[Service]\nExecStart=/bin/sleep 1000\n"
    daemon = launch(units)
    done = daemon.ctl("start", "outer.service")
    told = done.out + daemon.log()
    assert "a.service -> " in told
    assert "cycle" in told
    daemon.shut_down()
