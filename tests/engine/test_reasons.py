"""Why a unit failed, in words: each cause has its own, with the setting and the value that count."""

import pytest

from tests.engine.test_service_life import house
from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.events import Exit, How

STUBBORN = Program(ignores=frozenset({15}))


@pytest.mark.parametrize(
    ("service", "programs", "reason"),
    [
        (
            "Type=oneshot\nExecStart=/bin/a -x",
            {"/bin/a": FAILING},
            "its main process 101 (/bin/a) exited with status 1",
        ),
        (
            "ExecStartPre=-/bin/bad\nExecStartPre=/bin/check it\nExecStart=/bin/a",
            {"/bin/bad": FAILING, "/bin/check": FAILING},
            "ExecStartPre=/bin/check it exited with status 1",
        ),
        (
            "ExecStart=/bin/a",
            {"/bin/a": Program(life=100, exit=Exit(How.DUMPED, 11))},
            "its main process 101 (/bin/a) was killed by SIGSEGV and dumped core",
        ),
        (
            "Type=notify\nTimeoutStartSec=90\nExecStart=/bin/a",
            {},
            "it took too long to start (TimeoutStartSec= is 1min 30s), and its main process was killed by SIGTERM",
        ),
        (
            "RuntimeMaxSec=5\nExecStart=/bin/a",
            {},
            "it ran as long as it may (RuntimeMaxSec= is 5s), and its main process was killed by SIGTERM",
        ),
        (
            "Restart=always\nRestartSec=0\nExecStart=/bin/a",
            {"/bin/a": DONE},
            "it was started too often in too short a time (StartLimitBurst=); unitctl reset-failed a.service allows "
            "it again",
        ),
    ],
)
def test_a_failure_has_its_reason(service: str, programs: dict[str, Program], reason: str) -> None:
    made = house(service, programs)
    made.start("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert (status.active, status.reason) == ("failed", reason)


def test_a_stop_that_took_too_long() -> None:
    made = house("TimeoutStopSec=3\nExecStart=/bin/a", {"/bin/a": STUBBORN})
    made.start("a.service")
    made.stop("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.reason == (
        "it took too long to stop (TimeoutStopSec= is 3s), and its main process was killed by SIGKILL"
    )


def test_who_did_not_fail_has_no_reason() -> None:
    made = house("ExecStart=/bin/a")
    made.start("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.reason == ""


def test_a_program_that_is_missing_is_told_once_and_a_forgiven_one_is_forgotten() -> None:
    made = House(
        {
            "a.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/a",
            "b.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStartPre=-/bin/a\nExecStart=/bin/b",
        },
        {"/bin/a": Program(fails=("exec", 2, "No such file or directory")), "/bin/b": Program()},
    )
    made.start("a.service", "b.service")
    assert not any("main process of a.service exited" in line for line in made.lines())
    status = made.engine.view.status("b.service")
    assert status is not None
    assert status.reason == ""
    assert made.state("b.service").startswith("active/running")
