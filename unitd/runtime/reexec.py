"""daemon-reexec: the daemon becomes the program that is on disk now, by execve(2), and goes on with all that it does.

The pid stays, and with it the children, the locks and the sockets; memory does not, so what the next program image has
to know lies in a memfd whose number it finds in its environment. Until the exec nothing is undone: the new program is
tried out first, what is under way comes to its end, and if the exec fails the daemon goes on. A new image that cannot
make use of what it is handed starts once more without, as after a crash. Signals are blocked in between, so that they
wait (signal(7)).
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Final, NoReturn, Protocol, TypeAlias

from msgspec import ValidationError, msgpack

from unitd.runtime.handover import Handover, Unready

VARIABLE: Final = "UNITD_HANDED_OVER"
_TRIAL_S: Final = 30.0
"""The new program has to say its version within this time: without compiled files the first start takes six seconds."""
_SETTLE_S: Final = 5.0
_DRAIN_S: Final = 1.0
_LOOK_S: Final = 0.002
_TURNS: Final = 6
"""In the first the loop reads its pipe, in the second it calls the handlers, in the third what they asked for is done;
the others are for what is found to do then."""
_CHUNK: Final = 65536
_MOST_WORDS: Final = 300
_MOST_FDS: Final = 1 << 20


Say: TypeAlias = Callable[[str, str], None]
"""(level, text) into the daemon's log."""


# --- the old program ----------------------------------------------------------------------------------


def program() -> list[str]:
    """The command line up to the program, without what the program is told."""
    return [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]


async def try_out(loop: asyncio.AbstractEventLoop) -> str:
    """What the program on disk calls itself, "unitd VERSION"; raises Unready when it does not get so far."""
    argv = [*program(), "--version"]
    told = bytearray()
    over = loop.create_future()

    def hear(end: int) -> None:
        chunk = os.read(end, _CHUNK)
        told.extend(chunk)
        if not chunk and not over.done():
            over.set_result(None)

    with contextlib.ExitStack() as stack:
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        stack.callback(os.close, ours)
        try:
            actions = [(os.POSIX_SPAWN_DUP2, theirs, number) for number in (1, 2)]
            pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsigmask=[])
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise Unready(f"{argv[0]} cannot be started: {error.strerror}") from None
        finally:
            os.close(theirs)
        stack.callback(_end, pidfd)
        loop.add_reader(ours, hear, ours)
        stack.callback(loop.remove_reader, ours)
        try:
            async with asyncio.timeout(_TRIAL_S):
                await over
        except TimeoutError:
            raise Unready(f"{' '.join(argv)} does not end within {_TRIAL_S:.0f} s") from None
    lines = told.decode(errors="backslashreplace").splitlines() or ["it says nothing"]
    version = next((line for line in lines if line.startswith("unitd ")), "")
    if not version:
        raise Unready(f"the program on disk does not start: {lines[-1].strip()[-_MOST_WORDS:]}")
    return version


def _end(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)


class Resting(Protocol):
    """The daemon, as far as it has to come to rest (runtime/handover.Work)."""

    def under_way(self, *, patient: bool) -> str: ...
    def rest(self) -> None: ...
    def go_on(self) -> None: ...
    async def drain(self, seconds: float) -> None: ...
    def handover(self) -> Handover: ...
    def refuse(self, token: int, text: str) -> None: ...


class Renewal:
    """Carries out what is asked for once at a time; who asks meanwhile gets the same answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, daemon: Resting, signals: Iterable[int], say: Say) -> None:
        self._loop, self._daemon, self._signals, self._say = loop, daemon, frozenset(signals), say
        self._tokens: list[int] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, token: int) -> None:
        """Re-execute, or refuse."""
        self._tokens.append(token)
        if self._task is None:
            self._task = self._loop.create_task(self._carry_out())

    def obey(self) -> None:
        """From now on signals come through, those too that waited for it."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signals)

    async def _carry_out(self) -> None:
        try:
            version = await self._tried_out()
            self._say("info", f"re-executing as {version}")
            self._daemon.rest()
            await self._daemon.drain(_DRAIN_S)
            await self._settle()
            become(self._daemon.handover())
        except Exception as fault:
            known = isinstance(fault, Unready | OSError)
            text = f"cannot re-execute: {fault if known else f'internal error {fault!r}'}"
        finally:
            self.obey()
            self._daemon.go_on()
            self._task = None
        self._say("err", text)
        tokens, self._tokens = self._tokens, []
        for token in tokens:
            self._daemon.refuse(token, text)

    async def _tried_out(self) -> str:
        try:
            return await try_out(self._loop)
        except Unready:
            # A shutdown ends the trial too, and is then the better reason.
            self._daemon.under_way(patient=False)
            raise

    async def _settle(self) -> None:
        """Return once nothing is under way, with the signals blocked; raises Unready.

        A signal that came before lies in the loop's own pipe, and would be lost with it; so the loop turns until it
        has been taken for sure, and if it was something to do, that is done first.
        """
        began = self._loop.time()
        while True:
            while what := self._daemon.under_way(patient=self._loop.time() < began + _SETTLE_S / 2):
                if self._loop.time() > began + _SETTLE_S:
                    raise Unready(f"{what}, and does not come to its end")
                await asyncio.sleep(_LOOK_S)
            signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if not self._daemon.under_way(patient=False):
                return
            self.obey()


def become(handover: Handover) -> NoReturn:
    """Be the next program image; OSError when that cannot be, and all is as before."""
    fd = os.memfd_create("unitd", os.MFD_CLOEXEC)
    kept = [fd, *handover.descriptors()]
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(msgpack.encode(handover))
        for each in kept:
            os.set_inheritable(each, True)
        _execute({**os.environ, VARIABLE: str(fd)})
    finally:
        for each in kept:
            os.set_inheritable(each, False)
        os.close(fd)


def _execute(environment: dict[str, str]) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        # Whoever read them may be gone, and they may never have been.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    argv = [*program(), *sys.argv[1:]]
    os.execve(argv[0], argv, environment)


# --- the new program ----------------------------------------------------------------------------------


def receive(complain: Callable[[str], None]) -> Handover | None:
    """What an earlier program image of this process handed over; None when there was none, or it is of no use."""
    number = os.environ.pop(VARIABLE, "")
    if not number.isdecimal():
        return None
    try:
        with open(int(number), "rb") as file:
            file.seek(0)
            found = msgpack.decode(file.read(), type=Handover)
        for fd in found.descriptors():
            os.set_inheritable(fd, False)
    except (OSError, ValueError, ValidationError) as fault:
        complain(f"cannot go on with what unitd did before it re-executed itself: {fault}")
        close_rest()
        return None
    return found


def close_rest() -> None:
    """Close what was handed over to nobody, the lock above all."""
    os.closerange(3, _MOST_FDS)


def start_anew() -> NoReturn:
    """Start the program once more with nothing of what was handed over, as after a crash. OSError."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2:
                fcntl.fcntl(int(name), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    _execute(dict(os.environ))
