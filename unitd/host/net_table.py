"""Sockets in words, by the inode that /proc/PID/fd names: /proc/PID/net/tcp and its kin (proc_pid_net(5)).

Inodes of sockets are unique on the machine, tables are one a network namespace; each is read once, and only its
beginning where it is very long.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator

from unitd.host import processes

_MOST = 1 << 19
_BACKWARDS = -1 if sys.byteorder == "little" else 1
_LISTENING = {"tcp": "0A", "tcp6": "0A"}
_ESTABLISHED = "01"
_ACCEPTS = 1 << 16
"""__SO_ACCEPTCON in a unix socket's flags: it listens (include/linux/net.h)."""


class Sockets:
    """What is in the tables; those of a namespace are read when a process in it is first asked for."""

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
            self._tables[namespace] = dict(_rows(pid))
        table = self._tables[namespace]
        return sorted((table[inode] for inode in wanted if inode in table), key=lambda text: "listening" not in text)


def _rows(pid: int) -> Iterator[tuple[int, str]]:
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in _lines(f"/proc/{pid}/net/{kind}"):
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[9].isdecimal():
                yield int(fields[9]), internet(kind, *fields[1:4])
    for line in _lines(f"/proc/{pid}/net/unix"):
        fields = line.split(None, 7)
        if len(fields) > 6 and fields[6].isdecimal():
            listens = int(fields[3], 16) & _ACCEPTS
            path = fields[7] if len(fields) > 7 else "without a name"
            yield int(fields[6]), f"unix {path}" + (" listening" if listens else "")


def _lines(path: str) -> list[str]:
    """The whole lines of a table, as far as it is read, without its head."""
    text = processes.read_file(path, _MOST).decode(errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()[1:]


def internet(kind: str, local: str, remote: str, state: str) -> str:
    """One row: kind and addresses as the table has them, to "tcp 10.0.0.1:22 to 10.0.0.2:4321"."""
    words = f"{kind.removesuffix('6')} {_in_words(local)}"
    if state == _LISTENING.get(kind):
        return f"{words} listening"
    return f"{words} to {_in_words(remote)}" if state == _ESTABLISHED else words


def address(text: str) -> tuple[str, int]:
    """The IP address, which is in the machine's byte order, 32 bits at a time; the port, which is a plain number."""
    host, _, port = text.partition(":")
    raw = b"".join(bytes.fromhex(host[at : at + 8])[::_BACKWARDS] for at in range(0, len(host), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw), int(port, 16)


def _in_words(text: str) -> str:
    host, port = address(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
