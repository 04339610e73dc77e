"""The end of the bus: who reads hears all, who does not is not waited for."""

import asyncio

from tests.bus.clients import client
from tests.bus.fakes import Daemon
from unitd.model import effects

BURST = 30_000


def tell_much(daemon: Daemon) -> None:
    for number in range(BURST):
        daemon.bus.tell(effects.UnitNew(f"u{number}.service"))
    daemon.bus.flush()


async def test_who_reads_hears_the_end(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("GetUnit", "s", "a.service")
    tell_much(daemon)
    draining = asyncio.ensure_future(daemon.bus.drain(20.0))
    for number in range(BURST):
        assert (await found.read()).body[0] == f"u{number}.service"
    await draining
    await found.close()


async def test_who_does_not_read_is_not_waited_for(daemon: Daemon) -> None:
    deaf = await client(daemon.path)
    await deaf.call("GetUnit", "s", "a.service")
    deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
    tell_much(daemon)
    async with asyncio.timeout(30):
        await daemon.bus.drain(1000.0)
    await deaf.close()


async def test_nobody_to_wait_for(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await daemon.bus.drain(1000.0)
    await found.close()
