"""The socket machine: listens for a service, and asks for its start on the first traffic (systemd.socket(5)).

Accept=no only: one service gets all descriptors. While the service is up nobody watches the sockets here; they stay
open until the socket unit is stopped, so no connection is lost between two runs of the service. Where a daemon before
this one had them and they are lost, they are opened again as soon as no service has them.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from unitd.machines.step import Ask, Order, Refuse, Reset, Resume, Start, Step, Stop
from unitd.model import settings
from unitd.model.effects import (
    CloseSockets,
    Effect,
    Level,
    Listen,
    Log,
    SocketPlan,
    UnwatchSockets,
    WatchSockets,
)
from unitd.model.events import Incoming, ListenFailed, Listening, Tick, UnitEvent
from unitd.model.states import Active, Result
from unitd.model.unit import Unit


class SocketPhase(StrEnum):
    DEAD = "dead"
    OPENING = "start-chown"
    LISTENING = "listening"
    RUNNING = "running"
    FAILED = "failed"


class Socket(Struct, frozen=True, tag=True, omit_defaults=True):
    """`triggered_at`: the latest starts that traffic asked for (TriggerLimitBurst=)."""

    phase: SocketPhase = SocketPhase.DEAD
    result: Result = Result.SUCCESS
    triggered_at: tuple[int, ...] = ()


class ServiceUp(Struct, frozen=True):
    """The service that the socket triggers came up, or is coming."""


class ServiceDown(Struct, frozen=True):
    """The service rests; `limited`: it was not started because of its start limit."""

    limited: bool = False


OPTIONS = (
    *("KeepAlive", "KeepAliveTimeSec", "KeepAliveIntervalSec", "KeepAliveProbes", "NoDelay", "Priority"),
    *("DeferAcceptSec", "ReceiveBuffer", "SendBuffer", "IPTOS", "IPTTL", "Mark", "ReusePort", "PipeSize"),
    *("FreeBind", "Transparent", "Broadcast", "PassCredentials", "PassSecurity", "PassPacketInfo"),
    *("Timestamping", "TCPCongestion", "BindToDevice"),
)


def plan(unit: Unit) -> SocketPlan:
    """What to listen on."""
    given = tuple((name, unit.settings[name]) for name in OPTIONS if name in unit.settings)
    return SocketPlan(
        unit=unit.name,
        addresses=settings.value(unit, "Listen"),
        name=settings.value(unit, "FileDescriptorName") or unit.name,
        backlog=settings.value(unit, "Backlog"),
        mode=settings.value(unit, "SocketMode"),
        directory_mode=settings.value(unit, "DirectoryMode"),
        user=settings.value(unit, "SocketUser") or "",
        group=settings.value(unit, "SocketGroup") or "",
        bind_ipv6_only=settings.value(unit, "BindIPv6Only"),
        symlinks=settings.value(unit, "Symlinks"),
        options=given,
    )


def step(
    state: Socket, event: UnitEvent | Order | Tick | ServiceUp | ServiceDown, unit: Unit, now: int
) -> Step[Socket]:
    """What `event` makes of the socket at `now` (us)."""
    name = unit.name
    match event, state.phase:
        case Start(), SocketPhase.DEAD | SocketPhase.FAILED:
            return Step(Socket(SocketPhase.OPENING), (Listen(plan(unit)),))
        case Listening(), SocketPhase.OPENING:
            return Step(replace(state, phase=SocketPhase.LISTENING), (WatchSockets(name),))
        case Resume(), SocketPhase.OPENING | SocketPhase.LISTENING | SocketPhase.RUNNING:
            watch = (WatchSockets(name),) if state.phase is SocketPhase.LISTENING else ()
            return Step(state, (Listen(plan(unit)), *watch))
        case ListenFailed(address=address, detail=detail), SocketPhase.OPENING | SocketPhase.LISTENING:
            text = f"cannot listen on {address} for {name}: {detail}"
            return _failed(state, Result.RESOURCES, name, Log(Level.ERR, text, name))
        case ListenFailed(address=address, detail=detail), SocketPhase.RUNNING:
            text = f"cannot have {address} back for {name} as long as its service runs: {detail}"
            return Step(state, (Log(Level.WARNING, text, name),))
        case Incoming(), SocketPhase.LISTENING:
            return _trigger(state, unit, now)
        case ServiceUp(), SocketPhase.LISTENING:
            return Step(replace(state, phase=SocketPhase.RUNNING), (UnwatchSockets(name),))
        case ServiceDown(limited=True), SocketPhase.RUNNING | SocketPhase.LISTENING:
            text = f"{name} stops listening: its service was started too often"
            return _failed(state, Result.SERVICE_START_LIMIT, name, Log(Level.ERR, text, name))
        case ServiceDown(), SocketPhase.RUNNING:
            return Step(replace(state, phase=SocketPhase.LISTENING), (Listen(plan(unit)), WatchSockets(name)))
        case Stop(), SocketPhase.OPENING | SocketPhase.LISTENING | SocketPhase.RUNNING:
            return Step(Socket(), _close(unit))
        case Refuse(result=result), _:
            return Step(replace(state, phase=SocketPhase.FAILED, result=Result(result)))
        case Reset(), SocketPhase.FAILED:
            return Step(Socket())
        case _:
            return Step(state)


def _close(unit: Unit) -> tuple[Effect, ...]:
    remove: bool = settings.value(unit, "RemoveOnStop")
    return UnwatchSockets(unit.name), CloseSockets(unit.name, remove)


def _failed(state: Socket, result: Result, name: str, *effects: Effect) -> Step[Socket]:
    return Step(replace(state, phase=SocketPhase.FAILED, result=result), (*effects, CloseSockets(name)))


def _trigger(state: Socket, unit: Unit, now: int) -> Step[Socket]:
    """Traffic: ask for the service, unless that happened too often."""
    interval: int = settings.value(unit, "TriggerLimitIntervalSec")
    burst: int = settings.value(unit, "TriggerLimitBurst")
    recent = tuple(t for t in state.triggered_at if now - t < interval)
    if burst and interval and len(recent) >= burst:
        text = f"{unit.name} stops listening: traffic asked for its service {burst} times in a moment"
        return _failed(state, Result.TRIGGER_LIMIT, unit.name, Log(Level.ERR, text, unit.name))
    state = replace(state, phase=SocketPhase.RUNNING, triggered_at=(*recent, now))
    return Step(state, asks=(Ask.START_TRIGGERED,))


def active_state(state: Socket) -> Active:
    return {
        SocketPhase.DEAD: Active.INACTIVE,
        SocketPhase.OPENING: Active.ACTIVATING,
        SocketPhase.LISTENING: Active.ACTIVE,
        SocketPhase.RUNNING: Active.ACTIVE,
        SocketPhase.FAILED: Active.FAILED,
    }[state.phase]
