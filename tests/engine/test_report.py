"""What is kept of a stop and of a shutdown: who obeyed, who was killed and what kept it, what is left, what to do."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.test_service_life import house
from tests.fakes.house import House
from tests.fakes.kernel import FAILING, Program
from unitd.engine import planning, reasons, snapshot
from unitd.engine.snapshot import Saved
from unitd.model.config import Config
from unitd.model.effects import KeepReport, Kill, Leave
from unitd.model.events import Caller, Leaving, ShutdownAsked, Survivors
from unitd.model.processes import Left, Straggler
from unitd.model.report import DONE, INTERRUPTED, SURVIVORS, Report, UnitEnd
from unitd.model.states import SECOND, JobResult

STUBBORN = Program(ignores=frozenset({15}))
HANGING = Program(ignores=frozenset({15}))
IMMORTAL = Program(immortal=True)
BARE = "[Unit]\nDefaultDependencies=no\n"


def shut_down(made: House) -> Report:
    made.shutdown()
    made.run()
    (leave,) = made.effects(Leave)
    assert leave.report is not None
    return leave.report


def only(report: Report) -> UnitEnd:
    (unit,) = report.units
    return unit


def test_a_polite_one() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(slow=2 * SECOND)})
    made.start("a.service")
    report = shut_down(made)
    assert (report.outcome, report.leaving, report.cap_s, report.survivors) == (DONE, "poweroff", 30.0, ())
    assert report.took_s is not None
    assert report.bound_s is not None
    assert 2 <= report.took_s < 2.1 < report.bound_s <= 30
    unit = only(report)
    assert (unit.state, unit.result, unit.escalated, unit.killed) == ("inactive", "success", False, ())
    assert [(one.signal, one.processes) for one in unit.signals] == [("SIGTERM", 1)]
    assert [phase.name for phase in unit.phases] == ["stop-sigterm"]
    assert 2 <= unit.took_s < 2.1
    assert unit.dying_s == unit.took_s


def test_one_that_has_to_be_killed() -> None:
    made = house("TimeoutStopSec=3\nExecStart=/bin/a", {"/bin/a": STUBBORN})
    made.start("a.service")
    unit = only(shut_down(made))
    assert [one.signal for one in unit.signals] == ["SIGTERM", "SIGKILL"]
    assert [phase.name for phase in unit.phases] == ["stop-sigterm", "stop-sigkill"]
    assert (unit.escalated, unit.waited_s, [one.pid for one in unit.killed]) == (True, 3.0, [101])
    assert unit.evidence is not None
    assert [one.pid for one in unit.evidence.stragglers] == [101]
    assert (unit.state, unit.result, unit.left) == ("failed", "timeout", "")
    assert "KillSignal=" in unit.hint
    assert "a.service did not end in time: pid 101 a.service, S (sleeping) in do_wait" in made.lines()


def test_who_gets_less_than_it_wants_is_told_so() -> None:
    text = f"{BARE}[Service]\nTimeoutStopSec=60\nExecStart=/bin/a"
    made = House({"a.service": text}, {"/bin/a": STUBBORN}, Config(shutdown_timeout=10 * SECOND))
    made.start("a.service")
    report = shut_down(made)
    unit = only(report)
    assert report.took_s is not None
    assert report.took_s <= 10
    assert unit.allotted_s is not None
    assert unit.cut_from_s is not None
    assert unit.waited_s < unit.allotted_s < 10 < 60 <= unit.cut_from_s


def test_a_stop_that_had_begun_before() -> None:
    text = f"{BARE}[Service]\nTimeoutStopSec=60\nExecStart=/bin/a"
    made = House({"a.service": text}, {"/bin/a": STUBBORN}, Config(shutdown_timeout=10 * SECOND))
    made.start("a.service")
    made.stop("a.service", span=5 * SECOND)
    report = shut_down(made)
    unit = only(report)
    assert report.took_s is not None
    assert unit.allotted_s is not None
    assert unit.cut_from_s is not None
    assert unit.took_s - report.took_s == pytest.approx(5, abs=0.01)
    assert unit.allotted_s < 15
    assert 120 <= unit.cut_from_s < 122
    assert unit.signals[0].at_s == pytest.approx(-5, abs=0.01)


def test_a_command_that_hangs_and_one_that_fails() -> None:
    made = house(
        "TimeoutStopSec=3\nExecStart=/bin/a\nExecStop=/bin/stop\nExecStopPost=/bin/post",
        {"/bin/stop": HANGING, "/bin/post": FAILING},
    )
    made.start("a.service")
    unit = only(shut_down(made))
    assert unit.exec_stop == "did not end in time"
    assert unit.exec_stop_post == "exited with status 1"
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.reason.startswith("ExecStop= did not end in time (TimeoutStopSec= is 3s)")


def test_who_is_not_waited_for_is_told_as_killed() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(slow=5 * SECOND)})
    made.start("a.service")
    made.shutdown(force=True)
    made.run()
    (leave,) = made.effects(Leave)
    assert leave.report is not None
    unit = only(leave.report)
    assert unit.signals[-1].signal == "SIGKILL"
    assert (unit.escalated, [one.pid for one in unit.killed]) == (True, [101])


def test_a_second_request_is_told_and_named_when_it_changes_how_it_ends() -> None:
    made = house("ExecStart=/bin/a", {"/bin/a": Program(slow=5 * SECOND)})
    made.start("a.service")
    made.feed(ShutdownAsked(0, Leaving.STAY, by=Caller(what="OnRestart=stop")))
    made.feed(ShutdownAsked(0, Leaving.STAY, by=Caller(what="somebody")))
    made.feed(ShutdownAsked(0, Leaving.REBOOT, force=True, by=Caller(what="D-Bus", uid=0, pid=7)))
    made.run()
    (leave,) = made.effects(Leave)
    assert leave.report is not None
    assert (leave.report.leaving, leave.report.by) == ("reboot", "D-Bus (uid 0, pid 7)")
    said = [line.partition(":")[0] for line in made.lines() if " asked for by " in line]
    assert said[1:] == [
        "clean start asked for by OnRestart=stop",
        "clean start asked for by somebody, while everything is being stopped",
        "reboot by force asked for by D-Bus (uid 0, pid 7), while everything is being stopped",
    ]


def test_who_has_all_of_its_time_had_what_the_plan_gave_it() -> None:
    made = house("ExecStart=/bin/a\nTimeoutStopSec=3", {"/bin/a": STUBBORN})
    made.start("a.service")
    plan = planning.shutdown(made.engine.core, "poweroff")
    steps = [step for wave in plan.waves for each in wave for step in each.steps]
    unit = only(shut_down(made))
    assert (unit.allotted_s, unit.cut_from_s) == (sum(step.timeout for step in steps) / SECOND, None) == (8, None)


def test_waves_are_told_of_and_units_without_processes_are_counted() -> None:
    made = House(
        {
            "a.service": f"{BARE}[Service]\nExecStart=/bin/a",
            "b.service": f"{BARE}After=a.service\n[Service]\nExecStart=/bin/b",
            "x.target": f"{BARE}Wants=a.service b.service",
        }
    )
    made.start("x.target")
    report = shut_down(made)
    assert [(unit.unit, unit.wave) for unit in report.units] == [("b.service", 1), ("a.service", 2)]
    assert report.others >= 1


@pytest.mark.parametrize(
    ("number", "says"), [(0, "nothing is left"), (1, "1 process is left"), (2, "2 processes are left")]
)
def test_the_last_line_counts_who_is_left(number: int, says: str) -> None:
    made = house("ExecStart=/bin/a")
    made.acts = False
    made.shutdown(force=True)
    while made.left is None:
        made.run(SECOND)
        made.feed(Survivors(tuple(Left(pid) for pid in range(9, 9 + number))))
    assert made.lines()[-1].endswith(f" s, {says}")


def test_survivors_are_named_with_what_keeps_them() -> None:
    made = house("TimeoutStopSec=1\nExecStart=/bin/a", {"/bin/a": IMMORTAL})
    made.start("a.service")
    report = shut_down(made)
    assert report.outcome == SURVIVORS
    (one,) = report.survivors
    assert (one.pid, one.unit) == (101, "a.service")
    assert "uninterruptible sleep" in one.note
    assert "io_schedule" in one.note
    assert isinstance(one.seen, Straggler)
    assert any(line.startswith("cannot end 101") and "device or file system" in line for line in made.lines())
    assert report.strays == ()


def test_who_left_its_unit_is_found_behind_it_and_ended() -> None:
    made = house("KillMode=process\nExecStart=/bin/a", {"/bin/a": Program(children=(Program(),))})
    made.start("a.service")
    report = shut_down(made)
    assert report.outcome == DONE
    assert [(one.pid, one.unit) for one in report.strays] == [(102, "a.service")]
    assert (only(report).left, only(report).hint) == ("", "")


def test_at_the_beginning_there_is_one_that_says_it_was_interrupted() -> None:
    made = house("ExecStart=/bin/a")
    made.start("a.service")
    made.shutdown()
    (kept,) = made.effects(KeepReport)
    assert (kept.report.outcome, kept.report.took_s) == (INTERRUPTED, None)
    assert [unit.unit for unit in kept.report.units] == ["a.service"]


def test_what_a_start_forgets() -> None:
    made = house("TimeoutStopSec=3\nExecStart=/bin/a", {"/bin/a": STUBBORN})
    made.start("a.service")
    made.stop("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.service is not None
    assert ([one.pid for one in status.service.stragglers], status.service.waited) == ([101], 3 * SECOND)
    made.start("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.service is not None
    assert (status.service.stragglers, status.hint) == ((), "")


def test_the_next_daemon_knows_who_was_killed() -> None:
    made = house("TimeoutStopSec=3\nExecStart=/bin/a", {"/bin/a": STUBBORN})
    made.start("a.service")
    made.stop("a.service")
    (saved,) = snapshot.saved(made.engine.core, ["a.service"])
    read = msgspec.json.decode(msgspec.json.encode(saved), type=Saved)
    assert read == saved
    assert read.course is not None
    assert read.course.evidence is not None


def test_only_a_kill_that_follows_a_timeout_looks_first() -> None:
    made = house("KillMode=mixed\nExecStart=/bin/a", {"/bin/a": Program(children=(STUBBORN,))})
    made.start("a.service")
    made.stop("a.service")
    assert [(kill.signal, kill.examine) for kill in made.effects(Kill)] == [(15, False), (9, False)]


# --- errors that help ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ("KillMode=process", "KillMode=process spares what is left: unitctl kill -s KILL a.service ends it"),
        ("KillMode=none", "KillMode=none spares what is left: unitctl kill -s KILL a.service ends it"),
        ("SendSIGKILL=no", "SendSIGKILL=no spares what did not end: unitctl kill -s KILL a.service ends it"),
    ],
)
def test_what_is_spared_is_told_with_what_to_do(settings: str, hint: str) -> None:
    programs = {"/bin/a": Program(ignores=frozenset({15}), children=(STUBBORN,))}
    made = house(f"TimeoutStopSec=3\n{settings}\nExecStart=/bin/a", programs)
    made.start("a.service")
    made.stop("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    assert status.hint == hint
    assert any(line.startswith("a.service is stopped, but ") and hint in line for line in made.lines())


def test_who_outlives_sigkill_is_told_with_what_to_look_at() -> None:
    made = house("TimeoutStopSec=1\nExecStart=/bin/a", {"/bin/a": IMMORTAL})
    made.start("a.service")
    made.stop("a.service")
    status = made.engine.view.status("a.service")
    assert status is not None
    keeps = (
        "pid 101 is in uninterruptible sleep, and ends when the kernel lets go of it; look at the device or file "
        "system that it waits for: io_schedule < nfs_wait"
    )
    assert status.hint == keeps
    left = "cannot end all of a.service, left after SIGKILL is pid 101 a.service, D (disk sleep) in io_schedule"
    assert f"{left} ({keeps})" in made.lines()


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (Straggler(7, state="S (sleeping)", channel="do_freezer_trap"), "pid 7 is in a frozen cgroup"),
        (Straggler(7, state="T (stopped)"), "pid 7 was stopped (SIGSTOP)"),
        (Straggler(7, state="t (tracing stop)"), "pid 7 is held by a debugger"),
        (Straggler(7, state="S (sleeping)", channel="do_wait"), ""),
    ],
)
def test_what_keeps_a_process(one: Straggler, says: str) -> None:
    assert reasons.what_keeps(one).startswith(says)
    assert bool(reasons.what_keeps(one)) is bool(says)


DEPENDENT = {
    "a.service": f"{BARE}[Service]\nExecStart=/bin/a",
    "b.service": f"{BARE}Requires=a.service\nAfter=a.service\n[Service]\nTimeoutStopSec=1\nExecStart=/bin/b",
    "c.service": f"{BARE}[Service]\nExecStart=/bin/c",
}


def test_a_dependent_that_cannot_be_stopped_keeps_what_it_needs() -> None:
    made = House(
        {**DEPENDENT, "a.service": f"{BARE}Requires=c.service\nAfter=c.service\n[Service]\nExecStart=/bin/a"},
        {"/bin/b": IMMORTAL},
    )
    made.start("b.service")
    made.stop("c.service")
    assert made.results("b.service")[-1] is JobResult.DONE
    assert [made.results(unit)[-1] for unit in ("a.service", "c.service")] == [JobResult.DEPENDENCY] * 2
    assert made.state("a.service").startswith("active/running")
    assert made.state("c.service").startswith("active/running")
    assert any(
        line.startswith("cannot stop a.service: b.service, which needs it, is not stopped (") for line in made.lines()
    )


def test_in_a_shutdown_a_stop_that_fails_holds_nobody_up() -> None:
    made = House(DEPENDENT, {"/bin/b": IMMORTAL})
    made.start("b.service")
    report = shut_down(made)
    assert made.state("a.service").startswith("inactive")
    assert report.outcome == SURVIVORS


def test_a_stop_that_is_cancelled_says_how_far_it_is() -> None:
    made = house("TimeoutStopSec=30\nExecStart=/bin/a", {"/bin/a": STUBBORN})
    made.start("a.service")
    made.job("stop", "a.service")
    made.run(SECOND)
    made.job("start", "a.service")
    assert any(
        line.startswith("stop of a.service: canceled") and "a.service is in stop-sigterm with pid 101" in line
        for line in made.lines()
    )


def test_a_start_limit_is_told_once() -> None:
    made = house("Restart=always\nRestartSec=0\nExecStart=/bin/a", {"/bin/a": Program(life=100)})
    made.start("a.service")
    assert len([line for line in made.lines() if "started too often" in line]) == 1
