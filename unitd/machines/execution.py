"""From settings to one process: the ExecPlan of a service's command (systemd.exec(5), systemd.service(5)).

Names of users stay names, variables stay unsubstituted and files unread: that is the rim's and the child's work.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from unitd.machines.conf import Context, reader
from unitd.machines.phases import Service, Stage
from unitd.model import settings
from unitd.model.events import How
from unitd.model.exec_plan import (
    Capabilities,
    Directory,
    EnvFile,
    ExecPlan,
    Identity,
    Rlimit,
    Role,
    Scheduling,
    Stdio,
)
from unitd.model.unit import Unit
from unitd.syntax.limits import LIMITS
from unitd.syntax.signals import signal_name
from unitd.syntax.specifiers import DIRECTORY_KINDS

AFTER_THE_END = (Stage.STOP, Stage.STOP_POST)


def plan(context: Context, service: Service, stage: Stage, index: int, role: Role, serial: int) -> ExecPlan:
    """The plan of command `index` of `stage`."""
    conf = context.conf
    command = conf.commands[stage][index]
    shared = shared_plan(conf.unit, context.cgroup, context.invocation, context.bases)
    privileged = command.full_privileges or (conf.permissions_start_only and stage is not Stage.START)
    main = stage is Stage.START
    notify = conf.notify_access != "none" if main else conf.notify_access in ("all", "exec")
    return replace(
        shared,
        serial=serial,
        role=role,
        path=command.path,
        argv=command.argv,
        expand=not command.no_expand,
        environment=(*shared.environment, *directory_variables(conf.unit, context.bases), *_facts(service, stage)),
        identity=Identity() if privileged or command.no_setuid else shared.identity,
        capabilities=Capabilities() if privileged else shared.capabilities,
        stdio=shared.stdio if main else replace(shared.stdio, input=_control_input(shared.stdio.input)),
        sockets=context.sockets() if main else (),
        notify=notify,
        watchdog=service.watchdog if main else 0,
        idle=main and conf.type == "idle",
    )


def shared_plan(unit: Unit, cgroup: str, invocation: str, bases: Mapping[str, str]) -> ExecPlan:
    """What all processes of a unit have in common; depends on nothing but the unit's files and this start."""
    get = reader(unit)
    return ExecPlan(
        unit=unit.name,
        serial=0,
        role=Role.MAIN,
        cgroup=cgroup,
        path="",
        argv=(),
        invocation=invocation,
        search=get("ExecSearchPath"),
        environment=get("Environment"),
        env_files=tuple(EnvFile(path, optional) for path, optional in get("EnvironmentFile")),
        pass_environment=get("PassEnvironment"),
        unset_environment=get("UnsetEnvironment"),
        identity=_identity(get),
        umask=get("UMask"),
        rlimits=tuple(Rlimit(kind.lower(), *limit) for kind in LIMITS if (limit := get(f"Limit{kind}"))),
        scheduling=Scheduling(
            nice=get("Nice"),
            oom_score_adjust=get("OOMScoreAdjust"),
            policy=get("CPUSchedulingPolicy"),
            priority=get("CPUSchedulingPriority"),
            reset_on_fork=get("CPUSchedulingResetOnFork"),
            **_disk(unit, get),
            affinity=get("CPUAffinity"),
        ),
        capabilities=Capabilities(
            bounding=get("CapabilityBoundingSet"),
            ambient=frozenset(get("AmbientCapabilities")),
            no_new_privileges=get("NoNewPrivileges"),
        ),
        workdir=(get("WorkingDirectory") or "/").removeprefix("-"),
        workdir_optional=(get("WorkingDirectory") or "").startswith("-"),
        directories=directories(unit, bases),
        stdio=_stdio(get),
        ignore_sigpipe=get("IgnoreSIGPIPE"),
        log_name=get("SyslogIdentifier") or "",
    )


def _disk(unit: Unit, get: Any) -> dict[str, Any]:
    """Class and priority of disk access; none is the kernel's best-effort, 4, and a priority alone is of that class."""
    word = get("IOSchedulingClass")
    if word == "none":
        return {"io_class": "best-effort", "io_priority": 4}
    if word is None and "IOSchedulingPriority" in unit.settings:
        word = "best-effort"
    return {"io_class": word, "io_priority": get("IOSchedulingPriority")}


def _identity(get: Any) -> Identity:
    user, group = get("User") or "", get("Group") or ""
    return Identity(user, group, tuple(get("SupplementaryGroups")), login=bool(user))


def _stdio(get: Any) -> Stdio:
    stdin, text = get("StandardInput") or "null", b"".join(get("StandardInputData"))
    if stdin == "null" and text:
        stdin = "data"
    stdout = get("StandardOutput") or "journal"
    # Only what is open both ways can serve as output; a file or null cannot (systemd.exec(5), StandardOutput=).
    if stdout == "inherit" and not stdin.startswith(("tty", "socket", "fd")):
        stdout = "journal"
    return Stdio(
        _stream(stdin),
        _stream(stdout),
        _stream(get("StandardError") or "inherit"),
        get("TTYPath"),
        text,
    )


def _stream(word: str) -> str:
    """The unit's own log is what journal, syslog and kmsg become."""
    if word.split("+", 1)[0] in ("journal", "syslog", "kmsg"):
        return "log"
    return "tty" if word.startswith("tty") else word


def _control_input(word: str) -> str:
    """A control process has no socket and no terminal of its own."""
    return "null" if word in ("socket", "data") else word


def directories(unit: Unit, bases: Mapping[str, str]) -> tuple[Directory, ...]:
    """RuntimeDirectory= and kin, absolute, in the order in which systemd makes them."""
    return tuple(
        Directory(f"{bases[kind]}/{name}", settings.value(unit, f"{kind}DirectoryMode"))
        for kind in DIRECTORY_KINDS
        for name in unit.settings.get(f"{kind}Directory", ())
    )


def directory_variables(unit: Unit, bases: Mapping[str, str]) -> tuple[str, ...]:
    """RUNTIME_DIRECTORY= and kin."""
    found = []
    for kind in DIRECTORY_KINDS:
        if names := unit.settings.get(f"{kind}Directory"):
            found.append(f"{kind.upper()}_DIRECTORY=" + ":".join(f"{bases[kind]}/{name}" for name in names))
    return tuple(found)


def _facts(service: Service, stage: Stage) -> tuple[str, ...]:
    """What a command is told of its service: MAINPID, and at the end how it ended (systemd.exec(5))."""
    found = []
    if stage not in (Stage.CONDITION, Stage.START_PRE, Stage.START) and service.main is not None and service.main.pid:
        found.append(f"MAINPID={service.main.pid}")
    if stage in AFTER_THE_END:
        found.append(f"SERVICE_RESULT={service.result}")
        exit = service.last_main.exit
        if exit is not None and exit.how is not How.UNKNOWN:
            found.append(f"EXIT_CODE={exit.how}")
            status = exit.status if exit.how is How.EXITED else signal_name(exit.status).removeprefix("SIG")
            found.append(f"EXIT_STATUS={status}")
    return tuple(found)
