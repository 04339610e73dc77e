"""Each daemon as its package ships it: start, serve, reload, restart, serve again, stop, and go in a shutdown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.daemons.lab import Lab, packaged

pytestmark = [pytest.mark.daemons, pytest.mark.host]


@dataclass(frozen=True, slots=True)
class Daemon:
    """`files`: unit files of the package. `answer`: what the probe prints, or begins with."""

    unit: str
    probe: str
    answer: str
    files: tuple[str, ...]


DAEMONS = (
    Daemon("nginx.service", "http", "HTTP/1.1 200 OK Server: nginx", ("nginx.service",)),
    Daemon("mosquitto.service", "mqtt", "packet 2 code 0", ("mosquitto.service",)),
    Daemon("dnsmasq.service", "dns", "dnsmasq-", ("dnsmasq.service",)),
    Daemon("snmpd.service", "snmp", "Linux ", ("snmpd.service",)),
    Daemon("ssh.service", "ssh", "SSH-2.0-OpenSSH", ("ssh.service", "ssh.socket")),
    Daemon("dbus.service", "bus", "OK", ("dbus.service", "dbus.socket")),
    Daemon("postgresql@15-main.service", "sql", "42", ("postgresql@.service", "postgresql.service")),
)


@pytest.mark.parametrize("daemon", DAEMONS, ids=lambda daemon: daemon.unit)
def test_a_life(daemon: Daemon, tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, packaged(*daemon.files)) as lab:
        ours = set(lab.processes())
        lab.must("start", daemon.unit)
        _serves(lab, daemon)
        first = lab.show(daemon.unit, "MainPID")
        lab.must("reload", daemon.unit)
        assert lab.show(daemon.unit, "MainPID") == first
        _serves(lab, daemon)
        lab.must("restart", daemon.unit)
        _serves(lab, daemon)
        assert lab.show(daemon.unit, "MainPID") not in ("0", first)
        assert lab.show(daemon.unit, "NRestarts") == "0"
        lab.must("stop", daemon.unit)
        assert lab.show(daemon.unit, "Result") == "success"
        assert lab.unitctl("is-active", daemon.unit).out == "inactive\n"
        assert set(lab.processes()) <= ours | _servers(lab)
        lab.must("start", daemon.unit)
        _ends_well(lab)


def _serves(lab: Lab, daemon: Daemon) -> None:
    """It is up, and answers as itself."""
    assert lab.unitctl("is-active", daemon.unit).out == "active\n"
    answer = lab.probe(daemon.probe)
    assert answer.code == 0, answer.out
    assert answer.out.startswith(daemon.answer)


def _servers(lab: Lab) -> set[int]:
    """The fork server, which the daemon starts when it needs one."""
    return {pid for pid, words in lab.processes().items() if "unitd/executor" in words}


def _ends_well(lab: Lab) -> None:
    """A shutdown ends the daemon and leaves no process and no cgroup."""
    done = lab.unitctl("poweroff")
    assert done.code == 0, done.out
    assert "no process is left" in done.out
    assert lab.wait_for_end() == 0
    assert lab.processes() == {}
    assert lab.run("find", "/sys/fs/cgroup", "-mindepth", "1", "-type", "d").out == ""
    assert "nothing is left" in lab.log()


def test_cron_spares_its_jobs_until_the_shutdown(tmp_path: Path, cgroup: Path) -> None:
    """KillMode=process: a job outlives cron, is named when cron stops, and ends with the shutdown at the latest."""
    job = "@reboot root exec sleep 1000\n"
    units = packaged("cron.service")
    with Lab(tmp_path, cgroup, units, files={"/etc/cron.d/lab": f"SHELL=/bin/sh\n{job}"}) as lab:
        lab.must("start", "cron.service")
        lab.until(lambda: "sleep 1000" in lab.processes().values(), "the job")
        assert lab.unitctl("reload", "cron.service").code == 3
        lab.must("restart", "cron.service")
        assert lab.unitctl("is-active", "cron.service").out == "active\n"
        lab.must("stop", "cron.service")
        assert "sleep 1000" in lab.processes().values()
        assert "cron.service leaves behind" in lab.log()
        _ends_well(lab)
        assert "was spared" in lab.log()


def test_a_connection_outlives_sshd(tmp_path: Path, cgroup: Path) -> None:
    """KillMode=process: who is connected stays so when ssh.service stops."""
    with Lab(tmp_path, cgroup, packaged("ssh.service")) as lab:
        lab.must("start", "ssh.service")
        held = "exec 3<>/dev/tcp/127.0.0.1/22; read -r <&3; sleep 1000 <&3 >/dev/null 2>&1 3>&- & echo $REPLY"
        assert lab.run("bash", "-c", held).out.startswith("SSH-2.0")
        lab.must("stop", "ssh.service")
        assert [words for words in lab.processes().values() if words.startswith("sshd: ")]
        assert "ssh.service leaves behind" in lab.log()
        done = lab.unitctl("poweroff")
        assert done.code == 0, done.out
        assert not [words for words in lab.processes().values() if words.startswith("sshd: ")]


def test_traffic_starts_sshd(tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, packaged("ssh.service", "ssh.socket")) as lab:
        lab.must("start", "ssh.socket")
        assert lab.unitctl("is-active", "ssh.service").code == 3
        assert lab.probe("ssh").out.startswith("SSH-2.0")
        assert lab.unitctl("is-active", "ssh.service").code == 0
        refused = lab.unitctl("restart", "ssh.socket")
        assert refused.code == 1
        assert "ssh.service" in refused.out
        assert lab.probe("ssh").out.startswith("SSH-2.0")
        lab.must("stop", "ssh.service")
        lab.must("restart", "ssh.socket")
        assert lab.probe("ssh").out.startswith("SSH-2.0")
        _ends_well(lab)


def test_traffic_starts_the_bus(tmp_path: Path, cgroup: Path) -> None:
    with Lab(tmp_path, cgroup, packaged("dbus.service", "dbus.socket")) as lab:
        lab.must("start", "dbus.socket")
        assert lab.probe("bus").out == "OK\n"
        assert lab.unitctl("is-active", "dbus.service").code == 0
        lab.must("restart", "dbus.socket")
        assert lab.probe("bus").out == "OK\n"
        lab.must("stop", "dbus.service", "dbus.socket")
        assert lab.probe("bus").code == 1
        assert lab.unitctl("is-active", "dbus.service", "dbus.socket").out == "inactive\ninactive\n"
        _ends_well(lab)


@pytest.mark.parametrize("cgroups", ["writable", "none"])
def test_all_of_them_at_once(cgroups: str, tmp_path: Path, cgroup: Path) -> None:
    """One request starts them, one ends them; without cgroups too, although some clear their environment."""
    files = sorted({name for daemon in DAEMONS for name in daemon.files} - {"ssh.socket"})
    with Lab(tmp_path, cgroup, packaged(*files, "cron.service"), cgroups=cgroups) as lab:
        names = [*(daemon.unit for daemon in DAEMONS), "cron.service"]
        lab.must("start", *names)
        for daemon in DAEMONS:
            _serves(lab, daemon)
        _ends_well(lab)


POLICY = "/etc/dbus-1/system.d/org.pyzinit.Manager.conf"
ASK = ("dbus-send", "--system", "--print-reply", "--dest=org.pyzinit.Manager")


def test_the_bus_that_unitd_started_is_joined(tmp_path: Path, cgroup: Path) -> None:
    """It is joined when it comes, and again after a restart; then it goes with everything else."""
    policy = (ROOT / "dbus" / "org.pyzinit.Manager.conf").read_text()
    units = packaged("dbus.service", "dbus.socket")
    with Lab(tmp_path, cgroup, units, files={POLICY: policy}, arguments=["--bus", "system"]) as lab:
        lab.must("start", "dbus.socket")
        assert lab.unitctl("is-active", "dbus.service").out == "inactive\n"
        lab.must("start", "dbus.service")
        for word in ("dbus.service", "dbus.socket"):
            lab.until(lambda: _answers_on_the_bus(lab), "the daemon's name on the bus")
            lab.must("restart", word)
        lab.until(lambda: _answers_on_the_bus(lab), "the daemon's name on the bus")
        _ends_well(lab)


def _answers_on_the_bus(lab: Lab) -> bool:
    done = lab.run(*ASK, "/org/pyzinit/Manager", "org.pyzinit.Manager.GetUnit", "string:dbus.service")
    return done.code == 0 and "/org/pyzinit/unit/dbus_2eservice" in done.out


def test_a_start_beside_who_was_spared(tmp_path: Path, cgroup: Path) -> None:
    """A service starts again although processes of its last run live on in its cgroup."""
    with Lab(tmp_path, cgroup, packaged("ssh.service")) as lab:
        lab.must("start", "ssh.service")
        held = "exec 3<>/dev/tcp/127.0.0.1/22; read -r <&3; sleep 1000 <&3 >/dev/null 2>&1 3>&- & echo $REPLY"
        lab.run("bash", "-c", held)
        for _ in range(3):
            lab.must("restart", "ssh.service")
            assert lab.probe("ssh").out.startswith("SSH-2.0")
        sessions = [words for words in lab.processes().values() if words.startswith("sshd: ")]
        assert len(sessions) > 1
        lab.must("kill", "--kill-whom=all", "-s", "KILL", "ssh.service")
        lab.until(lambda: lab.show("ssh.service", "NRestarts") == "1", "the restart by its own rule")
        lab.until(lambda: lab.unitctl("is-active", "ssh.service").code == 0, "the service")
        assert lab.probe("ssh").out.startswith("SSH-2.0")
        lab.unitctl("poweroff")
        assert lab.wait_for_end() == 0
        assert not [words for words in lab.processes().values() if words.startswith("sshd: ")]
