"""What a child does between clone and exec: step by step what the request says, then exec, or (stage, errno).

It joins its cgroup by writing "0" to cgroup.procs before anything else: CLONE_INTO_CGROUP makes stillborn children
once the cgroup was killed (Linux 6.18). Stages are the names of systemd.exec(5)'s exit statuses in lower case. The
order: what needs privileges, then the identity, then what only that user may be able to do (chdir on NFS), then exec.
"""

import ctypes
import errno
import fcntl
import grp
import marshal
import os
import pwd
import resource
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

SEARCH_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PLACEHOLDER = "\0{}\0"
"""Stands in arguments and variables for what only the child knows: pid, HOME, USER, LOGNAME, SHELL."""

JOINED = b"+"
_IDLE_MS = 5000
_IOPRIO_SET = {
    "x86_64": 251,
    "i686": 289,
    "armv7l": 314,
    "ppc64le": 273,
    "s390x": 282,
}.get(os.uname().machine, 30)
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 24, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_VERSION = 0x20080522
_CAP_SETUID, _CAP_SETGID, _CAP_SETPCAP = 7, 6, 8
_TIOCSCTTY = 0x540E

# PyDLL keeps the interpreter's lock over the call, so that no state of it is torn in the child.
libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
_prctl = libc.prctl
_prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


