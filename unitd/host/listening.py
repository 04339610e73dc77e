"""Opens one address of a socket unit (systemd.socket(5), unix(7), ipv6(7), fifo(7)).

The descriptors are close-on-exec and blocking: a service gets the same open file, and expects it so. A socket file
that nobody listens on any more is replaced; one that somebody listens on is in use, whoever it is.
"""

import contextlib
import errno
import ipaddress
import os
import re
import socket
import stat
from collections.abc import Callable
from typing import Final

from unitd.host import accounts, reclaim, socket_options
from unitd.model.effects import SocketPlan
from unitd.syntax.addresses import ListenAddress, parse_listen_address
from unitd.syntax.errors import Bad
from unitd.syntax.escapes import join_bytes, unescape_one

_TYPES: Final = {
    "Stream": socket.SOCK_STREAM,
    "Datagram": socket.SOCK_DGRAM,
    "SequentialPacket": socket.SOCK_SEQPACKET,
}
_BACKLOG_LIMIT = 2**31 - 1
_ESCAPE = re.compile(r"\\(?:[0-7]{3}|.)")


def open_address(plan: SocketPlan, kind: str, address: str, refused: Callable[[str], None]) -> int:
    """The descriptor that listens there. OSError; EOPNOTSUPP for kinds that are not carried out."""
    if kind == "FIFO":
        return _fifo(plan, address, refused)
    if kind not in _TYPES:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), address)
    try:
        where = parse_listen_address(_written(address))
    except Bad as error:
        raise OSError(errno.EINVAL, str(error), address) from error
    made = _socket(plan, where, _TYPES[kind])
    try:
        _bind(plan, made, where, refused)
        if kind != "Datagram":
            made.listen(max(0, min(plan.backlog, _BACKLOG_LIMIT)))
        return made.detach()
    finally:
        made.close()


def link(plan: SocketPlan, refused: Callable[[str], None]) -> None:
    """Make the symbolic links to the one path that the unit listens on; an older link is replaced, a file is not."""
    paths = path_addresses(plan)
    for name in plan.symlinks if len(paths) == 1 else ():
        try:
            _make_parents(name, plan.directory_mode)
            if os.path.islink(name):
                os.unlink(name)
            os.symlink(paths[0], name)
        except OSError as error:
            refused(f"Symlinks={name}: {error.strerror}")


def unlink(plan: SocketPlan) -> None:
    """Remove the paths and the symbolic links."""
    for path in path_addresses(plan):
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                os.unlink(path)
    for name in plan.symlinks:
        with contextlib.suppress(OSError):
            if os.path.islink(name):
                os.unlink(name)


def is_there(key: tuple[str, str]) -> bool:
    """A socket that is bound there can still be reached: its path, if it has one, is no other file's now."""
    kind, address = key
    path = address if kind == "FIFO" else _written(address)
    if not path.startswith("/"):
        return True
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        return stat.S_ISFIFO(mode) if kind == "FIFO" else stat.S_ISSOCK(mode)
    return False


def is_at(made: socket.socket, key: tuple[str, str]) -> bool:
    """The socket is bound to this address and, unless it is for datagrams, listens. OSError."""
    kind, address = key
    where = parse_listen_address(_written(address))
    if made.type != _TYPES.get(kind) or bool(made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) != (
        kind != "Datagram"
    ):
        return False
    name = made.getsockname()
    match where.family:
        case "unix":
            return made.family == socket.AF_UNIX and os.fsdecode(name).replace("\0", "@") == where.host
        case "vsock":
            return made.family == socket.AF_VSOCK and name[1] == where.port
        case _ if made.family not in (socket.AF_INET, socket.AF_INET6):
            return False
    # Without IPv6 any address is one of IPv4.
    anywhere = where.host == "::" and name[0] == "0.0.0.0"
    return name[1] == where.port and (anywhere or ipaddress.ip_address(name[0]) == ipaddress.ip_address(where.host))


def in_use(key: tuple[str, str]) -> str:
    """The kernel's words for an address that is in use, and by whom, as far as it is found."""
    where = parse_listen_address(_written(key[1]))
    by = reclaim.holders(where.port, where.host if where.family == "unix" else "")
    return os.strerror(errno.EADDRINUSE) + (f" by {by}" if by else "")


def path_addresses(plan: SocketPlan) -> list[str]:
    """The addresses that are file names."""
    named = [address if kind == "FIFO" else _written(address) for kind, address in plan.addresses if _has_path(kind)]
    return [path for path in named if path.startswith("/")]


