"""What only PID 1 of a machine does: file systems, name and loopback at the start, a shell when nothing else is left.

Nothing here may fail: what cannot be done is said and done without (file-hierarchy(7), mount(2)).
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import NoReturn

from msgspec import Struct

from unitd.host.virtualization import text

_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_CONSOLE = "/dev/console"
_PAUSE_S = 1.0
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
    """Mount what is not mounted yet, name the machine, bring up its loopback, and have a session of our own."""
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
    for what, act in (("name the machine", _name_machine), ("bring the loopback interface up", _loopback_up)):
        try:
            act()
        except OSError as error:
            warn(f"cannot {what}: {error.strerror}")
    with contextlib.suppress(OSError):
        os.setsid()


def _name_machine() -> None:
    """Give the kernel the name of hostname(5), unless somebody has named the machine already. OSError."""
    if socket.gethostname() not in ("", "(none)"):
        return
    lines = (line.strip() for line in text("/etc/hostname").splitlines())
    socket.sethostname(next((line for line in lines if line and not line.startswith("#")), "localhost"))


def _loopback_up() -> None:
    """What speaks to localhost needs no network service for it (netdevice(7)). OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def linger(warn: Callable[[str], None], restart: Callable[[], None]) -> NoReturn:
    """The last resort of a machine whose manager cannot run: shells on the console, one after the other, for ever.

    Never returns, for the kernel panics when PID 1 ends. `restart` is what Ctrl-Alt-Del does.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGINT, lambda number, frame: _try(restart))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    path = next((path for path in _SHELLS if os.access(path, os.X_OK)), "")
    warn(f"nothing can be started: {path or 'and there is no shell, so nothing but Ctrl-Alt-Del works'}")
    while True:
        shell = _shell(path) if path else 0
        with contextlib.suppress(OSError):
            while os.wait()[0] != shell:
                pass
        # Also where there is no child to wait for: PID 1 must not spin.
        time.sleep(_PAUSE_S)


def _try(act: Callable[[], None]) -> None:
    with contextlib.suppress(OSError):
        act()


def _shell(path: str) -> int:
    """A shell on the console in a session of its own; its pid, 0 when there can be none."""
    try:
        pid = os.fork()
    except OSError:
        return 0
    if pid:
        return pid
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        with contextlib.suppress(OSError):
            console = os.open(_CONSOLE, os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(console, termios.TIOCSCTTY, 1)
            for standard in range(3):
                os.dup2(console, standard)
        os.execv(path, ["sh"])
    finally:
        os._exit(127)
