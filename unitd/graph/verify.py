"""Settings that do not go together: what makes a unit unusable although every line of it can be read.

The rules are those of systemd 252's managers of each type; a fatal Problem makes the load state bad-setting.
"""

from collections.abc import Callable, Mapping
from typing import Final

from unitd.graph.draft import Draft
from unitd.model.dependencies import Dep
from unitd.syntax import unit_name
from unitd.syntax.values import Bad

_API_MOUNTS: Final = ("/proc", "/sys", "/dev", "/sys/fs/cgroup", "/dev/pts", "/dev/shm", "/run")
_ONESHOT_RESTARTS: Final = ("no", "on-failure", "on-abnormal", "on-watchdog", "on-abort")
_IN_FILE_SYSTEM: Final = ("Stream", "Datagram", "SequentialPacket", "FIFO")
_CANNOT_ACCEPT: Final = ("Datagram", "FIFO", "Special", "Netlink", "MessageQueue", "USBFunction")


def verify(draft: Draft) -> None:
    """Adds a fatal problem for the first rule that the unit breaks."""
    if draft.get("OnFailureJobMode") == "isolate" and len(draft.deps.get(Dep.ON_FAILURE, ())) > 1:
        draft.problem("OnFailureJobMode", "only one unit can be isolated, and OnFailure= names several", fatal=True)
    by_type = _BY_TYPE.get(draft.type)
    if by_type is not None:
        by_type(draft)


def _service(draft: Draft) -> None:
    fault = _command_fault(draft) or _oneshot_fault(draft)
    if fault is None and draft.get("Type") == "dbus" and not draft.get("BusName"):
        fault = ("Type", "a service of Type=dbus needs BusName=")
    if fault is None and draft.get("PAMName") and draft.get("KillMode") not in ("control-group", "mixed"):
        fault = ("PAMName", "a service with PAM needs KillMode=control-group or mixed")
    if fault is not None:
        draft.problem(*fault, fatal=True)
    elif draft.get("Type") == "oneshot" and "RuntimeMaxSec" in draft.settings:
        draft.problem("RuntimeMaxSec", "it has no effect on a service of Type=oneshot")


def _command_fault(draft: Draft) -> tuple[str, str] | None:
    start, stop = draft.get("ExecStart"), draft.get("ExecStop")
    acts = draft.get("SuccessAction") != "none"
    if not start and not stop and not acts:
        return "ExecStart", "the service has neither ExecStart= nor ExecStop= nor SuccessAction="
    if not start and draft.get("Type") != "oneshot":
        return "ExecStart", "only a service of Type=oneshot can do without ExecStart="
    if not start and not draft.get("RemainAfterExit") and not acts:
        return "ExecStart", "a service without ExecStart= needs RemainAfterExit=yes or SuccessAction="
    if len(start) > 1 and draft.get("Type") != "oneshot":
        return "ExecStart", "only a service of Type=oneshot can have several ExecStart= commands"
    return None


def _oneshot_fault(draft: Draft) -> tuple[str, str] | None:
    if draft.get("Type") != "oneshot":
        return None
    if draft.get("Restart") not in _ONESHOT_RESTARTS:
        return "Restart", f"a service of Type=oneshot cannot have Restart={draft.get('Restart')}"
    if any(draft.get("RestartForceExitStatus")):
        return "RestartForceExitStatus", "a service of Type=oneshot cannot have it"
    if draft.get("ExitType") == "cgroup":
        return "ExitType", "a service of Type=oneshot cannot have ExitType=cgroup"
    return None


def _socket(draft: Draft) -> None:
    listen = draft.get("Listen")
    if not listen:
        draft.problem("", "the socket has no ListenStream= or any other Listen...=", fatal=True)
    elif draft.get("Accept") and any(kind in _CANNOT_ACCEPT for kind, _ in listen):
        draft.problem("Accept", "not all of its sockets can accept connections", fatal=True)
    elif draft.get("Accept") and draft.get("MaxConnections") <= 0:
        draft.problem("MaxConnections", "it must be at least 1", fatal=True)
    elif draft.get("Accept") and draft.get("Service"):
        draft.problem("Service", "a socket with Accept=yes cannot name its service", fatal=True)
    elif draft.get("Symlinks") and not _one_node(listen):
        draft.problem("Symlinks", "the socket must have one place in the file system", fatal=True)


def _one_node(listen: tuple[tuple[str, str], ...]) -> bool:
    return sum(kind in _IN_FILE_SYSTEM and address.startswith("/") for kind, address in listen) == 1


def _timer(draft: Draft) -> None:
    if not (draft.get("Timers") or draft.get("OnClockChange") or draft.get("OnTimezoneChange")):
        draft.problem("", "the timer has no OnCalendar= or any other On...=", fatal=True)


def _path(draft: Draft) -> None:
    if not draft.get("Paths"):
        draft.problem("", "the path unit has no path to watch", fatal=True)


def _mount(draft: Draft) -> None:
    if _misnamed(draft, "Where"):
        return
    if draft.settings["Where"] in _API_MOUNTS:
        draft.problem("Where", f"{draft.settings['Where']} belongs to the kernel", fatal=True)
    elif not draft.get("What") and draft.name != "-.mount":
        draft.problem("What", "nothing is said about what to mount", fatal=True)


def _automount(draft: Draft) -> None:
    if not _misnamed(draft, "Where") and draft.settings["Where"] == "/":
        draft.problem("Where", "the root directory cannot be an automount", fatal=True)


def _swap(draft: Draft) -> None:
    if not draft.get("What"):
        draft.problem("What", "nothing is said about what to swap to", fatal=True)
    else:
        _misnamed(draft, "What")


def _misnamed(draft: Draft, setting: str) -> bool:
    """True, with a problem, when the unit's name does not follow from its path."""
    path = draft.settings[setting]
    try:
        wanted = unit_name.from_path(path, f".{draft.type}") if path else ""
    except Bad:
        wanted = ""
    if wanted in (draft.name, *draft.aliases):
        return False
    draft.problem(setting, f"a unit for {path!r} must be named {wanted!r}", fatal=True)
    return True


def _slice(draft: Draft) -> None:
    if not unit_name.slice_valid(draft.name):
        draft.problem("", f"{draft.name!r} is not a valid name of a slice", fatal=True)


_BY_TYPE: Final[Mapping[str, Callable[[Draft], None]]] = {
    "service": _service,
    "socket": _socket,
    "timer": _timer,
    "path": _path,
    "mount": _mount,
    "automount": _automount,
    "swap": _swap,
    "slice": _slice,
}
