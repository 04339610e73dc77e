"""An address that is in use: by whom, and the socket itself when the unit's own service has it.

A service keeps copies of its sockets, so a daemon that follows one that was killed, keeper and all, can have the open
file back: pidfd_getfd(2), Linux 5.6, for who may trace the process (ptrace(2)). Holders are found by the inode that
/proc/net and /proc/PID/fd name (proc_pid_net(5)).
"""

import contextlib
import ctypes
import os
import socket
from collections.abc import Callable, Iterable, Iterator

from unitd.host import processes

_PIDFD_GETFD = 438
"""Of every architecture: system calls since Linux 5.0 have one number."""
_MOST = 1 << 20
_MOST_NAMED = 3


def from_processes(pids: Iterable[int], is_wanted: Callable[[socket.socket], bool]) -> int | None:
    """A copy of the first socket of these processes that is the wanted one; None when there is none to be had."""
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    for pid in pids:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                for number, _ in _sockets(pid):
                    copy: int = syscall(_PIDFD_GETFD, pidfd, number, 0)
                    if copy < 0:
                        continue
                    made = socket.socket(fileno=copy)
                    with contextlib.suppress(OSError):
                        if is_wanted(made):
                            return made.detach()
                    made.close()
            finally:
                os.close(pidfd)
    return None


def holders(port: int, path: str) -> str:
    """Who listens on the port, or on the unix path when there is one: "PID (command)", ""  when nobody is found."""
    inodes = set(_unix(path) if path else _internet(port))
    if not inodes:
        return ""
    found = []
    for pid in processes.all_pids():
        if any(inode in inodes for _, inode in _sockets(pid)):
            found.append(processes.described(pid, ""))
            if len(found) == _MOST_NAMED:
                break
    return ", ".join(found)


def _sockets(pid: int) -> Iterator[tuple[int, int]]:
    """The process's sockets: descriptor and inode."""
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    yield int(name), int(target[8:-1])


def _internet(port: int) -> Iterator[int]:
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for row in _rows(kind):
            # A connection has a port at its other end too.
            if len(row) > 9 and row[1].endswith(f":{port:04X}") and row[2].endswith(":0000"):
                yield int(row[9])


def _unix(path: str) -> Iterator[int]:
    return (int(row[6]) for row in _rows("unix") if len(row) > 7 and row[7] == path)


def _rows(kind: str) -> Iterator[list[str]]:
    for line in processes.read_file(f"/proc/self/net/{kind}", _MOST).decode(errors="replace").splitlines()[1:]:
        yield line.split(None, 7 if kind == "unix" else -1)
