"""Facts of the machine: files made up in place of the system's, and what holds anywhere."""

import os
import re
import time

import pytest

from unitd.host import accounts, facts, virtualization
from unitd.host.clock import Clock, boot_id
from unitd.host.facts import Place
from unitd.syntax.specifiers import unit_table


def test_the_clock_goes_by_microseconds() -> None:
    clock = Clock()
    before = time.monotonic_ns() // 1000
    now = clock.monotonic()
    assert before <= now <= time.monotonic_ns() // 1000
    assert abs(clock.realtime() - time.time_ns() // 1000) < 10_000_000
    assert abs(clock.offset() + clock.monotonic() - clock.realtime()) < 10_000_000


def test_the_boot_id_is_an_id() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", boot_id())
    assert boot_id() == boot_id()


def test_a_test_is_a_process_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getpid() != 1:
        assert facts.place() is Place.BESIDE
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(virtualization, "container", lambda: "docker")
    assert facts.place() is Place.CONTAINER


def test_the_facts_fill_every_specifier() -> None:
    found = facts.host_facts(user_mode=False)
    assert found.kernel == os.uname().release
    assert found.uid == os.getuid()
    assert found.runtime_dir == "/run"
    table = unit_table("a@b.service", found, "/etc/unitd/a@.service")
    for letter, meaning in table.items():
        if letter == "m" and not found.machine_id:
            continue
        assert isinstance(meaning if isinstance(meaning, str) else meaning(), str)


def test_a_user_has_places_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/u/conf")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    found = facts.host_facts(user_mode=True)
    assert (found.runtime_dir, found.config_dir) == ("/run/user/7", "/home/u/conf")
    assert (found.state_dir, found.logs_dir) == ("/home/u/conf", "/home/u/conf/log")
    assert found.cache_dir == f"{found.home}/.cache"


def files(monkeypatch: pytest.MonkeyPatch, contents: dict[str, str]) -> None:
    """Put these in place of the system's files; others cannot be read."""
    monkeypatch.setattr(facts, "text", lambda path: contents.get(path, ""))
    monkeypatch.setattr(virtualization, "text", lambda path: contents.get(path, ""))


@pytest.mark.parametrize("content", ["", "uninitialized\n", "0123456789ABCDEF0123456789abcdef\n", "0" * 31])
def test_a_machine_id_that_is_none(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    files(monkeypatch, {"/etc/machine-id": content})
    assert facts.machine_id() == ""


def test_os_release_is_quoted_as_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '# a comment\nID=debian\nNAME="Debian \\"12\\""\nVERSION_ID=\'12\'\nEMPTY=\nBROKEN="x\n'
    files(monkeypatch, {"/usr/lib/os-release": text})
    release = facts.os_release()
    assert release["NAME"] == 'Debian "12"'
    assert release["VERSION_ID"] == "12"
    assert release["EMPTY"] == ""


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, ""),
        ({"/run/systemd/container": "lxc\n"}, "lxc"),
        ({"/run/host/container-manager": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"/proc/1/environ": "A=b\0container=podman\0"}, "podman"),
        ({"/proc/1/environ": "container=mine\0"}, "container-other"),
        ({"/proc/sys/kernel/osrelease": "5.15-microsoft-standard-WSL2\n"}, "wsl"),
    ],
)
def test_containers(monkeypatch: pytest.MonkeyPatch, contents: dict[str, str], expected: str) -> None:
    files(monkeypatch, contents)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert virtualization.container.__wrapped__() == expected


CLOCKS = "/sys/devices/system/clocksource/clocksource0/available_clocksource"


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, ""),
        ({"/sys/class/dmi/id/sys_vendor": "QEMU\n"}, "qemu"),
        ({"/sys/class/dmi/id/sys_vendor": "QEMU\n", CLOCKS: "kvm-clock tsc\n"}, "kvm"),
        ({"/sys/class/dmi/id/sys_vendor": "Amazon EC2\n", CLOCKS: "kvm-clock tsc\n"}, "amazon"),
        ({"/sys/class/dmi/id/product_name": "VirtualBox\n"}, "oracle"),
        ({"/proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu hypervisor\n"}, "vm-other"),
        ({"/proc/cpuinfo": "vendor_id\t: User Mode Linux\n"}, "uml"),
        ({"/proc/sysinfo": "VM00 Control Program: z/VM 7.1\n"}, "zvm"),
    ],
)
def test_machines(monkeypatch: pytest.MonkeyPatch, contents: dict[str, str], expected: str) -> None:
    files(monkeypatch, contents)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    monkeypatch.setattr(virtualization, "cpu_flags", virtualization.cpu_flags.__wrapped__)
    assert virtualization.machine.__wrapped__() == expected


def test_accounts_come_from_the_local_files() -> None:
    assert accounts.user("root").uid == 0
    assert accounts.user("0").name == "root"
    assert accounts.gid("root") == 0
    assert accounts.group_name(0) == "root"
    assert accounts.user("4000000000").uid == 4_000_000_000
    for name in ("no-such-user", "", "00", "65535", "4294967295", "99999999999"):
        with pytest.raises(KeyError):
            accounts.user(name)
