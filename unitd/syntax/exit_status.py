"""Exit statuses by name: the C library's, the LSB's, BSD's and those of failures before exec (systemd.exec(5))."""

from typing import Final

from .integers import parse_unsigned

_NAMES: Final = {
    0: "SUCCESS",
    1: "FAILURE",
    2: "INVALIDARGUMENT",
    3: "NOTIMPLEMENTED",
    4: "NOPERMISSION",
    5: "NOTINSTALLED",
    6: "NOTCONFIGURED",
    7: "NOTRUNNING",
    **dict(
        enumerate(
            [
                "USAGE",
                "DATAERR",
                "NOINPUT",
                "NOUSER",
                "NOHOST",
                "UNAVAILABLE",
                "SOFTWARE",
                "OSERR",
                "OSFILE",
                "CANTCREAT",
                "IOERR",
                "TEMPFAIL",
                "PROTOCOL",
                "NOPERM",
                "CONFIG",
            ],
            64,
        )
    ),
    **dict(
        enumerate(
            [
                "CHDIR",
                "NICE",
                "FDS",
                "EXEC",
                "MEMORY",
                "LIMITS",
                "OOM_ADJUST",
                "SIGNAL_MASK",
                "STDIN",
                "STDOUT",
                "CHROOT",
                "IOPRIO",
                "TIMERSLACK",
                "SECUREBITS",
                "SETSCHEDULER",
                "CPUAFFINITY",
                "GROUP",
                "USER",
                "CAPABILITIES",
                "CGROUP",
                "SETSID",
                "CONFIRM",
                "STDERR",
            ],
            200,
        )
    ),
    **dict(
        enumerate(
            [
                "PAM",
                "NETWORK",
                "NAMESPACE",
                "NO_NEW_PRIVILEGES",
                "SECCOMP",
                "SELINUX_CONTEXT",
                "PERSONALITY",
                "APPARMOR",
                "ADDRESS_FAMILIES",
                "RUNTIME_DIRECTORY",
            ],
            224,
        )
    ),
    **dict(
        enumerate(
            [
                "CHOWN",
                "SMACK_PROCESS_LABEL",
                "KEYRING",
                "STATE_DIRECTORY",
                "CACHE_DIRECTORY",
                "LOGS_DIRECTORY",
                "CONFIGURATION_DIRECTORY",
                "NUMA_POLICY",
                "CREDENTIALS",
            ],
            235,
        )
    ),
    244: "BPF",
    255: "EXCEPTION",
}
_NUMBERS: Final = {name: number for number, name in _NAMES.items()}


def parse_exit_status(text: str) -> int:
    """An exit status by name, or by number from 0 to 255; raises Bad."""
    number = _NUMBERS.get(text)
    return parse_unsigned(text, 255) if number is None else number


def exit_status_name(number: int) -> str | None:
    """The name of an exit status, None when it has none."""
    return _NAMES.get(number)
