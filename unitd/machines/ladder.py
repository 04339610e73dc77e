"""The steps that the stop of a service may go through, and how the time that a shutdown leaves it is shared by them.

The plan of a stop and the stop itself ask here, so that they cannot differ. A step is a list of commands (ExecStop=,
ExecStopPost=) or a rung of the kill ladder; what follows what is systemd.kill(5) and TimeoutStopFailureMode= in
systemd.service(5).

Invariant: the shares of the steps that follow one another never exceed the time that is left.
"""

from collections.abc import Sequence
from typing import TypeAlias

from unitd.machines.conf import KillConf, ServiceConf
from unitd.machines.phases import AutoRestart, Commands, Dead, Killing, Rung, Service, Stage, Starting
from unitd.model.states import INFINITY, SECOND
from unitd.shutdown import budget
from unitd.shutdown.budget import Need

Part: TypeAlias = Stage | Rung

LEAST_AFTER_KILL, MOST_AFTER_KILL = 5 * SECOND, 90 * SECOND
"""How long those who got SIGKILL are waited for (us): TimeoutStopSec=, but a thousand of them need some seconds on a
slow machine, and one that cannot die is not waited for without end."""
PLANNED_AFTER_KILL = SECOND
"""What a shutdown keeps for that when time is short (us); nearly all are gone in far less."""

_ABORTS = (Rung.ABORT, Rung.FINAL_ABORT)
_ORDER: tuple[Part, ...] = (
    *(Stage.STOP, Rung.TERM, Rung.ABORT, Rung.KILL),
    *(Stage.STOP_POST, Rung.FINAL_TERM, Rung.FINAL_ABORT, Rung.FINAL_KILL),
)
_PLACE = {part: place for place, part in enumerate(_ORDER)}


def whole(conf: ServiceConf) -> tuple[Part, ...]:
    """All steps that a stop of a running service may have, in order.

    The last rungs are for what ExecStopPost= leaves behind; without it nobody is asked twice.
    """
    stop = (Stage.STOP,) if conf.commands.get(Stage.STOP) else ()
    parts = (*stop, *_rungs(conf, Rung.TERM, Rung.ABORT, Rung.KILL))
    if not conf.commands.get(Stage.STOP_POST):
        return parts
    return (*parts, Stage.STOP_POST, *_rungs(conf, Rung.FINAL_TERM, Rung.FINAL_ABORT, Rung.FINAL_KILL))


def _rungs(conf: ServiceConf, ask: Rung, abort: Rung, kill: Rung) -> list[Rung]:
    if conf.kill.mode == "none":
        return []
    return [ask, *([abort] if conf.stop_failure == "abort" else []), *([kill] if conf.kill.send_sigkill else [])]


def onward(conf: ServiceConf, part: Part) -> tuple[Part, ...]:
    """A step and all that may follow it."""
    place = _PLACE[part]
    return (part, *(other for other in whole(conf) if _PLACE[other] > place))


def ahead(service: Service, conf: ServiceConf) -> tuple[Part, ...]:
    """The steps that a stop may have which is asked for now, or is under way."""
    parts: tuple[Part, ...]
    match service.phase:
        case Dead() | AutoRestart():
            return ()
        case Killing(rung=present) | Commands(stage=Stage.STOP | Stage.STOP_POST as present):
            return onward(conf, present)
        case Commands() | Starting():
            parts = tuple(part for part in whole(conf) if part is not Stage.STOP)
        case _:
            parts = whole(conf)
    return parts if Stage.STOP in parts else tuple(part for part in parts if not _finds_nobody(service, conf, part))


def _finds_nobody(service: Service, conf: ServiceConf, part: Part) -> bool:
    """Whether it is a rung before ExecStopPost= that has nobody to signal."""
    if isinstance(part, Stage) or part.is_final:
        return False
    return gone(service, everybody=means_all(conf.kill, part))


def gone(service: Service, *, everybody: bool) -> bool:
    """Whether main and control process are gone, and with `everybody` the rest of the cgroup too."""
    if service.main is not None or service.control is not None:
        return False
    return not (everybody and service.populated)


def means_all(kill: KillConf, rung: Rung) -> bool:
    """Whether KillMode= means the whole cgroup on this rung, or main and control process alone."""
    return kill.mode == "control-group" or (kill.mode == "mixed" and rung.is_kill)


def signal(kill: KillConf, rung: Rung, *, restarting: bool = False) -> int:
    """The signal of a rung; `restarting`: the stop is the first half of a restart."""
    if rung in _ABORTS:
        return kill.watchdog_signal
    if rung.is_kill:
        return kill.final_signal
    return kill.restart_signal if restarting and rung is Rung.TERM else kill.signal


def kills(part: Part) -> bool:
    """Whether nobody is asked in this step."""
    return isinstance(part, Rung) and part.is_kill


def span(conf: ServiceConf, part: Part) -> int:
    """How long a step may take by the unit's own rules (us)."""
    if kills(part):
        return max(LEAST_AFTER_KILL, min(conf.stop_timeout, MOST_AFTER_KILL))
    return conf.abort_timeout if part in _ABORTS else conf.stop_timeout


def needs(conf: ServiceConf, parts: Sequence[Part], rest: int = INFINITY) -> list[Need]:
    """What steps that follow one another take, in a plan; the first one no more than `rest`."""
    found: list[Need] = []
    for part in parts:
        most = min(span(conf, part), INFINITY if found else rest)
        found.append(Need(min(most, PLANNED_AFTER_KILL) if kills(part) else most, most))
    return found


def of(service: Service, conf: ServiceConf, now: int) -> list[Need]:
    """What the steps ahead take; the present one of a stop under way has only what is left of it."""
    match service.phase:
        case Killing(deadline=deadline) | Commands(stage=Stage.STOP | Stage.STOP_POST, deadline=deadline):
            return needs(conf, ahead(service, conf), max(0, deadline - now))
        case _:
            return needs(conf, ahead(service, conf))


def total(needs: Sequence[Need]) -> Need:
    """What a unit's stop takes as a whole."""
    wants, mosts = sum(need.want for need in needs), sum(need.most for need in needs)
    return Need(min(wants, INFINITY), min(mosts, INFINITY))


def shares(needs: Sequence[Need], allotment: int) -> list[int]:
    """How long each step may take at most when all that come before it took as long as they might (us)."""
    found = []
    for index in range(len(needs)):
        share = budget.first_share(allotment, needs[index:])
        found.append(share)
        allotment -= share
    return found
