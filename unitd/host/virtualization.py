"""Which virtual machine or container this is, in the words of systemd-detect-virt(1).

A container is told by what its runtime leaves behind, a machine by its firmware's names (DMI), by the clock that its
hypervisor offers, and by the processor's "hypervisor" flag. Nothing here changes while the daemon lives.
"""

import os
from functools import cache
from typing import Final

_DMI: Final = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Oracle Corporation", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
)
_TOLD_BY_FIRMWARE: Final = frozenset({"oracle", "xen", "amazon", "parallels", "google"})
_CLOCKS: Final = (("kvm-clock", "kvm"), ("hyperv", "microsoft"), ("xen", "xen"))
_RUNTIMES: Final = frozenset(
    {"systemd-nspawn", "lxc-libvirt", "lxc", "openvz", "docker", "podman", "rkt", "wsl", "proot", "pouch"}
)


@cache
def container() -> str:
    """The container's runtime ("docker", "lxc" ...; "container-other" when it does not say), or ""."""
    if os.path.exists("/proc/vz") and not os.path.exists("/proc/bc"):
        return "openvz"
    release = text("/proc/sys/kernel/osrelease")
    if "Microsoft" in release or "WSL" in release:
        return "wsl"
    said = text("/run/host/container-manager").strip() or _environment_of_init() or text("/run/systemd/container")
    said = said.strip()
    if said == "oci" or not said:
        for mark, runtime in (("/run/.containerenv", "podman"), ("/.dockerenv", "docker")):
            if os.path.exists(mark):
                return runtime
    if not said:
        return ""
    return said if said in _RUNTIMES else "container-other"


@cache
def machine() -> str:
    """The hypervisor ("kvm", "qemu", "vmware" ...; "vm-other" when it does not say), or ""."""
    firmware = _dmi()
    if firmware in _TOLD_BY_FIRMWARE:
        return firmware
    clocks = text("/sys/devices/system/clocksource/clocksource0/available_clocksource")
    for clock, name in _CLOCKS:
        if clock in clocks:
            return name
    if firmware:
        return firmware
    if "User Mode Linux" in text("/proc/cpuinfo"):
        return "uml"
    if os.path.exists("/proc/xen") or text("/sys/hypervisor/type").strip() == "xen":
        return "" if "control_d" in text("/proc/xen/capabilities") else "xen"
    if "VM00 Control Program" in text("/proc/sysinfo"):
        return "zvm" if "z/VM" in text("/proc/sysinfo") else "kvm"
    return "vm-other" if "hypervisor" in cpu_flags() else ""


def virtualization() -> str:
    """The container's runtime, else the hypervisor, else ""."""
    return container() or machine()


def in_user_namespace() -> bool:
    """True unless the ids of this namespace are those of the kernel (user_namespaces(7))."""
    return text("/proc/self/uid_map").split() not in ([], ["0", "0", "4294967295"])


@cache
def cpu_flags() -> frozenset[str]:
    """The first processor's features as in /proc/cpuinfo."""
    for line in text("/proc/cpuinfo").splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    return frozenset()


def text(path: str) -> str:
    """A small file of the kernel's or the system's, or "" when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _environment_of_init() -> str:
    """What `container=` says in the environment of PID 1."""
    for assignment in text("/proc/1/environ").split("\0"):
        if assignment.startswith("container="):
            return assignment.removeprefix("container=")
    return ""


def _dmi() -> str:
    for name in ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"):
        vendor = text(f"/sys/class/dmi/id/{name}")
        for start, machine_name in _DMI:
            if vendor.startswith(start):
                return machine_name
    return ""
