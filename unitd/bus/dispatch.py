"""Calls of all connections -> answers: asks the tables, and the engine where they say so, and keeps who waits.

A token is positive and never used twice. An answer is held until flush, so that it follows the JobNew and precedes
the changes and the JobRemoved of the same turn.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from unitd.bus.answer import answer
from unitd.bus.calls import Ask, Call, Credentials, Enrol, ExitWith, Fault, Hold, LogAt, Outcome, Reply, fault
from unitd.bus.ports import World
from unitd.model.effects import Answer, Level
from unitd.model.events import Event, JobAsked
from unitd.model.refusals import Kind, Refusal
from unitd.wire.dialects import Dialect
from unitd.wire.message import NO_REPLY_EXPECTED, Message, Type, decode, encode

REEXECUTE: Final = "Reexecute"
"""The call that the next program image answers."""
Log: TypeAlias = Callable[[Level, str], None]


class Connection(Protocol):
    """One connection, as far as an answer needs it. `ours`: the sender that our messages bear."""

    dialect: Dialect
    ours: str

    def send(self, raw: bytes) -> None: ...
    def enrol(self, sender: str, wanted: bool) -> Kind | None:
        """The sender wants signals, or no more; a Kind when that is so already."""

    def track(self, sender: str, job: int) -> None:
        """The sender is to hear of this job."""


class _Waiting(Struct, frozen=True):
    connection: Connection
    asked: Message
    then: Callable[[Any], Outcome]
    for_job: bool


class Kept(Struct, frozen=True):
    """`references`: of which caller to which unit, how many. `unanswered`: calls, as bytes."""

    exit_code: int
    references: tuple[tuple[str, str, int], ...] = ()
    unanswered: tuple[bytes, ...] = ()


class Dispatch:
    """`world` is looked at in the dialect of each connection."""

    def __init__(self, world: World, post: Callable[[Event], None], log: Log) -> None:
        self._world = world
        self._worlds: dict[Dialect, World] = {}
        self._post = post
        self._log = log
        self._tokens = itertools.count(1)
        self._serials = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._held: list[tuple[Connection, Message, Outcome]] = []
        self._references: Counter[tuple[Connection, str, str]] = Counter()
        """Of whom to which unit: (connection, sender, unit)."""

    def world(self, dialect: Dialect) -> World:
        """The world as it is told in this dialect."""
        found = self._worlds.get(dialect)
        if found is None:
            found = self._worlds[dialect] = replace(self._world, dialect=dialect)
        return found

    def serial(self) -> int:
        """A serial number, new on every connection."""
        return next(self._serials) & 0xFFFFFFFF or next(self._serials)

    def take(self, connection: Connection, asked: Message, by: Credentials) -> None:
        """Answer a method call now, or ask the engine and answer later."""
        call = Call(asked.path, asked.interface, asked.member, asked.signature, asked.body, by)
        try:
            outcome = answer(call, self.world(connection.dialect))
        except Exception as bug:
            outcome = self._bug(asked, bug)
        self._settle(connection, asked, outcome, held=False)

    def tell(self, effect: Answer) -> None:
        """What the engine answered; not ours when the token is not known."""
        waiting = self._waiting.pop(effect.token, None)
        if waiting is None:
            return
        if isinstance(effect.value, Refusal):
            outcome: Outcome = fault(effect.value)
        else:
            try:
                outcome = waiting.then(effect.value)
            except Exception as bug:
                outcome = self._bug(waiting.asked, bug)
            if waiting.for_job and isinstance(effect.value, int):
                waiting.connection.track(waiting.asked.sender, effect.value)
        self._settle(waiting.connection, waiting.asked, outcome, held=True)

    def kept(self, connection: Connection | None) -> Kept:
        """What another program image needs to go on with the calls of the one connection that stays."""
        rows = ((sender, unit, n) for (of, sender, unit), n in self._references.items() if of is connection and n)
        asked = (encode(each.asked) for each in self._waiting.values() if each.connection is connection)
        return Kept(self._world.exit_code, tuple(sorted(rows)), tuple(asked))

    def take_up(self, kept: Kept) -> None:
        """Go on where another program image stopped."""
        self._world = replace(self._world, exit_code=kept.exit_code)
        self._worlds.clear()

    def go_on_with(self, connection: Connection, kept: Kept, take: Callable[[Message], None]) -> None:
        """The same, for the connection that stayed. Who waited for this image is answered; others are heard again."""
        self._references.update({(connection, sender, unit): n for sender, unit, n in kept.references})
        for asked in map(decode, kept.unanswered):
            if asked.member == REEXECUTE:
                self._send(connection, asked, Reply())
            else:
                take(asked)

    def flush(self) -> None:
        """Send the answers that were held."""
        held, self._held = self._held, []
        for connection, asked, outcome in held:
            self._send(connection, asked, outcome)

    def forget(self, connection: Connection, sender: str | None = None) -> None:
        """The connection, or one who calls over it, is gone: it waits for nothing and holds nothing any more."""

        def gone(of: Connection, by: str) -> bool:
            return of is connection and sender in (None, by)

        waiting = self._waiting.items()
        self._waiting = {token: each for token, each in waiting if not gone(each.connection, each.asked.sender)}
        self._held = [each for each in self._held if not gone(each[0], each[1].sender)]
        self._references = Counter({key: n for key, n in self._references.items() if not gone(key[0], key[1])})

    def reply(self, connection: Connection, asked: Message, outcome: Outcome) -> None:
        """Answer a call that was judged elsewhere."""
        self._send(connection, asked, outcome)

    def _settle(self, connection: Connection, asked: Message, outcome: Outcome, *, held: bool) -> None:
        match outcome:
            case Ask():
                token = next(self._tokens)
                event = outcome.request(token)
                self._waiting[token] = _Waiting(connection, asked, outcome.then, isinstance(event, JobAsked))
                self._post(event)
                return
            case Enrol():
                kind = connection.enrol(asked.sender, outcome.wanted)
                outcome = Reply() if kind is None else Fault(kind, f"cannot {asked.member.lower()}: it is so already")
            case Hold():
                outcome = self._refer((connection, asked.sender, outcome.unit), outcome.wanted)
            case LogAt():
                self._world.journal.set_level(outcome.level)
                outcome = Reply()
            case ExitWith():
                self._world = replace(self._world, exit_code=outcome.code)
                self._worlds.clear()
                outcome = Reply()
        if held:
            self._held.append((connection, asked, outcome))
        else:
            self._send(connection, asked, outcome)

    def _refer(self, key: tuple[Connection, str, str], wanted: bool) -> Outcome:
        if not wanted and not self._references[key]:
            return Fault(Kind.NOT_REFERENCED, f"cannot take back a reference to {key[2]}: there is none")
        self._references[key] += 1 if wanted else -1
        return Reply()

    def _send(self, connection: Connection, asked: Message, outcome: Outcome) -> None:
        if asked.flags & NO_REPLY_EXPECTED:
            return
        try:
            raw = encode(self._message(connection, asked, outcome))
        except Exception as bug:
            raw = encode(self._message(connection, asked, self._bug(asked, bug)))
        connection.send(raw)

    def _message(self, connection: Connection, asked: Message, outcome: Outcome) -> Message:
        if isinstance(outcome, Reply):
            return Message(
                Type.RETURN,
                reply_serial=asked.serial,
                signature=outcome.signature,
                body=outcome.body,
                serial=self.serial(),
                destination=asked.sender,
                sender=connection.ours,
            )
        assert isinstance(outcome, Fault)
        name = connection.dialect.error(outcome.kind)
        return Message(
            Type.ERROR,
            error=name,
            reply_serial=asked.serial,
            signature="s",
            body=(outcome.text,),
            serial=self.serial(),
            destination=asked.sender,
            sender=connection.ours,
        )

    def _bug(self, asked: Message, bug: Exception) -> Fault:
        self._log(Level.ERR, f"cannot answer {asked.member} at {asked.path}: {type(bug).__name__}: {bug}")
        return Fault(None, f"cannot answer {asked.member}: internal error, see the daemon's log")
