"""The daemon itself on a real bus, with either library: its name, its answers and signals, who may, and Type=dbus.

The bus daemon is the test's own, with the policy that unitd ships; its default policy is that of a system bus.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jeepney import DBusAddress, HeaderFields, MatchRule, MessageFlag, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection

from tests.conftest import ROOT
from tests.torture.daemon import BOUND_S, NOBODY, Daemon, watch_for

NAME = "org.pyzinit.Manager"
OBJECT = "/org/pyzinit/Manager"
UNIT = "/org/pyzinit/unit/a_2eservice"
OWNED = "org.example.Owned"
SIGNALS = 10_000
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root"><allow own="{owned}"/></policy>
  <include>{policy}</include>
</busconfig>
"""
OWNER = """
import signal, sys
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
connection = open_dbus_connection(sys.argv[1])
connection.send_and_get_reply(message_bus.RequestName(sys.argv[2]))
signal.sigwait([signal.SIGUSR1])
connection.send_and_get_reply(message_bus.ReleaseName(sys.argv[2]))
signal.pause()
"""
"""Takes the name, lets it go at SIGUSR1, and lives on."""

pytestmark = [
    pytest.mark.bus,
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="other users and a cgroup of our own need root"),
    pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed"),
]


class Bus:
    """A dbus-daemon in a folder that every user can look into."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.address = f"unix:path={folder}/bus"
        self._config = folder / "bus.conf"
        policy = ROOT / "dbus" / f"{NAME}.conf"
        self._config.write_text(CONFIG.format(socket=folder / "bus", policy=policy, owned=OWNED))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it accepts connections."""
        words = ["dbus-daemon", "--nofork", "--print-address", f"--config-file={self._config}"]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline()

    def stop(self) -> None:
        """Ends it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=BOUND_S)
            self._process = None

    def run(self, *words: str, user: int | None = None) -> tuple[int, str]:
        """Exit status and output of busctl or gdbus on this bus."""
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        tool, verb, *rest = words
        argv = {
            "busctl": ["busctl", f"--address={self.address}", verb, *rest],
            "gdbus": ["gdbus", verb, "--address", self.address, "--dest", NAME, *rest],
        }[tool]
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=user, text=True, timeout=BOUND_S, check=False
        )
        return done.returncode, done.stdout

    def call(self, member: str, *arguments: str, user: int | None = None) -> tuple[int, str]:
        """A method of the daemon's own object, by busctl."""
        return self.run("busctl", "call", NAME, OBJECT, NAME, member, *arguments, user=user)


@pytest.fixture
def bus() -> Iterator[Bus]:
    with tempfile.TemporaryDirectory(prefix="unitd-test-") as folder:
        found = Bus(Path(folder))
        found.start()
        yield found
        found.stop()


