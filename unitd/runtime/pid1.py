"""What only PID 1 of a machine does: the kernel's file systems at the start, a shell when nothing else is left.

Nothing here may fail: what cannot be mounted is said and done without (file-hierarchy(7), mount(2)).
"""

import ctypes
import os
from collections.abc import Callable

from msgspec import Struct

_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_SHELLS = ("/bin/sh", "/usr/bin/sh", "/bin/busybox")


class Mount(Struct, frozen=True):
    what: str
    where: str
    flags: int
    options: str = ""


MOUNTS = (
    Mount("proc", "/proc", _NOSUID | _NODEV | _NOEXEC),
    Mount("sysfs", "/sys", _NOSUID | _NODEV | _NOEXEC),
    Mount("devtmpfs", "/dev", _NOSUID, "mode=0755"),
    Mount("devpts", "/dev/pts", _NOSUID | _NOEXEC, "mode=0620,gid=5,ptmxmode=0666"),
    Mount("tmpfs", "/dev/shm", _NOSUID | _NODEV, "mode=1777"),
    Mount("tmpfs", "/run", _NOSUID | _NODEV, "mode=0755"),
    Mount("cgroup2", "/sys/fs/cgroup", _NOSUID | _NODEV | _NOEXEC, "nsdelegate,memory_recursiveprot"),
)


def prepare(warn: Callable[[str], None]) -> None:
    """Mount what the kernel has not mounted yet, and have a session of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    for mount in MOUNTS:
        if os.path.ismount(mount.where):
            continue
        try:
            os.makedirs(mount.where, exist_ok=True)
        except OSError as error:
            warn(f"cannot make {mount.where}: {error.strerror}")
            continue
        arguments = (mount.what, mount.where, mount.what)
        encoded = [text.encode() for text in arguments]
        if libc.mount(*encoded, ctypes.c_ulong(mount.flags), mount.options.encode()) != 0:
            warn(f"cannot mount {mount.where}: {os.strerror(ctypes.get_errno())}")
    try:
        os.setsid()
    except OSError:
        return


def shell(warn: Callable[[str], None]) -> None:
    """The last resort of a machine whose manager cannot start: a shell on the console; returns when there is none."""
    for path in _SHELLS:
        if os.access(path, os.X_OK):
            warn(f"nothing can be started: {path} on the console")
            try:
                os.execv(path, ["sh"])
            except OSError as error:
                warn(f"cannot run {path}: {error.strerror}")
