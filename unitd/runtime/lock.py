"""One daemon per runtime directory: a lock that the kernel drops when its holder dies (flock(2))."""

import fcntl
import os


class Taken(Exception):
    """Another daemon holds the lock; `pid` 0: it did not say who it is."""

    def __init__(self, directory: str, pid: int) -> None:
        who = f"pid {pid}" if pid else "another process"
        super().__init__(f"cannot use {directory}: {who} serves it already")


def take(directory: str) -> int:
    """The descriptor that holds the lock of the directory; raises Taken, OSError."""
    path = os.path.join(directory, "lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).decode(errors="replace").strip()
        os.close(fd)
        raise Taken(directory, int(text) if text.isdigit() else 0) from None
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd
