"""Dependencies that no file states: those that a setting implies, and those that units of a type usually have.

systemd.service(5), systemd.socket(5) ... "Automatic Dependencies"; systemd.special(7). Checked against systemd 252:
Origin.DEFAULT goes with DefaultDependencies=no, Origin.IMPLICIT and Origin.FILE do not.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from unitd.graph.draft import Draft
from unitd.graph.files import MASK, UnitFiles
from unitd.graph.mounting import add_automount, add_mount, add_swap, is_always_there
from unitd.model.dependencies import Dep
from unitd.model.settings import CGROUP_TYPES
from unitd.model.unit import Origin
from unitd.syntax import unit_name
from unitd.syntax.specifiers import DIRECTORY_KINDS, HostFacts

ROOT_SLICE: Final = "-.slice"
ROOT_MOUNT: Final = "-.mount"
_SHUTDOWN: Final = "shutdown.target"
_WRITTEN: Final = ("StateDirectory", "CacheDirectory", "LogsDirectory")
_PERSISTENT_TIMERS: Final = "/var/lib/systemd/timers"
_TO_LOG: Final = ("journal", "kmsg", "journal+console", "kmsg+console")


def add(draft: Draft, files: UnitFiles, facts: HostFacts) -> None:
    """All dependencies that the files do not state; settings are complete."""
    by_type = _BY_TYPE.get(draft.type)
    if by_type is not None:
        by_type(draft, facts)
    if draft.type in CGROUP_TYPES:
        _add_slice(draft)
    for path in draft.get("RequiresMountsFor"):
        draft.mount(path, Origin.FILE)
    if draft.mounts:
        _add_mounts(draft, files)


def _add_slice(draft: Draft) -> None:
    if draft.type == "slice":
        parent = unit_name.parent_slice(draft.name)
        if parent is None:
            return
        draft.settings["Slice"] = parent
        origin = Origin.IMPLICIT
    else:
        parent = draft.get("Slice") or default_slice(draft)
        draft.settings["Slice"] = parent
        origin = Origin.FILE
    draft.depend(Dep.IN_SLICE, parent, origin)
    draft.depend(Dep.REQUIRES, parent, origin)
    draft.depend(Dep.AFTER, parent, origin)


def default_slice(draft: Draft) -> str:
    """The slice of a unit that names none; instances of a template have one of their own."""
    instance = unit_name.instance(draft.name) if "@" in draft.name else None
    above = "app" if draft.user else "system"
    if instance:
        return f"{above}-{unit_name.escape(unit_name.prefix(draft.name))}.slice"
    if draft.name == "init.scope" or (draft.type in ("mount", "swap") and (draft.user or is_always_there(draft))):
        return ROOT_SLICE
    return f"{above}.slice"


@lru_cache(maxsize=4096)
def mount_names(path: str) -> tuple[str, ...]:
    """The mount units that a path may lie on, the root first."""
    parts = [part for part in path.split("/") if part]
    above = ["/", *("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))]
    return tuple(unit_name.from_path(one, ".mount") for one in above)


def _add_mounts(draft: Draft, files: UnitFiles) -> None:
    for path, origin in draft.mounts.items():
        for name in mount_names(path):
            entry = files.entry(name)
            if name == ROOT_MOUNT and entry is None:
                draft.depend(Dep.AFTER, name, origin)
            elif entry is not None and entry.target != MASK:
                draft.depend(Dep.AFTER, name, Origin.FILE)
                draft.depend(Dep.REQUIRES, name, Origin.FILE)
    draft.settings["RequiresMountsFor"] = tuple(draft.mounts)


def _until_shutdown(draft: Draft) -> None:
    draft.depend(Dep.BEFORE, _SHUTDOWN, Origin.DEFAULT)
    draft.depend(Dep.CONFLICTS, _SHUTDOWN, Origin.DEFAULT)


def _after_sysinit(draft: Draft) -> None:
    draft.depend(Dep.REQUIRES, "sysinit.target", Origin.DEFAULT)
    draft.depend(Dep.AFTER, "sysinit.target", Origin.DEFAULT)


def _add_execution(draft: Draft, facts: HostFacts) -> None:
    """What the environment of processes needs (systemd.exec(5), "Implicit Dependencies")."""
    directory = draft.get("WorkingDirectory")
    if directory.startswith("/"):
        draft.mount(directory, Origin.FILE)
    for setting in ("RootDirectory", "RootImage"):
        if draft.settings.get(setting):
            draft.mount(draft.settings[setting], Origin.FILE)
    for kind in DIRECTORY_KINDS:
        for path in draft.settings.get(f"{kind}Directory", ()):
            draft.mount(f"{facts.bases[kind]}/{path}", Origin.FILE)
    if draft.user:
        return
    if any(draft.settings.get(setting) for setting in _WRITTEN):
        draft.depend(Dep.AFTER, "systemd-remount-fs.service", Origin.FILE)
    if draft.settings.get("PrivateTmp"):
        draft.depend(Dep.AFTER, "tmp.mount", Origin.FILE)
        draft.depend(Dep.WANTS, "tmp.mount", Origin.FILE)
        draft.mount(facts.var_tmp_dir, Origin.FILE)
        draft.depend(Dep.AFTER, "systemd-tmpfiles-setup.service", Origin.FILE)
    if draft.settings.get("RootImage"):
        draft.depend(Dep.AFTER, "systemd-udevd.service", Origin.FILE)
    if draft.settings.get("StandardOutput") in _TO_LOG or draft.settings.get("StandardError") in _TO_LOG:
        draft.depend(Dep.AFTER, "systemd-journald.socket", Origin.FILE)


def _dynamic_user(draft: Draft) -> None:
    """A user made up for the run is named after the unit, and leaves nothing behind (systemd.exec(5), DynamicUser=)."""
    if not draft.settings.get("DynamicUser"):
        return
    draft.settings.setdefault("User", unit_name.prefix(draft.name))
    draft.settings.setdefault("Group", draft.settings["User"])
    draft.settings.setdefault("ProtectHome", "read-only")
    implied = {"PrivateTmp": True, "RemoveIPC": True, "NoNewPrivileges": True, "RestrictSUIDSGID": True}
    draft.settings.update(implied, ProtectSystem="strict")


def _home(draft: Draft, facts: HostFacts) -> None:
    """A user's processes start in the home directory."""
    if draft.user and not draft.settings.get("WorkingDirectory"):
        draft.settings["WorkingDirectory"] = f"-{facts.home}"


