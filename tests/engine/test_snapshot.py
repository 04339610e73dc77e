"""Another daemon goes on with what the one before wrote down, and nobody could tell from the units."""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import rule
from msgspec.structs import asdict, replace

from tests.fakes.house import House
from tests.fakes.kernel import DONE, Program
from tests.stateful.test_house import Houses
from unitd.engine.snapshot import Saved, Snapshot
from unitd.machines.phases import Service
from unitd.machines.service import deadline
from unitd.model.effects import (
    Adopt,
    CheckConditions,
    Effect,
    GuessMain,
    Kill,
    Listen,
    Log,
    Spawn,
    StartupFinished,
    UnitGone,
    UnitNew,
    WatchBusName,
    WatchPidFile,
    WatchSockets,
)
from unitd.model.events import CgroupEmpty, Exit, How, Leaving, ListenFailed, Notified, ProcessExited, Tick
from unitd.model.exec_plan import Role
from unitd.model.states import INFINITY, SECOND, Active, Result

SLOW = Program(spawning=SECOND, execing=SECOND)


def daemon(text: str = "", unit: str = "") -> str:
    return f"[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\nExecStart=/bin/a\n{text}\n"


def view(house: House) -> Any:
    """All that can be seen of every unit that has a story, and of the jobs."""
    core = house.engine.core
    units = {}
    for name, record in core.units.records.items():
        status = house.engine.view.status(name)
        assert status is not None
        if record.times.state_change or status.job:
            units[name] = {**asdict(status), "times": dataclasses.astuple(status.times)}
    return units, list(core.units.queue), house.engine.deadline(), core.up, core.stopping, core.failed


