"""The environment of processes: identity, limits, directories, streams, protection (systemd.exec(5))."""

from typing import Any, Final

from unitd.model import exec_parsing, parsing
from unitd.model.rows.kinds import LOSS, METADATA, Rows, lie
from unitd.model.setting import Parse, Setting, extend
from unitd.model.states import INFINITY
from unitd.syntax.limits import LIMITS
from unitd.syntax.specifiers import DIRECTORY_KINDS

_INPUT: Final = exec_parsing.stream(
    "null", "tty", "tty-force", "tty-fail", "socket", "data", named=("fd",), files=("file",)
)
_OUTPUT: Final = exec_parsing.stream(
    "inherit",
    "null",
    "tty",
    "journal",
    "kmsg",
    "journal+console",
    "kmsg+console",
    "socket",
    named=("fd",),
    files=("file", "append", "truncate"),
    synonyms={"syslog": "journal", "syslog+console": "journal+console"},
)
_LEVELS: Final = exec_parsing.log_level
_MODE: Final = 0o755


def rows(section: str) -> tuple[Setting, ...]:
    """All of systemd.exec(5) for one section."""
    made = Rows(section)
    return (
        *_identity(made),
        *_resources(made),
        *_environment(made),
        *_streams(made),
        *_directories(made),
        *_file_system(made),
        *_protection(made),
    )


def _identity(made: Rows) -> tuple[Setting, ...]:
    return (
        made.text("User", "Who the processes run as; a name or a number.", exec_parsing.user_name),
        made.text("Group", "The group the processes run as.", exec_parsing.user_name),
        made.list("SupplementaryGroups", exec_parsing.user_names, "as", "Further groups."),
        made.row("UMask", parsing.mode, 0o022, "u", "The file mode creation mask."),
        made.row(
            "CapabilityBoundingSet",
            exec_parsing.capabilities,
            None,
            "t",
            "The capabilities that a process can ever have; None: all.",
            merge=exec_parsing.bound_capabilities,
        ),
        made.row(
            "AmbientCapabilities",
            exec_parsing.capabilities,
            frozenset(),
            "t",
            "The capabilities that a process without root keeps across exec.",
            merge=exec_parsing.ambient_capabilities,
        ),
        made.flag("NoNewPrivileges", False, "No program can gain privileges by exec."),
        made.flag("DynamicUser", False, "A user made up for the run.", **lie()),
        made.text("PAMName", "The PAM service that opens a session.", **lie()),
        made.flag("RemoveIPC", False, "Remove the user's IPC objects when the unit stops.", **LOSS),
        made.list("SecureBits", parsing.word_list, "", "Secure bits of the kernel.", **lie()),
        made.word(
            "KeyringMode",
            "private" if made.section == "Service" else "shared",
            parsing.one_of("inherit", "private", "shared"),
            "The session keyring.",
            **lie(("inherit",)),
        ),
        made.text("SELinuxContext", "The SELinux label.", sig="(bs)", **lie()),
        made.text("AppArmorProfile", "The AppArmor profile.", sig="(bs)", **lie()),
        made.text("SmackProcessLabel", "The SMACK label.", sig="(bs)", **lie()),
        made.text("UtmpIdentifier", "The id of a utmp record.", **LOSS),
        made.word("UtmpMode", "init", parsing.one_of("init", "login", "user"), "The kind of utmp record.", **LOSS),
    )


def _resources(made: Rows) -> tuple[Setting, ...]:
    limits = (
        made.row(f"Limit{kind}", parsing.rlimit(kind), None, "t", f"RLIMIT_{kind} as (soft, hard).", resets=True)
        for kind in LIMITS
    )
    return (
        *limits,
        made.number("Nice", -20, 19, None, "i", "The nice level.", resets=True),
        made.number("OOMScoreAdjust", -1000, 1000, None, "i", "How soon the kernel kills it for memory.", resets=True),
        *_scheduling(made),
        made.list("CPUAffinity", parsing.processors, "ay", "The processors it may run on."),
        made.text("NUMAPolicy", "The NUMA policy.", sig="", **LOSS),
        made.text("NUMAMask", "The NUMA nodes.", sig="", **LOSS),
        made.text("CoredumpFilter", "What a core dump holds.", sig="", **LOSS),
        made.row("TimerSlackNSec", parsing.nanoseconds, None, "t", "Timer slack, in nanoseconds.", **LOSS),
        made.text("Personality", "The kernel's personality.", **LOSS),
        made.flag("IgnoreSIGPIPE", True, "SIGPIPE is ignored."),
    )


