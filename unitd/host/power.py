"""The end of a machine: file systems written and unmounted, then reboot(2). For PID 1 of a machine only.

In a pid namespace reboot(2) ends the namespace's init by a signal instead (pid_namespaces(7)), so no daemon but a
machine's PID 1 comes here.
"""

import ctypes
import os
from typing import Final

from unitd.host import mountinfo
from unitd.host.virtualization import text
from unitd.model.events import Leaving

_COMMANDS: Final = {
    Leaving.POWEROFF: 0x4321FEDC,
    Leaving.REBOOT: 0x01234567,
    Leaving.HALT: 0xCDEF0123,
    Leaving.KEXEC: 0x45584543,
}
_DISABLE_CTRL_ALT_DEL = 0
_READ_ONLY_REMOUNT = 1 | 32
_ROUNDS = 8
"""How often unmounting is tried: what was busy may be free once the mounts above it are gone."""

# fmt: off
_KERNELS_OWN: Final = frozenset(
    {
        "autofs", "bdev", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
        "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs",
        "selinuxfs", "sysfs", "tmpfs", "tracefs",
    }
)
# fmt: on

_libc = ctypes.CDLL(None, use_errno=True)


def leave(leaving: Leaving) -> None:
    """Write and unmount all file systems, then end the machine so; returns for EXIT only. OSError."""
    if leaving is Leaving.EXIT:
        return
    settle_disks()
    try:
        reboot(leaving)
    except OSError:
        if leaving is not Leaving.KEXEC:
            raise
        reboot(Leaving.REBOOT)


def reboot(leaving: Leaving) -> None:
    """End the machine, or the pid namespace, at once. OSError; PermissionError unless we are PID 1."""
    if os.getpid() != 1:
        raise PermissionError(1, "cannot end a machine whose PID 1 is another")
    _reboot(_COMMANDS[leaving])


def take_ctrl_alt_del() -> None:
    """Have the kernel send SIGINT to PID 1 for Ctrl-Alt-Del, where it would reboot at once. OSError."""
    _reboot(_DISABLE_CTRL_ALT_DEL)


def settle_disks() -> None:
    """Write what is in memory; unmount all file systems that keep anything, or make them read-only."""
    os.sync()
    for _ in range(_ROUNDS):
        places = unmount_order(text("/proc/self/mountinfo"))
        if not sum(_libc.umount2(os.fsencode(place), 0) == 0 for place in places if place != "/"):
            break
    for place in unmount_order(text("/proc/self/mountinfo")):
        _libc.mount(None, os.fsencode(place), None, ctypes.c_ulong(_READ_ONLY_REMOUNT), None)
    os.sync()


def unmount_order(table: str) -> list[str]:
    """The mount points of file systems that keep anything, last mounted first (proc_pid_mountinfo(5))."""
    return [mount.point for mount in mountinfo.parse(table) if mount.kind not in _KERNELS_OWN][::-1]


def _reboot(command: int) -> None:
    if _libc.reboot(ctypes.c_int(ctypes.c_int32(command & 0xFFFFFFFF).value)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