class Child:
    """The process to be: each method is one step, named in STEPS. `fds`: what came with the request, in its order."""

    def __init__(self, request: dict[str, Any], fds: list[int], status: int) -> None:
        self.request, self.fds, self.status = request, fds, status
        self.stage = "cgroup"
        self.uid, self.gid, self.groups = -1, -1, list[int]()
        self.known = {"pid": "", "HOME": "/", "USER": "", "LOGNAME": "", "SHELL": "/bin/sh"}

    def become(self) -> None:
        """Take every step; never returns. OSError, or ValueError for what no kernel takes, in `stage`."""
        for step in STEPS:
            step(self)

    def join(self) -> None:
        procs = self.request["procs"]
        if procs:
            self.stage = "cgroup"
            fd = os.open(procs, os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"0")
            os.close(fd)
        os.write(self.status, JOINED)

    def wait_until_idle(self) -> None:
        """Type=idle: until the daemon closes its end of the pipe, at most 5 s."""
        if self.request.get("idle"):
            turn = select.poll()
            turn.register(self.fds[-1], 0)
            turn.poll(_IDLE_MS)

    def start_session(self) -> None:
        self.stage = "setsid"
        os.setsid()

    def resolve(self) -> None:
        """Users and groups by name; this may ask name services, and take its time."""
        self.known["pid"] = str(os.getpid())
        user, group, supplementary = self.request.get("identity", ("", "", ()))
        self.stage = "user"
        if user or self.request.get("login"):
            entry = _user(user or str(os.getuid()))
            name = entry.pw_name if user.isdecimal() or not user else user
            shell = entry.pw_shell if entry.pw_shell not in ("", "/bin/false") else "/bin/sh"
            self.known.update(HOME=entry.pw_dir or "/", USER=name, LOGNAME=name, SHELL=shell)
            if user:
                self.uid, self.gid = entry.pw_uid, entry.pw_gid
        self.stage = "group"
        if group:
            self.gid = _group(group)
        if self.gid > 0 and user and os.geteuid() == 0:
            self.groups = os.getgrouplist(self.known["USER"], self.gid)
        self.groups += [number for number in map(_group, supplementary) if number not in self.groups]

    def connect_streams(self) -> None:
        source, output, error = self.request["stdio"]
        self.stage = "stdin"
        self._input(source)
        self.stage = "stdout"
        self._output(1, output, source)
        self.stage = "stderr"
        if error == output or error == "inherit":
            os.dup2(1, 2)
        else:
            self._output(2, error, source)

    def _input(self, word: str) -> None:
        kind, _, value = word.partition(":")
        if kind in ("tty", "tty-force", "tty-fail"):
            fd = os.open(self.request["tty"], os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(fd, _TIOCSCTTY, int(kind == "tty-force"))
        elif kind in ("socket", "fd"):
            fd = self._named(kind, value or "stdin")
        elif kind == "data":
            fd = os.memfd_create("stdin")
            os.write(fd, self.request["data"])
            os.lseek(fd, 0, os.SEEK_SET)
        elif kind == "file":
            both = self.request["stdio"][1] == word
            fd = os.open(value, (os.O_RDWR | os.O_CREAT if both else os.O_RDONLY) | os.O_NOCTTY, 0o666)
        else:
            fd = os.open("/dev/null", os.O_RDONLY | os.O_NOCTTY)
        self._move(fd, 0)

    def _output(self, target: int, word: str, source: str) -> None:
        kind, _, value = word.partition(":")
        if kind == "inherit" and source in ("null", "data"):
            if os.getppid() == 1:
                self._move(os.open("/dev/null", os.O_WRONLY | os.O_NOCTTY), target)
        elif kind == "inherit" or (kind == "file" and source == word):
            os.dup2(0, target)
        elif kind in ("socket", "fd"):
            self._move(self._named(kind, value or ("stdout" if target == 1 else "stderr")), target)
        elif kind in ("file", "append", "truncate"):
            how = {"file": 0, "append": os.O_APPEND, "truncate": os.O_TRUNC}[kind]
            self._move(os.open(value, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY | how, 0o666), target)
        elif kind == "tty":
            self._move(os.open(self.request["tty"], os.O_WRONLY | os.O_NOCTTY), target)
        elif kind == "log" and self.request["log"]:
            # Both ways: a FIFO that is open for reading gives its writers no EPIPE when the daemon is gone (fifo(7)).
            self._move(os.open(self.request["log"], os.O_RDWR | os.O_NOCTTY), target)
        else:
            self._move(os.open("/dev/null", os.O_WRONLY | os.O_NOCTTY), target)

    def _named(self, kind: str, name: str) -> int:
        names = self.request["names"]
        if (kind == "fd" and name not in names) or not names:
            raise OSError(errno.ENOENT, "", f"{kind}:{name}")
        return os.dup(self.fds[names.index(name) if kind == "fd" else 0])

    def _move(self, fd: int, target: int) -> None:
        if fd == target:
            os.set_inheritable(fd, True)
            return
        os.dup2(fd, target)
        os.close(fd)

    def schedule(self) -> None:
        request = self.request
        if "oom" in request:
            self.stage = "oom_adjust"
            # In a container the kernel may refuse to lower it; a service is no weaker for that (proc(5)).
            with suppress(PermissionError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
                score.write(str(request["oom"]))
        if "nice" in request:
            self.stage = "nice"
            os.setpriority(os.PRIO_PROCESS, 0, request["nice"])
        if "policy" in request:
            self.stage = "setscheduler"
            policy, priority = request["policy"]
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        if request.get("affinity"):
            self.stage = "cpuaffinity"
            os.sched_setaffinity(0, request["affinity"])
        if "io" in request:
            self.stage = "ioprio"
            checked(libc.syscall(ctypes.c_long(_IOPRIO_SET), 1, 0, request["io"]))

    def make_directories(self) -> None:
        os.umask(0o022)
        for path, mode, stage in self.request.get("directories", ()):
            self.stage = stage
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(path, mode)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            os.fchmod(fd, mode)
            if self.uid >= 0 and stage != "configuration_directory":
                self._own(path, fd)
            os.close(fd)
        os.umask(self.request["umask"])

    def _own(self, path: str, fd: int) -> None:
        """Give the directory to the unit's user, and all below it when it belonged to another one."""
        uid, gid = max(self.uid, 0), max(self.gid, 0)
        seen = os.fstat(fd)
        if (seen.st_uid, seen.st_gid) == (uid, gid):
            return
        for _, below, files, folder in os.fwalk(path, follow_symlinks=False):
            for name in (*below, *files):
                os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        os.fchown(fd, uid, gid)

    def join_groups(self) -> None:
        self.stage = "group"
        if self.groups:
            os.setgroups(self.groups)
        if self.gid >= 0:
            os.setresgid(self.gid, self.gid, self.gid)

    def limit(self) -> None:
        for number, soft, hard in self.request["rlimits"]:
            self.stage = "limits"
            if hard != resource.RLIM_INFINITY and not 0 <= soft <= hard:
                raise OSError(errno.EINVAL, "")
            try:
                resource.setrlimit(number, (soft, hard))
            except ValueError:
                # Without privileges, as near to it as the present limit lets us.
                most = resource.getrlimit(number)[1]
                resource.setrlimit(number, (most if soft == resource.RLIM_INFINITY else min(soft, most), most))

    def take_identity(self) -> None:
        """The user, and what capabilities survive the change (capabilities(7), "Ambient")."""
        bounding, ambient = self.request.get("bounding"), self.request.get("ambient", ())
        self.stage = "capabilities"
        for number in _dropped(bounding):
            checked(_prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        if ambient and self.uid > 0:
            checked(_prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        if self.uid >= 0:
            self.stage = "user"
            os.setresuid(self.uid, self.uid, self.uid)
        self.stage = "capabilities"
        if ambient:
            _hold(ambient, only=self.uid > 0)
            for number in ambient:
                checked(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0))
        if self.request.get("no_new_privileges"):
            self.stage = "no_new_privileges"
            checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))

    def change_directory(self) -> None:
        path, optional = self.request["workdir"]
        self.stage = "chdir"
        try:
            os.chdir(self.known["HOME"] if path == "~" else path)
        except OSError:
            if not optional:
                raise
            os.chdir("/")

    def place_descriptors(self) -> None:
        """The sockets from 3 on; all other descriptors are close-on-exec."""
        count = len(self.request["names"])
        if count:
            self.stage = "fds"
            above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3 + count) for fd in self.fds[:count]]
            self.status = fcntl.fcntl(self.status, fcntl.F_DUPFD_CLOEXEC, 3 + count)
            for index, fd in enumerate(above):
                os.dup2(fd, 3 + index)

    def execute(self) -> None:
        request = self.request
        argv, env, path = request["argv"], request["env"], request["path"]
        if request.get("late"):
            argv = [self._filled(text) for text in argv]
            env = {name: self._filled(text) for name, text in env.items()}
        if request["ignore_sigpipe"]:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        self.stage = "exec"
        os.execve(path if "/" in path else _found(path, request.get("search") or SEARCH_PATH), argv, env)

    def _filled(self, text: str) -> str:
        if "\0" in text:
            for name, value in self.known.items():
                text = text.replace(PLACEHOLDER.format(name), value)
        return text