def _service(draft: Draft, facts: HostFacts) -> None:
    _dynamic_user(draft)
    _add_execution(draft, facts)
    _home(draft, facts)
    for socket in draft.settings.get("Sockets", ()):
        draft.depend(Dep.WANTS, socket, Origin.FILE)
        draft.depend(Dep.AFTER, socket, Origin.FILE)
        draft.depend(Dep.TRIGGERED_BY, socket, Origin.FILE)
    if draft.get("DefaultDependencies"):
        if draft.user:
            draft.depend(Dep.REQUIRES, "basic.target", Origin.DEFAULT)
        else:
            _after_sysinit(draft)
        draft.depend(Dep.AFTER, "basic.target", Origin.DEFAULT)
        _until_shutdown(draft)
    if draft.get("Type") == "dbus" and draft.settings.get("BusName"):
        draft.depend(Dep.REQUIRES, "dbus.socket", Origin.FILE)
        draft.depend(Dep.AFTER, "dbus.socket", Origin.FILE)


def _socket(draft: Draft, facts: HostFacts) -> None:
    if not draft.get("Accept"):
        service = draft.get("Service") or _sibling(draft)
        draft.depend(Dep.BEFORE, service, Origin.IMPLICIT)
        draft.depend(Dep.TRIGGERS, service, Origin.IMPLICIT)
    for kind, address in draft.get("Listen"):
        if address.startswith("/") and kind != "MessageQueue":
            draft.mount(address, Origin.FILE)
    if draft.settings.get("BindToDevice"):
        device = unit_name.from_path(f"/sys/subsystem/net/devices/{draft.settings['BindToDevice']}", ".device")
        draft.depend(Dep.BINDS_TO, device, Origin.FILE)
        draft.depend(Dep.AFTER, device, Origin.FILE)
    if any(draft.settings.get(name) for name in ("ExecStartPre", "ExecStartPost", "ExecStopPre", "ExecStopPost")):
        _add_execution(draft, facts)
    _home(draft, facts)
    if draft.get("Accept") and "TriggerLimitBurst" not in draft.settings:
        draft.settings["TriggerLimitBurst"] = 200
    if draft.get("DefaultDependencies"):
        draft.depend(Dep.BEFORE, "sockets.target", Origin.DEFAULT)
        if not draft.user:
            _after_sysinit(draft)
        _until_shutdown(draft)


