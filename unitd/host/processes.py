"""Processes as /proc shows them (proc(5)). One that is gone, or may not be looked at, is None or left out."""

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct

from unitd.host import reserve
from unitd.model.states import in_state

INVOCATION = b"INVOCATION_ID="
_CHUNK = 65536
_EXITING = 0x4
_KERNEL_THREAD = 0x00200000
_UNSEEN = (errno.EACCES, errno.EPERM)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
TICK_US = 1_000_000 // _TICKS_PER_S
"""Microseconds in the unit of start times."""
_THREADS_LOOKED_AT = 16
_COMMAND = 200
"""As much of a command line is shown."""


class Process(Struct, frozen=True):
    """One process at one moment. `birth`: start time in clock ticks since boot; pid and birth name it for good."""

    pid: int
    parent: int
    birth: int
    command: str
    state: str
    session: int
    threads: int
    flags: int

    @property
    def is_alive(self) -> bool:
        """False for a zombie, except one whose other threads still run."""
        return self.state not in "ZX" or (self.state == "Z" and self.threads > 1)

    @property
    def is_ending(self) -> bool:
        """It runs no program any more: the kernel takes it apart (PF_EXITING, linux/sched.h)."""
        return bool(self.flags & _EXITING)

    @property
    def is_kernel(self) -> bool:
        """It runs no program, and never did (PF_KTHREAD)."""
        return bool(self.flags & _KERNEL_THREAD)


def read(pid: int) -> Process | None:
    """The process with this pid; None when there is none."""
    try:
        return _parsed(pid, _stat(pid))
    except OSError:
        return None


