"""What this machine, system and user are, for specifiers and conditions; and what the daemon is to the machine.

Sources: machine-id(5), hostname(5), os-release(5), machine-info(5), file-hierarchy(7), the XDG base directories.
"""

import os
import shlex
from enum import StrEnum
from typing import Final

from unitd.host import accounts, virtualization
from unitd.host.clock import boot_id
from unitd.host.virtualization import text
from unitd.syntax.specifiers import HostFacts

_ARCHITECTURES: Final = {
    "x86_64": "x86-64",
    "i386": "x86",
    "i486": "x86",
    "i586": "x86",
    "i686": "x86",
    "aarch64": "arm64",
    "aarch64_be": "arm64-be",
    "armv4l": "arm",
    "armv5l": "arm",
    "armv5tel": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "loongarch64": "loongarch64",
    "mips64": "mips64",
    "ppc": "ppc",
    "ppcle": "ppc-le",
    "ppc64le": "ppc64-le",
    "s390x": "s390x",
    "riscv32": "riscv32",
    "riscv64": "riscv64",
}


class Place(StrEnum):
    """What the daemon is to the machine it runs on."""

    MACHINE = "machine"
    """PID 1 of a machine, real or virtual: the kernel's own init."""
    CONTAINER = "container"
    """PID 1 of a pid namespace."""
    BESIDE = "beside"
    """A process like any other."""


def place() -> Place:
    """Where the daemon runs. A pid namespace other than the machine's has another inode number than the kernel's."""
    if os.getpid() != 1:
        return Place.BESIDE
    try:
        first_namespace = os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
    except OSError:
        first_namespace = True
    return Place.MACHINE if first_namespace and not virtualization.container() else Place.CONTAINER


def host_facts(user_mode: bool) -> HostFacts:
    """The facts as of now, for a daemon of the system or of its user."""
    release = os_release()
    me = _account()
    places = _user_places(me.home) if user_mode else {}
    return HostFacts(
        machine_id=machine_id(),
        boot_id=boot_id(),
        hostname=os.uname().nodename,
        pretty_hostname=_assignments("/etc/machine-info").get("PRETTY_HOSTNAME", ""),
        kernel=os.uname().release,
        architecture=architecture(),
        os_id=release.get("ID", ""),
        os_version_id=release.get("VERSION_ID", ""),
        os_build_id=release.get("BUILD_ID", ""),
        os_variant_id=release.get("VARIANT_ID", ""),
        os_image_id=release.get("IMAGE_ID", ""),
        os_image_version=release.get("IMAGE_VERSION", ""),
        user=me.name,
        uid=me.uid,
        group=_group_name(me.gid),
        gid=me.gid,
        home=me.home,
        shell=me.shell,
        tmp_dir=_temporary("/tmp"),
        var_tmp_dir=_temporary("/var/tmp"),
        **places,
    )


def architecture() -> str:
    """The machine's architecture in systemd's words (ConditionArchitecture=)."""
    name = os.uname().machine
    return _ARCHITECTURES.get(name, name)


def machine_id() -> str:
    """32 hex digits, or "" when there is none (yet)."""
    found = text("/etc/machine-id").strip()
    return found if len(found) == 32 and not set(found) - set("0123456789abcdef") else ""


def os_release() -> dict[str, str]:
    """The fields of /etc/os-release, or of /usr/lib/os-release where that is missing."""
    return _assignments("/etc/os-release") or _assignments("/usr/lib/os-release")


def kernel_words() -> list[str]:
    """The kernel's command line in words, quotes removed; in a container that of its init."""
    if virtualization.container():
        return [word for word in text("/proc/1/cmdline").split("\0") if word]
    return _words(text("/proc/cmdline"))


def _account() -> accounts.User:
    uid = os.getuid()
    try:
        found = accounts.user(str(uid))
    except KeyError:
        found = accounts.User("", uid, os.getgid(), "/", "/bin/sh")
    if uid == 0:
        return accounts.User("root", 0, 0, "/root", "/bin/sh")
    home, shell = os.environ.get("HOME", found.home), os.environ.get("SHELL", found.shell)
    return accounts.User(found.name or os.environ.get("USER", str(uid)), uid, os.getgid(), home, shell)


def _group_name(gid: int) -> str:
    return "root" if gid == 0 else accounts.group_name(gid) or str(gid)


def _user_places(home: str) -> dict[str, str]:
    """The directories of a user's daemon (systemd.unit(5), the table of specifiers)."""
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return {
        "runtime_dir": os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}",
        "state_dir": config,
        "cache_dir": os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache",
        "logs_dir": f"{config}/log",
        "config_dir": config,
    }


def _temporary(otherwise: str) -> str:
    for name in ("TMPDIR", "TEMP", "TMP"):
        folder = os.environ.get(name, "")
        if folder.startswith("/") and os.path.isdir(folder):
            return folder
    return otherwise


def _assignments(path: str) -> dict[str, str]:
    """NAME=VALUE lines with the quoting of a shell."""
    found = {}
    for line in text(path).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            words = _words(value)
            found[name] = words[0] if words else ""
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
