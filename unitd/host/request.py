"""An ExecPlan as the executor takes it: resolved as far as the daemon can without asking name services.

Environment, lowest first: what every process gets, ExecSearchPath= as PATH, PassEnvironment=, our own variables,
Environment=, EnvironmentFile=; then UnsetEnvironment= (systemd.exec(5), "Environment Variables in Spawned Processes").
"""

import glob
import os
import resource
from typing import Any

from unitd.executor.child import PLACEHOLDER
from unitd.host.ports import Surroundings
from unitd.host.processes import read_file
from unitd.model.exec_plan import Capabilities, EnvFile, ExecPlan, Scheduling
from unitd.model.states import INFINITY
from unitd.syntax.capabilities import CAPABILITIES
from unitd.syntax.environment import load, substitute, valid_assignment
from unitd.syntax.errors import Bad

_POLICIES = {"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}
_RESET_ON_FORK = 0x40000000
_IO_CLASSES = {"none": 0, "realtime": 1, "best-effort": 2, "idle": 3}
_STAGES = (
    ("/etc/", "configuration_directory"),
    ("/var/lib/", "state_directory"),
    ("/var/cache/", "cache_directory"),
    ("/var/log/", "logs_directory"),
)
_LOGIN = ("HOME", "USER", "LOGNAME", "SHELL")
_LONGEST_FILE = 16 << 20


class Unusable(Exception):
    """The plan cannot be made into a request: stage, errno and about what."""

    def __init__(self, stage: str, number: int, detail: str) -> None:
        super().__init__(stage, number, detail)
        self.stage, self.number, self.detail = stage, number, detail


def request_of(
    plan: ExecPlan, procs: str, around: Surroundings, nofile: tuple[int, int]
) -> tuple[dict[str, Any], list[int]]:
    """The request, without its key, and the descriptors of its sockets. `procs`: cgroup.procs to join, or "".

    Raises Unusable for an environment file that cannot be read and for words that have no meaning.
    """
    sockets = [named for unit in plan.sockets for named in around.sockets.descriptors(unit)]
    environment = _environment(plan, around, [name for _, name in sockets])
    argv = list(plan.argv)
    if plan.expand:
        argv[1:] = substitute(argv[1:], environment)
    words = (plan.stdio.input, plan.stdio.output, plan.stdio.error)
    request: dict[str, Any] = {
        "procs": procs,
        "path": plan.path,
        "search": plan.search,
        "argv": argv,
        "env": environment,
        "stdio": words,
        "log": around.logs.stdout_path(plan.unit) if "log" in words else "",
        "names": [name for _, name in sockets],
        "umask": plan.umask,
        "rlimits": _rlimits(plan, nofile),
        "workdir": (plan.workdir, plan.workdir_optional),
        "ignore_sigpipe": plan.ignore_sigpipe,
        "idle": plan.idle,
        "late": plan.identity.login or bool(sockets) or bool(plan.watchdog),
        "login": plan.identity.login,
        "tty": plan.stdio.tty,
        "data": plan.stdio.data,
        "identity": (plan.identity.user, plan.identity.group, plan.identity.supplementary),
        "directories": [(entry.path, entry.mode, _stage(entry.path)) for entry in plan.directories],
        **_scheduling(plan.scheduling),
        **_capabilities(plan.capabilities),
    }
    return request, [fd for fd, _ in sockets]


def _environment(plan: ExecPlan, around: Surroundings, names: list[str]) -> dict[str, str]:
    environment = dict(around.environment)
    if plan.search:
        environment["PATH"] = ":".join(plan.search)
    for name in plan.pass_environment:
        if name in os.environ:
            environment[name] = os.environ[name]
    pid = PLACEHOLDER.format("pid")
    if plan.identity.login:
        environment.update((name, PLACEHOLDER.format(name)) for name in _LOGIN)
    if plan.invocation:
        environment["INVOCATION_ID"] = plan.invocation
    if plan.notify and around.notify:
        environment["NOTIFY_SOCKET"] = around.notify
    if plan.watchdog:
        environment.update(WATCHDOG_PID=pid, WATCHDOG_USEC=str(plan.watchdog))
    if names:
        environment.update(LISTEN_PID=pid, LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=":".join(names))
    if any(word.startswith("tty") for word in (plan.stdio.input, plan.stdio.output, plan.stdio.error)):
        environment.setdefault("TERM", _terminal(plan.stdio.tty))
    environment.update(_pair(assignment) for assignment in plan.environment)
    for file in plan.env_files:
        environment.update(_pair(assignment) for assignment in _assignments(file) if valid_assignment(assignment))
    for unset in plan.unset_environment:
        name, equals, value = unset.partition("=")
        if name in environment and (not equals or environment[name] == value):
            del environment[name]
    return environment


def _terminal(path: str) -> str:
    """A virtual console is a "linux" terminal; of any other nothing is known."""
    name = os.path.basename(path)
    if name == "console":
        name = (read_file("/sys/class/tty/console/active").decode().split() or [""])[-1]
    return "linux" if name.startswith("tty") and name[3:].isdecimal() else "vt220"


def _pair(assignment: str) -> tuple[str, str]:
    name, _, value = assignment.partition("=")
    return name, value


def _assignments(file: EnvFile) -> list[str]:
    """Of the file, or of all files that the pattern matches, in order of name."""
    paths = sorted(glob.glob(file.path)) if glob.has_magic(file.path) else [file.path]
    try:
        if not paths:
            raise FileNotFoundError(2, "", file.path)
        return [assignment for path in paths for assignment in load(_text(path))]
    except OSError as error:
        if file.optional:
            return []
        raise Unusable("environment", error.errno or 5, file.path) from None
    except Bad as fault:
        raise Unusable("environment", 22, f"{file.path}: {fault}") from None


def _text(path: str) -> str:
    # Not blocking, because a FIFO in the place of a file must not hold up the daemon.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(fd, "rb") as file:
        return (file.read(_LONGEST_FILE) or b"").decode("utf-8", "surrogateescape")


def _rlimits(plan: ExecPlan, nofile: tuple[int, int]) -> list[tuple[int, int, int]]:
    """By number; the limit of descriptors is the one that the daemon was started with, unless the unit has its own."""
    limits = [(resource.RLIMIT_NOFILE, *nofile)]
    for limit in plan.rlimits:
        number = getattr(resource, f"RLIMIT_{limit.kind.upper()}", None)
        if number is None:
            raise Unusable("limits", 22, limit.kind)
        limits.append((number, _rlimit(limit.soft), _rlimit(limit.hard)))
    return limits


def _rlimit(value: int) -> int:
    return resource.RLIM_INFINITY if value >= INFINITY else value


def _scheduling(wanted: Scheduling) -> dict[str, Any]:
    found: dict[str, Any] = {"affinity": wanted.affinity}
    try:
        if wanted.nice is not None:
            found["nice"] = wanted.nice
        if wanted.oom_score_adjust is not None:
            found["oom"] = wanted.oom_score_adjust
        if wanted.policy is not None or wanted.reset_on_fork:
            policy = _POLICIES[wanted.policy or "other"]
            found["policy"] = (policy | (_RESET_ON_FORK if wanted.reset_on_fork else 0), wanted.priority)
        if wanted.io_class is not None:
            found["io"] = _IO_CLASSES[wanted.io_class] << 13 | wanted.io_priority
    except KeyError as unknown:
        raise Unusable("setscheduler", 22, str(unknown)) from None
    return found


def _capabilities(wanted: Capabilities) -> dict[str, Any]:
    return {
        "bounding": None if wanted.bounding is None else _numbers(wanted.bounding),
        "ambient": _numbers(wanted.ambient),
        "no_new_privileges": wanted.no_new_privileges,
    }


def _numbers(names: frozenset[str]) -> tuple[int, ...]:
    try:
        return tuple(sorted(CAPABILITIES.index(name) for name in names))
    except ValueError as unknown:
        raise Unusable("capabilities", 22, str(unknown)) from None


def _stage(path: str) -> str:
    return next((stage for prefix, stage in _STAGES if path.startswith(prefix)), "runtime_directory")
