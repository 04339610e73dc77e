"""Conditions against files of the test's own and facts of any machine; the rules of `!`, `|` and order."""

import os
from pathlib import Path

import pytest

from unitd.engine.work import hold
from unitd.host import facts, virtualization
from unitd.host.conditions import TESTS, check, evaluate, states
from unitd.model.effects import CheckConditions, Condition
from unitd.model.events import ConditionsChecked

YES = Condition("PathExists", "/")
NO = Condition("PathExists", "/nonexistent")
BROKEN = Condition("Memory", "much")


def holds(kind: str, parameter: str) -> bool:
    return evaluate(Condition(kind, parameter))


def trigger(condition: Condition) -> Condition:
    return Condition(condition.kind, condition.parameter, condition.negate, True)


@pytest.mark.parametrize(
    ("conditions", "expected", "verdict"),
    [
        ([], (), True),
        ([YES, YES], (1, 1), True),
        ([YES, NO, YES], (1, -1, 0), False),
        ([trigger(NO), trigger(YES)], (-1, 1), True),
        ([trigger(YES), trigger(NO)], (1, -1), True),
        ([trigger(NO), trigger(NO)], (-1, -1), False),
        ([trigger(YES), NO, trigger(YES)], (1, -1, 0), False),
        ([trigger(NO), YES], (-1, 1), False),
    ],
)
def test_states_and_verdict(conditions: list[Condition], expected: tuple[int, ...], verdict: bool) -> None:
    assert states(conditions) == expected
    assert hold(conditions, expected) is verdict


def test_what_cannot_be_tested_is_not_met_negated_or_not() -> None:
    assert not evaluate(BROKEN)
    assert not evaluate(Condition(BROKEN.kind, BROKEN.parameter, negate=True))
    assert not evaluate(Condition("NoSuchKind", "", negate=True))
    assert evaluate(Condition("PathExists", "/nonexistent", negate=True))


def test_the_answer_carries_unit_and_serial() -> None:
    asked = CheckConditions("a.service", 7, (YES,), (NO, YES))
    assert check(asked) == ConditionsChecked("a.service", 7, (1,), (-1, 0))


@pytest.mark.parametrize("parameter", ["", "\0", "x" * 5000, "=", "%", "/", "\ud800", "1", "@", "a(b", ">>"])
def test_no_parameter_makes_a_test_fail_badly(parameter: str) -> None:
    for kind in sorted(TESTS):
        assert evaluate(Condition(kind, parameter)) in (True, False)


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "full").chmod(0o700)
    at = f"{tmp_path}/"
    assert [name for name in ("empty", "folder", "dangling", "none") if holds("PathExists", at + name)] == [
        "empty",
        "folder",
    ]
    assert holds("PathIsDirectory", at + "link")
    assert not holds("PathIsDirectory", at + "full")
    assert holds("PathIsSymbolicLink", at + "dangling")
    assert holds("PathIsSymbolicLink", at + "link/")
    assert not holds("PathIsSymbolicLink", at + "folder")
    assert not holds("FileNotEmpty", at + "empty")
    assert holds("FileNotEmpty", at + "full")
    assert not holds("FileNotEmpty", at + "folder")
    assert holds("FileIsExecutable", at + "full")
    assert not holds("FileIsExecutable", at + "empty")
    assert not holds("FileIsExecutable", at + "folder")
    assert holds("DirectoryNotEmpty", str(tmp_path))
    assert not holds("DirectoryNotEmpty", at + "link")
    assert not holds("DirectoryNotEmpty", at + "full")
    assert holds("PathIsReadWrite", str(tmp_path))
    assert not holds("PathIsReadWrite", at + "none")
    assert not holds("PathIsMountPoint", str(tmp_path))
    assert holds("PathIsMountPoint", "/")
    assert holds("PathIsMountPoint", "/proc/")
    assert not holds("PathIsEncrypted", "/proc")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("f*", True), ("{nope,file}", True), ("[^f]ile", False), ("f\\ile", True), (".hid*", True), ("*den", False)],
)
def test_globs_are_the_c_librarys(tmp_path: Path, pattern: str, expected: bool) -> None:
    (tmp_path / "file").touch()
    (tmp_path / ".hidden").touch()
    assert holds("PathExistsGlob", f"{tmp_path}/{pattern}") is expected


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (">=2.6", True),
        (">= 2.6", True),
        ('">= 2.6"', True),
        (">2.6 <99", True),
        (">2.6 >99", False),
        ("*", True),
        ("nope", False),
        (">2.6 >", False),
    ],
)
def test_kernel_version(parameter: str, expected: bool) -> None:
    assert holds("KernelVersion", parameter) is expected


def test_kernel_version_is_this_kernels() -> None:
    release = os.uname().release
    assert holds("KernelVersion", release)
    assert holds("KernelVersion", f"={release}")
    assert not holds("KernelVersion", f"<{release}")


