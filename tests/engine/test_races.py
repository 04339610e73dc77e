"""What crosses on the way: a stop while a process is being started, answers that come too late, ends out of order."""

import pytest

from tests.engine.test_service_life import house
from tests.fakes.house import House
from tests.fakes.kernel import DONE, Program
from unitd.model.effects import Spawn
from unitd.model.events import (
    CgroupEmpty,
    Execed,
    Exit,
    How,
    Notified,
    ProcessExited,
    Spawned,
    SpawnFailed,
)
from unitd.model.states import SECOND

EXITED = Exit(How.EXITED, 0)
FAILED = Exit(How.EXITED, 3)
ALL = "\n".join(
    f"Exec{stage}=/bin/{name}"
    for stage, name in zip(("Condition", "StartPre", "Start", "StartPost", "Stop", "StopPost"), "cpaosx", strict=True)
)
SLOW = Program(life=1000, spawning=1000, execing=1000)
PROGRAMS = {f"/bin/{name}": SLOW for name in "cposx"} | {"/bin/a": Program(spawning=1000, execing=1000)}


@pytest.mark.parametrize("moment", range(0, 14_000, 250))
def test_a_stop_at_any_moment_leaves_nobody(moment: int) -> None:
    made = house(ALL, PROGRAMS)
    made.start("a.service", span=moment)
    made.stop("a.service")
    assert made.state("a.service").startswith(("inactive", "failed"))
    assert made.kernel.living == {}
    assert made.jobs == []
    assert made.ran()[-1] == "/bin/x"


@pytest.mark.parametrize("kind", ["forking", "oneshot", "notify"])
@pytest.mark.parametrize("moment", [0, 500, 1500, 2500])
def test_a_stop_at_any_moment_of_other_types(kind: str, moment: int) -> None:
    made = house(f"Type={kind}\nExecStart=/bin/a\nTimeoutStopSec=1", PROGRAMS)
    made.start("a.service", span=moment)
    made.stop("a.service")
    assert made.kernel.living == {}
    assert made.jobs == []


@pytest.mark.parametrize("mode", ["control-group", "mixed", "process", "none"])
def test_a_process_that_comes_after_its_service_rests_is_ended(mode: str) -> None:
    made = house(f"KillMode={mode}\nTimeoutStopSec=1\nExecStart=/bin/a", {"/bin/a": Program(spawning=20 * SECOND)})
    made.start("a.service", span=SECOND)
    made.stop("a.service", span=10 * SECOND)
    assert made.jobs == []
    made.run()
    assert len(made.kernel.living) == (1 if mode == "none" else 0)


def test_a_process_that_comes_after_the_stop_signal_gets_its_own() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(spawning=SECOND)})
    made.start("a.service", span=1000)
    asked = made.clock.now
    made.stop("a.service")
    assert [signal for *_, signal in made.kernel.signals] == [15]
    assert made.clock.now - asked < 2 * SECOND
    assert made.state("a.service") == "inactive/dead success"


def test_a_spawn_that_fails_after_the_stop() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(spawning=SECOND, fails=("fork", 11, ""))})
    made.start("a.service", span=1000)
    made.stop("a.service")
    assert made.jobs == []
    assert made.state("a.service").startswith(("inactive", "failed"))


def by_hand(service: str) -> tuple[House, int]:
    """A house whose a.service is being started; its events are fed by the test. With the serial of the spawn."""
    made = house(service)
    made.acts = False
    made.job("start", "a.service")
    return made, made.effects(Spawn)[-1].plan.serial


def test_the_cgroup_is_empty_before_the_exit_is_told() -> None:
    made, serial = by_hand("ExecStart=/bin/a")
    for event in (Spawned("a.service", serial, 7, 1), Execed("a.service", serial), CgroupEmpty("a.service")):
        made.feed(event)
    assert made.state("a.service") == "active/running success"
    made.feed(ProcessExited("a.service", 7, FAILED))
    assert made.state("a.service") == "failed/failed exit-code"


def test_the_exit_is_told_before_exec() -> None:
    made, serial = by_hand("ExecStart=/bin/a")
    made.feed(Spawned("a.service", serial, 7, 1))
    made.feed(ProcessExited("a.service", 7, FAILED))
    made.feed(CgroupEmpty("a.service"))
    made.feed(Execed("a.service", serial))
    assert made.state("a.service") == "failed/failed exit-code"
    assert made.results("a.service") == ["failed"]


def test_an_old_empty_cgroup_does_not_hide_the_next_process() -> None:
    made, serial = by_hand("ExecStartPre=/bin/p\nExecStart=/bin/a")
    for event in (
        Spawned("a.service", serial, 7, 1),
        Execed("a.service", serial),
        ProcessExited("a.service", 7, EXITED),
    ):
        made.feed(event)
    serial = made.effects(Spawn)[-1].plan.serial
    made.feed(CgroupEmpty("a.service"))
    made.feed(SpawnFailed("a.service", serial, "fork", 11))
    assert made.state("a.service") == "failed/failed exit-code"
    assert made.jobs == []


def test_answers_for_processes_of_an_earlier_run_mean_nothing() -> None:
    made = house("ExecStart=/bin/a")
    made.start("a.service")
    before = made.service("a.service")
    for event in (
        Execed("a.service", 99),
        SpawnFailed("a.service", 99, "exec", 2),
        ProcessExited("a.service", 99_999, FAILED),
        Notified("a.service", 99_999, (("READY", "1"),)),
        CgroupEmpty("unknown.service"),
    ):
        made.feed(event)
    assert made.service("a.service") == before


def test_events_of_a_unit_at_rest_do_nothing() -> None:
    made = house("Type=notify\nNotifyAccess=all\nExecStart=/bin/a", {"/bin/a": DONE})
    made.start("a.service")
    state = made.state("a.service")
    for event in (Execed("a.service", 1), CgroupEmpty("a.service"), Notified("a.service", 1, (("MAINPID", "5"),))):
        made.feed(event)
    assert made.state("a.service") == state
    assert made.service("a.service").main is None
