"""Restart=: which ends are followed by a start, when, and how often (systemd.service(5), Restart=)."""

from itertools import pairwise

import pytest

from tests.engine.test_service_life import house
from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.effects import Spawn
from unitd.model.events import Exit, How, KillAsked, ResetFailedAsked, Whom
from unitd.model.states import SECOND

READY = (500, "READY=1")
ENDS = {
    "success": ("", DONE),
    "exit-code": ("", FAILING),
    "signal": ("", Program(life=100, exit=Exit(How.KILLED, 9))),
    "core-dump": ("", Program(life=100, exit=Exit(How.DUMPED, 11))),
    "timeout": ("Type=notify\nTimeoutStartSec=1", Program()),
    "watchdog": ("Type=notify\nWatchdogSec=1", Program(says=(READY,))),
    "exec-condition": ("ExecCondition=/bin/skip", Program()),
}
POLICIES = {
    "no": "",
    "always": "success exit-code signal core-dump timeout watchdog",
    "on-success": "success",
    "on-failure": "exit-code signal core-dump timeout watchdog",
    "on-abnormal": "signal core-dump timeout watchdog",
    "on-watchdog": "watchdog",
    "on-abort": "signal core-dump",
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("end", ENDS)
def test_policy(policy: str, end: str) -> None:
    more, program = ENDS[end]
    skip = Program(life=100, exit=Exit(How.EXITED, 1))
    made = house(f"Restart={policy}\nRestartSec=1h\n{more}\nExecStart=/bin/a", {"/bin/a": program, "/bin/skip": skip})
    made.start("a.service", span=60 * SECOND)
    assert made.service("a.service").result == end
    assert ("auto-restart" in made.state("a.service")) == (end in POLICIES[policy].split())


def starts(made: House) -> list[int]:
    """The instants of the starts of the main process, from the first one on."""
    instants = [now for now, effect in made.log if isinstance(effect, Spawn)]
    return [now - instants[0] for now in instants]


@pytest.mark.parametrize(
    ("lines", "status", "restarts"),
    [
        ("Restart=always\nRestartPreventExitStatus=3", 3, False),
        ("Restart=always\nRestartPreventExitStatus=3", 4, True),
        ("Restart=no\nRestartForceExitStatus=3", 3, True),
        ("Restart=no\nRestartForceExitStatus=3", 4, False),
        ("Restart=on-failure\nSuccessExitStatus=3", 3, False),
    ],
)
def test_exit_statuses_that_decide(lines: str, status: int, restarts: bool) -> None:
    made = house(
        f"{lines}\nRestartSec=1h\nExecStart=/bin/a", {"/bin/a": Program(life=10, exit=Exit(How.EXITED, status))}
    )
    made.start("a.service", span=SECOND)
    assert ("auto-restart" in made.state("a.service")) == restarts


def test_restart_comes_after_its_delay_and_is_counted() -> None:
    made = house(
        "Restart=always\nRestartSec=2\nExecStart=/bin/a", {"/bin/a": Program(life=SECOND)}, "StartLimitBurst=0"
    )
    made.start("a.service", span=10 * SECOND)
    assert [round(at / SECOND) for at in starts(made)] == [0, 3, 6, 9]
    assert made.service("a.service").restarts == 3


def test_the_delay_grows_in_equal_factors_up_to_its_maximum() -> None:
    made = house(
        "Restart=always\nRestartSec=1\nRestartSteps=2\nRestartMaxDelaySec=16\nExecStart=/bin/a",
        {"/bin/a": FAILING},
        "StartLimitBurst=0",
    )
    made.start("a.service", span=60 * SECOND)
    instants = [round(at / SECOND) for at in starts(made)]
    assert [b - a for a, b in pairwise(instants)] == [1, 4, 16, 16, 16]


def test_a_stable_run_begins_the_delays_anew() -> None:
    made = house(
        "Restart=always\nRestartSec=1\nRestartSteps=1\nRestartMaxDelaySec=8\nExecStart=/bin/a\n[X-Unitd]\nRestartStableSec=5",
        {"/bin/a": Program(life=6 * SECOND)},
        "StartLimitBurst=0",
    )
    made.start("a.service", span=25 * SECOND)
    assert [round(at / SECOND) for at in starts(made)] == [0, 7, 14, 21]
    assert made.service("a.service").restarts == 1


def test_the_start_limit_ends_it_and_says_so() -> None:
    made = house("Restart=always\nRestartSec=0\nExecStart=/bin/a", {"/bin/a": FAILING}, "StartLimitBurst=3")
    made.start("a.service")
    assert len(starts(made)) == 3
    assert made.state("a.service") == "failed/failed start-limit-hit"
    assert any("started too often" in line for line in made.lines())
    made.job("start", "a.service")
    made.run()
    assert made.results("a.service")[-1] == "failed"
    assert made.ask(lambda token: ResetFailedAsked(token, "a.service")) is None
    assert made.state("a.service") == "inactive/dead success"
    made.start("a.service", span=50)
    assert len(starts(made)) == 4


def test_the_start_limit_is_a_window() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": DONE}, "StartLimitBurst=2\nStartLimitIntervalSec=10")
    for _ in range(2):
        made.start("a.service", span=SECOND)
    made.start("a.service", span=9 * SECOND)
    assert made.state("a.service") == "failed/failed start-limit-hit"
    made.start("a.service", span=SECOND)
    assert made.state("a.service") == "inactive/dead success"


@pytest.mark.parametrize("moment", [50, 150, 5_000, SECOND])
def test_a_stop_is_never_followed_by_a_restart(moment: int) -> None:
    made = house(
        "Restart=always\nRestartSec=1\nTimeoutStopSec=1\nExecStart=/bin/a",
        {"/bin/a": Program(life=900_000, ignores=frozenset({15}))},
        "StartLimitBurst=0",
    )
    made.start("a.service", span=moment)
    made.stop("a.service")
    assert made.state("a.service").startswith(("inactive", "failed"))
    assert len(starts(made)) == 1
    assert made.kernel.living == {}
    assert made.jobs == []


def test_a_stop_while_it_waits_leaves_it_inactive() -> None:
    made = house("Restart=always\nRestartSec=1h\nExecStart=/bin/a", {"/bin/a": FAILING}, "OnFailure=b.service")
    made.start("a.service", span=SECOND)
    made.stop("a.service")
    assert made.state("a.service") == "inactive/dead exit-code"
    assert made.results("a.service") == ["done", "done"]


def test_a_start_while_it_waits_starts_at_once() -> None:
    made = house("Restart=always\nRestartSec=1h\nExecStart=/bin/a", {"/bin/a": Program(life=1000)})
    made.start("a.service", span=SECOND)
    made.start("a.service", span=500)
    assert made.state("a.service") == "active/running success"
    assert len(starts(made)) == 2


def test_a_restart_job_uses_its_own_signal() -> None:
    made = house("RestartKillSignal=SIGINT\nExecStart=/bin/a")
    made.start("a.service")
    first = made.service("a.service").main
    made.job("restart", "a.service")
    made.run()
    assert made.kills("a.service")[0] == (2, "all")
    assert made.state("a.service") == "active/running success"
    assert made.service("a.service").main != first
    made.stop("a.service")
    assert made.kills("a.service")[-1] == (15, "all")


def test_a_restart_waits_for_the_old_processes() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(slow=3 * SECOND)})
    made.start("a.service")
    made.job("restart", "a.service")
    made.run(2 * SECOND)
    assert len(starts(made)) == 1
    made.run(2 * SECOND)
    assert len(starts(made)) == 2
    assert len(made.kernel.living) == 1


