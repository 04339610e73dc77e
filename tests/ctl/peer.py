"""A daemon that is none: it speaks D-Bus on a private socket, by jeepney, and answers from a script.

It keeps every call, so that a test can say what was asked. One client at a time; the thread ends with `close`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jeepney import DBusAddress, HeaderFields, MessageFlag, MessageType, new_error, new_method_return, new_signal
from jeepney.low_level import Message, Parser

MANAGER = "/org/pyzinit/Manager"
NEVER = 2**64 - 1


class Error(Exception):
    """Raised by an answer: the reply is this D-Bus error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name if "." in name else f"org.pyzinit.Error.{name}"


def escape(name: str) -> str:
    """A unit name as the last part of an object path, for names that do not begin with a digit."""
    return "".join(c if c.isascii() and c.isalnum() else "".join(f"_{b:02x}" for b in c.encode()) for c in name)


def path_of(unit: str) -> str:
    """The object path of a unit."""
    return f"/org/pyzinit/unit/{escape(unit)}"


def unit(name: str, **properties: Any) -> dict[str, tuple[str, Any]]:
    """A service's properties with their types; `properties` is by name, of those below."""
    values: dict[str, tuple[str, Any]] = {
        "Id": ("s", name),
        "Names": ("as", [name]),
        "Description": ("s", name),
        "LoadState": ("s", "loaded"),
        "LoadError": ("(ss)", ("", "")),
        "ActiveState": ("s", "inactive"),
        "SubState": ("s", "dead"),
        "FragmentPath": ("s", f"/etc/unitd/{name}"),
        "DropInPaths": ("as", []),
        "UnitFileState": ("s", "static"),
        "UnitFilePreset": ("s", ""),
        "NeedDaemonReload": ("b", False),
        "Job": ("(uo)", (0, "/")),
        "Requires": ("as", []),
        "Requisite": ("as", []),
        "Wants": ("as", []),
        "BindsTo": ("as", []),
        "RequiredBy": ("as", []),
        "After": ("as", []),
        "Documentation": ("as", []),
        "Problems": ("as", []),
        "Reason": ("s", ""),
        "ActiveEnterTimestamp": ("t", 0),
        "ActiveExitTimestamp": ("t", 0),
        "InactiveEnterTimestamp": ("t", 0),
        "InactiveExitTimestamp": ("t", 0),
        "StateChangeTimestampMonotonic": ("t", 0),
        "ConditionTimestamp": ("t", 0),
        "ConditionResult": ("b", True),
        "Conditions": ("a(sbbsi)", []),
        "Result": ("s", "success"),
        "MainPID": ("u", 0),
        "ControlPID": ("u", 0),
        "KillMode": ("s", "control-group"),
        "Hint": ("s", ""),
        "ExecMainPID": ("u", 0),
        "ExecMainCode": ("i", 0),
        "ExecMainStatus": ("i", 0),
        "StatusText": ("s", ""),
        "StatusErrno": ("i", 0),
        "ExecStart": ("a(sasbttttuii)", []),
        "ExecStartPre": ("a(sasbttttuii)", []),
        "ControlGroup": ("s", ""),
        "TimeoutStartUSec": ("t", 90_000_000),
        "TimeoutStopUSec": ("t", 90_000_000),
        "TasksCurrent": ("t", NEVER),
        "TasksMax": ("t", NEVER),
        "MemoryCurrent": ("t", NEVER),
        "CPUUsageNSec": ("t", NEVER),
    }
    for key, value in properties.items():
        values[key] = (values[key][0], value)
    return values


