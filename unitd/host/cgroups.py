"""The daemon's own sub-tree of cgroup2: made, watched, listed, frozen, killed and removed (cgroup-v2.rst).

Nothing outside of the sub-tree is ever touched, and no process but the daemon itself is moved. One CgroupEmpty per
1 -> 0 of `populated`, posted only after the exits of all children of the unit were: the kernel empties a cgroup just
before it makes the last process a zombie. The kernel tells of changes at most every 10 ms, so emptiness is also
looked for whenever a child of the unit was reaped.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from unitd.host import processes, reserve
from unitd.host.children import Children
from unitd.host.inotify import IN_MODIFY, Inotify
from unitd.host.mountinfo import Mounted, mounted
from unitd.host.ports import KeptGroups, Post
from unitd.model.events import CgroupEmpty
from unitd.syntax.unit_name import path_escape

INIT_SCOPE = "init.scope"
RECORD = "cgroup"
"""The file in the runtime directory that tells the next daemon where the sub-tree is."""
FREEZE_BOUND_S = 0.1
"""A task in uninterruptible sleep may never freeze; longer than this nobody waits for it."""

_TIDY_S = 0.5
_TIDY_AT_ONCE = 64
_UNIT_KINDS = (".service", ".scope", ".socket", ".mount", ".swap")


@dataclass(slots=True, eq=False)
class _Group:
    """One unit's cgroup. `populated`: it held processes when last looked at, or a child joined it since.

    `held`: from freeze to thaw; that nobody is left is told only after it is known who was signalled.
    """

    unit: str
    directory: str
    watch: int = 0
    populated: bool = False
    held: bool = False
    frozen: list[asyncio.Future[None]] = field(default_factory=list)


def cgroup2_mount() -> Mounted | None:
    """Where cgroup2 is mounted, and with `root` which cgroup is; None when it is not."""
    return next((mount for mount in mounted() if mount.kind == "cgroup2"), None)


def own_directory(below: str = "") -> str | None:
    """The directory of the cgroup `below` (default: our own; as PID 1 the root); None without cgroup2."""
    mount = cgroup2_mount()
    if mount is None:
        return None
    path = below or ("/" if os.getpid() == 1 else processes.cgroup(os.getpid()))
    if mount.root != "/" and not below:
        path = path.removeprefix(mount.root)
    return os.path.normpath(f"{mount.point}/{path}")


def open_cgroups(
    inotify: Inotify, post: Post, children: Children, *, runtime_dir: str, below: str = "", boot_id: str = ""
) -> "Cgroups":
    """The daemon's sub-tree, with the daemon moved into its init.scope; OSError where the kernel refuses."""
    origin = own_directory()
    parent = own_directory(below)
    if origin is None or parent is None:
        raise FileNotFoundError(2, "no cgroup2 file system is mounted")
    record = os.path.join(runtime_dir, RECORD)
    root = parent if os.getpid() == 1 else f"{parent}/unitd-{path_escape(runtime_dir)}"
    root = _recorded(record, boot_id) or root
    scope = f"{root}/{INIT_SCOPE}"
    # Only the sub-tree is made: a --cgroup that does not exist is a mistake.
    for directory in (root, scope):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory)
    _write(f"{scope}/cgroup.procs", "0")
    _enable_controllers(root)
    temporary = f"{record}.tmp"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"{boot_id} {root}\n")
    os.replace(temporary, record)
    return Cgroups(inotify, post, children, root=root, origin=origin)


