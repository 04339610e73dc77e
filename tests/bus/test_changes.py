"""What is told of a turn of the loop: coalesced, in order, and only what differs."""

from dataclasses import replace
from typing import Any

import msgspec.structs
import pytest

from tests.bus.fakes import Job, Service, Stopping, View, Whole, service, world
from unitd.bus.changes import Changes
from unitd.bus.interfaces.table import Emits
from unitd.bus.interfaces.types import TYPES
from unitd.model import effects
from unitd.model.events import Leaving
from unitd.model.processes import Left
from unitd.model.states import INFINITY, Active, JobResult, JobState, JobType
from unitd.wire.dialects import PYZINIT, SYSTEMD1
from unitd.wire.message import Message, encode
from unitd.wire.progress import Progress


def told(changes: Changes, view: View, *, anyone: bool = True) -> list[Message]:
    """All signals of a turn, each of which can be sent."""
    found = [*changes.early(PYZINIT), *changes.late(world(view=view))]
    for each in found:
        encode(msgspec.structs.replace(each, serial=1))
    changes.end(anyone=anyone)
    return found


def changed(messages: list[Message], interface: str) -> dict[str, Any]:
    """The one announcement of an interface."""
    (body,) = [each.body for each in messages if each.member == "PropertiesChanged" and each.body[0] == interface]
    return {name: value for name, (_, value) in body[1].items()}


def test_many_changes_of_a_unit_are_one_signal() -> None:
    view, changes = View(), Changes()
    for state in (Active.ACTIVATING, Active.ACTIVE):
        view.all["a.service"] = replace(view.all["a.service"], active=state, service=Service(9))
        changes.note(effects.UnitChanged("a.service"))
    messages = told(changes, view)
    assert [each.path for each in messages] == ["/org/pyzinit/unit/a_2eservice"] * 2
    assert changed(messages, "org.pyzinit.Unit")["ActiveState"] == "active"
    assert changed(messages, "org.pyzinit.Service")["MainPID"] == 9


def test_the_second_time_only_the_difference_is_told() -> None:
    view, changes = View(), Changes()
    changes.note(effects.UnitChanged("a.service"))
    told(changes, view)
    view.all["a.service"] = replace(view.all["a.service"], sub="running")
    changes.note(effects.UnitChanged("a.service"))
    (message,) = told(changes, view)
    assert message.body == ("org.pyzinit.Unit", {"SubState": ("s", "running")}, ("Asserts", "Conditions"))


def test_constants_are_not_announced_and_commands_are_invalidated() -> None:
    view, changes = View(), Changes()
    changes.note(effects.UnitChanged("a.service"))
    (message,) = [each for each in told(changes, view) if each.body[0] == "org.pyzinit.Service"]
    rows = TYPES["service"].properties
    assert {rows[name].emits for name in message.body[1]} == {Emits.CHANGE}
    assert "ExecStart" in message.body[2]


def test_nothing_is_remembered_for_nobody() -> None:
    view, changes = View(), Changes()
    changes.note(effects.UnitChanged("a.service"))
    first = told(changes, view, anyone=False)
    changes.note(effects.UnitChanged("a.service"))
    assert told(changes, view) == first


def test_a_unit_that_is_loaded_anew_is_told_of_anew() -> None:
    view, changes = View(), Changes()
    changes.note(effects.UnitChanged("a.service"))
    first = told(changes, view)
    changes.note(effects.UnitGone("a.service"))
    assert [each.member for each in told(changes, view)] == ["UnitRemoved"]
    changes.note(effects.UnitChanged("a.service"))
    assert told(changes, view) == first


def test_the_order_of_signals() -> None:
    view, changes = View(), Changes()
    view.queue = {1: Job(1, "a.service", JobType.START, JobState.RUNNING)}
    for effect in (
        effects.JobGone(2, "a.service", JobType.STOP, JobResult.CANCELED),
        effects.UnitGone("gone.service"),
        effects.JobChanged(1),
        effects.JobNew(1, "a.service", JobType.START),
        effects.UnitNew("a.service"),
    ):
        changes.note(effect)
    messages = told(changes, view)
    names = [each.member for each in messages]
    assert names == ["JobNew", "UnitNew", *["PropertiesChanged"] * 3, "JobRemoved", "UnitRemoved"]
    assert changed(messages, "org.pyzinit.Job") == {"State": "running"}


