"""Answers as values: a call and a world in, an outcome out; no socket, no loop."""

import dataclasses
import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.bus.fakes import MAIN_PID, Job, Ran, Service, Status, View, service, world
from unitd.bus.answer import answer
from unitd.bus.calls import Ask, Call, Credentials, Enrol, ExitWith, Fault, LogAt, Outcome, Reply
from unitd.bus.interfaces.manager import MANAGER
from unitd.bus.interfaces.types import TYPES
from unitd.bus.interfaces.unit import UNIT
from unitd.bus.policy import Action, may
from unitd.bus.ports import About, World
from unitd.graph.diff import Diff
from unitd.model import events, settings
from unitd.model.effects import Condition
from unitd.model.problems import Problem
from unitd.model.processes import Straggler
from unitd.model.refusals import Kind
from unitd.model.setting import UNSET, Context
from unitd.model.states import Active, JobMode, JobType, Load
from unitd.model.unit import Unit
from unitd.shutdown.plan import Plan, Reach, Step, UnitPlan
from unitd.syntax.errors import Bad
from unitd.syntax.specifiers import HostFacts
from unitd.wire.dialects import PROPERTIES, PYZINIT, SYSTEMD1
from unitd.wire.encode import encode

ROOT = Credentials(0, 100)
NOBODY = Credentials(65534, 101)
PATH = "/org/pyzinit/Manager"
A = "/org/pyzinit/unit/a_2eservice"


def ask(
    member: str,
    signature: str = "",
    *body: Any,
    path: str = PATH,
    interface: str = "org.pyzinit.Manager",
    by: Credentials = ROOT,
    of: World | None = None,
) -> Outcome:
    return answer(Call(path, interface, member, signature, body, by), of or world())


def get(path: str, interface: str, name: str, of: World | None = None) -> Any:
    outcome = ask("Get", "ss", interface, name, path=path, interface=PROPERTIES, of=of)
    assert isinstance(outcome, Reply), outcome
    encode(outcome.signature, outcome.body)
    return outcome.body[0][1]


def kind(outcome: Outcome) -> Kind | None:
    assert isinstance(outcome, Fault), outcome
    return outcome.kind


def event(outcome: Outcome) -> events.Request:
    assert isinstance(outcome, Ask), outcome
    return outcome.request(77)


# --- objects --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "name"),
    [("default_2etarget", "multi-user.target"), ("ab" * 16, "a.service"), ("_2d_2eslice", "-.slice")],
)
def test_aliases_and_invocations_are_paths_too(label: str, name: str) -> None:
    assert get(f"/org/pyzinit/unit/{label}", "org.pyzinit.Unit", "Id") == name


def test_self_is_the_callers_unit() -> None:
    call = Call("/org/pyzinit/unit/self", PROPERTIES, "Get", "ss", ("org.pyzinit.Unit", "Id"), Credentials(0, MAIN_PID))
    assert answer(call, world()) == Reply("v", (("s", "a.service"),))


def test_the_path_of_a_unit_loads_it() -> None:
    view = View()
    path = "/org/pyzinit/unit/new_2eservice"
    outcome = ask("Get", "ss", "", "LoadState", path=path, interface=PROPERTIES, of=world(view=view))
    assert event(outcome) == events.LoadAsked(77, "new.service")
    assert isinstance(outcome, Ask)
    assert kind(outcome.then("new.service")) is Kind.UNKNOWN_OBJECT
    view.all["new.service"] = Status(Unit("new.service", load=Load.NOT_FOUND))
    assert outcome.then("new.service") == Reply("v", (("s", "not-found"),))


@pytest.mark.parametrize(
    "path", ["/x", "/org/pyzinit/unit/nonsense", "/org/pyzinit/job/9", "/org/pyzinit/job/x", "/org/pyzinit/unit/a/b"]
)
def test_there_is_nothing_at_other_paths(path: str) -> None:
    assert kind(ask("GetAll", "s", "", path=path, interface=PROPERTIES)) is Kind.UNKNOWN_OBJECT


