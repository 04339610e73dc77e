"""Conditions on the running system: kernel options, security, accounts, controllers, updates (systemd.unit(5))."""

import os
import socket
from collections.abc import Callable
from typing import Final

from unitd.host import accounts, facts
from unitd.host.cgroups import cgroup2_mount
from unitd.host.path_conditions import is_read_write
from unitd.host.virtualization import text
from unitd.syntax.capabilities import CAPABILITIES
from unitd.syntax.sizes import parse_bool

_SYSTEM_UID_MAX = 999
_NETLINK_AUDIT = 9
_EFI_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_CONTROLLERS: Final = frozenset({"cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids"})


def on_command_line(parameter: str) -> bool:
    """A word of the kernel's command line: `name` matches `name` and `name=...`, `name=value` only itself."""
    words = facts.kernel_words()
    if "=" in parameter:
        return parameter in words
    return any(word == parameter or word.startswith(f"{parameter}=") for word in words)


def has_security(parameter: str) -> bool:
    test = _SECURITY.get(parameter)
    return test is not None and test()


def has_capability(parameter: str) -> bool | None:
    """Whether it is in the daemon's bounding set."""
    name = parameter.lower()
    if name not in CAPABILITIES:
        return None
    for line in text("/proc/self/status").splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> CAPABILITIES.index(name) & 1)
    return None


def needs_update(parameter: str) -> bool | None:
    """Whether /usr is newer than PARAMETER/.updated (systemd-update-done.service(8))."""
    if not parameter.startswith("/"):
        return None
    for word in facts.kernel_words():
        if word.startswith("systemd.condition-needs-update="):
            return parse_bool(word.partition("=")[2])
    try:
        if not is_read_write(parameter):
            return False
        updated = os.lstat(f"{parameter}/.updated").st_mtime_ns
        usr = os.lstat("/usr").st_mtime_ns
    except FileNotFoundError:
        return True
    if updated % 10**9 == 0 and updated // 10**9 == usr // 10**9:
        updated = _recorded(f"{parameter}/.updated", updated)
    return usr > updated


def is_first_boot(parameter: str) -> bool:
    wanted = parse_bool(parameter)
    for word in facts.kernel_words():
        if word.startswith("systemd.condition-first-boot="):
            return wanted == parse_bool(word.partition("=")[2])
    return wanted == os.path.exists("/run/systemd/first-boot")


def has_environment(parameter: str) -> bool:
    """`NAME`: set for the daemon; `NAME=VALUE`: set so."""
    name, equals, value = parameter.partition("=")
    return os.environ.get(name) == value if equals else name in os.environ


def is_user(parameter: str) -> bool:
    """The daemon's user by number or name, or @system for a system user."""
    mine = (os.getuid(), os.geteuid())
    if parameter == "@system":
        return any(uid <= _SYSTEM_UID_MAX or uid == 65534 for uid in mine)
    try:
        return accounts.user(parameter).uid in mine
    except KeyError:
        return False


def is_group(parameter: str) -> bool:
    """One of the daemon's groups by number or name."""
    try:
        return accounts.gid(parameter) in (os.getgid(), os.getegid(), *os.getgroups())
    except KeyError:
        return False


def has_controllers(parameter: str) -> bool:
    """v1, v2, or controllers that are all there; a list without any known one is met, as systemd decides."""
    found = cgroup2_mount()
    mount = found.point if found else ""
    if parameter in ("v1", "v2"):
        return (mount == "/sys/fs/cgroup") == (parameter == "v2")
    wanted = _CONTROLLERS & frozenset(parameter.split())
    unified = frozenset(text(f"{mount}/cgroup.controllers").split()) if mount else frozenset()
    return all(name in unified or os.path.isdir(f"/sys/fs/cgroup/{name}") for name in sorted(wanted))


def has_credential(parameter: str) -> bool:
    """Whether a credential of that name was passed to the daemon (systemd.exec(5) "Credentials")."""
    if not parameter or "/" in parameter or parameter in (".", ".."):
        return False
    folders = (os.environ.get("CREDENTIALS_DIRECTORY"), os.environ.get("ENCRYPTED_CREDENTIALS_DIRECTORY"))
    return any(os.path.exists(f"{folder}/{parameter}") for folder in folders if folder)


def _recorded(path: str, otherwise: int) -> int:
    """The nanoseconds that the file records, for file systems that keep whole seconds only."""
    for line in text(path).splitlines():
        name, _, value = line.partition("=")
        if name == "TIMESTAMP_NSEC" and value.isdecimal():
            return int(value)
    return otherwise


def _secure_boot() -> bool:
    try:
        with open(_EFI_SECURE_BOOT, "rb") as file:
            return file.read(5)[4:] == b"\1"
    except OSError:
        return False


def _has_audit() -> bool:
    """Whether the kernel lets us speak to its audit system (netlink(7))."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_AUDIT):
            return True
    except OSError:
        return False


_SECURITY: Final[dict[str, Callable[[], bool]]] = {
    "selinux": lambda: os.path.exists("/sys/fs/selinux/enforce"),
    "smack": lambda: os.path.isdir("/sys/fs/smackfs"),
    "apparmor": lambda: text("/sys/module/apparmor/parameters/enabled").strip() == "Y",
    "tomoyo": lambda: os.path.exists("/sys/kernel/security/tomoyo/version"),
    "ima": lambda: os.path.isdir("/sys/kernel/security/ima"),
    "audit": _has_audit,
    "uefi-secureboot": _secure_boot,
    "tpm2": lambda: os.path.isdir("/sys/class/tpmrm") and bool(os.listdir("/sys/class/tpmrm")),
}

TESTS: Final[dict[str, Callable[[str], bool | None]]] = {
    "KernelCommandLine": on_command_line,
    "Security": has_security,
    "Capability": has_capability,
    "NeedsUpdate": needs_update,
    "FirstBoot": is_first_boot,
    "Environment": has_environment,
    "User": is_user,
    "Group": is_group,
    "ControlGroupController": has_controllers,
    "Credential": has_credential,
}
