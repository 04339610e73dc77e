"""Random graphs of units, random requests and programs that misbehave: what must hold, holds.

Every living process is owned by a unit, or was spared by KillMode= and is in its cgroup; when nothing more is going
to happen there is no job that only a dead process could end; a shutdown ends within its cap and leaves nobody; and
the same input gives the same output.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.house import House
from tests.fakes.kernel import DAEMON, DONE, FAILING, Program
from unitd.machines.phases import Service
from unitd.machines.service import deadline
from unitd.model.effects import Effect
from unitd.model.events import (
    CancelAsked,
    Exit,
    How,
    KillAsked,
    Leaving,
    PlanAsked,
    ReloadAsked,
    ResetFailedAsked,
    Whom,
)
from unitd.model.refusals import Refusal
from unitd.model.states import INFINITY, SECOND, Active

NAMES = tuple("abcdef")
SERVICES = tuple(f"{name}.service" for name in NAMES)
CHILD = Program()
HARD = Program(ignores=frozenset({15, 6}))
PROGRAMS = {
    "daemon": DAEMON,
    "done": DONE,
    "failing": FAILING,
    "hard": HARD,
    "crashing": Program(life=3 * SECOND, exit=Exit(How.KILLED, 11)),
    "ready": Program(says=((5_000, "READY=1"), (4 * SECOND, "WATCHDOG=1"))),
    "telling": Program(says=((5_000, "READY=1"), (SECOND, "RELOADING=1"), (2 * SECOND, "STOPPING=1"))),
    "forking": Program(life=2_000, children=(CHILD, HARD), orphans=True),
    "writing": Program(life=2_000, children=(CHILD,), orphans=True, writes_pid=(1_000, "/run/x.pid")),
    "leaving": Program(life=5 * SECOND, children=(Program(children=(CHILD,)), Program(leaves=True))),
    "slow": Program(slow=2 * SECOND, spawning=SECOND, execing=SECOND),
    "missing": Program(fails=("exec", 2, "No such file or directory")),
    "unborn": Program(spawning=2 * SECOND, fails=("fork", 11, "")),
}
EDGES = ("Requires", "Wants", "BindsTo", "PartOf", "Conflicts", "After", "Before", "OnFailure", "Upholds", "Requisite")
LINES = (
    *(
        "Type=notify",
        "Type=oneshot",
        "Type=forking",
        "Type=exec",
        "RemainAfterExit=yes",
        "Type=oneshot\nRemainAfterExit=yes",
    ),
    *("Restart=always", "Restart=on-failure", "RestartSec=1", "WatchdogSec=2", "RuntimeMaxSec=5", "TimeoutStartSec=3"),
    *("KillMode=process", "KillMode=mixed", "KillMode=none", "SendSIGKILL=no", "TimeoutStopSec=2", "TimeoutStopSec=40"),
    *("ExecStartPre=/bin/x", "ExecStartPost=/bin/y", "ExecStop=/bin/x", "ExecStopPost=/bin/y", "ExecReload=/bin/x"),
    *(
        "ExecCondition=/bin/y",
        "ExitType=cgroup",
        "PIDFile=/run/x.pid",
        "TimeoutStopFailureMode=abort",
        "NotifyAccess=all",
    ),
)


@st.composite
def files(draw: Callable[[Any], Any]) -> dict[str, str]:
    """Unit files of services that name one another."""
    found = {}
    for name in NAMES:
        edges = draw(st.lists(st.tuples(st.sampled_from(EDGES), st.sampled_from(SERVICES)), max_size=3))
        lines = draw(st.lists(st.sampled_from(LINES), max_size=5, unique=True))
        unit = "\n".join(f"{kind}={other}" for kind, other in edges)
        found[f"{name}.service"] = (
            f"[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=1h\n{unit}\n"
            "[Service]\nTimeoutStartSec=10\n" + "\n".join(lines) + f"\nExecStart=/bin/{name}\n"
        )
    return found


class Houses(RuleBasedStateMachine):
    """Two houses that are told the same."""

    @initialize(units=files(), programs=st.lists(st.sampled_from(sorted(PROGRAMS)), min_size=8, max_size=8))
    def build(self, units: dict[str, str], programs: list[str]) -> None:
        paths = [f"/bin/{name}" for name in (*NAMES, "x", "y")]
        table = {path: PROGRAMS[name] for path, name in zip(paths, programs, strict=True)}
        self.houses = (House(units, table), House(units, table))
        self.seen = [0, 0]

    def ask(self, request: Callable[[House], Any]) -> None:
        for made in self.houses:
            with contextlib.suppress(Refusal):
                request(made)

    @rule(
        type=st.sampled_from(["start", "start", "stop", "restart", "try-restart", "reload"]),
        unit=st.sampled_from(SERVICES),
    )
    def job(self, type: str, unit: str) -> None:
        self.ask(lambda made: made.job(type, unit))

    @rule(
        unit=st.sampled_from(SERVICES),
        mode=st.sampled_from(["fail", "ignore-dependencies", "replace-irreversibly", "flush"]),
    )
    def start_in_a_mode(self, unit: str, mode: str) -> None:
        self.ask(lambda made: made.job("start", unit, mode))

    @rule(unit=st.sampled_from(SERVICES), whom=st.sampled_from(Whom), signal=st.sampled_from([9, 15, 11]))
    def kill(self, unit: str, whom: Whom, signal: int) -> None:
        self.ask(lambda made: made.ask(lambda token: KillAsked(token, unit, whom, signal)))

    @rule(unit=st.sampled_from(SERVICES))
    def reset(self, unit: str) -> None:
        self.ask(lambda made: made.ask(lambda token: ResetFailedAsked(token, unit)))

    @rule()
    def cancel(self) -> None:
        self.ask(lambda made: made.ask(lambda token: CancelAsked(token, 0)))

    @rule()
    def reload(self) -> None:
        self.ask(lambda made: made.ask(ReloadAsked))

    @rule(span=st.sampled_from([50, 150, 250, 3_000, SECOND, 5 * SECOND]))
    def wait(self, span: int) -> None:
        for made in self.houses:
            made.run(span)

    @invariant()
    def every_process_is_owned(self) -> None:
        for made in getattr(self, "houses", ())[:1]:
            for pid, living in made.kernel.living.items():
                record = made.engine.core.units.known(living.owner)
                assert record is not None
                assert isinstance(record.state, Service)
                state = record.state
                known = {process.pid for process in (state.main, state.control) if process is not None}
                spawning = any(process is not None and not process.pid for process in (state.main, state.control))
                assert pid in known or state.populated or spawning or not living.unit, (pid, record.state)

    @invariant()
    def the_same_input_gives_the_same_output(self) -> None:
        if hasattr(self, "houses"):
            first, second = (self.told(made.log[seen:]) for made, seen in zip(self.houses, self.seen, strict=True))
            assert first == second
            self.seen = [len(made.log) for made in self.houses]

    def told(self, effects: list[tuple[int, Effect]]) -> list[tuple[int, str]]:
        """What the houses have to agree upon."""
        return [(now, str(effect)) for now, effect in effects]

    @invariant()
    def nothing_breaks(self) -> None:
        for made in getattr(self, "houses", ())[:1]:
            assert not any("internal error" in line for line in made.lines())

    def teardown(self) -> None:
        for made in getattr(self, "houses", ())[:1]:
            settled(made)
            ended(made)


def settled(made: House) -> None:
    """After a quiet minute every running job has a process or a deadline to wait for, and all others wait for it."""
    made.run(60 * SECOND)
    jobs = made.engine.view.jobs()
    for job in jobs:
        if not job.is_waiting:
            state = made.service(job.unit)
            assert deadline(state) < INFINITY or made.kernel.of(job.unit), (job, state)
    view = made.engine.view
    assert not jobs or any(not job.is_waiting or view.active(job.unit) is Active.DEACTIVATING for job in jobs), jobs


def ended(made: House) -> None:
    """A shutdown ends within the bound of its plan and leaves nobody."""
    plan = made.ask(lambda token: PlanAsked(token, "exit"))
    asked = made.clock.now
    made.shutdown(Leaving.EXIT)
    made.run()
    leave = made.left
    assert leave is not None
    assert leave.survivors == ()
    assert made.kernel.living == {}
    assert made.clock.now - asked <= plan.bound <= 30 * SECOND


TestHouses = Houses.TestCase
TestHouses.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
