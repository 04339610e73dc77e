"""What a call changes in the bus itself: references of clients, and the level of the daemon's log."""

import pytest

from tests.bus.clients import MANAGER, PROPERTIES, Failed, client
from tests.bus.fakes import Daemon

UNIT = "/org/pyzinit/unit/a_2eservice"


async def test_references_are_counted_by_client(daemon: Daemon) -> None:
    first, second = await client(daemon.path), await client(daemon.path)
    await first.call("RefUnit", "s", "a.service")
    await first.call("Ref", path=UNIT, interface="org.pyzinit.Unit")
    with pytest.raises(Failed, match="NotReferenced"):
        await second.call("UnrefUnit", "s", "a.service")
    await first.call("UnrefUnit", "s", "a.service")
    await first.call("Unref", path=UNIT, interface="org.pyzinit.Unit")
    with pytest.raises(Failed, match="NotReferenced"):
        await first.call("Unref", path=UNIT, interface="org.pyzinit.Unit")
    await first.close()
    await second.close()


async def test_the_log_level_is_set_for_the_daemon(daemon: Daemon) -> None:
    found = await client(daemon.path)
    await found.call("Set", "ssv", "org.pyzinit.Manager", "LogLevel", ("s", "debug"), interface=PROPERTIES)
    assert await found.get(MANAGER, "org.pyzinit.Manager", "LogLevel") == "debug"
    await found.close()
