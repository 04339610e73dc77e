"""Tells whoever started the daemon how far it is (sd_notify(3))."""

import contextlib
import os
import socket

from unitd.host import reserve


def tell(message: str) -> None:
    """Send to NOTIFY_SOCKET, if there is one; it does not matter whether it is heard."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with contextlib.suppress(OSError), reserve.sure(socket.socket, socket.AF_UNIX, kind) as sender:
        sender.sendto(message.encode(), "\0" + path[1:] if path.startswith("@") else path)
