"""What outlives a daemon that is killed: descriptors put on a shelf, and the last words of its fork server.

The shelf is a pair of SOCK_SEQPACKET sockets, and what lies in its queue is open as long as somebody has the reading
end: this daemon, and each fork server that it starts (executor/keeper). Nobody else has a copy of what lies there, so
that a socket taken off the shelf and closed is closed, however busy the fork server is (unix(7), SCM_RIGHTS).
Beside it is a door, RUNTIME/kept.N, at which the next daemon knocks; N grows from one daemon to the next.
"""

import array
import contextlib
import marshal
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from unitd.executor import keeper as keeper_side
from unitd.host import processes

EXECUTOR = os.path.dirname(keeper_side.__file__)
"""The program of the fork server, as its command line names it."""
BOUND_S = 4.0
"""How long a keeper may say nothing: longer than it waits for children between clone and exec."""

PREFIX = "kept."

_MOST_PACKETS = 64
_NAMES = 64
"""In a packet at most: it is no longer than keeper_side.PACKET, however long unit names and socket paths are."""
_ROOM = 4 << 20
_KNOCK_S = 1.0
_BACKLOG = 8


class LastWord(Struct, frozen=True):
    """What became of one request: `what` is spawned (between clone and exec, or hung there), execed, failed (at `stage`
    with `errno`), or unstarted (no process was made of it). `pid` 0: there was none; `birth`: clock ticks since boot.
    """

    unit: str
    serial: int
    invocation: str
    pid: int
    birth: int
    what: str
    stage: str = ""
    errno: int = 0
    detail: str = ""