def of_kind(effects: list[Effect], kind: type[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


# --- the same as before -----------------------------------------------------------------------------


class Successions(Houses):
    """As Houses, but in the second house one daemon follows another."""

    @rule()
    def succeed(self) -> None:
        first, second = self.houses
        for house in self.houses:
            _give_signs_of_life(house)
        before = view(first)
        adopted = {
            (effect.unit, adoptee.pid)
            for effect in of_kind(second.succeed(), Adopt)
            for adoptee in effect.processes
            if adoptee.pid
        }
        assert view(second) == before
        assert adopted == {
            (name, process.pid)
            for name, record in first.engine.core.units.records.items()
            if isinstance(record.state, Service)
            for process in (record.state.main, record.state.control)
            if process is not None and process.pid
        }

    def told(self, effects: list[tuple[int, Effect]]) -> list[tuple[int, str]]:
        """Units that have no story are not written down, and so loaded when somebody asks for them again."""
        loads = (UnitNew, UnitGone)
        return [
            (now, str(effect))
            for now, effect in effects
            if not isinstance(effect, loads) and not (isinstance(effect, Log) and not effect.unit)
        ]


def _give_signs_of_life(house: House) -> None:
    """The time of a watchdog begins anew with a daemon."""
    core = house.engine.core
    for record in core.units.records.values():
        if isinstance(record.state, Service) and record.state.watchdog_at:
            record.state = replace(record.state, watchdog_at=house.clock.now)
            core.deadlines.put(record.name, deadline(record.state))


TestSuccessions = Successions.TestCase
TestSuccessions.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


# --- what the next daemon is asked for ----------------------------------------------------------------


def test_a_process_that_has_no_pid_yet_is_handed_over_with_its_plan() -> None:
    house = House({"a.service": daemon()}, {"/bin/a": SLOW})
    house.start("a.service", span=1)
    asked = house.effects(Spawn)[0].plan
    adopt = of_kind(house.succeed(), Adopt)[0]
    assert [(adoptee.pid, adoptee.serial, adoptee.plan) for adoptee in adopt.processes] == [(0, asked.serial, asked)]


def test_in_a_service_that_is_being_stopped_nothing_is_started_any_more() -> None:
    house = House({"a.service": daemon()}, {"/bin/a": SLOW})
    house.start("a.service", span=1)
    house.stop("a.service", span=1)
    adopt = of_kind(house.succeed(), Adopt)[0]
    assert [(adoptee.pid, adoptee.plan) for adoptee in adopt.processes] == [(0, None)]


def test_adopted_processes_come_with_role_birth_and_name() -> None:
    house = House({"a.service": daemon("ExecStartPost=/bin/post\nSyslogIdentifier=x")}, {"/bin/post": Program()})
    house.start("a.service", span=SECOND)
    found = [
        (adoptee.role, adoptee.birth, adoptee.execed, adoptee.program)
        for effect in of_kind(house.succeed(), Adopt)
        for adoptee in effect.processes
    ]
    service = house.service("a.service")
    assert service.main is not None
    assert service.control is not None
    assert found == [(Role.MAIN, service.main.birth, True, "x"), (Role.CONTROL, service.control.birth, True, "x")]


def test_the_signal_of_the_present_rung_is_sent_again_after_a_crash_alone() -> None:
    house = House({"a.service": daemon()}, {"/bin/a": Program(ignores=frozenset({15}))})
    house.start("a.service")
    house.stop("a.service", span=SECOND)
    assert [kill.signal for kill in of_kind(house.succeed(resend=True), Kill)] == [15]
    assert of_kind(house.succeed(resend=False), Kill) == []


def test_who_said_that_it_is_stopping_is_not_asked_again() -> None:
    house = House({"a.service": daemon("Type=notify")}, {"/bin/a": Program(says=((1, "READY=1"), (2, "STOPPING=1")))})
    house.start("a.service", span=SECOND)
    assert house.state("a.service") == "deactivating/stop-sigterm success"
    assert of_kind(house.succeed(resend=True), Kill) == []


def test_a_watchdog_begins_anew() -> None:
    house = House({"a.service": daemon("Type=notify\nWatchdogSec=5")}, {"/bin/a": Program(says=((1, "READY=1"),))})
    house.start("a.service", span=3 * SECOND)
    house.succeed()
    assert house.engine.deadline() == house.clock.now + 5 * SECOND


def test_what_the_rim_watched_is_watched_again() -> None:
    units = {
        "a.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/a\n",
        "a.service": daemon(),
        "file.service": daemon("Type=forking\nPIDFile=/run/x.pid"),
        "guess.service": daemon("Type=forking"),
        "name.service": daemon("Type=dbus\nBusName=a.b"),
        "checked.service": daemon(unit="ConditionPathExists=/x"),
    }
    forks = Program(life=1, children=(Program(),), orphans=True)
    house = House(units, {"file.service /bin/a": forks, "guess.service /bin/a": Program(life=1)})
    house.start("a.socket", "file.service", "name.service", span=SECOND)
    house.job("start", "guess.service")
    for _ in range(1000):
        if not house.effects(GuessMain):
            house.run(1)
    house.acts = False
    house.job("start", "checked.service")
    effects = house.succeed()
    assert [effect.plan.unit for effect in of_kind(effects, Listen)] == ["a.socket", "dbus.socket"]
    assert [effect.unit for effect in of_kind(effects, WatchSockets)] == ["a.socket", "dbus.socket"]
    assert [effect.unit for effect in of_kind(effects, WatchPidFile)] == ["file.service"]
    assert [effect.unit for effect in of_kind(effects, GuessMain)] == ["guess.service"]
    assert [effect.name for effect in of_kind(effects, WatchBusName)] == ["a.b"]
    assert [effect.unit for effect in of_kind(effects, CheckConditions)] == ["checked.service"]


def test_sockets_that_a_service_has_are_opened_again_when_it_is_gone() -> None:
    units = {"a.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/a\n", "a.service": daemon()}
    house = House(units)
    house.start("a.socket", "a.service")
    assert house.state("a.socket") == "active/running"
    assert [effect.plan.unit for effect in of_kind(house.succeed(), Listen)] == ["a.socket"]
    house.kernel.open_sockets.clear()
    house.feed(ListenFailed("a.socket", "/run/a", 98, "a.service has it"))
    assert house.state("a.socket") == "active/running"
    house.stop("a.service")
    assert house.state("a.socket") == "active/listening"
    assert house.kernel.open_sockets == {"a.socket"}


def test_a_unit_whose_file_is_gone_is_kept_as_far_as_it_goes() -> None:
    house = House({"a.service": daemon()})
    house.start("a.service")
    del house.source.texts["a.service"]
    house.source.refresh()
    house.succeed()
    assert house.state("a.service") == "active/running success"
    house.stop("a.service")
    assert house.kernel.living == {}
    assert house.state("a.service") == "inactive/dead success"


@pytest.mark.parametrize("name", ["no unit name", "a.socket"])
def test_what_is_no_such_unit_is_told_and_left(name: str) -> None:
    house = House({})
    effects = house.engine.restore(Snapshot((Saved(name, Service()),)), house.clock.now)
    assert [f"cannot go on with {name}: no unit is such" in effect.text for effect in of_kind(effects, Log)] == [True]


def test_a_unit_without_a_story_is_not_worth_a_word() -> None:
    house = House({"a.service": daemon(unit="After=b.service"), "b.service": daemon()})
    house.start("a.service")
    assert [saved.unit for saved in house.engine.snapshot().units] == ["a.service", "system.slice"]
    assert house.engine.saved(["b.service", "none.service"]) == [Saved("b.service"), Saved("none.service")]


def test_job_ids_are_not_used_twice() -> None:
    house = House({"a.service": daemon()})
    house.start("a.service")
    next_id = house.engine.core.units.queue.next_id
    house.succeed()
    assert house.job("stop", "a.service") == next_id


def test_the_start_limit_and_the_restart_counter_go_on() -> None:
    house = House({"a.service": daemon("Restart=always\nRestartSec=1", "StartLimitIntervalSec=1h\nStartLimitBurst=3")})
    house.start("a.service")
    for _ in range(3):
        house.succeed()
        house.feed(ProcessExited("a.service", house.kernel.of("a.service")[0], Exit(How.EXITED, 1)))
        house.kernel.living.clear()
        house.run()
    assert house.service("a.service").restarts == 3
    assert house.state("a.service") == "failed/failed start-limit-hit"


def test_a_shutdown_ends_with_its_daemon() -> None:
    stubborn = Program(ignores=frozenset({15}))
    units = {"a.service": daemon(unit="After=b.service"), "b.service": daemon()}
    house = House(units, {"a.service /bin/a": stubborn})
    house.start("a.service", "b.service")
    house.shutdown(Leaving.POWEROFF)
    house.run(SECOND)
    effects = house.succeed()
    texts = [effect.text for effect in of_kind(effects, Log)]
    assert texts == ["the poweroff under way ended with the daemon before: 2 units not stopped, and kept"]
    house.run()
    assert house.state("a.service") == "failed/failed timeout"
    assert house.state("b.service") == "active/running success"
    assert house.engine.core.ending is None
    assert house.job("start", "a.service")


def test_the_first_target_is_remembered_until_its_job_is_done() -> None:
    target = "[Unit]\nDefaultDependencies=no\nWants=a.service\nAfter=a.service\n"
    house = House({"first.target": target, "a.service": daemon("Type=notify")})
    for effect in house.engine.boot("first.target", house.clock.now):
        house.kernel.perform(effect)
    house.run(SECOND)
    house.succeed()
    assert house.engine.life().first_target == "first.target"
    assert house.engine.view.system_state() == "starting"
    pid = house.kernel.of("a.service")[0]
    house.feed(Notified("a.service", pid, (("READY", "1"),)))
    assert house.engine.view.system_state() == "running"
    assert house.engine.view.active("first.target") is Active.ACTIVE


@pytest.mark.parametrize("job", ["", "start"])
def test_a_start_up_after_another_daemons_is_one_of_its_own(job: str) -> None:
    target = "[Unit]\nDefaultDependencies=no\nWants=a.service\nAfter=a.service\n"
    house = House({"first.target": target, "next.target": target, "a.service": daemon("Type=notify")})
    house.engine.boot("none.target", house.clock.now)
    if job:
        house.job(job, "next.target")
        house.run(SECOND)
    house.succeed()
    house.run(9 * SECOND)
    for effect in house.engine.boot("next.target", house.clock.now):
        house.kernel.perform(effect)
    assert house.engine.view.system_state() == "starting"
    house.run(SECOND)
    house.feed(Notified("a.service", house.kernel.of("a.service")[0], (("READY", "1"),)))
    assert house.engine.view.system_state() == "running"
    (finished,) = house.effects(StartupFinished)
    assert finished.userspace < 2 * SECOND


def test_a_start_up_without_a_past_begins_with_the_daemon() -> None:
    house = House({"first.target": "[Unit]\nDefaultDependencies=no\n"})
    house.engine.restore(Snapshot(), house.clock.now)
    effects = house.engine.boot("first.target", house.clock.now)
    assert [effect.userspace for effect in effects if isinstance(effect, StartupFinished)] == [0]


# --- ends that nobody saw -----------------------------------------------------------------------------

UNSEEN = Exit(How.UNKNOWN, 0)


def vanish(house: House, *pids: int) -> None:
    """These processes of a.service are gone, and nobody saw how."""
    for pid in pids:
        del house.kernel.living[pid]
        house.feed(ProcessExited("a.service", pid, UNSEEN))
    if not house.kernel.living:
        house.feed(CgroupEmpty("a.service"))


@pytest.mark.parametrize("policy", ["always", "on-failure", "on-abnormal"])
def test_an_end_that_nobody_saw_is_a_failure_for_restart(policy: str) -> None:
    house = House({"a.service": daemon(f"Restart={policy}\nRestartSec=1")})
    house.start("a.service")
    vanish(house, *house.kernel.of("a.service"))
    assert house.service("a.service").result is Result.UNKNOWN
    house.run()
    assert house.state("a.service") == "active/running success"
    assert house.service("a.service").restarts == 1


def test_an_end_that_nobody_saw_is_told_as_such() -> None:
    house = House({"a.service": daemon()})
    house.start("a.service")
    vanish(house, *house.kernel.of("a.service"))
    house.run()
    status = house.engine.view.status("a.service")
    assert status is not None
    assert status.service is not None
    assert (status.reason, status.result) == ("it ended while no daemon watched", "unknown")
    assert (status.service.exec_main_code, status.service.exec_main_status) == (0, 0)


def test_who_was_asked_to_end_may_do_so_unseen() -> None:
    house = House({"a.service": daemon("ExecStopPost=/bin/post")}, {"/bin/post": DONE})
    house.start("a.service")
    house.job("stop", "a.service")
    vanish(house, *house.kernel.of("a.service"))
    house.run()
    assert house.state("a.service") == "inactive/dead success"


@pytest.mark.parametrize("setting", ["ExecCondition", "ExecStartPre", "ExecStartPost"])
def test_a_command_of_a_start_that_ended_unseen_is_run_again(setting: str) -> None:
    house = House({"a.service": daemon(f"{setting}=/bin/x")}, {"/bin/x": Program(life=SECOND)})
    house.start("a.service", span=SECOND // 2)
    control = house.service("a.service").control
    assert control is not None
    vanish(house, control.pid)
    house.run()
    assert house.state("a.service") == "active/running success"
    assert sorted(house.ran()) == ["/bin/a", "/bin/x", "/bin/x"]


def test_a_oneshot_that_ended_unseen_failed() -> None:
    house = House({"a.service": daemon("Type=oneshot")})
    house.start("a.service", span=SECOND)
    vanish(house, *house.kernel.of("a.service"))
    house.run()
    assert house.state("a.service") == "failed/failed unknown"
    assert house.ran() == ["/bin/a"]


def test_a_forking_service_whose_first_process_ended_unseen_is_judged_by_its_pid_file() -> None:
    house = House({"a.service": daemon("Type=forking\nPIDFile=/run/a.pid")}, {"/bin/a": Program(children=(Program(),))})
    house.start("a.service", span=SECOND)
    first, main = house.kernel.of("a.service")
    vanish(house, first)
    house.kernel.later(0, lambda: house.kernel.write_pid_file("/run/a.pid", main))
    house.run()
    assert house.state("a.service") == "active/running success"
    assert house.service("a.service").main is not None


def test_a_deadline_that_passed_meanwhile_is_due_at_once() -> None:
    house = House({"a.service": daemon("Type=notify\nTimeoutStartSec=5")})
    house.start("a.service", span=SECOND)
    house.clock.advance_to(house.clock.now + 10 * SECOND)
    house.succeed()
    house.feed(Tick())
    assert house.state("a.service") == "deactivating/stop-sigterm timeout"
    assert house.engine.deadline() < INFINITY
