"""The first process of a lab: makes the world private, then is the daemon (PID 1) or starts it beside itself.

Rests on mount(2), pivot_root(2) and overlayfs: what is written goes to a tmpfs and is gone with the namespaces; the
machine's /run, /dev, /sys and network are not to be seen. Run as `python -I inside.py JSON`, within new mount, pid,
network, IPC, UTS and cgroup namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from typing import Any

NOSUID, NODEV, NOEXEC, READ_ONLY, REMOUNT, BIND, REC, PRIVATE = 2, 4, 8, 1, 32, 4096, 16384, 1 << 18
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}

libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2); OSError."""
    words = [text.encode() for text in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def overlay(lower: str, target: str, over: str) -> None:
    """What is in `lower`, at `target`; changes go to `over`."""
    for folder in (target, f"{over}/upper", f"{over}/work"):
        os.makedirs(folder, exist_ok=True)
    mount("lab", target, "overlay", 0, f"lowerdir={lower},upperdir={over}/upper,workdir={over}/work")


def enter(scratch: str, kept: list[str], cgroups: str) -> None:
    """Make an overlay of / on a tmpfs at `scratch` the root, with everything volatile of its own."""
    mount("none", "/", "", REC | PRIVATE)
    mount("lab", scratch, "tmpfs", 0, "mode=0755")
    root = f"{scratch}/root"
    overlay("/", root, f"{scratch}/over")
    device = os.stat("/").st_dev
    for name, mode in (("run", "0755"), ("tmp", "1777"), ("var/tmp", "1777"), ("dev", "0755"), ("mnt", "0755")):
        mount("lab", f"{root}/{name}", "tmpfs", NOSUID, f"mode={mode}")
    for number, path in enumerate(kept):
        if os.stat(path).st_dev != device or not os.path.exists(root + path):
            overlay(path, root + path, f"{scratch}/over{number}")
    _devices(f"{root}/dev")
    mount("proc", f"{root}/proc", "proc", NOSUID | NODEV | NOEXEC)
    mount("sysfs", f"{root}/sys", "sysfs", READ_ONLY | NOSUID | NODEV | NOEXEC)
    mount(f"{root}/proc/sys", f"{root}/proc/sys", "", BIND)
    mount("none", f"{root}/proc/sys", "", REMOUNT | BIND | READ_ONLY)
    if cgroups != "none":
        flags = READ_ONLY if cgroups == "read-only" else 0
        mount("cgroup2", f"{root}/sys/fs/cgroup", "cgroup2", flags | NOSUID | NODEV | NOEXEC)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/mnt"], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def _devices(folder: str) -> None:
    os.umask(0)
    for name, minor in DEVICES.items():
        os.mknod(f"{folder}/{name}", 0o020666, os.makedev(1, minor))
    os.mknod(f"{folder}/tty", 0o020666, os.makedev(5, 0))
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{folder}/{name}")
    mount("devpts", f"{folder}/pts", "devpts", NOSUID | NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount("lab", f"{folder}/shm", "tmpfs", NOSUID | NODEV, "mode=1777")
    os.symlink("pts/ptmx", f"{folder}/ptmx")
    os.symlink("/proc/self/fd", f"{folder}/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{folder}/{name}")
    os.umask(0o022)


def open_up(paths: list[str]) -> None:
    """Let everybody reach these paths; all that is changed are overlays."""
    folders = {path[:end] for path in paths for end, letter in enumerate(path) if letter == "/" and end} | set(paths)
    for folder in sorted(folders):
        os.chmod(folder, os.stat(folder).st_mode & 0o7777 | 0o055)


def start(argv: list[str], environment: dict[str, str], uid: int) -> None:
    """Become the daemon, as `uid`."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.execve(argv[0], argv, environment)


def keep(argv: list[str], environment: dict[str, str], uid: int, status: str) -> None:
    """Start the daemon beside us, and the next one on SIGUSR1; reap whoever comes; `status`: how the daemon ended."""
    daemon = 0

    def begin(*_: object) -> None:
        nonlocal daemon
        daemon = os.fork()
        if daemon == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
            os.setsid()
            start(argv, environment, uid)

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, begin)
    begin()
    while True:
        try:
            pid, raw = os.wait()
        except ChildProcessError:
            signal.pause()
            continue
        if pid == daemon:
            with open(f"{status}.new", "w", encoding="ascii") as file:
                file.write(str(os.waitstatus_to_exitcode(raw)))
            os.rename(f"{status}.new", status)


def main(order: dict[str, Any]) -> None:
    enter(order["scratch"], order["kept"], order["cgroups"])
    if order["uid"]:
        open_up(order["kept"])
    for folder, mode in order["folders"].items():
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, mode)
    for path, text in order["files"].items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    if order["role"] == "init":
        start(order["argv"], order["environment"], order["uid"])
    keep(order["argv"], order["environment"], order["uid"], order["status"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
