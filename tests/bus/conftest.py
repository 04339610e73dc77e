"""A make-believe daemon on a private socket, and a real bus daemon of the test's own."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bus.fakes import Daemon, View, world

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/><allow user="*"/>
  </policy>
</busconfig>
"""


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """Listens at daemon.path."""
    view = View()
    found = Daemon(asyncio.get_running_loop(), world(view=view), view)
    found.path = str(tmp_path / "private")
    found.bus.listen(found.path)
    yield found
    found.bus.close()
    await asyncio.sleep(0)


class BusDaemon:
    """A real dbus-daemon, which can be stopped and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "bus"
        self.address = f"unix:path={self.socket}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it accepts connections."""
        config = self.folder / "bus.conf"
        config.write_text(CONFIG.format(path=self.socket))
        self._process = await asyncio.create_subprocess_exec(
            "dbus-daemon",
            "--nofork",
            "--print-address",
            f"--config-file={config}",
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert await asyncio.wait_for(self._process.stdout.readline(), 10)

    async def stop(self) -> None:
        """Ends it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()
            self._process = None
            self.socket.unlink(missing_ok=True)


@pytest_asyncio.fixture
async def bus_daemon(tmp_path: Path) -> AsyncIterator[BusDaemon]:
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    found = BusDaemon(tmp_path)
    await found.start()
    yield found
    await found.stop()