def test_a_node_above_has_only_children() -> None:
    outcome = ask("Introspect", path="/org/pyzinit", interface="org.freedesktop.DBus.Introspectable")
    assert isinstance(outcome, Reply)
    assert [name for name in ("Manager", "unit", "job") if f'<node name="{name}"/>' not in outcome.body[0]] == []
    assert kind(ask("GetAll", "s", "", path="/org/pyzinit", interface=PROPERTIES)) is Kind.UNKNOWN_OBJECT


# --- properties -----------------------------------------------------------------------------------


def test_an_empty_interface_name_means_all() -> None:
    outcome = ask("GetAll", "s", "", path=A, interface=PROPERTIES)
    assert isinstance(outcome, Reply)
    wanted = set(UNIT.properties) | set(TYPES["service"].properties)
    assert set(outcome.body[0]) == wanted
    encode(outcome.signature, outcome.body)
    assert get(A, "", "MainPID") == 0


@pytest.mark.parametrize(
    ("interface", "name", "wrong"),
    [
        ("org.pyzinit.Nope", "Id", Kind.UNKNOWN_INTERFACE),
        ("org.pyzinit.Unit", "Nope", Kind.UNKNOWN_PROPERTY),
        ("org.pyzinit.Unit", "MainPID", Kind.UNKNOWN_PROPERTY),
        ("org.freedesktop.DBus.Peer", "Id", Kind.UNKNOWN_PROPERTY),
    ],
)
def test_what_is_not_there_is_said_so(interface: str, name: str, wrong: Kind) -> None:
    assert kind(ask("Get", "ss", interface, name, path=A, interface=PROPERTIES)) is wrong


def test_set_needs_the_right_and_then_a_property_that_can_be_set() -> None:
    arguments = ("Set", "ssv", "org.pyzinit.Unit", "Id", ("s", "b"))
    assert kind(ask(*arguments, path=A, interface=PROPERTIES, by=NOBODY)) is Kind.ACCESS_DENIED
    assert kind(ask(*arguments, path=A, interface=PROPERTIES)) is Kind.PROPERTY_READ_ONLY


def test_a_running_service_shows_what_it_does() -> None:
    view = View()
    runs = {"ExecStart": [Ran()]}
    view.all["a.service"] = dataclasses.replace(
        service("a.service"), active=Active.ACTIVE, sub="running", cgroup="x", service=Service(5, commands=runs)
    )
    seen = world(view=view)
    assert get(A, "org.pyzinit.Service", "MainPID", seen) == 5
    assert get(A, "org.pyzinit.Service", "MemoryCurrent", seen) == 4096
    assert get(A, "org.pyzinit.Service", "ControlGroup", seen) == "/x"
    assert get(A, "org.pyzinit.Service", "CPUUsageNSec", seen) == 2**64 - 1
    real = 1_700_000_000_000_000
    assert get(A, "org.pyzinit.Service", "ExecStart", seen) == [
        ("/bin/true", ("/bin/true", "-x"), True, real + 10, 10, real + 20, 20, 7, 1, 3)
    ]
    assert get(A, "org.pyzinit.Service", "TimeoutStopUSec", seen) == 5_000_000
    assert get(A, "org.pyzinit.Service", "TimeoutAbortUSec", seen) == 5_000_000
    assert get(A, "org.pyzinit.Unit", "WantedBy", seen) == ("b.service",)


def test_problems_and_the_reason_of_a_failure_are_shown() -> None:
    view = View()
    problem = Problem("a.service", "/etc/unitd/a.service", 4, "PrivateTmp", "not carried out")
    unit = Unit("a.service", problems=(problem,))
    view.all["a.service"] = Status(unit, Active.FAILED, "failed", reason="its main process exited with status 3")
    seen = world(view=view)
    assert get(A, "org.pyzinit.Unit", "Problems", seen) == (str(problem),)
    assert get(A, "org.pyzinit.Unit", "Reason", seen) == "its main process exited with status 3"