@pytest.fixture(params=["dbus-fast", "dbus-next"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path, cgroup: Path, bus: Bus) -> Iterator[Daemon]:
    """Owns its name on the bus."""
    pytest.importorskip(request.param.replace("-", "_"))
    program = tmp_path / "owner.py"
    program.write_text(OWNER)
    units = {
        "a.service": "[Service]\nExecStart=/bin/sleep infinity\n",
        "owner.service": f"[Service]\nType=dbus\nBusName={OWNED}\nTimeoutSec=20\n"
        f"ExecStart={sys.executable} {program} {bus.address} {OWNED}\n",
    }
    arguments, environment = ("--bus", bus.address), {"UNITD_DBUS": request.param}
    with Daemon(tmp_path, cgroup, units, arguments=arguments, environment=environment) as found:
        found.until_line(f"joined the bus {bus.address} as {NAME}")
        yield found
        found.shut_down()


@pytest.fixture
def client(daemon: Daemon, bus: Bus) -> Iterator[DBusConnection]:
    """Hears all that the daemon says on the bus."""
    with open_dbus_connection(bus.address) as found:
        found.send_and_get_reply(message_bus.AddMatch(MatchRule(type="signal", sender=NAME)))
        ask(found, "Subscribe")
        yield found


def ask(client: DBusConnection, member: str, signature: str = "", *body: Any) -> Any:
    """The answer to a call of the daemon's own object; signals before it are dropped."""
    call = new_method_call(DBusAddress(OBJECT, NAME, NAME), member, signature or None, body)
    return client.send_and_get_reply(call, timeout=BOUND_S)


def until(client: DBusConnection, last: Callable[[Any], bool]) -> list[Any]:
    """The messages up to the one that it holds for."""
    found = [client.receive(timeout=BOUND_S)]
    while not last(found[-1]):
        found.append(client.receive(timeout=BOUND_S))
    return found


def test_it_is_called_by_busctl_and_gdbus(daemon: Daemon, bus: Bus) -> None:
    assert bus.call("StartUnit", "ss", "a.service", "replace")[0] == 0
    daemon.until("a.service", "active/running")
    assert bus.call("GetUnit", "s", "a.service") == (0, f'o "{UNIT}"\n')
    (pid,) = daemon.members("a.service")
    assert bus.call("GetUnitByPID", "u", str(pid)) == (0, f'o "{UNIT}"\n')
    status, text = bus.run("busctl", "get-property", NAME, UNIT, f"{NAME[:-7]}Service", "MainPID", "ControlGroup")
    group = Path(f"/proc/{pid}/cgroup").read_text().partition("0::")[2].split("\n")[0]
    assert (status, text.replace(r"\\", "\\")) == (0, f'u {pid}\ns "{group}"\n')
    get_all = "org.freedesktop.DBus.Properties.GetAll"
    status, text = bus.run("gdbus", "call", "--object-path", UNIT, "--method", get_all, "")
    assert status == 0
    assert "'ActiveState': <'active'>" in text
    status, text = bus.run("gdbus", "introspect", "--object-path", OBJECT)
    assert status == 0
    assert "StartUnit" in text
    status, text = bus.call("StartUnit", "ss", "nowhere.service", "replace")
    assert (status, "Unit nowhere.service not found." in text) == (1, True)


def test_the_signals_of_a_job_come_in_order(daemon: Daemon, client: DBusConnection) -> None:
    call = new_method_call(DBusAddress(OBJECT, NAME, NAME), "StartUnit", "ss", ("a.service", "replace"))
    client.send(call)
    seen = until(
        client,
        lambda message: (
            message.header.fields.get(HeaderFields.member) == "JobRemoved" and message.body[2] == "a.service"
        ),
    )
    kinds = [
        message.header.fields.get(HeaderFields.member, message.header.message_type.name)
        for message in seen
        if message.header.fields.get(HeaderFields.path) in (None, OBJECT, UNIT)
    ]
    assert kinds[0] == "UnitNew"
    assert kinds.index("JobNew") < kinds.index("method_return") < kinds.index("PropertiesChanged")
    assert kinds[-1] == "JobRemoved"
    answer = next(message for message in seen if message.header.message_type is MessageType.method_return)
    assert seen[-1].body[1:] == (answer.body[0], "a.service", "done")


def test_others_may_look_but_not_touch(daemon: Daemon, bus: Bus) -> None:
    status, text = bus.call("StartUnit", "ss", "a.service", "replace", user=NOBODY)
    assert (status, "Access denied" in text) == (1, True)
    arguments = ("set-property", NAME, OBJECT, NAME, "LogLevel", "s", "err")
    assert bus.run("busctl", *arguments, user=NOBODY)[0] == 1
    assert daemon.state("a.service") == "inactive/dead"
    assert bus.call("LoadUnit", "s", "a.service", user=NOBODY) == (0, f'o "{UNIT}"\n')
    looked = bus.run("busctl", "get-property", NAME, UNIT, f"{NAME[:-7]}Unit", "ActiveState", user=NOBODY)
    assert looked == (0, 's "inactive"\n')
    assert bus.call("GetLogs", "sut", "a.service", "5", "0", user=NOBODY)[0] == 1
    assert bus.run("busctl", *arguments) == (0, "")


def test_a_service_is_up_as_long_as_it_has_its_name(daemon: Daemon, client: DBusConnection) -> None:
    # Without the requirement of dbus.socket, which there is none of here: this bus is not of the daemon's making.
    daemon.must("start", "--job-mode=ignore-requirements", "owner.service")
    assert daemon.state("owner.service") == "active/running"
    assert client.send_and_get_reply(message_bus.NameHasOwner(OWNED), timeout=BOUND_S).body == (True,)
    daemon.must("kill", "-s", "USR1", "owner.service")
    watch_for(lambda: daemon.state("owner.service") == "inactive/dead", "the service is down without its name")
    assert daemon.members("owner.service") == []


def test_nobody_on_the_bus_notices_that_it_re_executes_itself(daemon: Daemon, bus: Bus, client: DBusConnection) -> None:
    """Its unique name stays, subscribers hear on, who asked is answered, and names are watched on."""
    daemon.must("start", "--job-mode=ignore-requirements", "owner.service")
    (before,) = client.send_and_get_reply(message_bus.GetNameOwner(NAME), timeout=BOUND_S).body
    joined = daemon.log().count("joined the bus")
    address = DBusAddress(OBJECT, NAME, NAME)
    for number in range(2):
        client.send(new_method_call(address, "Reexecute"))
        seen = until(client, lambda message: message.header.message_type is not MessageType.signal)
        assert seen[-1].header.message_type is MessageType.method_return
        daemon.until_line("went on as unitd", number + 1)
    assert client.send_and_get_reply(message_bus.GetNameOwner(NAME), timeout=BOUND_S).body == (before,)
    assert daemon.log().count("joined the bus") == joined
    assert bus.call("GetUnit", "s", "owner.service")[0] == 0
    client.send(new_method_call(address, "StartUnit", "ss", ("a.service", "replace")))
    until(client, lambda message: message.header.fields.get(HeaderFields.member) == "JobRemoved")
    daemon.must("kill", "-s", "USR1", "owner.service")
    watch_for(lambda: daemon.state("owner.service") == "inactive/dead", "the service is down without its name")


def test_it_comes_back_with_the_bus(daemon: Daemon, bus: Bus) -> None:
    daemon.must("start", "a.service")
    bus.stop()
    daemon.until_line("cannot be on the bus")
    assert daemon.state("a.service") == "active/running"
    bus.start()
    daemon.until_line(f"joined the bus {bus.address}", 2)
    assert bus.call("GetUnit", "s", "a.service") == (0, f'o "{UNIT}"\n')


def test_ten_thousand_signals_reach_who_reads_late(daemon: Daemon, bus: Bus, client: DBusConnection) -> None:
    """A look at a unit that is not there is a UnitNew and a UnitRemoved; nothing is read before all are asked for."""
    address = DBusAddress(OBJECT, NAME, NAME)
    for number in range(SIGNALS // 2 + 1):  # a unit is forgotten when the next one is looked at
        call = new_method_call(address, "LoadUnit", "s", (f"none{number}.service",))
        call.header.flags |= MessageFlag.no_reply_expected
        client.send(call)
    came: list[str] = []
    left = dict.fromkeys((f"none{number}.service" for number in range(SIGNALS // 2)), 0)
    while len(came) < SIGNALS:
        message = client.receive(timeout=BOUND_S)
        member = message.header.fields.get(HeaderFields.member)
        if member in ("UnitNew", "UnitRemoved") and message.body[0] in left:
            came.append(message.body[0])
            left[message.body[0]] += 1 if member == "UnitNew" else 10
    assert set(left.values()) == {11}
    assert bus.call("ListUnits")[0] == 0
    assert daemon.log().count("joined the bus") == 1
