"""The kernel's tables of sockets, and sockets in words: /proc/PID/net/tcp and its kin (proc_pid_net(5)).

A socket is known by the inode that /proc/PID/fd names, unique on the machine; tables are one a network namespace.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator

from msgspec import Struct

from unitd.host import processes
from unitd.syntax.claims import Protocol

_MOST = 1 << 24
_BEGINNING = 1 << 19
_BACKWARDS = -1 if sys.byteorder == "little" else 1
_ESTABLISHED, _CLOSED, _LISTENING = "01", "07", "0A"
_ACCEPTS = 1 << 16
"""__SO_ACCEPTCON in a unix socket's flags: it listens (include/linux/net.h)."""


class Sockets:
    """In words what is at the beginning of the tables, read when a process of their namespace is first asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[int, str]] = {}

    def words(self, pid: int, inodes: Iterable[int]) -> list[str]:
        """The process's sockets, listening ones first: "tcp 0.0.0.0:80 listening"; other families are left out."""
        wanted = sorted(set(inodes))
        if not wanted:
            return []
        namespace = ""
        with contextlib.suppress(OSError):
            namespace = os.readlink(f"/proc/{pid}/ns/net")
        if namespace not in self._tables:
            rows: tuple[Internet | Unix, ...] = (*internet(pid, _BEGINNING), *unix(pid, _BEGINNING))
            self._tables[namespace] = {row.inode: str(row) for row in rows}
        table = self._tables[namespace]
        return sorted((table[inode] for inode in wanted if inode in table), key=lambda text: "listening" not in text)


class Internet(Struct, frozen=True):
    """A row about a tcp or udp socket; addresses and state as the table has them."""

    kind: str
    local: str
    remote: str
    state: str
    uid: int
    inode: int

    @property
    def protocol(self) -> Protocol:
        return "tcp" if self.kind.startswith("tcp") else "udp"

    @property
    def waits(self) -> bool:
        """For connections, or datagrams from anybody (include/net/tcp_states.h)."""
        return self.state == (_LISTENING if self.protocol == "tcp" else _CLOSED)

    def __str__(self) -> str:
        """`tcp 10.0.0.1:22 to 10.0.0.2:4321`."""
        words = f"{self.protocol} {_in_words(self.local)}"
        if self.protocol == "tcp" and self.waits:
            return f"{words} listening"
        return f"{words} to {_in_words(self.remote)}" if self.state == _ESTABLISHED else words


class Unix(Struct, frozen=True):
    """A row about a unix socket; `path` "": it has no name."""

    path: str
    listens: bool
    inode: int

    def __str__(self) -> str:
        return f"unix {self.path or 'without a name'}" + (" listening" if self.listens else "")


def internet(pid: int | str = "self", most: int = _MOST) -> Iterator[Internet]:
    """The tcp and udp sockets in the process's network namespace, as far as `most` bytes of each table."""
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in _lines(f"/proc/{pid}/net/{kind}", most):
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[9].isdecimal():
                yield Internet(kind, fields[1], fields[2], fields[3], int(fields[7]), int(fields[9]))


def unix(pid: int | str = "self", most: int = _MOST) -> Iterator[Unix]:
    """The unix sockets there."""
    for line in _lines(f"/proc/{pid}/net/unix", most):
        fields = line.split(None, 7)
        if len(fields) > 6 and fields[6].isdecimal():
            yield Unix(fields[7] if len(fields) > 7 else "", bool(int(fields[3], 16) & _ACCEPTS), int(fields[6]))


def _lines(path: str, most: int) -> list[str]:
    """The whole lines of a table, as far as it is read, without its head."""
    text = processes.read_file(path, most).decode(errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()[1:]


def address(text: str) -> tuple[str, int]:
    """The IP address, which is in the machine's byte order, 32 bits at a time; the port, which is a plain number."""
    host, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(host[at : at + 8])[::_BACKWARDS] for at in range(0, len(host), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def _in_words(text: str) -> str:
    host, port = address(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