@pytest.mark.parametrize(
    ("line", "parameter", "expected"),
    [
        ("quiet root=/dev/sda1", "quiet", True),
        ("quiet root=/dev/sda1", "root", True),
        ("quiet root=/dev/sda1", "root=/dev/sda1", True),
        ("quiet root=/dev/sda1", "root=/dev", False),
        ("quietly", "quiet", False),
        ("x='a b' y", "x=a b", True),
    ],
)
def test_kernel_command_line(monkeypatch: pytest.MonkeyPatch, line: str, parameter: str, expected: bool) -> None:
    monkeypatch.setattr(virtualization, "container", lambda: "")
    monkeypatch.setattr(facts, "text", {"/proc/cmdline": line}.__getitem__)
    assert holds("KernelCommandLine", parameter) is expected


def test_os_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "os_release", lambda: {"ID": "debian", "VERSION_ID": "12"})
    assert holds("OSRelease", "ID=debian VERSION_ID>=11")
    assert not holds("OSRelease", "ID=debian VERSION_ID>12")
    assert holds("OSRelease", "ID$=deb*")
    assert holds("OSRelease", "NONE<1")
    assert not holds("OSRelease", "ID")
    assert not holds("OSRelease", "VERSION_ID>= 12")


def test_numbers() -> None:
    cpus = len(os.sched_getaffinity(0))
    assert holds("CPUs", str(cpus))
    assert holds("CPUs", f"= {cpus}")
    assert not holds("CPUs", f">{cpus}")
    assert holds("Memory", "1M")
    assert not holds("Memory", "<1M")


def test_accounts_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITD_TEST", "on")
    assert holds("User", str(os.getuid()))
    assert not holds("User", str(os.getuid() + 1))
    assert holds("Group", str(os.getgid()))
    assert not holds("Group", "no-such-group")
    assert not holds("User", "no-such-user")
    assert holds("Environment", "UNITD_TEST")
    assert holds("Environment", "UNITD_TEST=on")
    assert not holds("Environment", "UNITD_TEST=off")
    assert not holds("Environment", "UNITD_NOT_SET")


@pytest.mark.parametrize(
    ("container", "machine", "parameter", "expected"),
    [
        ("", "", "yes", False),
        ("", "", "no", True),
        ("", "kvm", "vm", True),
        ("", "kvm", "kvm", True),
        ("", "kvm", "container", False),
        ("lxc", "kvm", "vm", False),
        ("lxc", "kvm", "kvm", False),
        ("lxc", "kvm", "lxc", True),
        ("lxc", "", "container", True),
        ("lxc", "", "true", True),
    ],
)
def test_virtualization(
    monkeypatch: pytest.MonkeyPatch, container: str, machine: str, parameter: str, expected: bool
) -> None:
    monkeypatch.setattr(virtualization, "container", lambda: container)
    monkeypatch.setattr(virtualization, "machine", lambda: machine)
    assert holds("Virtualization", parameter) is expected


def test_needs_update_goes_by_times(tmp_path: Path) -> None:
    mark = tmp_path / ".updated"
    assert holds("NeedsUpdate", str(tmp_path))
    usr = os.lstat("/usr").st_mtime_ns
    mark.touch()
    os.utime(mark, ns=(usr + 10**9, usr + 10**9))
    assert not holds("NeedsUpdate", str(tmp_path))
    os.utime(mark, ns=(usr - 10**9, usr - 10**9))
    assert holds("NeedsUpdate", str(tmp_path))
    mark.write_text(f"# a comment\nTIMESTAMP_NSEC={usr}\n")
    whole = usr // 10**9 * 10**9
    os.utime(mark, ns=(whole, whole))
    assert not holds("NeedsUpdate", str(tmp_path))


def test_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert holds("Credential", "token")
    assert not holds("Credential", "other")
    assert not holds("Credential", "../" + tmp_path.name + "/token")


def test_pressure_is_at_most_the_limit() -> None:
    if not Path("/proc/pressure/memory").exists():
        pytest.skip("the kernel has no pressure information here")
    assert holds("MemoryPressure", "100%/10sec")
    assert not holds("MemoryPressure", "20%/7min")
    assert not holds("MemoryPressure", "200%")
    assert holds("CPUPressure", "no-such.slice:1%")


def test_capabilities() -> None:
    bounding = next(
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapBnd")
    )
    assert holds("Capability", "CAP_CHOWN") is bool(bounding & 1)
    assert holds("Capability", "cap_sys_admin") is bool(bounding >> 21 & 1)
    assert not holds("Capability", "CAP_NONSENSE")


def test_the_host_by_name_or_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "machine_id", lambda: "0123456789abcdef0123456789abcdef")
    assert holds("Host", os.uname().nodename.upper())
    assert holds("Host", "01234567-89AB-cdef-0123-456789abcdef")
    assert not holds("Host", "f" * 32)
    assert holds("Architecture", "native")
    assert not holds("Architecture", "x87")
