"""The words for what a unit or a job is, as systemd prints them (systemctl(1), org.freedesktop.systemd1(5))."""

from enum import StrEnum

INFINITY = 2**64 - 1
"""No deadline, no limit; larger than every instant, so that min() of deadlines works. Microseconds."""

SECOND = 1_000_000
"""Microseconds in a second."""


LOG_LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""syslog(3)'s, the most urgent first."""


_OF_A_PROCESS = {
    "R": "running",
    "S": "sleeping",
    "D": "disk sleep",
    "T": "stopped",
    "t": "tracing stop",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


def in_state(letter: str) -> str:
    """The state of a process as /proc/PID/status writes it, "D (disk sleep)" (proc(5))."""
    return f"{letter} ({_OF_A_PROCESS.get(letter, 'unknown')})"


class Load(StrEnum):
    STUB = "stub"
    LOADED = "loaded"
    NOT_FOUND = "not-found"
    BAD_SETTING = "bad-setting"
    ERROR = "error"
    MASKED = "masked"


class Active(StrEnum):
    ACTIVE = "active"
    RELOADING = "reloading"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"

    @property
    def is_up(self) -> bool:
        return self in (Active.ACTIVE, Active.RELOADING)

    @property
    def is_down(self) -> bool:
        return self in (Active.INACTIVE, Active.FAILED)


class Result(StrEnum):
    """Why a unit ended as it did."""

    SUCCESS = "success"
    RESOURCES = "resources"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    EXIT_CODE = "exit-code"
    SIGNAL = "signal"
    CORE_DUMP = "core-dump"
    WATCHDOG = "watchdog"
    START_LIMIT = "start-limit-hit"
    EXEC_CONDITION = "exec-condition"
    INTERNAL = "internal"
    UNKNOWN = "unknown"
    TRIGGER_LIMIT = "trigger-limit-hit"
    SERVICE_START_LIMIT = "service-start-limit-hit"


class JobType(StrEnum):
    START = "start"
    VERIFY_ACTIVE = "verify-active"
    STOP = "stop"
    RELOAD = "reload"
    RESTART = "restart"
    NOP = "nop"
    # These three are collapsed into one of the above before they are queued.
    TRY_RESTART = "try-restart"
    TRY_RELOAD = "try-reload"
    RELOAD_OR_START = "reload-or-start"


class JobMode(StrEnum):
    FAIL = "fail"
    REPLACE = "replace"
    REPLACE_IRREVERSIBLY = "replace-irreversibly"
    ISOLATE = "isolate"
    FLUSH = "flush"
    IGNORE_DEPENDENCIES = "ignore-dependencies"
    IGNORE_REQUIREMENTS = "ignore-requirements"
    TRIGGERING = "triggering"


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"


class JobResult(StrEnum):
    DONE = "done"
    CANCELED = "canceled"
    TIMEOUT = "timeout"
    FAILED = "failed"
    DEPENDENCY = "dependency"
    SKIPPED = "skipped"
    INVALID = "invalid"
    ASSERT = "assert"
    UNSUPPORTED = "unsupported"
    COLLECTED = "collected"
