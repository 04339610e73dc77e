"""What a fork server that has outlived its daemon offers to the next one: descriptors by name, and its last words.

The descriptors lie in the queue of a SOCK_SEQPACKET socket, the shelf, and are taken off it only now: so a daemon that
lives gives one back by itself, and at once (host/keeper). The door is a listening socket that the daemon bound, so that
a next one that comes at once waits in its backlog instead of finding nobody. Who comes gets everything, a packet each,
and an end mark; until it says TAKEN it may die, and the next one gets everything again (unix(7)).
"""

import marshal
import os
import struct
from contextlib import suppress
from socket import (
    MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SCM_RIGHTS,
    SO_PEERCRED,
    SOL_SOCKET,
    socket,
)
from typing import Any

TAKEN = b"taken"
MOST_FDS = 253
"""The kernel's SCM_MAX_FD (unix(7))."""
PACKET = 60_000
"""The longest packet, in bytes."""
CREDENTIALS = struct.Struct("iII")
"""struct ucred: pid, uid, gid."""
SPACE = 32 + 4 * MOST_FDS

_SEND_S = 5.0


def peer(end: socket) -> tuple[int, int]:
    """The pid and the uid behind a connected socket, as they were when it was made (SO_PEERCRED)."""
    pid, uid, _ = CREDENTIALS.unpack(end.getsockopt(SOL_SOCKET, SO_PEERCRED, CREDENTIALS.size))
    return pid, uid


def passed(control: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came with a packet."""
    return [fd for level, kind, them in control if (level, kind) == (SOL_SOCKET, SCM_RIGHTS) for fd in _ints(them)]


def _ints(them: bytes) -> memoryview:
    return memoryview(them[: len(them) & ~3]).cast("i")


def unshelved(shelf: int) -> dict[str, int]:
    """Take the descriptors off the shelf; of two with one name the later."""
    held: dict[str, int] = {}
    with socket(fileno=shelf) as end, suppress(OSError):
        while True:
            packet, control, _, _ = end.recvmsg(PACKET, SPACE, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
            if not packet:
                break
            for name, fd in zip(marshal.loads(packet), passed(control), strict=False):
                if name in held:
                    os.close(held[name])
                held[name] = fd
    return held


class Door:
    """The listening socket `fd` under the name `path`, where a keeper waits for the next daemon."""

    def __init__(self, fd: int, path: str) -> None:
        self.socket, self.path = socket(fileno=fd), path

    @property
    def is_there(self) -> bool:
        """Nobody has removed the name: a next daemon may come."""
        return os.path.lexists(self.path)

    def serve(self, held: dict[str, int], words: list[tuple[Any, ...]], patience: float) -> bool:
        """Hand all of it to who knocks; whether it was taken for good, for which it is waited `patience` seconds."""
        client, _ = self.socket.accept()
        try:
            if peer(client)[1] not in (0, os.geteuid()):
                return False
            client.settimeout(_SEND_S)
            for name, fd in held.items():
                rights = (SOL_SOCKET, SCM_RIGHTS, struct.pack("i", fd))
                client.sendmsg([marshal.dumps(("held", name))], [rights], MSG_NOSIGNAL)
            for word in words:
                client.send(marshal.dumps(("word", *word)), MSG_NOSIGNAL)
            client.send(marshal.dumps(("end",)), MSG_NOSIGNAL)
            client.settimeout(patience)
            return client.recv(len(TAKEN)) == TAKEN
        except OSError:
            return False
        finally:
            client.close()

    def close(self) -> None:
        """Take the name away."""
        with suppress(OSError):
            os.unlink(self.path)
        self.socket.close()