def _scheduling(made: Rows) -> tuple[Setting, ...]:
    return (
        made.row(
            "IOSchedulingClass",
            parsing.one_of(
                "none",
                "realtime",
                "best-effort",
                "idle",
                **{"0": "none", "1": "realtime", "2": "best-effort", "3": "idle"},
            ),
            None,
            "i",
            "The class of disk access.",
            resets=True,
        ),
        made.number("IOSchedulingPriority", 0, 7, 4, "i", "The priority in that class.", resets=True),
        made.row(
            "CPUSchedulingPolicy",
            parsing.one_of(
                "other",
                "batch",
                "idle",
                "fifo",
                "rr",
                **{"0": "other", "1": "fifo", "2": "rr", "3": "batch", "5": "idle"},
            ),
            None,
            "i",
            "The scheduling policy.",
            resets=True,
        ),
        made.number("CPUSchedulingPriority", 0, 99, 0, "i", "The real-time priority.", resets=True),
        made.flag("CPUSchedulingResetOnFork", False, "Children do not inherit the policy."),
    )


def _environment(made: Rows) -> tuple[Setting, ...]:
    return (
        made.list(
            "Environment",
            exec_parsing.assignments,
            "as",
            "Variables, as NAME=VALUE.",
            merge=exec_parsing.replace_assignments,
        ),
        made.list(
            "EnvironmentFile",
            exec_parsing.environment_file,
            "a(sb)",
            "Files of variables, as (path, may be missing).",
            prop=("EnvironmentFiles", "a(sb)"),
        ),
        made.list("PassEnvironment", exec_parsing.variable_names, "as", "Variables taken over from the daemon."),
        made.list(
            "UnsetEnvironment", exec_parsing.variables_or_names, "as", "Variables, or NAME=VALUE, taken out at the end."
        ),
        made.text(
            "WorkingDirectory",
            "Where it starts: a path or ~, with a leading - when it may be missing.",
            exec_parsing.working_directory,
        ),
        made.list("ExecSearchPath", exec_parsing.search_path, "as", "Where programs without a path are looked for."),
        made.list("LoadCredential", parsing.word_list, "", "Secrets from files.", **LOSS),
        made.list("LoadCredentialEncrypted", parsing.word_list, "", "Encrypted secrets from files.", **LOSS),
        made.list("SetCredential", parsing.raw_item, "", "Secrets in the unit file.", **LOSS),
        made.list("SetCredentialEncrypted", parsing.raw_item, "", "Encrypted secrets in the unit file.", **LOSS),
    )


def _streams(made: Rows) -> tuple[Setting, ...]:
    return (
        made.word("StandardInput", "null", _INPUT, "Where standard input comes from."),
        made.word("StandardOutput", "inherit", _OUTPUT, "Where standard output goes."),
        made.word("StandardError", "inherit", _OUTPUT, "Where standard error goes."),
        made.list(
            "StandardInputText", exec_parsing.input_text, "", "Lines of standard input.", key="StandardInputData"
        ),
        made.list("StandardInputData", exec_parsing.input_data, "ay", "Standard input in base 64, as pieces of bytes."),
        made.row("TTYPath", parsing.path, "/dev/console", "s", "The terminal for tty streams.", resets=True),
        made.flag("TTYReset", False, "Reset the terminal.", **LOSS),
        made.flag("TTYVHangup", False, "Hang the terminal up.", **LOSS),
        made.flag("TTYVTDisallocate", False, "Clear the virtual terminal.", **LOSS),
        made.number("TTYRows", 0, 65535, None, "q", "The height of the terminal.", resets=True, **LOSS),
        made.number("TTYColumns", 0, 65535, None, "q", "The width of the terminal.", resets=True, **LOSS),
        made.text("SyslogIdentifier", "The name before log lines.", **METADATA),
        made.word("SyslogFacility", "daemon", exec_parsing.log_facility, "The syslog facility.", prop=None, **METADATA),
        made.word("SyslogLevel", "info", _LEVELS, "The syslog level.", prop=None, **METADATA),
        made.flag("SyslogLevelPrefix", True, "A level in angle brackets before a line is read.", **METADATA),
        made.word("LogLevelMax", "", _LEVELS, "The least urgent level that is kept.", prop=None, **METADATA),
        made.span("LogRateLimitIntervalSec", 0, "The time of LogRateLimitBurst=.", **METADATA),
        made.number("LogRateLimitBurst", 0, 2**32 - 1, 0, "u", "How many lines are kept in that time.", **METADATA),
        made.list("LogExtraFields", parsing.raw_item, "", "Further fields of log entries.", **METADATA),
        made.text("LogNamespace", "A journal of its own.", **LOSS),
    )


def _directories(made: Rows) -> tuple[Setting, ...]:
    found: list[Setting] = []
    for kind in DIRECTORY_KINDS:
        parse: Parse = exec_parsing.service_directories(kind)
        name = f"{kind}Directory"
        found += (
            made.list(
                name, parse, "as", f"Directories made for the unit, relative to the daemon's {kind.lower()} directory."
            ),
            made.row(f"{name}Mode", parsing.mode, _MODE, "u", f"The access mode of {name}=."),
        )
    return (
        *found,
        made.word(
            "RuntimeDirectoryPreserve", "no", parsing.flag_or("restart"), "Whether RuntimeDirectory= outlives a stop."
        ),
        made.span("TimeoutCleanSec", INFINITY, "How long cleaning may take.", **METADATA),
    )