class Cgroups:
    """What is below `root`, unit by unit. `origin`: where the daemon goes back to at the end."""

    def __init__(self, inotify: Inotify, post: Post, children: Children, *, root: str, origin: str) -> None:
        self.root = root
        self._origin = origin
        self._inotify = inotify
        self._post = post
        self._children = children
        self._groups: dict[str, _Group] = {}
        self._spare: dict[str, _Group] = {}
        self._tidying: asyncio.TimerHandle | None = None
        self._units: dict[str, str] = {}
        # What /proc/PID/cgroup calls the root, however the file system is mounted here.
        self.prefix = processes.cgroup(os.getpid()).removesuffix(f"/{INIT_SCOPE}")
        for directory in self._unit_directories():
            unit = os.path.basename(directory)
            self._track(unit, directory)
            self.thaw(unit)

    # --- making and removing ----------------------------------------------------------------------

    def realise(self, unit: str, path: str) -> str:
        """Make the unit's cgroup if need be; the cgroup.procs that a process joins it by. OSError."""
        directory = f"{self.root}/{path}"
        spare = self._spare.pop(unit, None)
        if spare is not None:
            self._groups[unit] = spare
        group = self._groups.get(unit)
        if group is None or group.directory != directory or not os.path.isdir(directory):
            self._make(path)
            self._track(unit, directory)
        return f"{directory}/cgroup.procs"

    def _make(self, path: str) -> None:
        """Make the cgroup, and what it lies in as far as that is missing."""
        missing = [path]
        while missing:
            directory = f"{self.root}/{missing[-1]}"
            try:
                os.mkdir(directory)
            except FileExistsError:
                pass
            except FileNotFoundError:
                above = os.path.dirname(missing[-1])
                if not above:
                    raise
                missing.append(above)
                continue
            if missing.pop().endswith(".slice"):
                _enable_controllers(directory)

    def _track(self, unit: str, directory: str) -> None:
        known = self._groups.get(unit)
        if known is not None:
            self._inotify.remove(known.watch)
            self._units.pop(known.directory, None)
        group = _Group(unit, directory)
        group.watch = self._inotify.add(f"{directory}/cgroup.events", IN_MODIFY, lambda mask, name: self._look(group))
        group.populated = "populated 1" in _read(f"{directory}/cgroup.events")
        self._groups[unit] = group
        self._units[directory] = unit

    def release(self, unit: str) -> None:
        """Give the unit's cgroup back; one that still holds processes stays, and stays watched.

        An empty one is removed a moment later, together with others: a unit that starts again at once finds it there.
        """
        group = self._groups.get(unit)
        if group is None or "populated 0" not in _read(f"{group.directory}/cgroup.events"):
            return
        self._spare[unit] = self._groups.pop(unit)
        if self._tidying is None:
            self._tidying = self._inotify.loop.call_later(_TIDY_S, self._tidy)

    def _tidy(self) -> None:
        """Remove cgroups that nobody came back to, a bounded number in one turn of the loop."""
        self._tidying = None
        for unit in list(self._spare)[:_TIDY_AT_ONCE]:
            group = self._spare.pop(unit)
            if _remove(group.directory):
                self._inotify.remove(group.watch)
                del self._units[group.directory]
            else:
                self._groups[unit] = group
        if self._spare:
            self._tidying = self._inotify.loop.call_later(0, self._tidy)

    def kept(self) -> KeptGroups:
        """Whence the daemon came; cgroups that nobody came back to are removed."""
        while self._spare:
            self._tidy()
        return KeptGroups(self._origin)

    def take_up(self, kept: KeptGroups) -> None:
        """All but whence the daemon came is seen in the sub-tree itself."""
        self._origin = kept.origin or self._origin

    def close(self) -> None:
        """Go back to where the daemon came from and remove the sub-tree, as far as nothing lives in it."""
        if self._tidying is not None:
            self._tidying.cancel()
        for group in (*self._groups.values(), *self._spare.values()):
            self._inotify.remove(group.watch)
        self._groups.clear()
        self._spare.clear()
        self._units.clear()
        with contextlib.suppress(OSError):
            _write(f"{self._origin}/cgroup.procs", "0")
        if self.root != self._origin:
            _remove(self.root)

    # --- looking ------------------------------------------------------------------------------------

    def units(self) -> dict[str, str]:
        """The path below the root of every unit that has a cgroup: what a daemon finds again after a restart."""
        return {unit: group.directory[len(self.root) + 1 :] for unit, group in sorted(self._groups.items())}

    def unit_of(self, pid: int) -> str:
        """Whose cgroup the process is or, as a zombie, was in; "" when none of ours."""
        path = processes.cgroup(pid)
        if not path.startswith(f"{self.prefix}/"):
            return ""
        directory = self.root + path[len(self.prefix) :]
        at = directory
        while len(at) > len(self.root):
            if at in self._units:
                return self._units[at]
            at = os.path.dirname(at)
        parts = directory[len(self.root) + 1 :].split("/")
        return next((part for part in parts if part.endswith(_UNIT_KINDS) and part != INIT_SCOPE), "")

    def claim(self, unit: str, pid: int) -> bool:
        """Never: a process of the unit would be in its cgroup."""
        return False

    def members(self, unit: str) -> list[int]:
        """The living processes in the unit's cgroup and below it."""
        group = self._groups.get(unit)
        return [pid for directory in _walk(group.directory) for pid in _pids(directory)] if group else []

    def everyone(self) -> dict[int, str]:
        """Every living process in the sub-tree, except init.scope's, with its unit."""
        found: dict[int, str] = {}
        for directory in _walk(self.root):
            if directory == self.root or directory.startswith(f"{self.root}/{INIT_SCOPE}"):
                continue
            for pid in _pids(directory):
                found[pid] = self.unit_of(pid)
        return found

    def joined(self, unit: str) -> None:
        """A child of the unit is in its cgroup: the next time it is found empty is worth an event."""
        group = self._groups.get(unit)
        if group is not None:
            group.populated = True

    def check(self, unit: str) -> None:
        """Look whether the unit's cgroup became empty."""
        group = self._groups.get(unit)
        if group is not None and group.populated:
            self._look(group)

    def _look(self, group: _Group) -> None:
        events = _read(f"{group.directory}/cgroup.events")
        if "frozen 1" in events:
            while group.frozen:
                waiting = group.frozen.pop()
                if not waiting.done():
                    waiting.set_result(None)
        if "populated 1" in events:
            group.populated = True
        elif group.populated and not group.held and not self._children.of(group.unit):
            group.populated = False
            self._post(CgroupEmpty(group.unit))

    # --- stopping -----------------------------------------------------------------------------------

    async def freeze(self, unit: str) -> bool:
        """Stop the unit's processes where they are; False when not all of them are stopped within 100 ms."""
        group = self._groups.get(unit)
        if group is None:
            return False
        waiting = asyncio.get_running_loop().create_future()
        group.held = True
        try:
            _write(f"{group.directory}/cgroup.freeze", "1")
            group.frozen.append(waiting)
            self._look(group)
            await asyncio.wait_for(waiting, FREEZE_BOUND_S)
        except (OSError, TimeoutError):
            return False
        finally:
            if waiting in group.frozen:
                group.frozen.remove(waiting)
        return True

    def thaw(self, unit: str) -> None:
        """Let them go on; also where the last of them died meanwhile, for the next run finds the same cgroup."""
        group = self._groups.get(unit) or self._spare.get(unit)
        if group is not None:
            group.held = False
            with contextlib.suppress(OSError):
                _write(f"{group.directory}/cgroup.freeze", "0")

    def kill(self, unit: str) -> None:
        """SIGKILL to all in the unit's cgroup at once, what is born meanwhile included (cgroup.kill, Linux 5.14).

        All but those whose first thread has ended (seen on Linux 6.18): a signal by pidfd reaches these as well.
        """
        group = self._groups.get(unit)
        if group is not None:
            _kill(group.directory)

    def kill_everyone(self) -> None:
        """SIGKILL to all in the sub-tree except init.scope."""
        for name in _below(self.root):
            if name != INIT_SCOPE:
                _kill(f"{self.root}/{name}")

    def _unit_directories(self) -> Iterator[str]:
        """The units' directories that an earlier daemon left: the first below the slices that is none."""
        slices = [self.root]
        for directory in slices:
            for name in _below(directory):
                if name.endswith(".slice"):
                    slices.append(f"{directory}/{name}")
                elif name.endswith(_UNIT_KINDS) and name != INIT_SCOPE:
                    yield f"{directory}/{name}"


