"""Names of users and groups in the local files only: /etc/passwd and /etc/group (passwd(5), group(5)).

Name services such as LDAP may block for minutes, and may need a unit that this daemon has yet to start; so names that
only they know are resolved in a unit's own child, and never here. What the daemon itself creates (sockets, logs)
belongs to local accounts.
"""

from msgspec import Struct

INVALID = frozenset({65535, 2**32 - 1})
"""Numbers that chown(2) and the 16 bit calls take for "none"."""


class User(Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str
    shell: str


def user(name: str) -> User:
    """The account of a name or number; KeyError when the local file has none (a number needs none)."""
    for fields in _rows("/etc/passwd", 7):
        if name in (fields[0], fields[2]) and fields[2].isdecimal() and fields[3].isdecimal():
            return User(fields[0], int(fields[2]), int(fields[3]), fields[5], fields[6])
    if _number(name):
        return User("", int(name), int(name), "/", "/bin/sh")
    raise KeyError(name)


def gid(name: str) -> int:
    """The number of a group's name or number; KeyError when the local file has none."""
    if _number(name):
        return int(name)
    for fields in _rows("/etc/group", 3):
        if fields[0] == name and fields[2].isdecimal():
            return int(fields[2])
    raise KeyError(name)


def log_readers() -> int:
    """The number of the group whose members may read logs, adm; -1: there is none."""
    try:
        return gid("adm")
    except KeyError:
        return -1


def group_name(number: int) -> str:
    """The name that /etc/group has for the number, or ""."""
    for fields in _rows("/etc/group", 3):
        if fields[2] == str(number):
            return fields[0]
    return ""


def _number(text: str) -> bool:
    """Whether it is a number that may stand for an account: decimal, no leading zero, in range."""
    return (
        text.isascii()
        and text.isdecimal()
        and str(int(text)) == text
        and int(text) < 2**32
        and int(text) not in INVALID
    )


def _rows(path: str, width: int) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            rows = [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return []
    return [row for row in rows if len(row) >= width]