def test_a_second_restart_during_the_first_gives_one_start() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(slow=SECOND)})
    made.start("a.service")
    made.job("restart", "a.service")
    made.run(SECOND // 2)
    made.job("restart", "a.service")
    made.run()
    assert made.state("a.service") == "active/running success"
    assert len(starts(made)) == 2


def test_on_failure_waits_for_the_last_restart() -> None:
    made = House(
        {
            "a.service": "[Unit]\nDefaultDependencies=no\nOnFailure=b.service\nStartLimitBurst=2\n"
            "[Service]\nRestart=always\nRestartSec=1\nExecStart=/bin/a",
            "b.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/b",
        },
        {"/bin/a": FAILING},
    )
    made.start("a.service", span=SECOND // 2)
    assert made.ran("b.service") == []
    made.run()
    assert made.state("a.service") == "failed/failed start-limit-hit"
    assert made.ran("b.service") == ["/bin/b"]


def test_killed_from_outside_counts_as_a_signal() -> None:
    made = house("Restart=on-abnormal\nRestartSec=1\nExecStart=/bin/a")
    made.start("a.service")
    made.ask(lambda token: KillAsked(token, "a.service", Whom.ALL, 9))
    made.run()
    assert made.state("a.service") == "active/running success"
    assert made.service("a.service").restarts == 1
