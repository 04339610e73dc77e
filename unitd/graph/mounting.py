"""Implicit and default dependencies of mounts, automounts and swaps.

systemd.mount(5), systemd.automount(5), systemd.swap(5); checked against systemd 252.
"""

from typing import Final

from unitd.graph.draft import Draft
from unitd.model.dependencies import Dep
from unitd.model.unit import Origin
from unitd.syntax import unit_name
from unitd.syntax.values import Bad

_NETWORK_TYPES: Final = frozenset(
    [
        "afs",
        "ceph",
        "cifs",
        "gfs",
        "gfs2",
        "ncp",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb3",
        "smbfs",
        "davfs",
        "glusterfs",
        "lustre",
        "sshfs",
        "9p",
    ]
)
_ALWAYS_THERE: Final = ("/", "/usr", "/run/initramfs")
_VIRTUAL: Final = ("/proc/", "/sys/", "/dev/")


def add_mount(draft: Draft) -> None:
    """Where= is complete: it follows from the name."""
    where, what = draft.get("Where") or _path_of(draft.name), draft.get("What")
    draft.settings["Where"] = where
    options = frozenset(draft.get("Options").split(","))
    network = draft.get("Type") in _NETWORK_TYPES or "_netdev" in options
    bind = bool(options & {"bind", "rbind"}) or draft.get("Type") == "bind"
    if where != "/":
        draft.mount(where.rpartition("/")[0] or "/", Origin.IMPLICIT)
    if what.startswith("/") and (bind or "loop" in options or not network):
        draft.mount(what, Origin.FILE)
    if what.startswith("/dev/") and what != "/dev/root" and not bind and where != "/":
        bound = "x-systemd.device-bound" in options
        _device(draft, what, Dep.BINDS_TO if bound else Dep.REQUIRES, Origin.MOUNT_FILE)
        if not bound:
            device = unit_name.from_path(what, ".device")
            draft.depend(Dep.STOP_PROPAGATED_FROM, device, Origin.MOUNT_FILE)
    draft.settings.setdefault("Description", where)
    if draft.get("DefaultDependencies") and not is_always_there(draft):
        _order_mount(draft, network, "nofail" in options)


def is_always_there(draft: Draft) -> bool:
    """A mount that the system stands on, or that the kernel makes: it stays until the end."""
    where = draft.settings.get("Where", "")
    return where in _ALWAYS_THERE or where.startswith(_VIRTUAL)


def _device(draft: Draft, what: str, kind: Dep, origin: Origin) -> None:
    device = unit_name.from_path(what, ".device")
    draft.depend(kind, device, origin)
    draft.depend(Dep.AFTER, device, origin)
    draft.depend(Dep.AFTER, unit_name.from_path_instance("blockdev", what, ".target"), origin)


def _order_mount(draft: Draft, network: bool, optional: bool) -> None:
    origin = Origin.MOUNT_FILE
    side = "remote" if network else "local"
    draft.depend(Dep.AFTER, f"{side}-fs-pre.target", origin)
    if not optional:
        draft.depend(Dep.BEFORE, f"{side}-fs.target", origin)
    _until_unmount(draft, origin)
    if network:
        draft.depend(Dep.AFTER, "network.target", origin)
        draft.depend(Dep.WANTS, "network-online.target", origin)
        draft.depend(Dep.AFTER, "network-online.target", origin)
    if draft.get("Type") == "tmpfs":
        draft.depend(Dep.AFTER, "swap.target", origin)


def _until_unmount(draft: Draft, origin: Origin) -> None:
    draft.depend(Dep.BEFORE, "umount.target", origin)
    draft.depend(Dep.CONFLICTS, "umount.target", origin)


def add_automount(draft: Draft) -> None:
    """The mount of the same name is what it triggers."""
    where = draft.get("Where") or _path_of(draft.name)
    draft.settings["Where"] = where
    if where != "/":
        draft.mount(where.rpartition("/")[0] or "/", Origin.IMPLICIT)
    mount = f"{draft.name.rpartition('.')[0]}.mount"
    draft.depend(Dep.BEFORE, mount, Origin.IMPLICIT)
    draft.depend(Dep.TRIGGERS, mount, Origin.IMPLICIT)
    if draft.get("DefaultDependencies"):
        if not draft.user:
            draft.depend(Dep.BEFORE, "local-fs.target", Origin.DEFAULT)
            draft.depend(Dep.AFTER, "local-fs-pre.target", Origin.DEFAULT)
        _until_unmount(draft, Origin.DEFAULT)


def add_swap(draft: Draft) -> None:
    """What= is a device or a file."""
    what = draft.get("What") or _path_of(draft.name)
    draft.settings["What"] = what
    draft.settings.setdefault("Description", what)
    options = frozenset(draft.get("Options").split(","))
    if what.startswith("/dev/"):
        _device(draft, what, Dep.REQUIRES, Origin.FILE)
    else:
        draft.depend(Dep.AFTER, "systemd-remount-fs.service", Origin.FILE)
    if what.startswith("/"):
        draft.mount(what, Origin.IMPLICIT)
    if draft.get("DefaultDependencies"):
        if "nofail" not in options:
            draft.depend(Dep.BEFORE, "swap.target", Origin.DEFAULT)
        _until_unmount(draft, Origin.DEFAULT)


def _path_of(name: str) -> str:
    try:
        return unit_name.to_path(name)
    except Bad:
        return ""
