"""What is hard to end, and what holds it: python -I -S hard.py NAME WORD...

Everything has an end of its own: nothing lives longer than LIFE_S, nor forks more often than it is told to. What is in
uninterruptible sleep lives exactly as long as the file server that it waits for.
"""

import ctypes
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

LIFE_S = 120
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_VM, CLONE_VFORK, CLONE_NEWNS = 0x100, 0x4000, 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PTRACE_TRACEME, PTRACE_SEIZE = 0, 0x4206
SYS_EXIT = {"x86_64": 60}.get(os.uname().machine, 93)


def must(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def deaf() -> None:
    """Nothing that can be ignored is heard."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def rest() -> None:
    """Live on until killed, or until LIFE_S is over."""
    signal.alarm(LIFE_S)
    while True:
        signal.pause()


def ready() -> None:
    """sd_notify(3)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])


# --- uninterruptible sleep -----------------------------------------------------------------------------------


def never_answer(where: str) -> None:
    """A file system (fuse(4)) in a mount namespace of its own, which takes every request and answers none.

    Who was killed while it waits for an answer that is under way sleeps on, and cannot be interrupted: fs/fuse/dev.c,
    request_wait_answer(). With the end of this process the waiting ends too.
    """
    signal.alarm(LIFE_S)
    must(LIBC.unshare(CLONE_NEWNS))
    must(LIBC.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None))
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    how = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    must(LIBC.mount(b"never", where.encode(), b"fuse", ctypes.c_ulong(0), how))
    size, _, unique = struct.unpack_from("<IIQ", os.read(fd, 1 << 18))
    answer = struct.pack("<IIIIHHI", 7, 31, 0, 0, 0, 0, 4096).ljust(64, b"\0")
    os.write(fd, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)
    print("mounted", flush=True)
    while size:
        size = len(os.read(fd, 1 << 18))


def wait_for_answer(server: str, path: str, children: str = "0") -> None:
    """Ask that file system for a file, in the main process and in so many children; ready when all are about to."""
    signal.alarm(LIFE_S)
    namespace = os.open(f"/proc/{server}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    must(LIBC.setns(namespace, CLONE_NEWNS))
    for _ in range(int(children)):
        if os.fork() == 0:
            os.stat(path)
    ready()
    os.stat(path)


def in_vfork() -> None:
    """A parent that waits for its vfork(2) child, which never execs: in uninterruptible sleep, as far as one sees."""
    deaf()
    signal.alarm(LIFE_S)
    stack = ctypes.create_string_buffer(1 << 16)
    top = (ctypes.addressof(stack) + len(stack)) & ~0xF
    ready()
    LIBC.clone(LIBC.sleep, ctypes.c_void_p(top), CLONE_VM | CLONE_VFORK | signal.SIGCHLD, ctypes.c_void_p(LIFE_S))


# --- those that do not hear ------------------------------------------------------------------------------------


def all_blocked() -> None:
    """Every signal is blocked, in a parent and two children, one in a session of its own."""
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    for number in range(2):
        if os.fork() == 0:
            if number:
                os.setsid()
            time.sleep(LIFE_S)
            return
    ready()
    time.sleep(LIFE_S)


def traced() -> None:
    """A child that is traced by its parent and stopped in it; the parent is deaf and never looks."""
    deaf()
    if os.fork() == 0:
        signal.alarm(LIFE_S)
        LIBC.ptrace(PTRACE_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        rest()
    os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOWAIT)
    ready()
    rest()


def trace(pid: str) -> None:
    """A debugger that takes hold of a process and never looks: neither its stops nor its end get on (ptrace(2))."""
    signal.alarm(LIFE_S)
    must(LIBC.ptrace(PTRACE_SEIZE, int(pid), None, None))
    print("traced", flush=True)
    rest()


def headless() -> None:
    """The first thread has ended, another one lives on: the process looks like a zombie (proc(5)), and is none."""
    deaf()
    signal.alarm(LIFE_S)

    def live() -> None:
        while read("/proc/self/stat").rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.001)
        ready()
        time.sleep(LIFE_S)

    threading.Thread(target=live).start()
    LIBC.syscall(SYS_EXIT, 0)


def stopped(children: str) -> None:
    """So many deaf children, all of them stopped, and then their parent."""
    deaf()
    found = []
    for _ in range(int(children)):
        child = os.fork()
        if child == 0:
            rest()
        found.append(child)
    for child in found:
        os.kill(child, signal.SIGSTOP)
        os.waitid(os.P_PID, child, os.WSTOPPED)
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)
    rest()


def frozen_below() -> None:
    """A deaf child in a cgroup below the unit's own, which is frozen (cgroup-v2.rst, "cgroup.freeze")."""
    point = next(line.split()[4] for line in read("/proc/self/mountinfo").splitlines() if " - cgroup2 " in line)
    own = next(line[3:] for line in read("/proc/self/cgroup").splitlines() if line.startswith("0::"))
    below = f"{point}{own}/below"
    os.mkdir(below)
    if os.fork() == 0:
        deaf()
        with open(f"{below}/cgroup.procs", "w") as file:
            file.write("0")
        rest()
    while not read(f"{below}/cgroup.procs"):
        time.sleep(0.001)
    with open(f"{below}/cgroup.freeze", "w") as file:
        file.write("1")
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    ready()
    rest()


# --- those that are too many ---------------------------------------------------------------------------------------


def bomb(forks: str) -> None:
    """Every process forks as fast as it can, and so do its children; half of them end at once, to make room."""
    deaf()
    end = time.monotonic() + LIFE_S
    counter = mmap.mmap(-1, 8)
    signal.alarm(LIFE_S)
    while time.monotonic() < end:
        count = int.from_bytes(counter[:8], "little")
        if count >= int(forks):
            rest()
        counter[:8] = (count + 1).to_bytes(8, "little")
        try:
            if os.fork() == 0:
                signal.alarm(LIFE_S)
                if count % 2:
                    os._exit(0)
                if count % 3 == 0:
                    os.setsid()
        except BlockingIOError:
            pass
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    break
            except ChildProcessError:
                break


PROGRAMS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        never_answer,
        wait_for_answer,
        in_vfork,
        all_blocked,
        traced,
        trace,
        headless,
        stopped,
        frozen_below,
        bomb,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
