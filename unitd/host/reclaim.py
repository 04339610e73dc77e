"""An address that is in use: by whom, and the socket itself when the unit's own service has it.

A service keeps copies of its sockets, so a daemon that follows one that was killed, keeper and all, can have the open
file back: pidfd_getfd(2), Linux 5.6, for who may trace the process (ptrace(2)). Holders are found by the inode that
/proc/net and /proc/PID/fd name (proc_pid_net(5)).
"""

import contextlib
import ctypes
import os
import socket
from collections.abc import Callable, Iterable

from unitd.host import net_table, processes
from unitd.host.holders import listeners

_PIDFD_GETFD = 438
"""Of every architecture: system calls since Linux 5.0 have one number."""
_MOST_NAMED = 3


def from_processes(pids: Iterable[int], is_wanted: Callable[[socket.socket], bool]) -> int | None:
    """A copy of the first socket of these processes that is the wanted one; None when there is none to be had."""
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    for pid in pids:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                for number, _ in processes.sockets(pid):
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
    if path:
        inodes = {row.inode for row in net_table.unix() if row.path == path}
    else:
        inodes = {each.inode for each in listeners() if each.port.number == port}
    if not inodes:
        return ""
    found = []
    for pid in processes.all_pids():
        if any(inode in inodes for _, inode in processes.sockets(pid)):
            found.append(processes.described(pid))
            if len(found) == _MOST_NAMED:
                break
    return ", ".join(found)
