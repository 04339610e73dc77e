"""Conditions on paths (stat(2), glob(3), proc(5) mountinfo). Symbolic links are followed but in PathIsSymbolicLink."""

import ctypes
import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from unitd.host import mountinfo
from unitd.host.virtualization import text

_GLOB_NOSORT, _GLOB_BRACE = 1 << 2, 1 << 10
_MAX_LAYERS = 10
"""How deep block devices are stacked at most before we give up, as systemd does."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Glob(ctypes.Structure):
    """glob_t of glob(3)."""

    _fields_ = (
        ("pathc", ctypes.c_size_t),
        ("pathv", ctypes.POINTER(ctypes.c_char_p)),
        ("offs", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("functions", ctypes.c_void_p * 5),
    )


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def glob_exists(pattern: str) -> bool:
    """Whether anything matches, with the rules of glob(3) and its braces."""
    if "\0" in pattern:
        return False
    found = _Glob()
    result = _libc.glob(os.fsencode(pattern), _GLOB_NOSORT | _GLOB_BRACE, None, ctypes.byref(found))
    _libc.globfree(ctypes.byref(found))
    return bool(result == 0)


def is_mount_point(path: str) -> bool:
    """Whether something is mounted there, bind mounts included."""
    if not os.path.exists(path):
        return False
    wanted = os.path.realpath(path)
    return wanted == "/" or any(mount.point == wanted for mount in mountinfo.mounted())


def is_read_write(path: str) -> bool:
    """Whether the path exists on a file system that is not mounted read-only."""
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
    except OSError:
        return False
    return _libc.access(os.fsencode(path), os.W_OK) == 0 or ctypes.get_errno() != errno.EROFS


def is_encrypted(path: str) -> bool:
    """Whether the file system lies on a dm-crypt device, or on devices that all do."""
    try:
        device = os.stat(path).st_dev
    except OSError:
        return False
    layer = [f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"]
    for _ in range(_MAX_LAYERS):
        below: list[str] = []
        for node in layer:
            if text(f"{node}/dm/uuid").startswith("CRYPT-"):
                continue
            if not os.path.isdir(f"{node}/slaves") and os.path.exists(f"{node}/partition"):
                node = os.path.dirname(os.path.realpath(node))
            slaves = sorted(os.listdir(f"{node}/slaves")) if os.path.isdir(f"{node}/slaves") else []
            if not slaves:
                return False
            below.extend(f"{node}/slaves/{slave}" for slave in slaves)
        if not below:
            return True
        layer = below
    return False


def directory_not_empty(path: str) -> bool:
    """Whether the directory holds anything; one that cannot be read counts as not empty."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def file_not_empty(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def file_is_executable(path: str) -> bool:
    mode = _mode(path)
    return stat.S_ISREG(mode) and bool(mode & 0o111)


TESTS: Final[dict[str, Callable[[str], bool | None]]] = {
    "PathExists": os.path.exists,
    "PathExistsGlob": glob_exists,
    "PathIsDirectory": lambda path: stat.S_ISDIR(_mode(path)),
    "PathIsSymbolicLink": lambda path: os.path.islink(path.rstrip("/")),
    "PathIsMountPoint": is_mount_point,
    "PathIsReadWrite": is_read_write,
    "PathIsEncrypted": is_encrypted,
    "DirectoryNotEmpty": directory_not_empty,
    "FileNotEmpty": file_not_empty,
    "FileIsExecutable": file_is_executable,
}
