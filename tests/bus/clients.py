"""Clients of the tests: a raw one that speaks our own wire, and programs that are installed."""

import asyncio
import itertools
import os
import shutil
from typing import Any

import pytest

from unitd.wire import message
from unitd.wire.message import Message, Type

MANAGER = "/org/pyzinit/Manager"
PROPERTIES = "org.freedesktop.DBus.Properties"
PATIENCE_S = 60


class Failed(Exception):
    """An error reply; its name is the first argument."""


class Client:
    """A client of the private socket without Hello."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[Message] = []
        self._serials = itertools.count(1)

    async def authenticate(self, uid: int | None = None) -> str:
        identity = str(os.getuid() if uid is None else uid).encode().hex()
        self.writer.write(f"\0AUTH EXTERNAL {identity}\r\n".encode())
        answer = (await self.reader.readline()).decode().strip()
        if answer.startswith("OK"):
            self.writer.write(b"BEGIN\r\n")
        return answer

    async def read(self) -> Message:
        """The next message, whatever it is."""
        async with asyncio.timeout(PATIENCE_S):
            raw = await self.reader.readexactly(16)
            raw += await self.reader.readexactly(message.size(raw) - 16)
        return message.decode(raw)

    def write(self, member: str, signature: str = "", *body: Any, **fields: Any) -> int:
        """Send a call; its serial."""
        serial = next(self._serials)
        fields = {"path": MANAGER, "interface": "org.pyzinit.Manager"} | fields
        asked = Message(Type.CALL, member=member, signature=signature, body=body, serial=serial, **fields)
        self.writer.write(message.encode(asked))
        return serial

    async def call(self, member: str, signature: str = "", *body: Any, **fields: Any) -> tuple[Any, ...]:
        """The body of the answer; raises Failed. Signals that came before it are in `seen`."""
        serial = self.write(member, signature, *body, **fields)
        while True:
            got = await self.read()
            if got.reply_serial == serial:
                break
            self.seen.append(got)
        if got.type == Type.ERROR:
            raise Failed(got.error, *got.body)
        return got.body

    async def get(self, path: str, interface: str, name: str) -> Any:
        (value,) = await self.call("Get", "ss", interface, name, path=path, interface=PROPERTIES)
        return value[1]

    async def get_all(self, path: str, interface: str = "") -> dict[str, Any]:
        (values,) = await self.call("GetAll", "s", interface, path=path, interface=PROPERTIES)
        return {name: value for name, (_, value) in values.items()}

    async def signals(self, last: str) -> list[Message]:
        """All signals up to and with one of this name."""
        seen, self.seen = self.seen, []
        while not any(each.member == last for each in seen):
            seen.append(await self.read())
        return seen

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def connect(path: str) -> Client:
    """A connection that is not authenticated yet."""
    return Client(*await asyncio.open_unix_connection(path))


async def client(path: str) -> Client:
    """A connection that can be used."""
    found = await connect(path)
    assert (await found.authenticate()).startswith("OK ")
    return found


async def run(*words: str, user: int | None = None) -> tuple[int, str]:
    """Exit status and output of an installed program; skips the test when it is not."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, user=user
    )
    async with asyncio.timeout(PATIENCE_S):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