@pytest.mark.parametrize(
    ("root", "name", "cgroup", "shown"),
    [
        ("/x/unitd-run", "a.service", "system.slice/a.service", "/x/unitd-run/system.slice/a.service"),
        ("", "a.service", "system.slice/a.service", "/system.slice/a.service"),
        ("/x/unitd-run", "a.service", "", ""),
        (None, "a.service", "system.slice/a.service", ""),
        ("/x/unitd-run", "-.slice", "", "/x/unitd-run"),
        ("", "-.slice", "", "/"),
    ],
)
def test_a_cgroup_is_shown_as_the_kernel_does(root: str | None, name: str, cgroup: str, shown: str) -> None:
    view = View()
    view.all[name] = Status(Unit(name), Active.ACTIVE, cgroup=cgroup)
    assert get(PYZINIT.unit_path(name), "", "ControlGroup", world(view=view, cgroup=root)) == shown


@pytest.mark.parametrize("name", ["SELinuxContext", "AppArmorProfile", "SmackProcessLabel"])
@pytest.mark.parametrize(("text", "shown"), [("", (False, "")), ("x", (False, "x")), ("-x", (True, "x"))])
def test_labels_are_pairs(name: str, text: str, shown: tuple[bool, str]) -> None:
    view = View()
    view.all["a.service"] = Status(Unit("a.service", settings={name: text} if text else {}))
    assert get(A, "org.pyzinit.Service", name, world(view=view)) == shown


def test_conditions_show_what_became_of_them() -> None:
    view = View()
    conditions = (Condition("PathExists", "/a"), Condition("Host", "b", negate=True))
    unit = Unit("c.target", settings={"Conditions": conditions})
    view.all["c.target"] = Status(unit, conditions=(1,))
    path = "/org/pyzinit/unit/c_2etarget"
    assert get(path, "", "Conditions", world(view=view)) == [
        ("ConditionPathExists", False, False, "/a", 1),
        ("ConditionHost", False, True, "b", 0),
    ]


@pytest.mark.parametrize(
    ("load", "error"),
    [
        (Load.LOADED, ""),
        (Load.NOT_FOUND, "org.pyzinit.Error.NoSuchUnit"),
        (Load.MASKED, "org.pyzinit.Error.UnitMasked"),
        (Load.BAD_SETTING, "org.pyzinit.Error.BadUnitSetting"),
    ],
)
def test_a_load_error_names_the_place(load: Load, error: str) -> None:
    view = View()
    problem = Problem("b.service", "/etc/unitd/b.service", 3, "User", "no such thing", fatal=True)
    view.all["b.service"] = Status(Unit("b.service", load=load, problems=(problem,)))
    name, text = get("/org/pyzinit/unit/b_2eservice", "", "LoadError", world(view=view))
    assert name == error
    assert ("/etc/unitd/b.service:3: User" in text) is (load is Load.BAD_SETTING)


SAMPLES = (
    "", "yes", "no", "0", "1", "7", "100", "4096", "50%", "infinity", "5s", "1min 2s", "0644", "a", "a b", "a.service",
    "/a", "-/a", "/a /b", "~", "A=b", "SIGTERM", "cap_chown cap_kill", "~cap_chown", "batch", "idle", "best-effort",
    "0-3", "1 2", "10:20", "journal", "file:/a", "tty", "always", "on-failure", "control-group", "mixed", "notify",
    "oneshot", "main", "poweroff", "fail", "isolate", "/bin/true x", "system.slice", "strict", "aGVsbG8=",
    "127.0.0.1:80", "us", "low-delay", "man:a(1)",
)  # fmt: skip


@pytest.mark.parametrize("type", ["service", "socket", "slice", "scope", "target"])
def test_every_value_that_a_file_can_give_can_be_shown(type: str) -> None:
    shown = {**UNIT.properties, **TYPES[type].properties}
    context = Context(f"x.{type}", HostFacts())
    tried = set()
    for row in settings.TABLE[type].values():
        if row.name in ("Conditions", "Asserts") or not row.prop or row.prop[0] not in shown:
            continue
        for text in SAMPLES:
            try:
                value = row.parse(text, context)
            except Bad:
                continue
            if value is UNSET:
                continue
            if row.merge is not None:
                value = row.merge(row.default, value)
            status = Status(Unit(f"x.{type}", settings={row.target: value}))
            property = shown[row.prop[0]]
            encode("v", ((property.type, property.get(world(), status)),))
            tried.add(row.name)
    assert len(tried) > 20