class Peer:
    """`answers`: method -> what gives (signature, values) for its arguments, called in the peer's thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.units: dict[str, dict[str, tuple[str, Any]]] = {}
        self.jobs: list[tuple[Any, ...]] = []
        self.manager: dict[str, tuple[str, Any]] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[str, Callable[..., tuple[str, tuple[Any, ...]]]] = {"GetLogs": lambda *_: ("a(tsis)", ([],))}
        self.after: dict[str, Callable[..., Iterable[Message | None]]] = {}
        """Method -> the messages that follow its reply; None closes the connection."""
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(directory / "private"))
        self._server.listen(8)
        self._client: socket.socket | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        for one in (self._client, self._server):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def vanish(self) -> tuple[None, ...]:
        """Let nobody in any more, as a daemon that died; what it says last: nothing."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        return (None,)

    def asked(self, member: str) -> list[tuple[Any, ...]]:
        """The arguments of every call of a method."""
        return [arguments for name, arguments in self.calls if name == member]

    def add(self, name: str, **properties: Any) -> None:
        """Have a unit."""
        self.units[name] = unit(name, **properties)

    # --- scripts ----------------------------------------------------------------------------------------

    def signal(self, member: str, signature: str, *body: Any, path: str = MANAGER) -> Message:
        """A signal of the daemon."""
        return new_signal(DBusAddress(path, interface="org.pyzinit.Manager"), member, signature, body)

    def job_ends(self, method: str, *results: str, between: Callable[[str], None] | None = None) -> None:
        """Answer a job's request: the first call's job is 1 and ends with the first result, and so on."""
        ends = iter(results)
        number = 0

        def answer(name: str, mode: str) -> tuple[str, tuple[Any, ...]]:
            nonlocal number
            if name not in self.units:
                raise Error("NoSuchUnit", f"Unit {name} not found.")
            number += 1
            return "o", (f"/org/pyzinit/job/{number}",)

        def after(name: str, mode: str) -> Iterable[Message]:
            if between is not None:
                between(name)
            yield self.signal("JobRemoved", "uoss", number, f"/org/pyzinit/job/{number}", name, next(ends))

        self.answers[method] = answer
        self.after[method] = after

    def progress(
        self, unit: str, phase: str, pids: Iterable[tuple[int, str]] = (), left: int = NEVER, then: str = ""
    ) -> Message:
        """A report of the shutdown."""
        values = {
            "unit": ("s", unit),
            "phase": ("s", phase),
            "pids": ("a(us)", list(pids)),
            "left_us": ("t", left),
            "next": ("s", then),
        }
        return self.signal("ShutdownProgress", "a{sv}", values)

    # --- the wire ---------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing:
            try:
                self._client, _ = self._server.accept()
            except OSError:
                return
            with self._client, contextlib.suppress(OSError):
                self._talk(self._client)

    def _talk(self, client: socket.socket) -> None:
        received = b""
        while b"BEGIN\r\n" not in received:
            received += client.recv(4096)
        assert received.startswith(b"\0AUTH EXTERNAL ")
        client.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        parser = Parser()
        chunk = received.partition(b"BEGIN\r\n")[2]
        serial = 0
        while True:
            parser.add_data(chunk)
            while (message := parser.get_next_message()) is not None:
                for reply in self._replies(message):
                    if reply is None:
                        return
                    serial += 1
                    client.sendall(reply.serialise(serial=serial))
            chunk = client.recv(65536)
            if not chunk:
                return

    def _replies(self, message: Message) -> Iterable[Message | None]:
        header = message.header
        assert header.message_type is MessageType.method_call
        assert header.flags & MessageFlag.allow_interactive_authorization
        path, member = header.fields[HeaderFields.path], header.fields[HeaderFields.member]
        self.calls.append((member, message.body))
        try:
            signature, values = self._answer(path, member, message.body)
        except Error as error:
            yield new_error(message, error.name, "s", (str(error),))
            return
        yield new_method_return(message, signature or None, values)
        if member in self.after:
            yield from self.after[member](*message.body)

    def _answer(self, path: str, member: str, body: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
        if member in self.answers:
            return self.answers[member](*body)
        if member == "GetAll":
            return "a{sv}", (self._object(path),)
        if member == "Get":
            return "v", (self._object(path)[body[1]],)
        if member == "ListUnitsByPatterns":
            return "a(ssssssouso)", ([self._row(name) for name in self.units if self._fits(name, *body)],)
        if member == "ListJobs":
            return "a(usssoo)", (self.jobs,)
        raise Error("org.freedesktop.DBus.Error.UnknownMethod", f"Unknown method {member}.")

    def _object(self, path: str) -> dict[str, tuple[str, Any]]:
        if path == MANAGER:
            return self.manager
        for name, values in self.units.items():
            if path == path_of(name):
                return values
        name = path.rpartition("/")[2].replace("_2e", ".").replace("_2d", "-")
        error = ("org.pyzinit.Error.NoSuchUnit", f"Unit {name} not found.")
        return unit(name, LoadState="not-found", LoadError=error, FragmentPath="")

    def _row(self, name: str) -> tuple[Any, ...]:
        seen = {key: value for key, (_, value) in self.units[name].items()}
        job = next((job for job in self.jobs if job[1] == name), (0, "", "", "", "/", "/"))
        states = (seen["LoadState"], seen["ActiveState"], seen["SubState"])
        return (name, seen["Description"], *states, "", path_of(name), job[0], job[2], job[4])

    def _fits(self, name: str, states: list[str], patterns: list[str]) -> bool:
        from fnmatch import fnmatchcase

        own = {self.units[name][key][1] for key in ("LoadState", "ActiveState", "SubState")}
        return (not states or bool(own.intersection(states))) and (
            not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        )