def inspect(pid: int) -> Process | None:
    """As read(), but None only for one that is gone: one that nobody shows us is in state "?".

    OSError when the kernel has nothing left to look with.
    """
    try:
        return _parsed(pid, _stat(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        if error.errno in _UNSEEN:
            return Process(pid, 0, 0, "", "?", 0, 1, 0)
        raise


def _parsed(pid: int, text: bytes) -> Process | None:
    head, _, tail = text.rpartition(b")")
    fields = tail.split()
    if len(fields) < 20:
        return None
    command = head.partition(b"(")[2].decode(errors="replace")
    return Process(
        pid,
        int(fields[1]),
        int(fields[19]),
        command,
        chr(fields[0][0]),
        int(fields[3]),
        int(fields[17]),
        int(fields[6]),
    )


def ticks() -> int:
    """Now, in the unit and on the clock of start times."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * _TICKS_PER_S // 1_000_000_000


def age_us(process: Process) -> int:
    """How long it has lived."""
    return max(0, ticks() - process.birth) * TICK_US


def birth(pid: int) -> int:
    """Its start time in clock ticks since boot; 0 when it is gone."""
    process = read(pid)
    return process.birth if process else 0


def all_pids() -> list[int]:
    """Every pid, in order of number."""
    return sorted(int(name) for name in reserve.sure(os.listdir, "/proc") if name.isdecimal())


def everyone() -> dict[int, Process]:
    """Every process, by pid."""
    return {pid: process for pid in all_pids() if (process := read(pid)) is not None}


def depths(pids: Iterable[int], processes: dict[int, Process]) -> dict[int, int]:
    """How many ancestors of each are in the set, without a gap; 0: its parent is outside."""
    inside = set(pids)
    known: dict[int, int] = {}
    for pid in inside:
        chain = [pid]
        while chain[-1] not in known and (process := processes.get(chain[-1])) and process.parent in inside:
            if process.parent in chain[-64:]:
                break
            chain.append(process.parent)
        depth = known.get(chain[-1], 0)
        known[chain[-1]] = depth
        for below in reversed(chain[:-1]):
            depth += 1
            known[below] = depth
    return known


def cgroup(pid: int) -> str:
    """Its cgroup2 path from the mount's root, without the mark of a removed one; "" when it is gone."""
    for line in read_file(f"/proc/{pid}/cgroup", 65536).split(b"\n"):
        if line.startswith(b"0::"):
            return os.fsdecode(line[3:].removesuffix(b" (deleted)"))
    return ""


def invocation(pid: int) -> str:
    """The INVOCATION_ID that it was started with; "" when it has none, or does not let us see."""
    for variable in environment(pid):
        if variable.startswith(INVOCATION):
            return variable[len(INVOCATION) :].decode(errors="replace")
    return ""


def environment(pid: int) -> list[bytes]:
    """The environment that it was started with, NAME=VALUE; empty for a zombie."""
    return read_file(f"/proc/{pid}/environ", 1 << 22).split(b"\0")


def command_line(pid: int) -> str:
    """Its arguments with blanks between; empty for a zombie or a kernel thread."""
    return read_file(f"/proc/{pid}/cmdline", 4096).replace(b"\0", b" ").decode(errors="replace").strip()


def wait_channel(pid: int) -> str:
    """The kernel function that it sleeps in, without what the compiler added; "" when it runs or is gone."""
    return read_file(f"/proc/{pid}/wchan", 256).decode(errors="replace").partition(".")[0].removeprefix("0")


def arguments(process: Process) -> str:
    """Its arguments, as far as they are worth showing; "" for a zombie, a kernel thread, and one that is locked."""
    return "" if is_locked(process) else command_line(process.pid)[:_COMMAND]


def is_locked(process: Process) -> bool:
    """Whether a thread of it is in uninterruptible sleep, and may hold the lock of the memory until it wakes up.

    Arguments and environment are in that memory, so who reads them would wait.
    """
    return slowest(process).state == "D"


def situation(pid: int) -> str:
    """For people, without ever waiting for it: `COMMAND, S (sleeping) in WCHAN`; "" when it is gone."""
    process = read(pid)
    if process is None:
        return ""
    thread = slowest(process)
    words = arguments(process) or f"({process.command})"
    channel = wait_channel(thread.pid)
    return f"{words}, {in_state(thread.state)}" + (f" in {channel}" if channel else "")


def slowest(process: Process) -> Process:
    """The thread whose end will be the last: one in uninterruptible sleep; else the first, unless it has ended."""
    if process.threads < 2:
        return process
    try:
        threads = sorted(map(int, reserve.sure(os.listdir, f"/proc/{process.pid}/task")))[:_THREADS_LOOKED_AT]
    except OSError:
        return process
    living = [thread for each in threads if (thread := read(each)) is not None and thread.state not in "ZX"]
    return next((thread for thread in living if thread.state == "D"), living[0] if living else process)


def described(pid: int) -> str:
    """For people: `PID (COMMAND) in WCHAN`."""
    process = read(pid)
    command = (arguments(process) or process.command) if process else "gone"
    channel = wait_channel(pid)
    return f"{pid} ({command})" + (f" in {channel}" if channel else "")


def sockets(pid: int, most: int | None = None) -> Iterator[tuple[int, int]]:
    """The sockets among its descriptors, or `most` of these: number and inode; none when it does not let us see."""
    with contextlib.suppress(OSError), reserve.sure(os.scandir, f"/proc/{pid}/fd") as entries:
        for entry in islice(entries, most):
            with contextlib.suppress(OSError):
                kind, _, inode = os.readlink(entry.path).partition(":[")
                if kind == "socket":
                    yield int(entry.name), int(inode.rstrip("]"))


def send(pid: int, born: int, number: int) -> None:
    """Signal the process that has this start time, and no other; one that is gone or not ours to signal is left."""
    with contextlib.suppress(OSError):
        pidfd = reserve.sure(os.pidfd_open, pid)
        try:
            if birth(pid) == born:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)


def refusal(process: Process) -> str:
    """Why we may not signal it; "" when we may, or when it is gone."""
    try:
        pidfd = reserve.sure(os.pidfd_open, process.pid)
        try:
            signal.pidfd_send_signal(pidfd, 0)
        finally:
            os.close(pidfd)
    except ProcessLookupError:
        return ""
    except OSError as error:
        return f"it cannot be signalled: {error.strerror}"
    return ""


def read_file(path: str, most: int = 1 << 20) -> bytes:
    """A file of /proc or /sys as far as `most` bytes; b"" when it cannot be read."""
    try:
        fd = reserve.sure(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        pieces = []
        while most > 0 and (piece := os.read(fd, min(most, _CHUNK))):
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _stat(pid: int) -> bytes:
    """One read gives all of it: it is short, and looked at often. OSError."""
    fd = reserve.sure(os.open, f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)
