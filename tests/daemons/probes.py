"""Questions that show that a daemon serves: `python -m tests.daemons.probes NAME` prints the answer's gist, exit 0.

Each speaks just enough of the daemon's own protocol, so that no client package is needed.
"""

from __future__ import annotations

import pwd
import socket
import subprocess
import sys
from collections.abc import Callable

PATIENCE_S = 20.0
_CHAOS, _TXT = 3, 16


def _exchange(port: int, request: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Say something over TCP; the first thing that is answered."""
    with socket.create_connection((host, port), PATIENCE_S) as peer:
        if request:
            peer.sendall(request)
        return peer.recv(4096)


def _ask(port: int, request: bytes) -> bytes:
    """One datagram there, one back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect(("127.0.0.1", port))
        peer.send(request)
        return peer.recv(4096)


def http() -> str:
    """The status line and the server's name (RFC 9110)."""
    answer = _exchange(80, b"HEAD / HTTP/1.0\r\n\r\n").decode()
    return " ".join(line for line in answer.split("\r\n") if line.startswith(("HTTP/", "Server:")))


def ssh() -> str:
    """The banner (RFC 4253, section 4.2)."""
    return _exchange(22, b"").decode().strip()


def mqtt() -> str:
    """CONNECT with a clean session, and the code of CONNACK (MQTT 3.1.1, section 3.2)."""
    client = b"\x00\x05probe"
    head = b"\x00\x04MQTT\x04\x02\x00\x1e"
    answer = _exchange(1883, bytes((0x10, len(head) + len(client))) + head + client)
    return f"packet {answer[0] >> 4} code {answer[3]}"


def dns() -> str:
    """version.bind in class CHAOS, which dnsmasq answers itself (RFC 4892)."""
    name = b"\x07version\x04bind\x00"
    question = name + _TXT.to_bytes(2, "big") + _CHAOS.to_bytes(2, "big")
    answer = _ask(53, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question)
    at = answer.rindex(b"dnsmasq")
    return answer[at : at + answer[at - 1]].decode()


def snmp() -> str:
    """GetRequest of sysDescr.0 as community public (RFC 3416), in BER."""
    binding = _ber(0x30, _ber(0x06, bytes((0x2B, 6, 1, 2, 1, 1, 1, 0))) + _ber(0x05, b""))
    number = _ber(0x02, b"\x01")
    zero = _ber(0x02, b"\x00")
    request = _ber(0xA0, number + zero + zero + _ber(0x30, binding))
    answer = _ask(161, _ber(0x30, _ber(0x02, b"\x01") + _ber(0x04, b"public") + request))
    at = answer.index(b"Linux")
    return answer[at : at + answer[at - 1]].decode(errors="replace")


def _ber(tag: int, content: bytes) -> bytes:
    return bytes((tag, len(content))) + content


def bus() -> str:
    """Authentication as root on the system bus (D-Bus specification, "Authentication Protocol")."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_S)
        peer.connect("/run/dbus/system_bus_socket")
        peer.sendall(b"\0AUTH EXTERNAL 30\r\n")
        return peer.recv(4096).decode().split()[0]


def sql() -> str:
    """A query as the user postgres, whom the server lets in without a password."""
    who = pwd.getpwnam("postgres")
    query = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", "select 41 + 1"]
    done = subprocess.run(query, user=who.pw_uid, group=who.pw_gid, cwd="/", capture_output=True, text=True, check=True)
    return done.stdout.strip()


PROBES: dict[str, Callable[[], str]] = {probe.__name__: probe for probe in (http, ssh, mqtt, dns, snmp, bus, sql)}

if __name__ == "__main__":
    print(PROBES[sys.argv[1]]())
