"""One service through its life: what is run, what is signalled, and what is left of it, for each type and each fault.

A case: the [Service] lines, what its programs do, and what is seen when the world has come to rest. The rules are
those of systemd.service(5) and systemd.kill(5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Program
from unitd.model.events import Exit, How
from unitd.model.states import SECOND

STUBBORN = Program(ignores=frozenset({15}))
CRASH = Program(life=1000, exit=Exit(How.DUMPED, 11))
READY = Program(says=((500, "READY=1"),))
CHILD = Program()
FORKS = Program(life=1000, children=(CHILD,), orphans=True)
MISSING = Program(fails=("exec", 2, "No such file or directory"))
SKIP = Program(life=100, exit=Exit(How.EXITED, 7))


def house(service: str, programs: Mapping[str, Program] | None = None, unit: str = "") -> House:
    """A house with a.service, which stands alone."""
    lines = "\n".join(line.strip() for line in service.strip().splitlines())
    return House({"a.service": f"[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\n{lines}\n"}, programs)


@dataclass(frozen=True, slots=True)
class Case:
    """`results`: of the start; `ran`: the programs; `signals`: those that reached a process, one by one."""

    id: str
    service: str
    state: str
    programs: Mapping[str, Program] = field(default_factory=dict)
    results: str = "done"
    ran: str = "/bin/a"
    signals: str = ""


STARTS = (
    Case("simple", "ExecStart=/bin/a", "active/running success"),
    Case("exec", "Type=exec\nExecStart=/bin/a", "active/running success"),
    Case("idle", "Type=idle\nExecStart=/bin/a", "active/running success"),
    Case(
        "a missing program fails the start of simple",
        "ExecStart=/bin/a",
        "failed/failed exit-code",
        {"/bin/a": MISSING},
        "failed",
    ),
    Case(
        "no process at all",
        "ExecStart=/bin/a",
        "failed/failed exit-code",
        {"/bin/a": Program(fails=("fork", 11, ""))},
        "failed",
    ),
    Case("- forgives a missing program", "ExecStart=-/bin/a", "inactive/dead success", {"/bin/a": MISSING}),
    Case("simple that ends well", "ExecStart=/bin/a", "inactive/dead success", {"/bin/a": DONE}),
    Case(
        "simple that ends badly has started all the same",
        "ExecStart=/bin/a",
        "failed/failed exit-code",
        {"/bin/a": FAILING},
    ),
    Case("- forgives the end", "ExecStart=-/bin/a", "inactive/dead success", {"/bin/a": FAILING}),
    Case("a crash", "ExecStart=/bin/a", "failed/failed core-dump", {"/bin/a": CRASH}),
    Case("SuccessExitStatus", "SuccessExitStatus=1\nExecStart=/bin/a", "inactive/dead success", {"/bin/a": FAILING}),
    Case(
        "a daemon that ends by SIGTERM ended well",
        "ExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(life=100, exit=Exit(How.KILLED, 15))},
    ),
    Case(
        "a oneshot that ends by SIGTERM did not",
        "Type=oneshot\nExecStart=/bin/a",
        "failed/failed signal",
        {"/bin/a": Program(life=100, exit=Exit(How.KILLED, 15))},
        "failed",
    ),
    Case("RemainAfterExit", "RemainAfterExit=yes\nExecStart=/bin/a", "active/exited success", {"/bin/a": DONE}),
    Case(
        "oneshot runs its commands one by one",
        "Type=oneshot\nExecStart=/bin/a\nExecStart=/bin/b\nExecStart=/bin/c",
        "inactive/dead success",
        {"/bin/a": DONE, "/bin/b": DONE, "/bin/c": DONE},
        ran="/bin/a /bin/b /bin/c",
    ),
    Case(
        "oneshot stops at the first failure",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/a\nExecStart=/bin/b\nExecStart=/bin/c",
        "failed/failed exit-code",
        {"/bin/a": DONE, "/bin/b": FAILING, "/bin/c": DONE},
        "failed",
        ran="/bin/a /bin/b",
    ),
    Case(
        "oneshot goes on after a forgiven failure",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=-/bin/a\nExecStart=/bin/b",
        "active/exited success",
        {"/bin/a": FAILING, "/bin/b": DONE},
        ran="/bin/a /bin/b",
    ),
    Case(
        "oneshot goes on after a forgiven missing program",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=-/bin/a\nExecStart=/bin/b",
        "active/exited success",
        {"/bin/a": MISSING, "/bin/b": DONE},
        ran="/bin/a /bin/b",
    ),
    Case(
        "oneshot without a command",
        "Type=oneshot\nRemainAfterExit=yes\nExecStop=/bin/s",
        "active/exited success",
        ran="",
    ),
    Case(
        "oneshot has its ExecStop when it is over",
        "Type=oneshot\nExecStart=/bin/a\nExecStop=/bin/s\nExecStopPost=/bin/p",
        "inactive/dead success",
        {"/bin/a": DONE, "/bin/s": DONE, "/bin/p": DONE},
        ran="/bin/a /bin/s /bin/p",
    ),
    Case("notify", "Type=notify\nExecStart=/bin/a", "active/running success", {"/bin/a": READY}),
    Case(
        "notify never ready",
        "Type=notify\nTimeoutStartSec=2\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        signals="15",
    ),
    Case(
        "notify that ends before it is ready",
        "Type=notify\nExecStart=/bin/a",
        "failed/failed protocol",
        {"/bin/a": DONE},
        "failed",
    ),
    Case(
        "notify that fails before it is ready",
        "Type=notify\nExecStart=/bin/a",
        "failed/failed exit-code",
        {"/bin/a": FAILING},
        "failed",
    ),
    Case(
        "a child may not say READY=1 where NotifyAccess=main",
        "Type=notify\nTimeoutStartSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": Program(children=(READY,))},
        "failed",
        signals="15 15",
    ),
    Case(
        "a child may where NotifyAccess=all",
        "Type=notify\nNotifyAccess=all\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(children=(READY,))},
    ),
    Case(
        "dbus",
        "BusName=org.example.A\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(owns=(500, "org.example.A"))},
    ),
    Case(
        "dbus without its name",
        "BusName=org.example.A\nTimeoutStartSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        signals="15",
    ),
    Case("forking, guessed", "Type=forking\nExecStart=/bin/a", "active/running success", {"/bin/a": FORKS}),
    Case(
        "forking, PIDFile",
        "Type=forking\nPIDFile=/run/a.pid\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(life=1000, children=(CHILD, CHILD), orphans=True, writes_pid=(2000, "/run/a.pid"))},
    ),
    Case(
        "forking, no PIDFile after all",
        "Type=forking\nPIDFile=/run/a.pid\nTimeoutStartSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": FORKS},
        "failed",
        signals="15",
    ),
    Case(
        "forking, all gone before the PIDFile is there",
        "Type=forking\nPIDFile=/run/a.pid\nExecStart=/bin/a",
        "failed/failed protocol",
        {"/bin/a": DONE},
        "failed",
    ),
    Case(
        "forking without a main process that is known",
        "Type=forking\nGuessMainPID=no\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": FORKS},
    ),
    Case(
        "forking that fails", "Type=forking\nExecStart=/bin/a", "failed/failed exit-code", {"/bin/a": FAILING}, "failed"
    ),
    Case(
        "forking that never ends",
        "Type=forking\nTimeoutStartSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        signals="15",
    ),
    Case("forking that leaves nobody", "Type=forking\nExecStart=/bin/a", "inactive/dead success", {"/bin/a": DONE}),
    Case(
        "all stages in order",
        "ExecCondition=/bin/c\nExecStartPre=/bin/p\nExecStart=/bin/a\nExecStartPost=/bin/o",
        "active/running success",
        {"/bin/c": DONE, "/bin/p": DONE, "/bin/o": DONE},
        ran="/bin/c /bin/p /bin/a /bin/o",
    ),
    Case(
        "ExecCondition skips",
        "ExecCondition=/bin/c\nExecStart=/bin/a\nExecStopPost=/bin/x",
        "inactive/dead exec-condition",
        {"/bin/c": SKIP, "/bin/x": DONE},
        ran="/bin/c /bin/x",
    ),
    Case(
        "ExecCondition fails with 255",
        "ExecCondition=/bin/c\nExecStart=/bin/a",
        "failed/failed exit-code",
        {"/bin/c": Program(life=100, exit=Exit(How.EXITED, 255))},
        "failed",
        ran="/bin/c",
    ),
    Case(
        "ExecCondition by a signal",
        "ExecCondition=/bin/c\nExecStart=/bin/a",
        "failed/failed signal",
        {"/bin/c": Program(life=100, exit=Exit(How.KILLED, 9))},
        "failed",
        ran="/bin/c",
    ),
    Case(
        "- forgives an ExecCondition",
        "ExecCondition=-/bin/c\nExecStart=/bin/a",
        "active/running success",
        {"/bin/c": SKIP},
        ran="/bin/c /bin/a",
    ),
    Case(
        "ExecStartPre fails",
        "ExecStartPre=/bin/p\nExecStartPre=/bin/q\nExecStart=/bin/a\nExecStopPost=/bin/x",
        "failed/failed exit-code",
        {"/bin/p": FAILING, "/bin/x": DONE},
        "failed",
        ran="/bin/p /bin/x",
    ),
    Case(
        "ExecStartPre forgiven",
        "ExecStartPre=-/bin/p\nExecStart=/bin/a",
        "active/running success",
        {"/bin/p": FAILING},
        ran="/bin/p /bin/a",
    ),
    Case(
        "ExecStartPre takes too long",
        "TimeoutStartSec=1\nExecStartPre=/bin/p\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        ran="/bin/p",
        signals="15",
    ),
    Case(
        "ExecStartPost fails",
        "ExecStart=/bin/a\nExecStartPost=/bin/o\nExecStop=/bin/s\nExecStopPost=/bin/x",
        "failed/failed exit-code",
        {"/bin/o": FAILING, "/bin/x": DONE},
        "failed",
        ran="/bin/a /bin/o /bin/x",
        signals="15",
    ),
    Case(
        "ExecStartPost takes too long",
        "TimeoutStartSec=1\nExecStart=/bin/a\nExecStartPost=/bin/o",
        "failed/failed timeout",
        {},
        "failed",
        ran="/bin/a /bin/o",
        signals="15 15",
    ),
    Case(
        "the main process dies during ExecStartPost",
        "ExecStart=/bin/a\nExecStartPost=/bin/o",
        "failed/failed exit-code",
        {"/bin/a": FAILING, "/bin/o": Program(life=5000)},
        "failed",
        ran="/bin/a /bin/o",
    ),
    Case(
        "TimeoutStartFailureMode=abort",
        "Type=notify\nTimeoutStartSec=1\nTimeoutStartFailureMode=abort\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        signals="6",
    ),
    Case(
        "TimeoutStartFailureMode=kill",
        "Type=notify\nTimeoutStartSec=1\nTimeoutStartFailureMode=kill\nExecStart=/bin/a",
        "failed/failed timeout",
        {},
        "failed",
        signals="9",
    ),
    Case(
        "EXTEND_TIMEOUT_USEC gives more time",
        "Type=notify\nTimeoutStartSec=1\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(says=((900_000, "EXTEND_TIMEOUT_USEC=5000000"), (5_000_000, "READY=1")))},
    ),
    Case(
        "RuntimeMaxSec",
        "RuntimeMaxSec=5\nExecStart=/bin/a\nExecStop=/bin/s",
        "failed/failed timeout",
        {"/bin/s": DONE},
        ran="/bin/a /bin/s",
        signals="15",
    ),
    Case(
        "watchdog",
        "Type=notify\nWatchdogSec=2\nExecStart=/bin/a",
        "failed/failed watchdog",
        {"/bin/a": READY},
        signals="6",
    ),
    Case(
        "watchdog that is fed, and then not",
        "Type=notify\nWatchdogSec=2\nExecStart=/bin/a",
        "failed/failed watchdog",
        {"/bin/a": Program(says=((500, "READY=1"), *((i * SECOND, "WATCHDOG=1") for i in range(1, 20))))},
        signals="6",
    ),
    Case(
        "WATCHDOG=trigger",
        "Type=notify\nWatchdogSec=2\nWatchdogSignal=SIGQUIT\nExecStart=/bin/a",
        "failed/failed watchdog",
        {"/bin/a": Program(says=((500, "READY=1"), (1000, "WATCHDOG=trigger")))},
        signals="3",
    ),
    Case(
        "STOPPING=1 is no reason to signal",
        "Type=notify\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(life=9000, says=((500, "READY=1"), (1000, "STOPPING=1")))},
    ),
    Case(
        "STOPPING=1 and then nothing",
        "Type=notify\nTimeoutStopSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": Program(says=((500, "READY=1"), (1000, "STOPPING=1")))},
        signals="9",
    ),
    Case(
        "MAINPID moves the main process",
        "Type=notify\nNotifyAccess=all\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(life=3000, children=(Program(says=((500, "MAINPID=102 READY=1"),)),), orphans=True)},
    ),
    Case(
        "ExitType=cgroup outlives the main process",
        "ExitType=cgroup\nExecStart=/bin/a",
        "active/running success",
        {"/bin/a": Program(life=1000, children=(CHILD,))},
    ),
    Case(
        "ExitType=cgroup ends with the last process",
        "ExitType=cgroup\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(life=1000, children=(Program(life=5000),))},
    ),
    Case(
        "children that are left are ended with the service",
        "ExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(life=1000, children=(CHILD, CHILD))},
        signals="15 15",
    ),
    Case(
        "a child that ignores the signal is killed",
        "TimeoutStopSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": Program(life=1000, children=(STUBBORN,))},
        signals="15 9",
    ),
)

STOPS = (
    Case("simple", "ExecStart=/bin/a", "inactive/dead success", signals="15"),
    Case("KillSignal", "KillSignal=SIGINT\nExecStart=/bin/a", "inactive/dead success", signals="2"),
    Case(
        "a stubborn one is killed",
        "TimeoutStopSec=2\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": STUBBORN},
        signals="15 9",
    ),
    Case(
        "FinalKillSignal",
        "TimeoutStopSec=2\nFinalKillSignal=SIGQUIT\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": STUBBORN},
        signals="15 3",
    ),
    Case(
        "not even SIGKILL",
        "TimeoutStopSec=2\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": Program(immortal=True)},
        signals="15 9 9",
    ),
    Case(
        "TimeoutStopFailureMode=abort",
        "TimeoutStopSec=2\nTimeoutStopFailureMode=abort\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": STUBBORN},
        signals="15 6",
    ),
    Case(
        "TimeoutStopFailureMode=kill cuts ExecStop short",
        "TimeoutStopSec=2\nTimeoutStopFailureMode=kill\nExecStart=/bin/a\nExecStop=/bin/s",
        "failed/failed timeout",
        {},
        ran="/bin/a /bin/s",
        signals="9 9",
    ),
    Case(
        "ExecStop, then the signal, then ExecStopPost",
        "ExecStart=/bin/a\nExecStop=/bin/s\nExecStop=/bin/t\nExecStopPost=/bin/x",
        "inactive/dead success",
        {"/bin/s": DONE, "/bin/t": DONE, "/bin/x": DONE},
        ran="/bin/a /bin/s /bin/t /bin/x",
        signals="15",
    ),
    Case(
        "ExecStop that fails",
        "ExecStart=/bin/a\nExecStop=/bin/s\nExecStop=/bin/t",
        "failed/failed exit-code",
        {"/bin/s": FAILING},
        ran="/bin/a /bin/s",
        signals="15",
    ),
    Case(
        "ExecStop that is forgiven",
        "ExecStart=/bin/a\nExecStop=-/bin/s",
        "inactive/dead success",
        {"/bin/s": MISSING},
        ran="/bin/a /bin/s",
        signals="15",
    ),
    Case(
        "ExecStopPost that hangs",
        "TimeoutStopSec=1\nExecStart=/bin/a\nExecStopPost=/bin/x",
        "failed/failed timeout",
        {"/bin/x": STUBBORN},
        ran="/bin/a /bin/x",
        signals="15 15 9",
    ),
    Case(
        "ExecStopPost that hangs, abort",
        "TimeoutStopSec=1\nTimeoutStopFailureMode=abort\nExecStart=/bin/a\nExecStopPost=/bin/x",
        "failed/failed timeout",
        {},
        ran="/bin/a /bin/x",
        signals="15 6",
    ),
    Case(
        "KillMode=process",
        "KillMode=process\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(children=(CHILD,))},
        signals="15",
    ),
    Case(
        "KillMode=mixed",
        "KillMode=mixed\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(children=(CHILD,))},
        signals="15 9",
    ),
    Case("KillMode=mixed alone", "KillMode=mixed\nExecStart=/bin/a", "inactive/dead success", signals="15"),
    Case("KillMode=none", "KillMode=none\nExecStart=/bin/a", "inactive/dead success"),
    Case(
        "SendSIGKILL=no",
        "SendSIGKILL=no\nTimeoutStopSec=1\nExecStart=/bin/a",
        "failed/failed timeout",
        {"/bin/a": STUBBORN},
        signals="15",
    ),
    Case(
        "a main process that died long ago (B3)",
        "RemainAfterExit=yes\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": Program(life=1000, children=(CHILD,), orphans=True)},
        signals="15",
    ),
    Case(
        "oneshot that remains",
        "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/a",
        "inactive/dead success",
        {"/bin/a": DONE},
    ),
    Case("forking", "Type=forking\nExecStart=/bin/a", "inactive/dead success", {"/bin/a": FORKS}, signals="15"),
)


def seen(made: House) -> tuple[str, str, str]:
    """State, programs and signals."""
    signals = " ".join(str(signal) for _, _, _, signal in made.kernel.signals)
    return made.state("a.service"), " ".join(made.ran("a.service")), signals


@pytest.mark.parametrize("case", STARTS, ids=lambda case: case.id)
def test_start(case: Case) -> None:
    made = house(case.service, case.programs)
    made.start("a.service")
    assert seen(made) == (case.state, case.ran, case.signals)
    assert " ".join(made.results("a.service")) == case.results
    assert made.jobs == []


@pytest.mark.parametrize("case", STOPS, ids=lambda case: case.id)
def test_stop(case: Case) -> None:
    made = house(case.service, case.programs)
    made.start("a.service")
    assert made.state("a.service").startswith("active")
    made.stop("a.service")
    assert seen(made) == (case.state, case.ran, case.signals)
    assert made.results("a.service") == ["done", "done"]
    assert made.jobs == []