@pytest.mark.parametrize("type", sorted(TYPES))
def test_every_default_can_be_shown(type: str) -> None:
    status = Status(Unit(f"x.{type}"))
    for row in (*UNIT.properties.values(), *TYPES[type].properties.values()):
        encode("v", ((row.type, row.get(world(), status)),))


def test_every_property_of_the_daemon_can_be_shown() -> None:
    for row in MANAGER.properties.values():
        encode("v", ((row.type, row.get(world(), None)),))


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "type"),
    [
        ("Start", JobType.START),
        ("Stop", JobType.STOP),
        ("Reload", JobType.RELOAD),
        ("Restart", JobType.RESTART),
        ("TryRestart", JobType.TRY_RESTART),
    ],
)
def test_a_job_is_asked_for_by_either_object(method: str, type: JobType) -> None:
    by = events.Caller(0, 100, "D-Bus")
    wanted = events.JobAsked(77, "a.service", type, JobMode.REPLACE, by)
    assert event(ask(f"{method}Unit", "ss", "a.service", "replace")) == wanted
    outcome = ask(method, "s", "replace", path=A, interface="org.pyzinit.Unit")
    assert event(outcome) == wanted
    assert isinstance(outcome, Ask)
    assert outcome.then(3) == Reply("o", ("/org/pyzinit/job/3",))


@pytest.mark.parametrize(
    ("method", "type"), [("ReloadOrRestart", JobType.RESTART), ("ReloadOrTryRestart", JobType.TRY_RESTART)]
)
def test_whether_to_reload_or_restart_is_the_engines_to_decide(method: str, type: JobType) -> None:
    for asked in (
        ask(f"{method}Unit", "ss", "a.service", "replace"),
        ask(method, "s", "replace", path=A, interface="org.pyzinit.Unit"),
    ):
        job = event(asked)
        assert isinstance(job, events.JobAsked)
        assert (job.type, job.reload_if_possible) == (type, True)


def test_enqueue_tells_what_came_along() -> None:
    view = View()
    view.queue = {1: Job(1, "old.service", JobType.START)}
    outcome = ask("EnqueueUnitJob", "sss", "a.service", "start", "fail", of=world(view=view))
    view.queue |= {2: Job(2, "a.service", JobType.START), 3: Job(3, "b.service", JobType.STOP)}
    assert isinstance(outcome, Ask)
    reply = outcome.then(2)
    assert isinstance(reply, Reply)
    encode(reply.signature, reply.body)
    assert reply.body[:3] == (2, "/org/pyzinit/job/2", "a.service")
    assert reply.body[5] == [(3, "/org/pyzinit/job/3", "b.service", "/org/pyzinit/unit/b_2eservice", "stop")]


@pytest.mark.parametrize(
    ("member", "signature", "body"),
    [
        ("StartUnit", "ss", ("a.service", "nonsense")),
        ("StartUnit", "ss", ("a service", "replace")),
        ("StartUnit", "s", ("a.service",)),
        ("EnqueueUnitJob", "sss", ("a.service", "jump", "replace")),
        ("KillUnit", "ssi", ("a.service", "some", 15)),
        ("KillUnit", "ssi", ("a.service", "all", 0)),
        ("KillUnit", "ssi", ("a.service", "all", 65)),
        ("GetUnit", "s", ("x" * 1000,)),
        ("ListUnitsByNames", "as", (["a b"],)),
    ],
)
def test_wrong_arguments_are_refused_before_the_engine_hears_of_them(member: str, signature: str, body: Any) -> None:
    assert kind(ask(member, signature, *body)) is Kind.INVALID_ARGS


