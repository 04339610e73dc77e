"""From files to a unit: merging, names, drop-ins, and what each fault makes of the unit."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.fakes.source import FACTS, Files
from unitd.graph.assemble import load
from unitd.model.config import Config
from unitd.model.dependencies import Dep
from unitd.model.states import INFINITY, SECOND, Load
from unitd.model.unit import Unit

RUN = "[Service]\nExecStart=/bin/a\n"


def loaded(name: str, texts: Mapping[str, str], **config: Any) -> Unit:
    return load(name, Files(texts), FACTS, Config(**config))


def service(text: str, **config: Any) -> Unit:
    return loaded("a.service", {"a.service": text}, **config)


def problems(unit: Unit) -> list[str]:
    return [str(problem) for problem in unit.problems]


def test_no_file_is_not_found() -> None:
    assert loaded("a.service", {}).load is Load.NOT_FOUND


def test_a_dropin_alone_makes_no_unit() -> None:
    assert loaded("a.service", {"a.service.d/x.conf": RUN}).load is Load.NOT_FOUND


@pytest.mark.parametrize("text", ["", "->/dev/null"])
def test_masks(text: str) -> None:
    assert service(text).load is Load.MASKED


def test_a_name_that_is_none_is_an_error() -> None:
    assert loaded("a@.service", {"a@.service": RUN}).load is Load.ERROR


def test_a_malformed_file_is_an_error_with_its_line() -> None:
    unit = service("[Unit]\n[Service\n")
    assert unit.load is Load.ERROR
    assert unit.fatal is not None
    assert unit.fatal.place == "/units/a.service:2"


def test_a_malformed_dropin_is_left_out() -> None:
    unit = loaded("a.service", {"a.service": RUN, "a.service.d/x.conf": "[Service\nNice=5"})
    assert unit.load is Load.LOADED
    assert "/units/a.service.d/x.conf:1" in problems(unit)[0]


def test_unknown_keys_and_sections_only_warn() -> None:
    unit = service(f"[Unit]\nWibble=1\n[Wobble]\na=1\nb=1\n{RUN}")
    assert unit.load is Load.LOADED
    assert problems(unit) == [
        "cannot use all of a.service: /units/a.service:2: Wibble=: no such setting in [Unit]",
        "cannot use all of a.service: /units/a.service:4: no section [Wobble] in a service",
    ]


def test_what_begins_with_x_is_left_alone() -> None:
    assert not service(f"[X-Mine]\na=1\n[Unit]\nX-Key=1\n{RUN}").problems


def test_a_value_that_cannot_be_read_keeps_the_earlier_one() -> None:
    unit = service(f"{RUN}KillMode=mixed\nKillMode=wild\n")
    assert unit.settings["KillMode"] == "mixed"
    assert "a.service:4: KillMode=" in problems(unit)[0]


def test_lists_are_reset_by_an_empty_value_and_dependencies_are_not() -> None:
    unit = service(f"[Unit]\nAfter=b.service\nAfter=\n{RUN}ExecStart=\nExecStart=/bin/b\n")
    assert [command.path for command in unit.settings["ExecStart"]] == ["/bin/b"]
    assert "b.service" in unit.deps[Dep.AFTER]


def test_an_empty_condition_resets_all_of_them() -> None:
    unit = service(f"[Unit]\nConditionUser=root\nConditionPathExists=\nConditionPathExists=!/a\n{RUN}")
    (condition,) = unit.settings["Conditions"]
    assert (condition.kind, condition.parameter, condition.negate) == ("PathExists", "/a", True)


def test_a_unit_does_not_depend_on_itself() -> None:
    assert Dep.WANTS not in service(f"[Unit]\nWants=a.service\n{RUN}").deps


def test_a_template_in_a_list_stands_for_an_instance() -> None:
    texts = {"t@.service": f"[Unit]\nWants=u@.service\n{RUN}", "p.service": f"[Unit]\nWants=u@.service\n{RUN}"}
    assert "u@i.service" in loaded("t@i.service", texts).deps[Dep.WANTS]
    assert "u@p.service" in loaded("p.service", texts).deps[Dep.WANTS]


def test_aliases_and_instances_lead_to_the_real_unit() -> None:
    texts = {"real@.service": f"[Unit]\nDescription=%i\n{RUN}", "al@.service": "->real@.service"}
    unit = loaded("al@x.service", texts)
    assert (unit.name, unit.aliases) == ("real@x.service", ("al@x.service",))
    assert unit.settings["Description"] == "x"
    assert loaded("real@x.service", texts).aliases == ("al@x.service",)


def test_links_that_go_round_lead_nowhere() -> None:
    texts = {"a.service": "->b.service", "b.service": "->a.service"}
    assert loaded("a.service", texts).load is Load.NOT_FOUND


def test_dropins_of_all_levels_are_read_by_file_name() -> None:
    texts = {
        "a-b.service": f"{RUN}Nice=0\n",
        "service.d/40.conf": "[Service]\nNice=4\n",
        "a-.service.d/30.conf": "[Service]\nNice=3\nUMask=07\n",
        "a-b.service.d/20.conf": "[Service]\nNice=2\n",
        "a-b.service.d/30.conf": "[Service]\nNice=5\n",
    }
    unit = loaded("a-b.service", texts)
    assert [path.removeprefix("/units/") for path in unit.dropins] == [
        "a-b.service.d/20.conf",
        "a-b.service.d/30.conf",
        "service.d/40.conf",
    ]
    assert unit.settings["Nice"] == 4
    assert "UMask" not in unit.settings


def test_links_in_wants_directories_are_dependencies() -> None:
    texts = {"t.target": "[Unit]\nDescription=t", "t.target.wants/b.service": "->../b.service"}
    assert list(loaded("t.target", texts).deps[Dep.WANTS]) == ["b.service"]


def test_a_masked_link_is_none() -> None:
    texts = {"t.target": "[Unit]\nDescription=t", "t.target.wants/b.service": "->/dev/null"}
    assert Dep.WANTS not in loaded("t.target", texts).deps


def test_older_names() -> None:
    unit = service(f"{RUN}StartLimitInterval=3\nStartLimitBurst=7\nTimeoutSec=4\n")
    assert unit.settings["StartLimitIntervalSec"] == 3 * SECOND
    assert unit.settings["StartLimitBurst"] == 7
    assert unit.settings["TimeoutStartSec"] == unit.settings["TimeoutStopSec"] == 4 * SECOND
    assert not unit.problems


def test_a_protection_that_is_not_carried_out_refuses_the_unit() -> None:
    unit = service(f"{RUN}PrivateTmp=yes\n")
    assert unit.load is Load.BAD_SETTING
    assert unit.fatal is not None
    assert (unit.fatal.place, unit.fatal.setting) == ("/units/a.service:3", "PrivateTmp=")


def test_the_daemon_may_be_told_to_run_it_without() -> None:
    unit = service(f"{RUN}PrivateTmp=yes\n", allow_weaker_sandbox=True)
    assert unit.load is Load.LOADED
    assert "PrivateTmp=" in problems(unit)[0]


@pytest.mark.parametrize("line", ["PrivateTmp=no", "ProtectSystem=no", "SystemCallFilter=", "DevicePolicy=auto"])
def test_a_line_that_asks_for_no_protection_is_no_lie(line: str) -> None:
    assert not service(f"{RUN}{line}\n").problems


def test_a_harmless_loss_warns() -> None:
    unit = service(f"{RUN}TasksMax=5\n")
    assert unit.load is Load.LOADED
    assert "a.service:3: TasksMax=" in problems(unit)[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("ExecStart=/a", "simple"), ("ExecStart=/a\nBusName=a.b", "dbus"), ("RemainAfterExit=1\nExecStop=/a", "oneshot")],
)
def test_the_type_follows_from_the_rest(text: str, kind: str) -> None:
    assert service(f"[Service]\n{text}\n").settings["Type"] == kind


def test_timeouts_come_from_the_daemon() -> None:
    unit = service(RUN, default_timeout_start=7, default_timeout_stop=8)
    assert (unit.settings["TimeoutStartSec"], unit.settings["TimeoutStopSec"]) == (7, 8)


def test_a_oneshot_may_take_its_time() -> None:
    assert service(f"{RUN}Type=oneshot\n").settings["TimeoutStartSec"] == INFINITY


def test_notify_needs_somebody_to_listen() -> None:
    assert service(f"{RUN}Type=notify\nNotifyAccess=none\n").settings["NotifyAccess"] == "main"


def test_every_problem_names_its_line() -> None:
    text = f"{RUN}Restart=wild\nUser=a:b\nKillSignal=x\n[Unit]\nDocumentation=nowhere\n"
    assert [problem.line for problem in service(text).problems] == [3, 4, 5, 7]


@pytest.mark.parametrize("name", ["-.slice", "system.slice", "user.slice", "init.scope", "-.mount", "a-b.slice"])
def test_units_without_files(name: str) -> None:
    assert loaded(name, {}).load is Load.LOADED


def test_a_scope_cannot_have_a_file() -> None:
    assert loaded("a.scope", {"a.scope": "[Scope]\n"}).load is Load.NOT_FOUND
