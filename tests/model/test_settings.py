"""The table of directives: whole, consistent, and safe against any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitd.model import settings
from unitd.model.setting import UNSET, Context, Setting, Support
from unitd.model.unit import Unit
from unitd.syntax.specifiers import HostFacts
from unitd.syntax.values import Bad

ALL = sorted({(type, key) for type, table in settings.TABLE.items() for key in table})
PIECES = st.sampled_from(
    (
        *("", " ", "-", "+", "~", "!", "|", ":", ";", "%", "%i", "%%", "=", "/", "/a", "..", "0", "5", "9" * 20),
        *("yes", "infinity", "1s", "64K", "50%", "a.service", "b@.service", "'", '"', "\\", "é", "\udc80", "CAP_KILL"),
    )
)
TEXTS = st.lists(PIECES, max_size=5).map("".join) | st.text(max_size=12)


def context(name: str = "x@y.service") -> Context:
    return Context(name, HostFacts())


def read(type: str, key: tuple[str, str], text: str) -> object:
    return settings.TABLE[type][key].parse(text, context())


@given(text=TEXTS, row=st.sampled_from(ALL))
def test_a_reader_raises_nothing_but_bad(text: str, row: tuple[str, tuple[str, str]]) -> None:
    try:
        value = read(*row, text)
    except Bad:
        return
    setting = settings.TABLE[row[0]][row[1]]
    if setting.merge is not None and value is not UNSET and setting.dep is None:
        setting.merge(setting.default, value)


@pytest.mark.parametrize("type", settings.TYPES)
def test_every_line_is_about_a_setting_with_a_default(type: str) -> None:
    for setting in settings.TABLE[type].values():
        for name in setting.expands or (setting.target,):
            assert setting.dep is not None or name in settings.SETTINGS[type]


def test_every_row_is_documented() -> None:
    rows = {row for table in settings.TABLE.values() for row in table.values()}
    assert all(row.doc.endswith(".") for row in rows)


def protections() -> list[Setting]:
    return [row for row in settings.SETTINGS["service"].values() if row.support is Support.LIE]


def test_what_asks_for_no_protection_is_what_a_unit_has_by_default() -> None:
    """KeyringMode= alone protects without being asked."""
    assert [row.name for row in protections() if row.default not in row.asks_nothing] == ["KeyringMode"]


@pytest.mark.parametrize(
    "name",
    [
        *("PrivateTmp", "ProtectSystem", "ProtectHome", "SystemCallFilter", "RestrictNamespaces", "DynamicUser"),
        *("RootDirectory", "InaccessiblePaths", "DeviceAllow", "IPAddressDeny", "BindReadOnlyPaths", "PrivateNetwork"),
    ],
)
def test_protections_that_are_not_carried_out_are_lies(name: str) -> None:
    assert name in {row.name for row in protections()}


@pytest.mark.parametrize("name", ["User", "CapabilityBoundingSet", "NoNewPrivileges", "LimitNOFILE", "UMask", "Nice"])
def test_identity_and_limits_are_carried_out(name: str) -> None:
    assert settings.SETTINGS["service"][name].support is Support.DONE


def test_value_is_what_the_files_say_or_the_default() -> None:
    unit = Unit("a.service", settings={"KillSignal": 2})
    assert settings.value(unit, "KillSignal") == 2
    assert settings.value(unit, "SendSIGKILL") is True
    with pytest.raises(KeyError):
        settings.value(unit, "OnCalendar")


def test_a_target_has_no_commands() -> None:
    with pytest.raises(KeyError):
        settings.default("target", "ExecStart")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("TimeoutStopSec", "0", 2**64 - 1),
        ("RestartSec", "0", 0),
        ("RuntimeDirectory", "a//b ../c /d private e:f", ("a/b", "e")),
        ("PIDFile", "x.pid", "/run/x.pid"),
        ("PIDFile", "/var/run/x.pid", "/run/x.pid"),
        ("WorkingDirectory", "-~", "-~"),
        ("EnvironmentFile", "-/a", (("/a", True),)),
        ("StandardOutput", "syslog", "journal"),
        ("StandardOutput", "append:/x", "append:/x"),
        ("SuccessExitStatus", "DATAERR 7 SIGKILL nonsense", ((7, 65), (9,))),
        ("ReadWritePaths", "/a -/b +/c -+/d rel", ("/a", "-/b", "+/c", "-+/d")),
        ("CPUQuota", "12.5%", 125_000),
        ("CPUAffinity", "0-2,5 7", (0, 1, 2, 5, 7)),
        ("ProtectSystem", "true", "yes"),
        ("PassEnvironment", "A 1b C", ("A", "C")),
    ],
)
def test_values(key: str, text: str, value: object) -> None:
    assert read("service", ("Service", key), text) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [("User", "65535"), ("User", "a:b"), ("Group", "4294967295"), ("WorkingDirectory", "rel"), ("ExecStart", "a/b")],
)
def test_fatal_values(key: str, text: str) -> None:
    with pytest.raises(Bad) as fault:
        read("service", ("Service", key), text)
    assert type(fault.value).__name__ == "Fatal"


def capabilities(*lines: str) -> object:
    row = settings.TABLE["service"]["Service", "CapabilityBoundingSet"]
    value = row.default
    assert row.merge is not None
    for line in lines:
        value = row.merge(value, row.parse(line, context()))
    return value


def test_capability_lines_add_up() -> None:
    assert capabilities("CAP_KILL", "CAP_CHOWN") == {"cap_kill", "cap_chown"}
    assert capabilities("CAP_KILL CAP_CHOWN", "~CAP_KILL") == {"cap_chown"}


def test_an_empty_bounding_set_is_none_at_all_and_its_inverse_is_all() -> None:
    assert capabilities("") == frozenset()
    assert capabilities("CAP_KILL", "~") is None