def test_other_requests() -> None:
    by = events.Caller(0, 100, "D-Bus")
    killed = events.KillAsked(77, "a.service", events.Whom.MAIN, 15, by)
    assert event(ask("KillUnit", "ssi", "a.service", "main", 15)) == killed
    assert event(ask("ResetFailed")) == events.ResetFailedAsked(77, "", by)
    assert event(ask("Reload")) == events.ReloadAsked(77, by)
    assert event(ask("PowerOff")) == events.ShutdownAsked(77, events.Leaving.POWEROFF, by=by)
    assert event(ask("Force", "s", "reboot")) == events.ShutdownAsked(77, events.Leaving.REBOOT, force=True, by=by)
    assert kind(ask("Force", "s", "sleep")) is Kind.INVALID_ARGS
    assert event(ask("ClearJobs")) == events.CancelAsked(77, 0, by)
    assert kind(ask("CancelJob", "u", 5)) is Kind.NO_SUCH_JOB
    assert ask("SetExitCode", "y", 3) == ExitWith(3)
    left = event(ask("Exit", of=replace(world(), exit_code=3)))
    assert left == events.ShutdownAsked(77, events.Leaving.EXIT, 3, by=by)
    assert ask("Subscribe") == Enrol(True)


def test_a_queued_job_tells_whom_it_waits_for_and_who_waits_for_it() -> None:
    view = View()
    view.queue = {id: Job(id, f"{id}.service", JobType.START) for id in (1, 2, 3)}
    for member, wanted in (("Before", 1), ("After", 3)):
        unit = f"/org/pyzinit/unit/_3{wanted}_2eservice"
        row = (wanted, f"{wanted}.service", "start", "waiting", f"/org/pyzinit/job/{wanted}", unit)
        assert ask(f"GetJob{member}", "u", 2, of=world(view=view)) == Reply("a(usssoo)", ([row],))
        of_job = ask(f"Get{member}", path="/org/pyzinit/job/2", interface="org.pyzinit.Job", of=world(view=view))
        assert of_job == Reply("a(usssoo)", ([row],))
        assert kind(ask(f"GetJob{member}", "u", 9, of=world(view=view))) is Kind.NO_SUCH_JOB


def test_the_default_target_has_its_real_name() -> None:
    assert ask("GetDefaultTarget") == Reply("s", ("multi-user.target",))


def test_any_process_of_a_unit_finds_it() -> None:
    assert ask("GetUnitByPID", "u", MAIN_PID) == Reply("o", (A,))
    assert kind(ask("GetUnitByPID", "u", 1)) is Kind.NO_UNIT_FOR_PID


def test_the_level_of_the_log_can_be_set() -> None:
    arguments = ("Set", "ssv", "org.pyzinit.Manager", "LogLevel")
    assert ask(*arguments, ("s", "debug"), interface=PROPERTIES) == LogAt("debug")
    assert kind(ask(*arguments, ("s", "loud"), interface=PROPERTIES)) is Kind.INVALID_ARGS
    assert kind(ask(*arguments, ("u", 7), interface=PROPERTIES)) is Kind.INVALID_ARGS
    assert kind(ask(*arguments, ("s", "debug"), interface=PROPERTIES, by=NOBODY)) is Kind.ACCESS_DENIED


