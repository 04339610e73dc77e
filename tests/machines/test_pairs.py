"""Every phase of a service answers every event: with a change where one is due, with silence where SILENT says so."""

import pytest
from msgspec.structs import replace

from tests.fakes.house import BASES
from tests.fakes.source import Source
from unitd.machines import conf, service
from unitd.machines.conf import Context
from unitd.machines.phases import (
    AutoRestart,
    Commands,
    Dead,
    Exited,
    Killing,
    Phase,
    Process,
    ReloadingByNotify,
    Rung,
    Running,
    Service,
    Stage,
    Starting,
)
from unitd.machines.step import Limit, NameOwner, Order, Refuse, Reload, Reset, Start, Stop
from unitd.model.effects import Log
from unitd.model.events import (
    CgroupEmpty,
    Execed,
    Exit,
    How,
    Incoming,
    Listening,
    MainGuessed,
    Notified,
    PidFileRead,
    ProcessExited,
    Signalled,
    Spawned,
    SpawnFailed,
    Tick,
    UnitEvent,
)
from unitd.model.states import INFINITY, SECOND, Result

NAME = "a.service"
MAIN, CONTROL, OTHER = 7, 8, 9
NOW, DUE = 100 * SECOND, 200 * SECOND
TEXT = "[Service]\nType=notify\nNotifyAccess=all\n" + "\n".join(
    f"Exec{name}=/bin/{name}" for name in ("Condition", "StartPre", "Start", "StartPost", "Reload", "Stop", "StopPost")
)
CONF = conf.read(Source({NAME: TEXT}).load(NAME))
CONTEXT = Context(CONF, "system.slice/a.service", "0" * 32, BASES)
BAD = Exit(How.EXITED, 3)

WITH_MAIN = (Stage.START_POST, Stage.RELOAD, Stage.STOP)
PHASES: dict[str, Phase] = {
    "dead": Dead(),
    "failed": Dead(failed=True),
    "auto-restart": AutoRestart(DUE),
    **{str(stage): Commands(stage, 0, DUE) for stage in Stage if stage is not Stage.START},
    "start": Starting(DUE),
    "forked": Starting(DUE, forked=True),
    "running": Running(NOW - SECOND, DUE),
    "reload-notify": ReloadingByNotify(DUE),
    "exited": Exited(),
    **{str(rung): Killing(rung, DUE) for rung in Rung},
}
EVENTS: dict[str, UnitEvent | Order | Tick] = {
    "start": Start(),
    "stop": Stop(),
    "reload": Reload(),
    "reset": Reset(),
    "limit": Limit(NOW + SECOND),
    "owned": NameOwner(True, 5),
    "not owned": NameOwner(False),
    "refuse": Refuse("start-limit-hit"),
    "spawned": Spawned(NAME, 99, OTHER, 1),
    "execed": Execed(NAME, 1),
    "spawn failed, main": SpawnFailed(NAME, 1, "exec", 2),
    "spawn failed, control": SpawnFailed(NAME, 2, "exec", 2),
    "spawn failed, none": SpawnFailed(NAME, 99, "exec", 2),
    "main exited": ProcessExited(NAME, MAIN, BAD),
    "control exited": ProcessExited(NAME, CONTROL, BAD),
    "other exited": ProcessExited(NAME, OTHER, BAD),
    "empty": CgroupEmpty(NAME),
    "ready": Notified(NAME, MAIN, (("READY", "1"),)),
    "reloading": Notified(NAME, MAIN, (("RELOADING", "1"),)),
    "stopping": Notified(NAME, MAIN, (("STOPPING", "1"),)),
    "mainpid": Notified(NAME, MAIN, (("MAINPID", "55"),)),
    "watchdog": Notified(NAME, MAIN, (("WATCHDOG", "1"),)),
    "trigger": Notified(NAME, MAIN, (("WATCHDOG", "trigger"),)),
    "extend": Notified(NAME, MAIN, (("EXTEND_TIMEOUT_USEC", str(10**9)),)),
    "pid file": PidFileRead(NAME, 55),
    "no pid file": PidFileRead(NAME, 0, reason="no such file"),
    "guessed": MainGuessed(NAME, 55),
    "signalled": Signalled(NAME, 15, ()),
    "tick": Tick(),
    "time": Tick(),
    "socket": Listening(NAME),
    "traffic": Incoming(NAME),
}