def _has_path(kind: str) -> bool:
    return kind in _TYPES or kind == "FIFO"


def _written(address: str) -> str:
    """The address of a socket without the escapes of its canonical form (syntax.addresses)."""
    return join_bytes(_ESCAPE.sub(_meant, address))


def _meant(found: re.Match[str]) -> str:
    meaning = unescape_one(found[0], 1)
    return meaning[0] if meaning is not None else found[0]


def _socket(plan: SocketPlan, where: ListenAddress, kind: int) -> socket.socket:
    family = {
        "unix": socket.AF_UNIX,
        "inet": socket.AF_INET,
        "inet6": socket.AF_INET6,
        "vsock": socket.AF_VSOCK,
    }[where.family]
    named = dict(plan.options).get("SocketProtocol")
    protocol = socket_options.PROTOCOLS.get(str(named), 0) if where.family in ("inet", "inet6") else 0
    try:
        return socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        if family != socket.AF_INET6 or error.errno != errno.EAFNOSUPPORT or where.host != "::":
            raise
    return socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC, protocol)


def _bind(plan: SocketPlan, made: socket.socket, where: ListenAddress, refused: Callable[[str], None]) -> None:
    options = dict(plan.options)
    socket_options.apply(made, socket_options.BEFORE_BIND, options, refused)
    if where.family == "unix":
        _bind_unix(plan, made, where.host)
    elif where.family == "vsock":
        made.bind((int(where.host) if where.host else socket.VMADDR_CID_ANY, where.port))
    else:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if made.family == socket.AF_INET6:
            if plan.bind_ipv6_only in ("both", "ipv6-only"):
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, plan.bind_ipv6_only == "ipv6-only")
            made.bind((where.host, where.port, 0, _interface(where.interface)))
        else:
            made.bind((where.host if where.family == "inet" else "0.0.0.0", where.port))
    socket_options.apply(made, socket_options.AFTER_BIND, options, refused)


def _interface(name: str) -> int:
    if not name or name.isdecimal():
        return int(name or 0)
    return socket.if_nametoindex(name)


def _bind_unix(plan: SocketPlan, made: socket.socket, path: str) -> None:
    if path.startswith("@"):
        made.bind(b"\0" + os.fsencode(path[1:]))
        return
    uid, gid = _owner(plan)
    _make_parents(path, plan.directory_mode)
    before = os.umask(0o777 & ~plan.mode)
    try:
        try:
            made.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _stale(path, made.type):
                raise
            os.unlink(path)
            made.bind(path)
    finally:
        os.umask(before)
    _own(path, uid, gid)


def _stale(path: str, kind: int) -> bool:
    """Whether it is a socket file that nobody listens on."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as caller:
        return caller.connect_ex(path) == errno.ECONNREFUSED


def _fifo(plan: SocketPlan, path: str, refused: Callable[[str], None]) -> int:
    uid, gid = _owner(plan)
    _make_parents(path, plan.directory_mode)
    before = os.umask(0o777 & ~plan.mode)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, plan.mode)
    finally:
        os.umask(before)
    if not stat.S_ISFIFO(os.lstat(path).st_mode):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    made = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY)
    try:
        if not stat.S_ISFIFO(os.fstat(made).st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        os.fchmod(made, plan.mode)
        _own(made, uid, gid)
        socket_options.size_pipe(made, dict(plan.options), refused)
    except OSError:
        os.close(made)
        raise
    return made


def _owner(plan: SocketPlan) -> tuple[int, int]:
    """The numbers of SocketUser= and SocketGroup=, -1: leave it; ESRCH when a local account is not there."""
    uid = gid = -1
    try:
        if plan.user:
            account = accounts.user(plan.user)
            uid, gid = account.uid, account.gid
        if plan.group:
            gid = accounts.gid(plan.group)
    except KeyError as error:
        raise OSError(errno.ESRCH, f"there is no local account {error}") from error
    return uid, gid


def _own(target: str | int, uid: int, gid: int) -> None:
    if (uid, gid) != (-1, -1):
        os.chown(target, uid, gid)


def _make_parents(path: str, mode: int) -> None:
    """The directories above, each missing one with this mode."""
    missing = []
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        before = os.umask(0o777 & ~mode)
        try:
            os.mkdir(folder, mode)
        finally:
            os.umask(before)