def test_a_dry_reload_tells_what_would_change() -> None:
    outcome = ask("ReloadDiff")
    assert event(outcome) == events.ReloadAsked(77, events.Caller(0, 100, "D-Bus"), dry=True)
    assert isinstance(outcome, Ask)
    told = outcome.then(Diff(added=("a.service",), changed=("b.service",)))
    assert told == Reply("s", ('{"added": ["a.service"], "removed": [], "changed": ["b.service"]}',))


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (("Plan", "ss", "stop", "a.service b.service"), ("stop", ("a.service", "b.service"))),
        (("Plan", "ss", "exit", ""), ("exit", ())),
        (("PlanShutdown",), ("poweroff", ())),
    ],
)
def test_a_plan_is_asked_for_by_anybody_and_names_the_processes(
    call: tuple[str, ...], wanted: tuple[str, tuple[str, ...]]
) -> None:
    outcome = ask(*call, by=NOBODY)
    assert event(outcome) == events.PlanAsked(77, *wanted)
    assert isinstance(outcome, Ask)
    step = Step("signal", 4_400_000, 20_000_000, 15, "all")
    plan = Plan("stop", "a.service", ((UnitPlan("a.service", 0, (step,), Reach.ALL, (MAIN_PID,)),),), 5_000_000)
    told = outcome.then(plan)
    assert isinstance(told, Reply)
    assert json.loads(told.body[0]) == {
        **{"verb": "stop", "unit": "a.service", "bound_s": 5.0, "cap_s": None},
        "waves": [
            [
                {
                    **{"unit": "a.service", "begins_s": 0.0, "pids": [MAIN_PID + 1, MAIN_PID]},
                    "steps": [
                        {
                            **{"step": "signal", "signal": "SIGTERM", "timeout_s": 4.4, "cut_from_s": 20.0},
                            **{"whom": "all", "command": None},
                        }
                    ],
                }
            ]
        ],
    }


def test_lists_are_filtered() -> None:
    def names(*call: Any) -> list[str]:
        outcome = ask(*call)
        assert isinstance(outcome, Reply)
        encode(outcome.signature, outcome.body)
        return [row[0] for row in outcome.body[0]]

    assert names("ListUnits") == ["-.slice", "a.service", "multi-user.target"]
    assert names("ListUnitsFiltered", "as", ["inactive"]) == ["a.service"]
    assert names("ListUnitsByPatterns", "asas", [], ["default.*"]) == ["multi-user.target"]
    assert names("ListUnitsByPatterns", "asas", ["failed"], []) == []
    assert names("ListUnitFiles") == ["/etc/unitd/a.service", "/usr/lib/unitd/basic.target"]
    assert names("ListUnitFilesByPatterns", "asas", ["static"], ["*.target"]) == ["/usr/lib/unitd/basic.target"]


def test_units_are_listed_by_name_even_if_they_have_to_be_loaded() -> None:
    view = View()
    first = ask("ListUnitsByNames", "as", ["b.service", "a.service"], of=world(view=view))
    assert event(first) == events.LoadAsked(77, "b.service")
    view.all["b.service"] = service("b.service")
    assert isinstance(first, Ask)
    reply = first.then("b.service")
    assert isinstance(reply, Reply)
    assert [row[0] for row in reply.body[0]] == ["b.service", "a.service"]


def test_what_is_missing_is_an_unknown_method() -> None:
    assert kind(ask("Why", "s", "a.service")) is Kind.UNKNOWN_METHOD
    assert kind(ask("GetUnit", "s", "a.service", interface="org.example.X")) is Kind.UNKNOWN_INTERFACE


# --- who may --------------------------------------------------------------------------------------

CHANGING = sorted(name for name, method in MANAGER.methods.items() if method.action is Action.CHANGE)
LOOKING = sorted(name for name, method in MANAGER.methods.items() if method.action is Action.LOOK)


def test_the_rights_are_as_listed() -> None:
    """A new method has to be put on one side or the other here."""
    assert LOOKING == [
        "GetDefaultTarget", "GetJob", "GetJobAfter", "GetJobBefore", "GetUnit",
        "GetUnitByInvocationID", "GetUnitByPID", "GetUnitFileState", "GetUnitProcesses",
        "ListJobs", "ListUnitFiles", "ListUnitFilesByPatterns", "ListUnits", "ListUnitsByNames", "ListUnitsByPatterns",
        "ListUnitsFiltered", "LoadUnit", "Orphans", "Plan", "PlanShutdown", "Subscribe", "Unsubscribe",
    ]  # fmt: skip


@pytest.mark.parametrize("member", CHANGING)
def test_strangers_change_nothing(member: str) -> None:
    samples: dict[str, Any] = {"s": "a.service", "i": 15, "u": 1, "y": 1}
    takes = MANAGER.methods[member].takes
    body = tuple(samples[type] for _, type in takes)
    assert kind(ask(member, "".join(type for _, type in takes), *body, by=NOBODY)) is Kind.ACCESS_DENIED