def _recorded(record: str, boot_id: str) -> str:
    """Where the last daemon of this runtime directory had its sub-tree, if that was in this boot and is still there."""
    written, _, root = _read(record).rstrip("\n").partition(" ")
    return root if boot_id and written == boot_id and os.path.isfile(f"{root}/cgroup.procs") else ""


def _enable_controllers(directory: str) -> None:
    """Pass on what there is, one by one; the kernel refuses where processes sit in the cgroup itself."""
    for controller in _read(f"{directory}/cgroup.controllers").split():
        with contextlib.suppress(OSError):
            _write(f"{directory}/cgroup.subtree_control", f"+{controller}")


def _walk(directory: str) -> Iterator[str]:
    """The directory and all below it, parents first."""
    found = [directory]
    for at in found:
        found.extend(f"{at}/{name}" for name in _below(at))
    return iter(found)


def _below(directory: str) -> list[str]:
    """The names of the cgroups right below this one; kernfs counts them in the links, which spares most listings."""
    try:
        if os.stat(directory).st_nlink == 2:
            return []
        with reserve.sure(os.scandir, directory) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _remove(directory: str) -> bool:
    """Remove the cgroup and those below it; False when something lives in one of them."""
    for at in reversed(list(_walk(directory))):
        with contextlib.suppress(OSError):
            os.rmdir(at)
    return not os.path.isdir(directory)


def _kill(directory: str) -> None:
    with contextlib.suppress(OSError):
        _write(f"{directory}/cgroup.kill", "1")


def _pids(directory: str) -> list[int]:
    return [int(word) for word in _read(f"{directory}/cgroup.procs").split() if word != "0"]


def _read(path: str) -> str:
    return os.fsdecode(processes.read_file(path))


def _write(path: str, text: str) -> None:
    fd = reserve.sure(os.open, path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
