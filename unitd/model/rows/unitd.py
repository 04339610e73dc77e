"""[X-Unitd]: what only unitd has; systemd ignores the section by its own rules."""

from typing import Final

from unitd.model import parsing
from unitd.model.rows.kinds import LOSS, Rows
from unitd.model.states import INFINITY, SECOND

_X = Rows("X-Unitd")
_NO_BLOCK: Final = LOSS | {"loss": "a shutdown and `unitctl orphans` go by it, but it does not hold back a start yet"}

ROWS: Final = (
    _X.list("Ports", parsing.ports, "", "Ports that the unit owns, as [ADDRESS:]PORT[/udp].", **_NO_BLOCK),
    _X.list(
        "ProcessFilter",
        parsing.process_filter,
        "",
        "Programs that the unit owns: a glob on the path, then words of the command line.",
        **_NO_BLOCK,
    ),
    _X.row(
        "OnConflict",
        parsing.one_of("block", "kill"),
        "block",
        "",
        "What becomes of foreign owners at the end of a shutdown: named, or killed.",
        **_NO_BLOCK,
    ),
    _X.list("ReadyTcp", parsing.raw_item, "", "Ready when this port answers.", **LOSS),
    _X.list("ReadyHttp", parsing.raw_item, "", "Ready when this URL answers.", **LOSS),
    _X.list("ReadyExec", parsing.commands, "", "Ready when this command succeeds.", **LOSS),
    _X.list("ReadyFile", parsing.path_list, "", "Ready when this path exists.", **LOSS),
    _X.row(
        "ReadyTimeoutSec",
        parsing.span_zero_is_infinity,
        None,
        "",
        "How long to wait; None: as TimeoutStartSec=.",
        **LOSS,
    ),
    _X.list("HealthTcp", parsing.raw_item, "", "Healthy while this port answers.", **LOSS),
    _X.list("HealthHttp", parsing.raw_item, "", "Healthy while this URL answers.", **LOSS),
    _X.list("HealthExec", parsing.commands, "", "Healthy while this command succeeds.", **LOSS),
    _X.row("HealthIntervalSec", parsing.span, 10 * SECOND, "", "The time between two checks.", **LOSS),
    _X.row("HealthTimeoutSec", parsing.span, 3 * SECOND, "", "How long a check may take.", **LOSS),
    _X.number("HealthRetries", 1, 2**31, 3, "", "How many checks must fail.", **LOSS),
    _X.row("HealthAction", parsing.one_of("none", "restart", "fail"), "restart", "", "What happens then.", **LOSS),
    _X.row("RestartStableSec", parsing.span, 0, "", "After which time up the restart counters are cleared; 0: never."),
    _X.row(
        "RecoverDependents", parsing.boolean, False, "", "Dependents that failed with it are started again.", **LOSS
    ),
    _X.number("RestartSteps", 0, 2**31, 0, "", "As in [Service]."),
    _X.row("RestartMaxDelaySec", parsing.span, INFINITY, "", "As in [Service]."),
)