@pytest.mark.parametrize("member", sorted(UNIT.methods))
def test_strangers_change_no_unit(member: str) -> None:
    samples: dict[str, Any] = {"s": "all", "i": 15}
    takes = UNIT.methods[member].takes
    body = tuple(samples[type] for _, type in takes)
    outcome = ask(member, "".join(type for _, type in takes), *body, path=A, interface="org.pyzinit.Unit", by=NOBODY)
    assert kind(outcome) is Kind.ACCESS_DENIED


@pytest.mark.parametrize(
    ("by", "reads", "changes"),
    [
        (Credentials(0), True, True),
        (Credentials(1000), True, True),
        (Credentials(1001), False, False),
        (Credentials(1001, gids=(4,)), True, False),
        (Credentials(-1), False, False),
        (Credentials(-1, gids=(-1,)), False, False),
    ],
)
def test_who_may(by: Credentials, reads: bool, changes: bool) -> None:
    about = About("0", 1000, adm_gid=4)
    assert may(by, Action.LOOK, about)
    assert may(by, Action.READ_LOGS, about) is reads
    assert may(by, Action.CHANGE, about) is changes


def test_logs_are_not_for_everybody() -> None:
    assert kind(ask("GetLogs", "sut", "a.service", 5, 0, by=NOBODY)) is Kind.ACCESS_DENIED
    outcome = ask("GetLogs", "sut", "a.service", 5, 0)
    assert outcome == Reply("a(tsis)", ([(1_000_000, "true", MAIN_PID, "a line of a.service")],))


def test_the_last_shutdown_is_for_those_who_may_read_logs() -> None:
    kept = replace(world(), last_shutdown=lambda: '{"outcome":"done"}')
    assert ask("LastShutdown", of=kept) == Reply("s", ('{"outcome":"done"}',))
    assert kind(ask("LastShutdown", of=kept, by=NOBODY)) is Kind.ACCESS_DENIED
    assert kind(ask("LastShutdown")) is Kind.FILE_NOT_FOUND


def test_who_outlived_its_time_is_a_property() -> None:
    one = Straggler(
        7, command="sleep 9", state="S (sleeping)", channel="do_wait", sockets=("tcp 0.0.0.0:80 listening",)
    )
    view = View()
    view.all["a.service"] = service("a.service", hint="do this")
    found = view.all["a.service"].service
    assert found is not None
    view.all["a.service"] = dataclasses.replace(
        view.all["a.service"], service=dataclasses.replace(found, stragglers=(one,), waited=2_000_000)
    )
    seen = get(A, "org.pyzinit.Service", "Stragglers", world(view=view))
    assert seen == ((7, "sleep 9", 2_000_000, "S (sleeping)", "do_wait", one.sockets),)
    assert get(A, "org.pyzinit.Unit", "Hint", world(view=view)) == "do this"


# --- dialects -------------------------------------------------------------------------------------


def test_the_other_dialect_is_only_other_names() -> None:
    seen = replace(world(), dialect=SYSTEMD1)
    call = Call("/org/freedesktop/systemd1", SYSTEMD1.interface("Manager"), "GetUnit", "s", ("a.service",), ROOT)
    assert answer(call, seen) == Reply("o", ("/org/freedesktop/systemd1/unit/a_2eservice",))
    wrong = replace(call, path=PATH)
    assert kind(answer(wrong, seen)) is Kind.UNKNOWN_OBJECT
    assert SYSTEMD1.error(Kind.NO_SUCH_UNIT) == "org.freedesktop.systemd1.NoSuchUnit"
    assert PYZINIT.error(Kind.NO_SUCH_UNIT) == "org.pyzinit.Error.NoSuchUnit"
    assert PYZINIT.error(Kind.ACCESS_DENIED) == "org.freedesktop.DBus.Error.AccessDenied"
