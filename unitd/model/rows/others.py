"""[Timer], [Path], [Mount], [Automount], [Swap] and [Scope], each from the man page of its name."""

from typing import Final

from unitd.model import parsing
from unitd.model.rows.kinds import Rows
from unitd.model.setting import Context, Parse, Setting
from unitd.model.states import INFINITY, SECOND
from unitd.syntax.values import parse_span

_T = Rows("Timer")
_P = Rows("Path")
_M = Rows("Mount")
_A = Rows("Automount")
_W = Rows("Swap")

_MONOTONIC: Final = ("OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec")
_WATCHED: Final = ("PathExists", "PathExistsGlob", "PathChanged", "PathModified", "DirectoryNotEmpty")

_SHORTHANDS: Final = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}


def _after(kind: str) -> Parse:
    """((kind, microseconds),)."""

    def parse(text: str, context: Context) -> tuple[tuple[str, int], ...]:
        return ((kind, parse_span(context.expand(text))),)

    return parse


def _calendar(text: str, context: Context) -> tuple[tuple[str, str], ...]:
    """(("OnCalendar", expression),); the words of systemd.time(7) are written out."""
    expression = context.expand(text)
    return (("OnCalendar", _SHORTHANDS.get(expression.lower(), expression)),)


def _watched(kind: str) -> Parse:
    """((kind, path),)."""

    def parse(text: str, context: Context) -> tuple[tuple[str, str], ...]:
        return ((kind, parsing.path(text, context)),)

    return parse


def _elapse(name: str) -> Setting:
    return _T.list(name, _after(name), "", "A time after which the timer elapses.", key="Timers")


TIMER: Final = (
    *(_elapse(name) for name in _MONOTONIC),
    _T.list("OnCalendar", _calendar, "", "Dates on which the timer elapses.", key="Timers"),
    _T.list("Timers", parsing.verbatim, "", "All On...= lines, as (kind, microseconds or expression)."),
    _T.flag("OnClockChange", False, "The timer elapses when the clock is set."),
    _T.flag("OnTimezoneChange", False, "The timer elapses when the time zone changes."),
    _T.flag("Persistent", False, "A date that was missed counts at the next start."),
    _T.flag("WakeSystem", False, "The machine wakes up for it."),
    _T.flag("RemainAfterElapse", True, "The timer stays up when no date is left."),
    _T.flag("FixedRandomDelay", False, "The random delay is the same each time."),
    _T.row("AccuracySec", parsing.span, 60 * SECOND, "t", "How late it may be.", prop=("AccuracyUSec", "t")),
    _T.span("RandomizedDelaySec", 0, "Chance added to each date."),
    _T.text("Unit", "The unit that is started.", parsing.triggered_unit),
)
PATH: Final = (
    *(_P.list(name, _watched(name), "", "A path to watch.", key="Paths") for name in _WATCHED),
    _P.list("Paths", parsing.verbatim, "a(ss)", "All paths, as (kind, path)."),
    _P.text("Unit", "The unit that is started.", parsing.triggered_unit),
    _P.flag("MakeDirectory", False, "Directories to watch are made."),
    _P.row("DirectoryMode", parsing.mode, 0o755, "u", "Their access mode."),
    _P.span("TriggerLimitIntervalSec", 2 * SECOND, "The time of TriggerLimitBurst=."),
    _P.number("TriggerLimitBurst", 0, 2**32 - 1, 200, "u", "How many starts in that time."),
)
MOUNT: Final = (
    _M.text("What", "What is mounted."),
    _M.path("Where", "Where it is mounted."),
    _M.text("Type", "The type of the file system."),
    _M.text("Options", "Mount options, with commas between them."),
    _M.flag("SloppyOptions", False, "Unknown options are ignored."),
    _M.flag("LazyUnmount", False, "Detach now, clean up later."),
    _M.flag("ReadWriteOnly", False, "Do not mount read-only instead."),
    _M.flag("ForceUnmount", False, "Unmount what does not answer."),
    _M.row("DirectoryMode", parsing.mode, 0o755, "u", "The access mode of directories made for it."),
    _M.span("TimeoutSec", 90 * SECOND, "How long mount may take.", parsing.span_zero_is_infinity),
)
AUTOMOUNT: Final = (
    _A.path("Where", "Where it is mounted."),
    _A.text("ExtraOptions", "Mount options of autofs."),
    _A.row("DirectoryMode", parsing.mode, 0o755, "u", "The access mode of directories made for it."),
    _A.span("TimeoutIdleSec", INFINITY, "After which time of rest it is unmounted.", parsing.span_zero_is_infinity),
)
SWAP: Final = (
    _W.text("What", "The device or file."),
    _W.number("Priority", -1, 32767, -1, "i", "Its priority among others."),
    _W.text("Options", "Options, with commas between them."),
    _W.span("TimeoutSec", 90 * SECOND, "How long swapon may take.", parsing.span_zero_is_infinity),
)
SCOPE: Final = (
    Rows("Scope").span("TimeoutStopSec", 90 * SECOND, "How long a stop may take.", parsing.span_zero_is_infinity),
    Rows("Scope").span("RuntimeMaxSec", INFINITY, "How long the scope may live."),
    Rows("Scope").span("RuntimeRandomizedExtraSec", 0, "Chance added to it."),
    Rows("Scope").word("OOMPolicy", "continue", parsing.one_of("continue", "stop", "kill"), "When memory is short."),
)
GATHERED: Final = frozenset(("Timers", "Paths"))