STEPS: tuple[Callable[[Child], None], ...] = (
    Child.join,
    Child.wait_until_idle,
    Child.start_session,
    Child.resolve,
    Child.connect_streams,
    Child.schedule,
    Child.make_directories,
    Child.join_groups,
    Child.limit,
    Child.take_identity,
    Child.change_directory,
    Child.place_descriptors,
    Child.execute,
)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise OSError(errno.ESRCH, "", name) from None


def _group(name: str) -> int:
    try:
        return (grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)).gr_gid
    except (KeyError, OverflowError):
        raise OSError(errno.ESRCH, "", name) from None


def _found(name: str, folders: Sequence[str]) -> str:
    """In which of the folders the program is; ENOENT when nowhere (systemd.service(5), "Command lines")."""
    for folder in folders:
        path = f"{folder}/{name}"
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, "", name)


def _dropped(bounding: tuple[int, ...] | None) -> list[int]:
    """The capabilities that the kernel knows and that are not in the set; none of them without a set."""
    if bounding is None:
        return []
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as last:
        return [number for number in range(int(last.read()) + 1) if number not in bounding]


def _hold(numbers: tuple[int, ...], *, only: bool) -> None:
    """Make the capabilities inheritable, and effective after a change of user; `only`: give up all others."""
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, sets))
    for word in (0, 1):
        bits = sum(1 << number % 32 for number in numbers if number // 32 == word)
        if only:
            sets[3 * word] = sets[3 * word + 1] = bits
        sets[3 * word + 2] |= bits
    checked(libc.capset(header, sets))


def run_child(request: dict[str, Any], fds: list[int], status: int) -> None:
    """Be the child: exec, or tell the stage through `status` and exit. Never returns (os._exit)."""
    child = Child(request, fds, status)
    try:
        child.become()
    except OSError as error:
        report = child.stage, error.errno or errno.EIO, str(error.filename or "")
    except (ValueError, OverflowError) as error:
        report = child.stage, errno.EINVAL, str(error)
    except BaseException as error:
        report = "exception", errno.EIO, f"{type(error).__name__}: {error}"
    try:
        os.write(child.status, marshal.dumps(report))
    finally:
        os._exit(255)
