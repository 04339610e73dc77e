"""Options of listening sockets: [Socket] directives to setsockopt(2) (systemd.socket(5), socket(7), ip(7), tcp(7)).

An option that the kernel refuses does not keep the unit from listening; it is named, as systemd does.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

_SO_PASSSEC, _SO_TIMESTAMP, _SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 34, 29, 35, 33, 32
_IP_FREEBIND, _IP_PKTINFO, _IP_TRANSPARENT, _IPV6_FREEBIND, _IPV6_TRANSPARENT = 15, 8, 19, 78, 75
_SECOND = 1_000_000

Setter = Callable[[socket.socket, Any], None]


def _plain(level: int, option: int) -> Setter:
    return lambda made, value: made.setsockopt(level, option, int(value))


def _seconds(option: int) -> Setter:
    return lambda made, value: made.setsockopt(socket.IPPROTO_TCP, option, int(value) // _SECOND)


def _by_family(ipv4: int, ipv6: int) -> Setter:
    """An option of both protocols; a socket that takes IPv4 as well gets both where the kernel lets it."""

    def set_both(made: socket.socket, value: Any) -> None:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, ipv6, int(value))
        elif made.family == socket.AF_INET:
            made.setsockopt(socket.IPPROTO_IP, ipv4, int(value))
        else:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    return set_both


def _buffer(forced: int, asked: int) -> Setter:
    """A buffer beyond the system's limit where we may, else as near as it lets us."""

    def set_size(made: socket.socket, value: Any) -> None:
        size = min(int(value), 2**31 - 1)
        try:
            made.setsockopt(socket.SOL_SOCKET, forced, size)
        except PermissionError:
            made.setsockopt(socket.SOL_SOCKET, asked, size)

    return set_size


def _timestamping(made: socket.socket, value: Any) -> None:
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS if value == "ns" else _SO_TIMESTAMP, 1)


def _text(level: int, option: int) -> Setter:
    return lambda made, value: made.setsockopt(level, option, os.fsencode(str(value)))


BEFORE_BIND: Final[Mapping[str, Setter]] = {
    "BindToDevice": _text(socket.SOL_SOCKET, socket.SO_BINDTODEVICE),
    "ReusePort": _plain(socket.SOL_SOCKET, socket.SO_REUSEPORT),
    "FreeBind": _by_family(_IP_FREEBIND, _IPV6_FREEBIND),
    "Transparent": _by_family(_IP_TRANSPARENT, _IPV6_TRANSPARENT),
    "Mark": _plain(socket.SOL_SOCKET, socket.SO_MARK),
}
AFTER_BIND: Final[Mapping[str, Setter]] = {
    "KeepAlive": _plain(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "KeepAliveTimeSec": _seconds(socket.TCP_KEEPIDLE),
    "KeepAliveIntervalSec": _seconds(socket.TCP_KEEPINTVL),
    "KeepAliveProbes": _plain(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "NoDelay": _plain(socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "DeferAcceptSec": _seconds(socket.TCP_DEFER_ACCEPT),
    "Broadcast": _plain(socket.SOL_SOCKET, socket.SO_BROADCAST),
    "PassCredentials": _plain(socket.SOL_SOCKET, socket.SO_PASSCRED),
    "PassSecurity": _plain(socket.SOL_SOCKET, _SO_PASSSEC),
    "PassPacketInfo": _by_family(_IP_PKTINFO, socket.IPV6_RECVPKTINFO),
    "Timestamping": _timestamping,
    "Priority": _plain(socket.SOL_SOCKET, socket.SO_PRIORITY),
    "ReceiveBuffer": _buffer(_SO_RCVBUFFORCE, socket.SO_RCVBUF),
    "SendBuffer": _buffer(_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    "IPTOS": _by_family(socket.IP_TOS, socket.IPV6_TCLASS),
    "IPTTL": _by_family(socket.IP_TTL, socket.IPV6_UNICAST_HOPS),
    "TCPCongestion": _text(socket.IPPROTO_TCP, socket.TCP_CONGESTION),
}
PROTOCOLS: Final[Mapping[str, int]] = {"udplite": 136, "sctp": 132, "mptcp": 262}
"""SocketProtocol=, by name."""


def apply(
    made: socket.socket, setters: Mapping[str, Setter], options: Mapping[str, Any], refused: Callable[[str], None]
) -> None:
    """Set those options that have a setter and a value; `refused` is told of each that the kernel does not take.

    What stands for "not set" in the table of settings is left to the kernel: no, 0, -1, "off" and nothing.
    """
    for name, setter in setters.items():
        value = options.get(name)
        if not value or value in (-1, "off"):
            continue
        try:
            setter(made, value)
        except OSError as error:
            refused(f"{name}={value}: {error.strerror}")


def size_pipe(fifo: int, options: Mapping[str, Any], refused: Callable[[str], None]) -> None:
    """PipeSize= of a FIFO, in bytes."""
    size = options.get("PipeSize")
    if size:
        try:
            fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, min(int(size), 2**31 - 1))
        except OSError as error:
            refused(f"PipeSize={size}: {error.strerror}")