def test_the_job_of_a_unit_changes_with_it() -> None:
    view, changes = View(), Changes()
    view.queue = {1: Job(1, "a.service", JobType.START)}
    view.all["a.service"] = replace(view.all["a.service"], job=1)
    changes.note(effects.JobNew(1, "a.service", JobType.START))
    assert changed(told(changes, view), "org.pyzinit.Unit")["Job"] == (1, "/org/pyzinit/job/1")
    view.all["a.service"] = replace(view.all["a.service"], job=0)
    changes.note(effects.JobGone(1, "a.service", JobType.START, JobResult.DONE))
    messages = told(changes, view)
    assert changed(messages, "org.pyzinit.Unit") == {"Job": (0, "/")}
    assert messages[-1].body == (1, "/org/pyzinit/job/1", "a.service", "done")


def test_the_number_of_failed_units_is_announced() -> None:
    view, changes = View(), Changes()
    view.all["a.service"] = service("a.service", active=Active.FAILED, sub="failed")
    changes.note(effects.UnitChanged("a.service"))
    assert changed(told(changes, view), "org.pyzinit.Manager") == {"NFailedUnits": 1}


def test_the_daemon_itself() -> None:
    view, changes = View(), Changes()
    changes.note(effects.Reloading(True))
    changes.note(effects.Reloading(False))
    changes.note(effects.StartupFinished(77))
    first, second, third = told(changes, view)
    assert (first.body, second.body) == ((True,), (False,))
    assert (third.member, third.body) == ("StartupFinished", (0, 0, 0, 0, 77, 77))


def reports(messages: list[Message]) -> list[Progress]:
    return [Progress.of(each.body[0]) for each in messages if each.member == "ShutdownProgress"]


def test_the_progress_of_a_stop_is_told_with_the_unit() -> None:
    view, changes = View(), Changes()
    view.leaving = (
        Stopping("a.service", "stop-sigterm", 7_000_000, "SIGKILL"),
        Stopping("b.service", "stop", 6_000_000, "SIGTERM"),
    )
    changes.note(effects.UnitChanged("a.service"))
    (message,) = [each for each in told(changes, view) if each.member == "ShutdownProgress"]
    assert message.body == (
        {
            "unit": ("s", "a.service"),
            "phase": ("s", "stop-sigterm"),
            "pids": ("a(us)", ((4242, "/bin/true -x, S (sleeping) in do_wait"),)),
            "left_us": ("t", 2_000_000),
            "next": ("s", "SIGKILL"),
            "processes": ("u", 3),
            "units_left": ("u", 0),
            "elapsed_us": ("t", 0),
            "cap_left_us": ("t", INFINITY),
        },
    )


def test_the_progress_of_a_shutdown_says_how_far_the_whole_is() -> None:
    view, changes = View(), Changes()
    view.leaving = (Stopping("a.service", "stop-sigterm", 0, ""),)
    view.whole = Whole(began=2_000_000, end=29_000_000, units_left=7)
    changes.note(effects.UnitChanged("a.service"))
    (report,) = reports(told(changes, view))
    assert report[5:] == (3, 7, 3_000_000, 24_000_000)
    assert report.left_us == INFINITY


def test_in_the_last_stages_what_is_left_is_told_whenever_that_changes() -> None:
    view, changes = View(), Changes()
    stuck = Left(12, unit="a.service", command="/bin/x", state="D", channel="io_schedule")
    view.leaving = (Stopping("", "killed", 8_000_000, "give up", left=(stuck,)),)
    changes.note(effects.StageChanged())
    assert not changes.is_empty
    (report,) = reports(told(changes, view))
    assert report[:5] == (
        "",
        "killed",
        ((12, "/bin/x of a.service, D (disk sleep) in io_schedule"),),
        3_000_000,
        "give up",
    )
    assert changes.is_empty


@pytest.mark.parametrize("dialect", [PYZINIT, SYSTEMD1], ids=lambda each: each.bus_name)
def test_signals_have_the_names_of_their_dialect(dialect: Any) -> None:
    changes = Changes()
    changes.note(effects.UnitNew("a.service"))
    (message,) = changes.early(dialect)
    assert (message.path, message.interface) == (dialect.object, dialect.interface("Manager"))
    assert message.body == ("a.service", dialect.unit_path("a.service"))


@pytest.mark.parametrize(
    ("survivors", "phase", "pids"),
    [
        ((), "done", ()),
        ((Left(12, unit="a.service", command="sh"),), "survivors", ((12, "(sh) of a.service"),)),
    ],
)
def test_the_last_report_says_who_is_left(survivors: tuple[Left, ...], phase: str, pids: Any) -> None:
    changes = Changes()
    changes.note(effects.Leave(Leaving.EXIT, 0, survivors))
    (message,) = told(changes, View())
    (body,) = message.body
    assert (body["unit"], body["phase"], body["pids"]) == (("s", ""), ("s", phase), ("a(us)", pids))
    assert body["left_us"] == ("t", INFINITY)
