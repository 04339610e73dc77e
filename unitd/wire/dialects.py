"""The names under which the same objects are served: unitd's own, and systemd1's for ported clients.

A dialect is only names; which interfaces, methods and properties there are is the same in all of them.
"""

from typing import Final

from msgspec import Struct

from unitd.model.refusals import Kind
from unitd.wire import labels

DBUS: Final = "org.freedesktop.DBus"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"
INTROSPECTABLE: Final = "org.freedesktop.DBus.Introspectable"
PEER: Final = "org.freedesktop.DBus.Peer"
DBUS_PATH: Final = "/org/freedesktop/DBus"

_BUS_KINDS: Final = frozenset(
    {
        Kind.NOT_SUPPORTED,
        Kind.INVALID_ARGS,
        Kind.ACCESS_DENIED,
        Kind.FILE_NOT_FOUND,
        Kind.UNKNOWN_METHOD,
        Kind.UNKNOWN_OBJECT,
        Kind.UNKNOWN_INTERFACE,
        Kind.UNKNOWN_PROPERTY,
        Kind.PROPERTY_READ_ONLY,
        Kind.LIMITS_EXCEEDED,
        Kind.FAILED,
    }
)
"""Refusals that go by the bus' own error names in every dialect."""


class Dialect(Struct, frozen=True):
    """`root`: the path above unit/ and job/; `prefix`: before interface names; `errors`: before error names."""

    bus_name: str
    object: str
    root: str
    prefix: str
    errors: str

    def interface(self, name: str) -> str:
        """The full name of one of our interfaces: "Unit" -> "org.pyzinit.Unit"."""
        return self.prefix + name

    def unit_path(self, name: str) -> str:
        return f"{self.root}/unit/{labels.escape(name)}"

    def job_path(self, id: int) -> str:
        """The path of a job; "/" for id 0, no job."""
        return f"{self.root}/job/{id}" if id else "/"

    def error(self, kind: Kind | None) -> str:
        """The error name of a refusal; None: the bus' plain Failed."""
        if kind is None:
            return f"{DBUS}.Error.Failed"
        return f"{DBUS}.Error.{kind}" if kind in _BUS_KINDS else self.errors + kind


PYZINIT: Final = Dialect(
    bus_name="org.pyzinit.Manager",
    object="/org/pyzinit/Manager",
    root="/org/pyzinit",
    prefix="org.pyzinit.",
    errors="org.pyzinit.Error.",
)
SYSTEMD1: Final = Dialect(
    bus_name="org.freedesktop.systemd1",
    object="/org/freedesktop/systemd1",
    root="/org/freedesktop/systemd1",
    prefix="org.freedesktop.systemd1.",
    errors="org.freedesktop.systemd1.",
)