def _paths(made: Rows, name: str, doc: str, **more: Any) -> Setting:
    return made.list(name, parsing.path_list, "as", doc, **more)


def _file_system(made: Rows) -> tuple[Setting, ...]:
    def some(name: str, doc: str, sig: str = "") -> Setting:
        return made.list(name, parsing.word_list, sig, doc, **lie())

    return (
        made.path("RootDirectory", "Another root directory.", **lie(("", "/"))),
        made.path("RootImage", "A root directory from an image.", **lie()),
        some("RootImageOptions", "Mount options of RootImage=."),
        made.text("RootHash", "The verity hash of RootImage=.", sig="", **lie()),
        made.text("RootHashSignature", "Its signature.", sig="", **lie()),
        made.path("RootVerity", "Its verity data.", **lie()),
        some("ExtensionDirectories", "Directories laid over /usr and /opt.", "as"),
        some("ExtensionImages", "Images laid over /usr and /opt."),
        some("MountImages", "Images to mount."),
        some("BindPaths", "Places seen elsewhere as well."),
        some("BindReadOnlyPaths", "Places seen elsewhere as well, read-only."),
        some("TemporaryFileSystem", "Places with an empty file system."),
        made.row("MountAPIVFS", parsing.boolean, None, "b", "Mount /proc, /sys and /dev in the root.", **LOSS),
        made.text("MountFlags", "Where mounts are propagated.", sig="", **lie(("", "shared"))),
        _paths(made, "ReadWritePaths", "Exceptions to ProtectSystem= and its kin.", **METADATA),
        _paths(made, "ReadOnlyPaths", "Places that cannot be written.", **lie()),
        _paths(made, "InaccessiblePaths", "Places that cannot be seen.", **lie()),
        _paths(made, "ExecPaths", "Exceptions to NoExecPaths=.", **METADATA),
        _paths(made, "NoExecPaths", "Places without programs.", **lie()),
    )


def _protection(made: Rows) -> tuple[Setting, ...]:
    def flag(name: str, doc: str) -> Setting:
        return made.flag(name, False, doc, **lie())

    def words(name: str, doc: str, **more: Any) -> Setting:
        return made.list(name, exec_parsing.filter_words, "", doc, **({"merge": extend} | lie() | more))

    return (
        made.word("ProtectSystem", "no", parsing.flag_or("full", "strict"), "The system is read-only.", **lie()),
        made.word("ProtectHome", "no", parsing.flag_or("read-only", "tmpfs"), "Home directories are hidden.", **lie()),
        made.word(
            "ProtectProc",
            "default",
            parsing.one_of("default", "noaccess", "invisible", "ptraceable"),
            "Processes of others are hidden.",
            **lie(("default",)),
        ),
        made.word(
            "ProcSubset", "all", parsing.one_of("all", "pid"), "/proc without the kernel's part.", **lie(("all",))
        ),
        flag("PrivateTmp", "/tmp and /var/tmp of its own."),
        flag("PrivateDevices", "/dev without hardware."),
        flag("PrivateNetwork", "No network."),
        flag("PrivateUsers", "A user namespace."),
        flag("PrivateMounts", "Mounts of its own."),
        flag("PrivateIPC", "IPC objects of its own."),
        flag("ProtectKernelTunables", "Kernel variables are read-only."),
        flag("ProtectKernelModules", "No kernel modules."),
        flag("ProtectKernelLogs", "No kernel log."),
        flag("ProtectClock", "The clock cannot be set."),
        flag("ProtectControlGroups", "cgroups are read-only."),
        flag("ProtectHostname", "The host name cannot be set."),
        flag("MemoryDenyWriteExecute", "No memory that can be written and run."),
        flag("RestrictRealtime", "No real-time scheduling."),
        flag("RestrictSUIDSGID", "No setuid files."),
        flag("LockPersonality", "The personality cannot be changed."),
        made.path("NetworkNamespacePath", "A network namespace.", **lie()),
        made.path("IPCNamespacePath", "An IPC namespace.", **lie()),
        words("SystemCallFilter", "System calls that are allowed, or with ~ refused."),
        words("SystemCallArchitectures", "Architectures of system calls that are allowed."),
        made.text("SystemCallErrorNumber", "What a refused system call returns.", sig="", **METADATA),
        words("SystemCallLog", "System calls that are logged.", **LOSS),
        words("RestrictNamespaces", "Namespaces that can be made.", **lie(((), ("no",), ("false",), ("0",), ("off",)))),
        words("RestrictAddressFamilies", "Address families that are allowed.", **lie(((), ("none",)))),
        words("RestrictFileSystems", "File systems that are allowed."),
    )


SYNONYMS: Final = {
    "ReadWriteDirectories": "ReadWritePaths",
    "ReadOnlyDirectories": "ReadOnlyPaths",
    "InaccessibleDirectories": "InaccessiblePaths",
}
IGNORED: Final = frozenset(
    ("Capabilities", "TCPWrapName", "ControlGroup", "ControlGroupModify", "ControlGroupPersistent")
)
