"""Reload jobs and what a service says of its own reload (systemd.service(5), ExecReload=; sd_notify(3))."""

import pytest

from tests.engine.test_service_life import house
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import SECOND


@pytest.mark.parametrize(
    ("program", "result", "reload_result"),
    [(DONE, "done", "success"), (FAILING, "failed", "exit-code"), (Program(), "failed", "timeout")],
)
def test_the_result_is_the_jobs_and_the_service_goes_on(program: Program, result: str, reload_result: str) -> None:
    made = house("TimeoutStartSec=2\nExecStart=/bin/a\nExecReload=/bin/r", {"/bin/r": program})
    made.start("a.service")
    made.job("reload", "a.service")
    assert made.state("a.service").startswith("reloading/reload")
    made.run()
    assert made.results("a.service") == ["done", result]
    assert made.state("a.service") == "active/running success"
    assert made.service("a.service").reload_result == reload_result
    assert len(made.kernel.living) == 1


def test_several_commands_end_at_the_first_failure() -> None:
    made = house("ExecStart=/bin/a\nExecReload=/bin/r\nExecReload=/bin/s", {"/bin/r": FAILING, "/bin/s": DONE})
    made.start("a.service")
    made.job("reload", "a.service")
    made.run()
    assert made.ran() == ["/bin/a", "/bin/r"]


def test_a_reload_that_cannot_be_spawned_in_time_leaves_nobody_behind() -> None:
    made = house("TimeoutStartSec=1\nExecStart=/bin/a\nExecReload=/bin/r", {"/bin/r": Program(spawning=2 * SECOND)})
    made.start("a.service")
    made.job("reload", "a.service")
    made.run()
    assert made.state("a.service") == "active/running success"
    assert len(made.kernel.living) == 1


def test_the_main_process_dies_during_the_reload() -> None:
    made = house(
        "ExecStart=/bin/a\nExecReload=/bin/r", {"/bin/a": Program(life=SECOND), "/bin/r": Program(life=2 * SECOND)}
    )
    made.start("a.service", span=SECOND // 2)
    made.job("reload", "a.service")
    made.run()
    assert made.state("a.service") == "inactive/dead success"
    assert made.jobs == []


def test_a_stop_during_a_reload() -> None:
    made = house("ExecStart=/bin/a\nExecReload=/bin/r")
    made.start("a.service")
    made.job("reload", "a.service")
    made.run(SECOND)
    made.stop("a.service")
    assert made.state("a.service").startswith("inactive/dead")
    assert made.kernel.living == {}
    assert made.results("a.service") == ["done", "canceled", "done"]


def test_reload_needs_a_command() -> None:
    made = house("ExecStart=/bin/a")
    made.start("a.service")
    with pytest.raises(Refusal) as refusal:
        made.job("reload", "a.service")
    assert refusal.value.kind is Kind.JOB_TYPE_NOT_APPLICABLE


def test_reload_of_what_is_down_fails() -> None:
    made = house("ExecStart=/bin/a\nExecReload=/bin/r")
    made.job("reload", "a.service")
    made.run()
    assert made.results("a.service") == ["invalid"]


def test_reloading_said_by_the_service() -> None:
    says = ((500, "READY=1"), (1000, "RELOADING=1"), (5000, "READY=1"))
    made = house("Type=notify\nExecStart=/bin/a", {"/bin/a": Program(says=says)})
    made.start("a.service", span=3000)
    assert made.state("a.service") == "reloading/reload success"
    made.run()
    assert made.state("a.service") == "active/running success"


def test_reloading_said_and_never_ready_again() -> None:
    says = ((500, "READY=1"), (1000, "RELOADING=1"))
    made = house("Type=notify\nTimeoutStartSec=2\nExecStart=/bin/a", {"/bin/a": Program(says=says)})
    made.start("a.service")
    assert made.state("a.service") == "active/running success"
    assert made.service("a.service").reload_result == "timeout"


def test_run_time_is_counted_through_reloads() -> None:
    made = house("RuntimeMaxSec=10\nExecStart=/bin/a\nExecReload=/bin/r", {"/bin/r": DONE})
    made.start("a.service", span=8 * SECOND)
    made.job("reload", "a.service")
    made.run(4 * SECOND)
    assert made.state("a.service") == "failed/failed timeout"


def test_a_forking_daemon_may_move_to_a_new_process_by_its_pid_file() -> None:
    first = Program(life=1000, children=(Program(life=SECOND),), orphans=True, writes_pid=(500, "/run/a.pid"))
    made = house("Type=forking\nPIDFile=/run/a.pid\nExecStart=/bin/a", {"/bin/a": first})
    made.start("a.service", span=SECOND // 2)
    successor = made.kernel.adopt("a.service", Program())
    made.kernel.write_pid_file("/run/a.pid", successor)
    made.run()
    assert made.state("a.service") == "active/running success"
    main = made.service("a.service").main
    assert main is not None
    assert main.pid == successor


def test_a_forking_daemon_that_crashes_has_crashed() -> None:
    crash = Program(life=SECOND, exit=FAILING.exit)
    first = Program(life=1000, children=(crash,), orphans=True, writes_pid=(500, "/run/a.pid"))
    made = house("Type=forking\nPIDFile=/run/a.pid\nExecStart=/bin/a", {"/bin/a": first})
    made.start("a.service")
    assert made.state("a.service") == "failed/failed exit-code"