class Shelf:
    """Descriptors by name, for the next daemon. They stay the owner's, who drops a name before closing it."""

    def __init__(self, runtime_dir: str) -> None:
        """OSError when the directory can hold no socket."""
        self.path = f"{runtime_dir}/{PREFIX}{processes.ticks()}"
        self._door = _door(self.path)
        self._entrance, self._exit = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._entrance, self._exit):
            end.setblocking(False)
        self._entrance.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
        self._held: dict[str, int] = {}
        self._packets = 0

    @property
    def held(self) -> dict[str, int]:
        """What lies there."""
        return dict(self._held)

    def filenos(self) -> tuple[int, int]:
        """The reading end and the door, of which a fork server gets copies."""
        return self._exit.fileno(), self._door.fileno()

    def hold(self, name: str, fd: int) -> None:
        """Keep the open file over a crash; what is held under the name already is given up for it."""
        known = name in self._held
        self._held[name] = fd
        if known or self._packets >= _MOST_PACKETS:
            self._renew()
        else:
            self._put([name])

    def drop(self, name: str) -> None:
        """Keep it no more: when this returns, nobody but its owner has the file open because of it."""
        if self._held.pop(name, None) is not None:
            self._renew()

    def close(self) -> None:
        """Give it up, the door's name too."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        for end in (self._door, self._entrance, self._exit):
            end.close()

    def _renew(self) -> None:
        """Put everything there anew, and only then take off what lay there: the daemon may be killed in between."""
        old, self._packets = self._packets, 0
        has_room = self._put_all()
        self._take_off(old)
        if not has_room:
            self._take_off(self._packets)
            self._packets = 0
            self._put_all()

    def _put_all(self) -> bool:
        names = list(self._held)
        chunks = [names[start : start + _NAMES] for start in range(0, len(names), _NAMES)]
        return all(self._put(chunk) for chunk in chunks)

    def _put(self, names: list[str]) -> bool:
        """False when there is no room: what is not put there is lost in a crash, and only then."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self._held[name] for name in names]))
        try:
            self._entrance.sendmsg([marshal.dumps(names)], [rights])
        except OSError:
            return False
        self._packets += 1
        return True

    def _take_off(self, packets: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(packets):
                # A read without room for descriptors closes them.
                self._exit.recv(1)


def _door(path: str) -> socket.socket:
    """A socket for the daemon's user and root, under its name only when it listens. OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    try:
        made.bind(f"{path}~")
        made.listen(_BACKLOG)
        os.rename(f"{path}~", path)
    except OSError as error:
        made.close()
        raise OSError(error.errno or 0, f"cannot make a door for the next daemon: {error.strerror}", path) from error
    finally:
        os.umask(before)
    return made


@dataclass(slots=True)
class Kept:
    """What killed daemons left: open descriptors by name, the caller's from now on, and last words, oldest first.

    `is_whole`: the keeper of the last of them is heard, so that a request of its fork server that has no word was not
    sent.
    """

    fds: dict[str, int] = field(default_factory=dict)
    started: tuple[LastWord, ...] = ()
    is_whole: bool = False
    keepers: list[socket.socket] = field(default_factory=list)

    def done(self) -> None:
        """All of it is written down or held anew: let the keepers go. Until then another daemon would get it again."""
        for keeper in self.keepers:
            with contextlib.suppress(OSError):
                keeper.send(keeper_side.TAKEN)
            keeper.close()
        self.keepers.clear()


def take(runtime_dir: str, bound: float = BOUND_S) -> Kept:
    """Ask the keepers of the directory's earlier daemons; nothing when none answers, `bound` seconds for each to speak.

    One that falls silent stays (end_executors); the names of dead ones are removed. Of two descriptors of one name it
    is the later daemon's.
    """
    kept = Kept()
    words: list[LastWord] = []
    for path in _doors(runtime_dir):
        kept.is_whole = False
        keeper = _knock(path)
        if keeper is None:
            continue
        keeper.settimeout(bound)
        try:
            for name, fd in _heard(keeper, words):
                if name in kept.fds:
                    os.close(kept.fds[name])
                kept.fds[name] = fd
            kept.keepers.append(keeper)
            kept.is_whole = True
        except (OSError, ValueError, EOFError, TypeError):
            keeper.close()
    kept.started = tuple(words)
    return kept


def dismiss(door: str, server: int) -> None:
    """End the fork server, a child of ours, of the program image before this one: what it kept has been handed over."""
    with contextlib.suppress(OSError):
        os.unlink(door)
    if server:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


def forget(runtime_dir: str) -> None:
    """Take every keeper's name away: whoever still waits there goes."""
    for path in _doors(runtime_dir):
        with contextlib.suppress(OSError):
            os.unlink(path)


def _doors(runtime_dir: str) -> list[str]:
    """The names at which keepers may be, that of the earliest daemon first."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(runtime_dir) if name.startswith(PREFIX)]
        return [f"{runtime_dir}/{name}" for name in sorted(names, key=lambda name: (len(name), name))]
    return []


def _knock(path: str) -> socket.socket | None:
    """Connected to the keeper; None when there is none of our own user's or root's."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    made.settimeout(_KNOCK_S)
    try:
        made.connect(path)
        if keeper_side.peer(made)[1] in (0, os.geteuid()):
            return made
    except TimeoutError:
        # It lives, and is stopped; its name is its own.
        pass
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
    made.close()
    return None


def _heard(keeper: socket.socket, words: list[LastWord]) -> Iterator[tuple[str, int]]:
    """The descriptors that it passes on; its words are added to `words`. TimeoutError when it falls silent."""
    while True:
        packet, fds, _, _ = socket.recv_fds(keeper, keeper_side.PACKET, 1, socket.MSG_CMSG_CLOEXEC)
        kind, *rest = marshal.loads(packet)
        if kind == "end":
            return
        if kind == "held" and fds:
            yield rest[0], fds[0]
        elif kind == "word":
            words.append(LastWord(*rest))


def end_executors(runtime_dir: str, bound: float = BOUND_S) -> list[int]:
    """SIGKILL to the fork servers of this directory's earlier daemons and to children of theirs that have not execed.

    They are told by the command line, which names program and door, and by our uid; a fork server of our own is not yet
    there. The pids that were killed, once they are gone, or `bound` seconds are over.
    """
    ended = []
    until = time.monotonic() + bound
    with contextlib.ExitStack() as open_files:
        for process in processes.everyone().values():
            if not process.is_alive or not is_executor(process.pid, runtime_dir):
                continue
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(process.pid)
                open_files.callback(os.close, pidfd)
                # Looked at again behind the pidfd: the pid may have been another's, or have execed meanwhile.
                same = processes.birth(process.pid) == process.birth and is_executor(process.pid, runtime_dir)
                if same and os.stat(f"/proc/{process.pid}").st_uid == os.geteuid():
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended.append((process.pid, pidfd))
        for _, pidfd in ended:
            select.select([pidfd], [], [], max(0.0, until - time.monotonic()))
    return [pid for pid, _ in ended]


def is_executor(pid: int, runtime_dir: str) -> bool:
    """It is the fork server of this directory, or a child of one that has not execed."""
    words = processes.read_file(f"/proc/{pid}/cmdline", 65536).split(b"\0")
    door = f"{runtime_dir}/{PREFIX}"
    return len(words) > 2 and words[-2].startswith(os.fsencode(door)) and os.fsencode(EXECUTOR) in words
