"""What became of a process that a killed daemon had asked for, by record, keeper and kernel together."""

import errno
import signal
import subprocess
from collections.abc import Iterator
from typing import Any, cast

import pytest
from msgspec import Struct
from msgspec.structs import replace

from unitd.host import processes
from unitd.host.keeper import LastWord
from unitd.host.perform import Host
from unitd.host.reaper import UNKNOWN
from unitd.model.effects import Adopt, Adoptee, Effect, Spawn
from unitd.model.events import CgroupEmpty, Event, Execed, ProcessExited, Spawned, SpawnFailed
from unitd.model.exec_plan import ExecPlan, Role
from unitd.runtime.recovery import Recovery

UNIT, ID = "a.service", "1" * 32
PLAN = ExecPlan(UNIT, 3, Role.MAIN, "system.slice/a.service", "/bin/a", (), invocation=ID)
ASKED = Adoptee(3, 0, 0, Role.MAIN, False, "a", PLAN)


class FakeChildren:
    def of(self, unit: str) -> list[int]:
        return []


class FakeHost:
    """Takes over those of `living`, pid to start time; `inside`: who is in the cgroup."""

    def __init__(self) -> None:
        self.living: dict[int, int] = {}
        self.inside: list[int] = []
        self.done: list[Effect] = []
        self.children = FakeChildren()

    def remember(self, unit: str, invocation: str, since: int) -> None:
        assert (unit, invocation) == (UNIT, ID)

    def members(self, unit: str) -> list[int]:
        return self.inside

    def watch(self, unit: str) -> None:
        assert unit == UNIT

    def adopt(self, unit: str, invocation: str, adoptee: Adoptee) -> bool:
        return self.living.get(adoptee.pid) == adoptee.birth

    def perform(self, effect: Effect) -> bool:
        self.done.append(effect)
        return True


class Case(Struct):
    host: Any
    events: list[Event]

    def adopt(
        self, adoptee: Adoptee, *words: LastWord, killed: tuple[int, ...] = (), alone: bool = False
    ) -> list[Event]:
        """What is told of it, CgroupEmpty apart."""

        def post(event: Event, then: object = None) -> None:
            self.events.append(event)

        recovery = Recovery(cast(Host, self.host), post, words, killed, alone=alone)
        recovery.adopt(Adopt(UNIT, "system.slice/a.service", ID, 1, (adoptee,)))
        return [event for event in self.events if not isinstance(event, CgroupEmpty)]


@pytest.fixture
def case() -> Case:
    return Case(FakeHost(), [])


def word(what: str, pid: int = 0, **more: Any) -> LastWord:
    return LastWord(UNIT, 3, ID, pid, pid * 10, what, **more)


def test_who_lives_is_taken_over_in_silence(case: Case) -> None:
    case.host.living[7] = 70
    case.host.inside = [7]
    assert case.adopt(replace(ASKED, pid=7, birth=70, execed=True)) == []
    assert case.events == []


def test_who_is_gone_or_another_one_ended_unseen(case: Case) -> None:
    case.host.living[7] = 71
    assert case.adopt(replace(ASKED, pid=7, birth=70, execed=True)) == [ProcessExited(UNIT, 7, UNKNOWN)]
    assert case.events[-1] == CgroupEmpty(UNIT)


@pytest.mark.parametrize("words", [(), (word("unstarted"),), (replace(word("execed", 7), serial=2),)])
def test_what_the_keeper_does_not_know_was_never_started_and_is_now(case: Case, words: tuple[LastWord, ...]) -> None:
    assert case.adopt(ASKED, *words) == []
    assert case.host.done == [Spawn(PLAN)]


def test_what_is_not_wanted_any_more_is_not_started(case: Case) -> None:
    (told,) = case.adopt(replace(ASKED, plan=None))
    assert isinstance(told, SpawnFailed)
    assert (told.serial, told.stage, told.errno) == (3, "canceled", errno.ECANCELED)
    assert case.host.done == []


def test_what_the_keeper_saw_exec_is_told_as_if_the_daemon_had_heard(case: Case) -> None:
    case.host.living[7] = 70
    assert case.adopt(ASKED, word("execed", 7)) == [Spawned(UNIT, 3, 7, 70), Execed(UNIT, 3)]


def test_what_the_keeper_saw_exec_and_is_gone(case: Case) -> None:
    told = [Spawned(UNIT, 3, 7, 70), Execed(UNIT, 3), ProcessExited(UNIT, 7, UNKNOWN)]
    assert case.adopt(ASKED, word("execed", 7)) == told


@pytest.mark.parametrize("pid", [0, 7])
def test_what_the_keeper_saw_fail_failed(case: Case, pid: int) -> None:
    told = case.adopt(ASKED, word("failed", pid, stage="exec", errno=2, detail="/bin/a"))
    assert told[-1] == SpawnFailed(UNIT, 3, "exec", 2, "/bin/a: No such file or directory")
    assert [type(event) for event in told[:-1]] == ([Spawned] if pid else [])
    assert case.host.done == []


def test_a_pid_whose_exec_was_not_heard_of_execed(case: Case) -> None:
    case.host.living[7] = 70
    assert case.adopt(replace(ASKED, pid=7, birth=70), word("execed", 7)) == [Execed(UNIT, 3)]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    environment = {"INVOCATION_ID": ID}
    with subprocess.Popen(["/bin/sleep", "1000"], env=environment, start_new_session=True) as process:
        yield process
        process.kill()


def test_who_hangs_between_clone_and_exec_is_ended(case: Case, sleeper: subprocess.Popen[bytes]) -> None:
    birth = processes.birth(sleeper.pid)
    case.host.living[sleeper.pid] = birth
    told = case.adopt(ASKED, replace(word("spawned", sleeper.pid), birth=birth))
    assert [type(event) for event in told] == [Spawned, SpawnFailed]
    assert sleeper.wait(30) == -signal.SIGKILL


def test_an_executor_that_was_killed_for_want_of_a_keeper_never_execed(case: Case) -> None:
    (told,) = case.adopt(replace(ASKED, pid=7, birth=70), killed=(7,), alone=True)
    assert isinstance(told, SpawnFailed)
    assert told.stage == "fork"


def test_without_a_keeper_the_one_that_carries_the_id_is_it(case: Case, sleeper: subprocess.Popen[bytes]) -> None:
    birth = processes.birth(sleeper.pid)
    case.host.living[sleeper.pid] = birth
    case.host.inside = [sleeper.pid]
    assert case.adopt(ASKED, alone=True) == [Spawned(UNIT, 3, sleeper.pid, birth), Execed(UNIT, 3)]
    assert case.host.done == []


def test_without_a_keeper_and_without_a_trace_it_is_started(case: Case) -> None:
    assert case.adopt(ASKED, alone=True) == []
    assert case.host.done == [Spawn(PLAN)]
