"""Whether and when a service that ended is started again (systemd.service(5), Restart=)."""

from unitd.machines.conf import ServiceConf, later
from unitd.machines.phases import Service
from unitd.model.states import INFINITY, Result

_FAILED = frozenset(Result) - {Result.SUCCESS, Result.EXEC_CONDITION}


def is_failure(result: Result) -> bool:
    """Whether a run with this result counts as failed; one that ExecCondition= skipped does not."""
    return result in _FAILED


_POLICIES: dict[str, frozenset[Result]] = {
    "no": frozenset(),
    "always": frozenset(Result) - {Result.EXEC_CONDITION},
    "on-success": frozenset({Result.SUCCESS}),
    "on-failure": _FAILED,
    "on-abnormal": _FAILED - {Result.EXIT_CODE},
    "on-watchdog": frozenset({Result.WATCHDOG}),
    "on-abort": frozenset({Result.SIGNAL, Result.CORE_DUMP}),
}
"""Which results each policy answers with a restart."""


def wanted(conf: ServiceConf, service: Service) -> bool:
    """Whether this end calls for a restart; a stop that was asked for never does."""
    if service.no_restart:
        return False
    if conf.no_restart_on.has(service.last_main.exit):
        return False
    if conf.restart_on.has(service.last_main.exit):
        return True
    return service.result in _POLICIES[conf.restart]


def delay(conf: ServiceConf, restarts: int) -> int:
    """Microseconds before restart number `restarts` (0: the first): from RestartSec= in RestartSteps= equal
    factors up to RestartMaxDelaySec= (systemd.service(5), version 254)."""
    first, longest, steps = conf.restart_delay, conf.restart_max_delay, conf.restart_steps
    if steps == 0 or longest >= INFINITY or longest <= first or restarts == 0:
        return first
    if restarts >= steps:
        return longest
    return int(max(first, 1) * (longest / max(first, 1)) ** (restarts / steps))


def due(conf: ServiceConf, service: Service, now: int) -> int:
    """The instant of the restart."""
    return later(now, delay(conf, service.restarts))


def is_stable(conf: ServiceConf, since: int, now: int) -> bool:
    """Whether a run from `since` to `now` was long enough to forget earlier restarts (RestartStableSec=, 0: never)."""
    return 0 < conf.restart_stable <= now - since
