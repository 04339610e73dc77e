"""The end of a machine: tried as PID 1 of a pid namespace, where reboot(2) ends the namespace alone."""

import ctypes
import os
import signal

import pytest

from unitd.host import power
from unitd.model.events import Leaving

CLONE_NEWPID = 0x20000000
REFUSED = 77


def end_of_namespace(leaving: Leaving) -> int:
    """The wait status of a namespace's PID 1 that leaves so."""
    outer = os.fork()
    if outer == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWPID) != 0:
            os._exit(REFUSED)
        inner = os.fork()
        if inner == 0:
            # Only a namespace's PID 1 may go on: elsewhere this would end the machine.
            if os.getpid() == 1:
                power.reboot(leaving)
            os._exit(1)
        status = os.waitpid(inner, 0)[1]
        os._exit(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(outer, 0)[1])


@pytest.mark.parametrize(
    ("leaving", "expected"),
    [
        (Leaving.POWEROFF, signal.SIGINT),
        (Leaving.HALT, signal.SIGINT),
        (Leaving.REBOOT, signal.SIGHUP),
    ],
)
def test_the_kernel_gets_the_command(leaving: Leaving, expected: signal.Signals) -> None:
    if os.getpid() == 1:
        pytest.skip("is PID 1 itself")
    status = end_of_namespace(leaving)
    if status == REFUSED:
        pytest.skip("cannot make a pid namespace here")
    assert status == expected


def test_nobody_but_pid_1_ends_a_machine() -> None:
    if os.getpid() == 1:
        pytest.skip("is PID 1 itself")
    with pytest.raises(PermissionError):
        power.reboot(Leaving.POWEROFF)


def test_leaving_by_exit_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "settle_disks", lambda: pytest.fail("unmounts"))
    monkeypatch.setattr(power, "reboot", lambda leaving: pytest.fail("reboots"))
    power.leave(Leaving.EXIT)


def test_disks_are_settled_first_and_kexec_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def reboot(leaving: Leaving) -> None:
        steps.append(leaving)
        if leaving is Leaving.KEXEC:
            raise OSError(22, "no kernel is loaded")

    monkeypatch.setattr(power, "settle_disks", lambda: steps.append("disks"))
    monkeypatch.setattr(power, "reboot", reboot)
    power.leave(Leaving.KEXEC)
    assert steps == ["disks", "kexec", "reboot"]


class Kernel:
    """Mounts, of which one can only go when what lies on it has gone, and one never can."""

    def __init__(self) -> None:
        self.mounts = ["/", "/busy", "/home", "/home/a"]
        self.calls: list[tuple[str, str]] = []

    def mountinfo(self, path: str) -> str:
        return "".join(f"1 1 8:1 / {place} rw - ext4 /dev/sda rw\n" for place in self.mounts)

    def umount2(self, place: bytes, flags: int) -> int:
        name = place.decode()
        if name == "/busy" or any(other.startswith(f"{name}/") for other in self.mounts):
            return -1
        self.mounts.remove(name)
        self.calls.append(("unmount", name))
        return 0

    def mount(self, what: None, place: bytes, kind: None, flags: ctypes.c_ulong, options: None) -> int:
        assert flags.value == 0x21
        self.calls.append(("read-only", place.decode()))
        return 0


def test_what_cannot_be_unmounted_becomes_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    kernel.mounts.append("/home")
    monkeypatch.setattr(power, "_libc", kernel)
    monkeypatch.setattr(power, "text", kernel.mountinfo)
    monkeypatch.setattr(os, "sync", lambda: kernel.calls.append(("sync", "")))
    power.settle_disks()
    assert kernel.calls[0] == kernel.calls[-1] == ("sync", "")
    assert sorted(kernel.calls[1:4]) == [("unmount", "/home"), ("unmount", "/home"), ("unmount", "/home/a")]
    assert kernel.calls[4:-1] == [("read-only", "/busy"), ("read-only", "/")]


def test_what_keeps_something_is_unmounted_last_mounted_first() -> None:
    table = (
        "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "22 21 0:5 / /proc rw - proc proc rw\n"
        "23 21 0:6 / /run rw shared:5 - tmpfs tmpfs rw\n"
        "24 21 8:2 / /home rw,relatime shared:7 master:2 - xfs /dev/sda2 rw\n"
        "25 24 8:3 / /home/a\\040b rw - btrfs /dev/sda3 rw\n"
        "nonsense\n"
    )
    assert power.unmount_order(table) == ["/home/a b", "/home", "/"]
