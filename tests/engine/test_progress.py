"""What is told of stops under way: phase, deadline, next step, who waits for whom, and the last stages."""

from __future__ import annotations

import pytest

from tests.fakes.house import House
from tests.fakes.kernel import Program
from unitd.engine.progress import Stopping
from unitd.model.effects import Kill, Log, StageChanged
from unitd.model.events import CgroupEmpty, Exit, How, ProcessExited
from unitd.model.states import SECOND

DEAF = Program(ignores=frozenset({15}))
UNDYING = Program(ignores=frozenset({15, 9}))


def house(program: Program = DEAF, **units: str) -> House:
    made = House({f"{name}.service": text_of(*text.split("|")) for name, text in units.items()}, {"/bin/a": program})
    made.start(*(f"{name}.service" for name in units), span=5 * SECOND)
    return made


def text_of(program: str, *settings: str) -> str:
    """A service of DefaultDependencies=no; what is about other units goes to [Unit]."""
    about = "\n".join(one for one in settings if one.startswith("Before="))
    own = "\n".join(one for one in settings if not one.startswith("Before="))
    return f"[Unit]\nDefaultDependencies=no\n{about}\n[Service]\nType=exec\nExecStart={program}\n{own}\n"


def told(made: House) -> dict[str, tuple[str, int, str]]:
    """unit -> phase, seconds until the next step (-1: no limit), what that is."""
    now = made.clock.now
    return {
        one.unit: (one.phase, -1 if one.deadline in (0, 2**64 - 1) else (one.deadline - now) // SECOND, one.next)
        for one in made.engine.view.stopping()
    }


@pytest.mark.parametrize(
    ("settings", "phase", "left", "then"),
    [
        ("TimeoutStopSec=9", "stop-sigterm", 9, "SIGKILL"),
        ("TimeoutStopSec=infinity", "stop-sigterm", -1, ""),
        ("TimeoutStopSec=9|FinalKillSignal=SIGQUIT", "stop-sigterm", 9, "SIGQUIT"),
        ("TimeoutStopSec=9|SendSIGKILL=no", "stop-sigterm", 9, "give up (SendSIGKILL=no)"),
        ("TimeoutStopSec=9|TimeoutStopFailureMode=abort", "stop-sigterm", 9, "SIGABRT"),
        ("TimeoutStopSec=9|ExecStop=/bin/a|KillSignal=SIGINT", "stop", 9, "SIGINT"),
        ("TimeoutStopSec=9|ExecStop=/bin/a|TimeoutStopFailureMode=kill", "stop", 9, "SIGKILL"),
    ],
)
def test_the_next_step(settings: str, phase: str, left: int, then: str) -> None:
    made = house(a=f"/bin/a|{settings}")
    made.stop("a.service", span=SECOND // 10)
    assert told(made) == {"a.service": (phase, left - (left > 0), then)}


def test_the_commands_process_comes_first() -> None:
    made = house(a="/bin/a|ExecStop=/bin/a")
    made.stop("a.service", span=SECOND)
    (one,) = made.engine.view.stopping()
    service = made.service("a.service")
    assert service.control is not None
    assert service.main is not None
    assert one.pids == (service.control.pid, service.main.pid)


def test_who_waits_says_for_whom() -> None:
    made = house(a="/bin/a|Before=b.service c.service", b="/bin/a|ExecStop=/bin/a", c="/bin/a")
    made.shutdown()
    made.run(SECOND)
    assert told(made)["a.service"] == ("waiting", -1, "SIGTERM after b.service, c.service")
    assert [one.unit for one in made.engine.view.stopping()] == ["b.service", "c.service", "a.service"]


def test_of_so_many_only_the_most_urgent_are_told() -> None:
    made = house(a="/bin/a|TimeoutStopSec=9", b="/bin/a|TimeoutStopSec=3", c="/bin/a|TimeoutStopSec=6")
    made.stop("a.service", "b.service", "c.service", span=SECOND)
    assert [one.unit for one in made.engine.view.stopping(most=2)] == ["b.service", "c.service"]
    assert [one.unit for one in made.engine.view.stopping({"a.service"})] == ["a.service"]


def test_the_last_stages_tell_of_what_is_left() -> None:
    made = house(UNDYING, a="/bin/a|TimeoutStopSec=2", b="/bin/a|KillMode=none|RemainAfterExit=yes")
    made.shutdown()
    stages: list[Stopping] = []
    while made.left is None:
        made.run(SECOND // 100)
        whole = made.engine.view.shutdown()
        assert whole is not None
        assert whole.end - whole.began == 30 * SECOND
        stages += [one for one in made.engine.view.stopping() if not one.unit]
    assert {one.phase for one in stages} == {"spared", "killed"}
    assert any(one.left for one in stages)
    assert {one.next for one in stages if one.left} >= {"SIGKILL", "give up, and name who is left"}
    assert made.effects(StageChanged)
    assert made.engine.view.stopping() == []
    assert not made.engine.view.is_stopping()


def test_one_line_for_each_service_that_a_shutdown_stopped() -> None:
    made = house(a="/bin/a|TimeoutStopSec=2", b="/bin/b")
    a, b = (made.service(f"{name}.service").last_main.pid for name in "ab")
    asked = len(made.log)
    made.shutdown()
    made.run()
    assert made.effects(Kill)
    lines = [e.text for _, e in made.log[asked:] if isinstance(e, Log) and " is stopped" in e.text]
    assert sorted(lines) == [
        f"a.service is stopped, but failed (timeout): SIGTERM to pid {a}, then SIGKILL to pid {a}, 2.0 s",
        f"b.service is stopped: SIGTERM to pid {b}, 0.0 s",
    ]


def test_who_ends_before_it_is_told_to_whom_the_signal_went() -> None:
    made = house(a="/bin/b")
    pid = made.service("a.service").last_main.pid
    made.acts = False
    made.shutdown()
    made.feed(ProcessExited("a.service", pid, Exit(How.KILLED, 15)))
    made.feed(CgroupEmpty("a.service"))
    assert "a.service is stopped: SIGTERM was on its way, 0.0 s" in made.lines()


def test_a_shutdown_with_nothing_to_end_says_why() -> None:
    made = House({"x.target": "[Unit]\nDefaultDependencies=no\n"})
    made.start("x.target")
    made.shutdown()
    made.run()
    assert any(line.endswith(": 1 unit to stop, none of them a service") for line in made.lines())