def made(name: str) -> Service:
    """A service in that phase, with the processes that one has then."""
    phase = PHASES[name]
    alive = not isinstance(phase, Dead | AutoRestart | Exited)
    commands = isinstance(phase, Commands)
    main = alive and (not commands or phase.stage in WITH_MAIN) and name != "forked"  # type: ignore[union-attr]
    control = commands or isinstance(phase, Killing)
    return Service(
        phase=phase,
        main=Process(1, MAIN, 1, execed=True) if main else None,
        control=Process(2, CONTROL, 1, execed=True) if control else None,
        populated=alive,
        serial=2,
        result=Result.EXIT_CODE if name in ("failed", "auto-restart") else Result.SUCCESS,
    )


def is_silent(phase: str, event: str) -> bool:
    """Nothing changes that anybody could see, and nothing is done."""
    before = made(phase)
    now = DUE if event == "time" else NOW
    step = service.step(before, EVENTS[event], CONTEXT, now)
    after = replace(
        step.state,
        no_restart=before.no_restart,
        restarting=before.restarting,
        restarts=before.restarts,
        limit=before.limit,
        said=before.said,
        bus_name_owned=before.bus_name_owned,
    )
    return after == before and not step.asks and all(isinstance(effect, Log) for effect in step.effects)


RUNGS = " ".join(Rung)
ALIVE = "condition start-pre start-post reload stop stop-post start forked running reload-notify " + RUNGS
ANSWERED: dict[str, str] = {
    "start": "dead failed auto-restart",
    "stop": "auto-restart condition start-pre start-post reload start forked running reload-notify exited",
    "reload": "running exited",
    "reset": "failed",
    "limit": f"stop stop-post {RUNGS}",
    "refuse": "dead failed auto-restart",
    "spawned": f"dead failed auto-restart exited {ALIVE}",
    "spawn failed, main": f"start-post reload stop start running reload-notify {RUNGS}",
    "spawn failed, control": f"condition start-pre start-post reload stop stop-post {RUNGS}",
    "main exited": f"start-post reload stop start running reload-notify {RUNGS}",
    "control exited": f"condition start-pre start-post reload stop stop-post {RUNGS}",
    "empty": ALIVE,
    "ready": "start forked reload-notify",
    "reloading": "running",
    "stopping": "running",
    "mainpid": "start-post reload start forked running reload-notify",
    "extend": ALIVE,
    "pid file": f"dead failed auto-restart exited {ALIVE}",
    "no pid file": " ".join(phase for phase in f"dead failed auto-restart exited {ALIVE}".split() if phase != "forked"),
    "guessed": "forked",
    "time": f"auto-restart {ALIVE}",
}
"""The phases that answer an event; in all others it is met with silence, on purpose. Not named: silence everywhere."""
SILENT = frozenset(
    (event, phase) for event in EVENTS for phase in PHASES if phase not in ANSWERED.get(event, "").split()
)


@pytest.mark.parametrize("event", EVENTS)
def test_pairs(event: str) -> None:
    silent = {phase for phase in PHASES if is_silent(phase, event)}
    assert silent == {phase for phase in PHASES if (event, phase) in SILENT}


@pytest.mark.parametrize("phase", PHASES)
def test_a_deadline_is_a_field_of_its_phase(phase: str) -> None:
    waits = not isinstance(PHASES[phase], Dead | Exited)
    assert service.deadline(made(phase)) == (DUE if waits else INFINITY)


@pytest.mark.parametrize("phase", PHASES)
def test_a_stop_with_a_limit_never_waits_longer(phase: str) -> None:
    limit = NOW + SECOND
    after = service.step(made(phase), Stop(limit), CONTEXT, NOW).state
    while (due := service.deadline(after)) < INFINITY:
        assert due <= limit
        after = service.step(after, Tick(), CONTEXT, due).state
    assert isinstance(after.phase, Dead | Exited)


def test_a_process_left_behind_cannot_wake_a_service_at_rest() -> None:
    rest = replace(made("dead"), watchdog=SECOND, populated=True)
    after = service.step(rest, EVENTS["trigger"], CONTEXT, NOW).state
    assert after.phase == Dead()
