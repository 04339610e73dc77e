"""All that a process is started with, as one value: made by machines/execution, carried out by executor.

Users and groups are names here; they are resolved in the child, because name services may block (systemd.exec(5)).
"""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """Which process of its unit this is."""

    MAIN = "main"
    CONTROL = "control"


class Directory(Struct, frozen=True):
    """One RuntimeDirectory= or kin: `path` is absolute; `mode` is octal as int; owned by the unit's user."""

    path: str
    mode: int


class EnvFile(Struct, frozen=True):
    path: str
    optional: bool


class Rlimit(Struct, frozen=True):
    """`kind` as in RLIMIT_<kind>, lower case ("nofile"); INFINITY for none."""

    kind: str
    soft: int
    hard: int


class Identity(Struct, frozen=True):
    """Who a process runs as. Empty names: as the daemon. `login`: set HOME, USER, LOGNAME and SHELL."""

    user: str = ""
    group: str = ""
    supplementary: tuple[str, ...] = ()
    login: bool = False


class Scheduling(Struct, frozen=True):
    """None: as inherited. `policy`, `io_class`: systemd's words ("batch", "idle")."""

    nice: int | None = None
    oom_score_adjust: int | None = None
    policy: str | None = None
    priority: int = 0
    reset_on_fork: bool = False
    io_class: str | None = None
    io_priority: int = 4
    affinity: tuple[int, ...] = ()


class Capabilities(Struct, frozen=True):
    """Sets as capability names in lower case ("cap_net_bind_service"); None: leave as it is."""

    bounding: frozenset[str] | None = None
    ambient: frozenset[str] = frozenset()
    no_new_privileges: bool = False


class Stdio(Struct, frozen=True):
    """Where the three streams go, in systemd's words.

    "null", "inherit", "tty", "log" (the unit's own log; what journal, syslog and kmsg become), "socket",
    "file:PATH", "append:PATH", "truncate:PATH", "fd:NAME"; input also "data".
    """

    input: str = "null"
    output: str = "log"
    error: str = "inherit"
    tty: str = "/dev/console"
    data: bytes = b""


class ExecPlan(Struct, frozen=True):
    """One process to be. `cgroup` is relative to the daemon's sub-tree; `serial` tells answers of one unit apart."""

    unit: str
    serial: int
    role: Role
    cgroup: str
    path: str
    argv: tuple[str, ...]
    invocation: str
    expand: bool = True
    search: tuple[str, ...] = ()
    """Where a program without a path is looked for, and PATH; empty: in the usual places."""
    environment: tuple[str, ...] = ()
    env_files: tuple[EnvFile, ...] = ()
    pass_environment: tuple[str, ...] = ()
    unset_environment: tuple[str, ...] = ()
    identity: Identity = Identity()
    umask: int = 0o022
    rlimits: tuple[Rlimit, ...] = ()
    scheduling: Scheduling = Scheduling()
    capabilities: Capabilities = Capabilities()
    workdir: str = "/"
    workdir_optional: bool = False
    directories: tuple[Directory, ...] = ()
    stdio: Stdio = Stdio()
    sockets: tuple[str, ...] = ()
    """Socket units whose descriptors are passed from 3 on (sd_listen_fds(3))."""
    notify: bool = False
    watchdog: int = 0
    """WATCHDOG_USEC for the process; 0: none."""
    ignore_sigpipe: bool = True
    idle: bool = False
    """Wait for the queue of jobs to be empty before exec, as Type=idle; the daemon tells the executor."""
    log_name: str = ""
    """SyslogIdentifier= or empty for the program's name."""
