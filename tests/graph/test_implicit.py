"""Dependencies that no file states."""

from collections.abc import Mapping

from tests.fakes.source import FACTS, Files
from unitd.graph.assemble import load
from unitd.model.config import Config
from unitd.model.dependencies import Dep
from unitd.model.unit import Origin

WEAK = Config(allow_weaker_sandbox=True)


def edges(name: str, text: str, others: Mapping[str, str] | None = None, config: Config = WEAK) -> dict[str, Origin]:
    """Every edge of a unit, as "Kind other"."""
    unit = load(name, Files({name: text} | dict(others or {})), FACTS, config)
    return {f"{kind} {other}": origin for kind, row in unit.deps.items() for other, origin in row.items()}


def test_a_service_has_the_usual() -> None:
    assert edges("a.service", "[Service]\nExecStart=/a") == {
        "Requires sysinit.target": Origin.DEFAULT,
        "After sysinit.target": Origin.DEFAULT,
        "After basic.target": Origin.DEFAULT,
        "Before shutdown.target": Origin.DEFAULT,
        "Conflicts shutdown.target": Origin.DEFAULT,
        "InSlice system.slice": Origin.FILE,
        "Requires system.slice": Origin.FILE,
        "After system.slice": Origin.FILE,
    }


def test_without_default_dependencies_the_slice_is_left() -> None:
    found = edges("a.service", "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/a")
    assert sorted(found) == ["After system.slice", "InSlice system.slice", "Requires system.slice"]


def test_instances_have_a_slice_of_their_own() -> None:
    unit = load("a-b@c.service", Files({"a-b@.service": "[Service]\nExecStart=/a"}), FACTS, WEAK)
    assert unit.settings["Slice"] == r"system-a\x2db.slice"


def test_a_users_service_knows_no_sysinit() -> None:
    found = edges("a.service", "[Service]\nExecStart=/a", config=Config(user=True))
    assert "Requires basic.target" in found
    assert "Requires app.slice" in found
    assert not any("sysinit" in edge for edge in found)


def test_a_bus_name_needs_the_bus() -> None:
    found = edges("a.service", "[Service]\nExecStart=/a\nBusName=a.b")
    assert found["Requires dbus.socket"] == found["After dbus.socket"] == Origin.FILE


def test_directories_wait_for_their_mounts() -> None:
    text = "[Service]\nExecStart=/a\nStateDirectory=x\n"
    found = edges("a.service", text, {"var-lib.mount": "[Mount]\nWhat=/dev/x\nWhere=/var/lib"})
    assert found["After -.mount"] == found["After var-lib.mount"] == found["Requires var-lib.mount"] == Origin.FILE
    assert "Requires -.mount" not in found
    assert "After systemd-remount-fs.service" in found


def test_a_masked_mount_is_not_waited_for() -> None:
    found = edges("a.service", "[Unit]\nRequiresMountsFor=/b\n[Service]\nExecStart=/a", {"b.mount": "->/dev/null"})
    assert "After b.mount" not in found


def test_a_private_tmp_wants_the_mount() -> None:
    assert edges("a.service", "[Service]\nExecStart=/a\nPrivateTmp=yes")["Wants tmp.mount"] == Origin.FILE


def test_a_socket_comes_before_its_service() -> None:
    found = edges("a.socket", "[Socket]\nListenStream=/run/a")
    assert found["Triggers a.service"] == found["Before a.service"] == Origin.IMPLICIT
    assert found["Before sockets.target"] == Origin.DEFAULT
    assert found["After -.mount"] == Origin.FILE


def test_a_socket_for_each_connection_triggers_none() -> None:
    assert not any(edge.startswith("Triggers") for edge in edges("a.socket", "[Socket]\nListenStream=1\nAccept=yes"))


def test_a_timer_on_dates_waits_for_the_clock() -> None:
    assert "After time-sync.target" in edges("a.timer", "[Timer]\nOnCalendar=daily")
    assert "After time-sync.target" not in edges("a.timer", "[Timer]\nOnBootSec=1")


def test_a_named_unit_is_triggered_by_the_file() -> None:
    assert edges("a.path", "[Path]\nPathExists=/a\nUnit=b.target")["Triggers b.target"] == Origin.FILE


def test_a_nested_slice_needs_its_parent() -> None:
    unit = load("a-b.slice", Files({}), FACTS, WEAK)
    assert unit.deps[Dep.IN_SLICE] == {"a.slice": Origin.IMPLICIT}
    assert load("-.slice", Files({}), FACTS, WEAK).deps == {}


def test_a_mount_goes_between_the_file_system_targets() -> None:
    found = edges("srv.mount", "[Mount]\nWhat=/dev/x\nWhere=/srv")
    for edge in (
        "Requires dev-x.device",
        "Before local-fs.target",
        "After local-fs-pre.target",
        "Conflicts umount.target",
    ):
        assert found[edge] == Origin.MOUNT_FILE


def test_a_network_mount_waits_for_the_network() -> None:
    found = edges("srv.mount", "[Mount]\nWhat=h:/x\nWhere=/srv\nType=nfs")
    assert {"Wants network-online.target", "Before remote-fs.target"} <= set(found)


def test_the_shutdown_target_does_not_conflict_with_itself() -> None:
    assert edges("shutdown.target", "[Unit]\nDescription=x") == {}
