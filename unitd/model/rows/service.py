"""[Service] (systemd.service(5)) and how processes are killed (systemd.kill(5))."""

from typing import Final

from unitd.model import exec_parsing, parsing
from unitd.model.rows.kinds import LOSS, METADATA, Rows
from unitd.model.setting import UNSET, Context, Setting, Unset
from unitd.model.states import INFINITY, SECOND
from unitd.syntax.signals import SIGABRT, SIGKILL, SIGTERM
from unitd.syntax.values import parse_span_zero_is_infinity

_S = Rows("Service")

_COMMANDS: Final = "a(sasbttttuii)"
_FAILURE_MODE: Final = parsing.one_of("terminate", "abort", "kill")


def _abort_timeout(text: str, context: Context) -> int | Unset:
    return parse_span_zero_is_infinity(text) if text else UNSET


def _exits(name: str, doc: str) -> Setting:
    return _S.row(
        name,
        parsing.exit_statuses,
        ((), ()),
        "(aiai)",
        doc,
        merge=parsing.join_exit_statuses,
        resets=True,
    )


ROWS: Final = (
    _S.word(
        "Type",
        "simple",
        parsing.one_of("simple", "exec", "forking", "oneshot", "dbus", "notify", "idle"),
        "When the service counts as started.",
    ),
    _S.word("ExitType", "main", parsing.one_of("main", "cgroup"), "Whose end is the service's end."),
    _S.list("ExecCondition", parsing.commands, _COMMANDS, "Commands that decide whether the start goes on."),
    _S.list("ExecStartPre", parsing.commands, _COMMANDS, "Commands run before ExecStart=."),
    _S.list("ExecStart", parsing.commands, _COMMANDS, "The service's program; several for Type=oneshot."),
    _S.list("ExecStartPost", parsing.commands, _COMMANDS, "Commands run after the service is started."),
    _S.list("ExecReload", parsing.commands, _COMMANDS, "Commands that make the service read its files again."),
    _S.list("ExecStop", parsing.commands, _COMMANDS, "Commands that stop the service, before any signal."),
    _S.list("ExecStopPost", parsing.commands, _COMMANDS, "Commands run after the service has ended, however it did."),
    _S.word(
        "Restart",
        "no",
        parsing.one_of("no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"),
        "After which ends the service is started again.",
    ),
    _S.row("RestartSec", parsing.span, SECOND // 10, "t", "The pause before a restart.", prop=("RestartUSec", "t")),
    _S.number("RestartSteps", 0, 2**31, 0, "", "In how many steps the pause grows up to RestartMaxDelaySec=."),
    _S.row("RestartMaxDelaySec", parsing.span, INFINITY, "", "The longest pause before a restart."),
    _S.span("TimeoutStartSec", 90 * SECOND, "How long a start may take.", parsing.span_zero_is_infinity),
    _S.span("TimeoutStopSec", 90 * SECOND, "How long a stop may take before SIGKILL.", parsing.span_zero_is_infinity),
    _S.row(
        "TimeoutSec",
        parsing.span_zero_is_infinity,
        None,
        "",
        "TimeoutStartSec= and TimeoutStopSec= in one.",
        expands=("TimeoutStartSec", "TimeoutStopSec"),
    ),
    _S.span("TimeoutAbortSec", None, "How long a watchdog's abort may take; None: as TimeoutStopSec=.", _abort_timeout),
    _S.word("TimeoutStartFailureMode", "terminate", _FAILURE_MODE, "How a start that takes too long is ended."),
    _S.word("TimeoutStopFailureMode", "terminate", _FAILURE_MODE, "How a stop that takes too long is ended."),
    _S.span("RuntimeMaxSec", INFINITY, "How long the service may run."),
    _S.span("RuntimeRandomizedExtraSec", 0, "Chance added to RuntimeMaxSec=.", **LOSS),
    _S.span("WatchdogSec", 0, "The longest time between two signs of life; 0: none are asked for."),
    _S.text("PIDFile", "The file in which a forking service writes its main pid.", exec_parsing.pid_file),
    _S.text("BusName", "The bus name of the service.", parsing.bus_name),
    _S.word("NotifyAccess", "none", parsing.one_of("none", "main", "exec", "all"), "Whose messages are listened to."),
    _S.flag("RemainAfterExit", False, "The service stays up after its processes have ended well."),
    _S.flag("GuessMainPID", True, "Guess the main process of a forking service without PIDFile=."),
    _S.flag("PermissionsStartOnly", False, "Only ExecStart= runs as User=.", prop=None),
    _S.flag("RootDirectoryStartOnly", False, "Only ExecStart= runs in RootDirectory=.", **METADATA),
    _S.flag("NonBlocking", False, "Passed descriptors are set non-blocking.", **LOSS),
    _exits("SuccessExitStatus", "Ends of the main process that count as good."),
    _exits("RestartPreventExitStatus", "Ends after which there is no restart."),
    _exits("RestartForceExitStatus", "Ends after which there always is a restart."),
    _S.list("Sockets", parsing.socket_names, "", "Sockets whose descriptors the service is given.", resets=False),
    _S.number(
        "FileDescriptorStoreMax", 0, 2**32 - 1, 0, "u", "How many descriptors may be kept for the service.", **LOSS
    ),
    _S.word(
        "OOMPolicy",
        "stop",
        parsing.one_of("continue", "stop", "kill"),
        "What happens when the kernel kills a process for want of memory.",
        **METADATA,
    ),
    _S.path("USBFunctionDescriptors", "USB gadget descriptors.", **LOSS),
    _S.path("USBFunctionStrings", "USB gadget strings.", **LOSS),
)

UNIT_ROWS_HERE: Final = frozenset(("StartLimitBurst", "StartLimitAction", "FailureAction", "RebootArgument"))
"""[Unit] directives that are read in [Service] too, where they were once."""

SYNONYMS: Final = {"StartLimitInterval": "StartLimitIntervalSec"}

IGNORED: Final = frozenset(("SysVStartPriority", "FsckPassNo", "BusPolicy"))
"""Directives that older systemd had, and that mean nothing any more."""


def kill_rows(section: str) -> tuple[Setting, ...]:
    """systemd.kill(5), for every type that has processes."""
    made = Rows(section)
    return (
        made.word(
            "KillMode",
            "control-group",
            parsing.one_of("control-group", "process", "mixed", "none"),
            "Whom the signals of a stop reach.",
        ),
        made.row("KillSignal", parsing.signal, SIGTERM, "i", "The first signal of a stop."),
        made.row("RestartKillSignal", parsing.signal, 0, "i", "The first signal of a restart; 0: as KillSignal=."),
        made.row("FinalKillSignal", parsing.signal, SIGKILL, "i", "The last signal of a stop."),
        made.row("WatchdogSignal", parsing.signal, SIGABRT, "i", "The signal when the watchdog has waited too long."),
        made.flag("SendSIGHUP", False, "SIGHUP follows the first signal."),
        made.flag("SendSIGKILL", True, "What is left when the time is up is killed."),
    )
