"""Conditions on the machine: what it is, what its processor can do, how busy it is (systemd.unit(5))."""

import fnmatch
import os
import re
from collections.abc import Callable
from typing import Final

from unitd.engine.units import slice_path
from unitd.host import facts, versions, virtualization
from unitd.host.cgroups import cgroup2_mount
from unitd.host.virtualization import text
from unitd.syntax import words
from unitd.syntax.errors import Bad
from unitd.syntax.sizes import parse_bool, parse_size_iec

_VERSION_DEFAULT = ">="
_CPU_NAMES: Final = {"pclmul": "pclmulqdq", "fma3": "fma", "osxsave": "xsave"}
"""Names in CPUID's words where /proc/cpuinfo has others."""

_SPACE_AFTER_FIRST = re.compile(r"^\s*(!?\$=|[<>]=?|!?=)\s+")
_PRESSURE = re.compile(r"(?:([^/:]+\.slice):)?\s*(\d+(?:\.\d+)?)(%|‰|‱)(?:/(.*))?")
_SHARE: Final = {"%": 1.0, "‰": 0.1, "‱": 0.01}
_WINDOWS: Final = {"10sec": "avg10", "1min": "avg60", "5min": "avg300", "": "avg300"}
_FIRMWARE = re.compile(r"(device-tree-compatible|smbios-field)\((.*)\)")
_FIELD = re.compile(r"([A-Za-z0-9_]+)\s*((?:!?\$=|[<>]=?|!?=).*)")
_DMI = "/sys/class/dmi/id"


def is_virtual(parameter: str) -> bool:
    """yes, no, vm, container, private-users, or the name of one (systemd-detect-virt(1))."""
    kind = virtualization.virtualization()
    wanted = _boolean(parameter)
    if wanted is not None:
        return wanted == bool(kind)
    if parameter == "private-users":
        return virtualization.in_user_namespace()
    if parameter == "vm":
        return bool(kind) and not virtualization.container()
    if parameter == "container":
        return bool(virtualization.container())
    return bool(kind) and parameter == kind


def has_architecture(parameter: str) -> bool:
    return parameter in ("native", facts.architecture())


def is_host(parameter: str) -> bool:
    """The machine's id, or a glob on the host name in any case."""
    machine = facts.machine_id()
    if re.fullmatch(r"[0-9a-fA-F]{32}", parameter.replace("-", "")):
        return machine == parameter.replace("-", "").lower()
    return fnmatch.fnmatchcase(os.uname().nodename.lower(), parameter.lower())


def has_kernel(parameter: str) -> bool | None:
    """Every word must hold: a comparison, or a glob. A space may follow the first operator."""
    release = os.uname().release
    for word in words.split(_SPACE_AFTER_FIRST.sub(r"\1", parameter), words.UNQUOTE):
        word = _SPACE_AFTER_FIRST.sub(r"\1", word.strip())
        compared = versions.matches(release, word)
        if compared is None and re.match(r"!?\$?=|[<>]", word):
            return None
        if not (fnmatch.fnmatchcase(release, word) if compared is None else compared):
            return False
    return True


def has_memory(parameter: str) -> bool | None:
    """Compares the physical memory in bytes; the size with its unit (K, M, G ...)."""
    order, size = _ordered(parameter)
    present = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    wanted = parse_size_iec(size)
    return order((present > wanted) - (present < wanted))


def has_cpus(parameter: str) -> bool | None:
    """Compares the number of processors that the daemon may run on."""
    order, number = _ordered(parameter)
    if not (number.isascii() and number.isdecimal()):
        return None
    present = len(os.sched_getaffinity(0))
    return order((present > int(number)) - (present < int(number)))


def has_cpu_feature(parameter: str) -> bool:
    name = parameter.lower()
    return _CPU_NAMES.get(name, name) in virtualization.cpu_flags()


def has_release(parameter: str) -> bool | None:
    """Every word is a test of a field of os-release(5); a missing field is an empty one."""
    fields = facts.os_release()
    for word in words.split(parameter, words.UNQUOTE):
        found = re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)(.+)", word)
        passed = versions.matches(fields.get(found[1], ""), found[2]) if found else None
        if not passed:
            return passed
    return True


def has_firmware(parameter: str) -> bool | None:
    if parameter == "uefi":
        return os.path.isdir("/sys/firmware/efi")
    if parameter == "device-tree":
        return os.path.exists("/sys/firmware/devicetree")
    found = _FIRMWARE.fullmatch(parameter)
    if found is None:
        return False
    if found[1] == "device-tree-compatible":
        return found[2] in text("/proc/device-tree/compatible").split("\0")
    field = _FIELD.fullmatch(found[2])
    if field is None or not os.path.exists(f"{_DMI}/{field[1]}"):
        return False
    return versions.matches(text(f"{_DMI}/{field[1]}").rstrip("\n"), field[2].replace(" ", ""))


def has_power(parameter: str) -> bool | None:
    """Whether it is on AC power, as the parameter says; a machine without supplies is (power_supply(5))."""
    wanted = _boolean(parameter)
    return None if wanted is None else wanted == on_ac_power()


def on_ac_power() -> bool:
    """True unless a battery is all that is online."""
    folder = "/sys/class/power_supply"
    supplies = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    batteries = False
    for supply in supplies:
        place = f"{folder}/{supply}"
        if text(f"{place}/scope").strip() == "Device":
            continue
        if text(f"{place}/type").strip() == "Battery":
            batteries = batteries or text(f"{place}/status").strip() == "Discharging"
        elif text(f"{place}/online").strip() == "1":
            return True
    return not batteries


def pressure(kind: str, share: str) -> Callable[[str], bool | None]:
    """The test whether a pressure is at most [SLICE:]LIMIT%[/10s|1min|5min] (kernel: accounting/psi)."""

    def test(parameter: str) -> bool | None:
        found = _PRESSURE.fullmatch(parameter.strip())
        window = _WINDOWS.get(found[4] or "") if found else None
        if found is None or window is None or (limit := float(found[2]) * _SHARE[found[3]]) > 100:
            return None
        file = f"/proc/pressure/{kind}"
        if found[1]:
            mount = cgroup2_mount()
            file = f"{mount.point}/{slice_path(found[1])}/{kind}.pressure" if mount else ""
        now = re.search(rf"^{share} .*\b{window}=([0-9.]+)", text(file), re.MULTILINE)
        return now is None or float(now[1]) <= limit

    return test


def _ordered(parameter: str) -> tuple[Callable[[int], bool], str]:
    order, rest = versions.operator(parameter.strip())
    if order is None:
        order, rest = versions.operator(_VERSION_DEFAULT + rest)
    assert order is not None
    return order, rest.strip()


def _boolean(parameter: str) -> bool | None:
    try:
        return parse_bool(parameter)
    except Bad:
        return None


TESTS: Final[dict[str, Callable[[str], bool | None]]] = {
    "Virtualization": is_virtual,
    "Architecture": has_architecture,
    "Host": is_host,
    "KernelVersion": has_kernel,
    "Memory": has_memory,
    "CPUs": has_cpus,
    "CPUFeature": has_cpu_feature,
    "OSRelease": has_release,
    "Firmware": has_firmware,
    "ACPower": has_power,
    "MemoryPressure": pressure("memory", "full"),
    "CPUPressure": pressure("cpu", "some"),
    "IOPressure": pressure("io", "full"),
}