def _sibling(draft: Draft) -> str:
    """The service of the same name."""
    return f"{draft.name.rpartition('.')[0]}.service"


def _trigger(draft: Draft) -> None:
    named = draft.settings.get("Unit")
    other, origin = (named, Origin.FILE) if named else (_sibling(draft), Origin.IMPLICIT)
    draft.settings["Unit"] = other
    draft.depend(Dep.BEFORE, other, origin)
    draft.depend(Dep.TRIGGERS, other, origin)


def _timer(draft: Draft, facts: HostFacts) -> None:
    _trigger(draft)
    if draft.get("Persistent") and not draft.user:
        draft.mount(_PERSISTENT_TIMERS, Origin.FILE)
    if draft.get("DefaultDependencies"):
        draft.depend(Dep.BEFORE, "timers.target", Origin.DEFAULT)
        if not draft.user:
            _after_sysinit(draft)
            if any(kind == "OnCalendar" for kind, _ in draft.get("Timers")):
                draft.depend(Dep.AFTER, "time-sync.target", Origin.DEFAULT)
                draft.depend(Dep.AFTER, "time-set.target", Origin.DEFAULT)
        _until_shutdown(draft)


def _path(draft: Draft, facts: HostFacts) -> None:
    _trigger(draft)
    for _, path in draft.get("Paths"):
        draft.mount(path, Origin.FILE)
    if draft.get("DefaultDependencies"):
        draft.depend(Dep.BEFORE, "paths.target", Origin.DEFAULT)
        if not draft.user:
            _after_sysinit(draft)
        _until_shutdown(draft)


def _target(draft: Draft, facts: HostFacts) -> None:
    """What a target orders itself after is a matter of both sides: graph/index adds it."""
    if draft.get("DefaultDependencies") and draft.name != _SHUTDOWN:
        _until_shutdown(draft)


def _slice_or_scope(draft: Draft, facts: HostFacts) -> None:
    if draft.get("DefaultDependencies") and draft.name not in (ROOT_SLICE, "system.slice", "init.scope"):
        _until_shutdown(draft)


def _mount(draft: Draft, facts: HostFacts) -> None:
    _add_execution(draft, facts)
    _home(draft, facts)
    add_mount(draft)


def _swap(draft: Draft, facts: HostFacts) -> None:
    _add_execution(draft, facts)
    _home(draft, facts)
    add_swap(draft)


def _automount(draft: Draft, facts: HostFacts) -> None:
    add_automount(draft)


_BY_TYPE: Final[Mapping[str, Callable[[Draft, HostFacts], None]]] = {
    "service": _service,
    "socket": _socket,
    "timer": _timer,
    "path": _path,
    "target": _target,
    "slice": _slice_or_scope,
    "scope": _slice_or_scope,
    "mount": _mount,
    "swap": _swap,
    "automount": _automount,
}
