"""unitd is killed or re-executed while daemons from packages run: none of them notices, and all obey the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons.lab import Lab, packaged

pytestmark = [pytest.mark.daemons, pytest.mark.host]

FILES = (
    *("nginx.service", "postgresql@.service", "postgresql.service", "ssh.service", "ssh.socket"),
    *("dbus.service", "dbus.socket", "mosquitto.service", "cron.service"),
)
ASKED = (
    "nginx.service",
    "postgresql@15-main.service",
    "ssh.socket",
    "dbus.socket",
    "mosquitto.service",
    "cron.service",
)
SERVICES = (*(name for name in ASKED if name.endswith(".service")), "ssh.service", "dbus.service")
PROBES = {"http": "HTTP/1.1 200", "sql": "42", "ssh": "SSH-2.0", "bus": "OK", "mqtt": "packet 2 code 0"}
SHOWN = ("ActiveState", "SubState", "MainPID", "InvocationID", "NRestarts", "Result", "ActiveEnterTimestampMonotonic")


def killed(lab: Lab) -> None:
    lab.crash()
    _serve(lab)
    lab.start_again()


def reexecuted(lab: Lab) -> None:
    assert "re-executed itself" in lab.must("daemon-reexec")


def _serve(lab: Lab) -> None:
    for probe, answer in PROBES.items():
        said = lab.probe(probe)
        assert said.out.startswith(answer), (probe, said)


def _shown(lab: Lab) -> dict[str, str]:
    names = [f"-p{name}" for name in SHOWN]
    return {unit: lab.must("show", unit, *names) for unit in (*SERVICES, "ssh.socket", "dbus.socket")}


def _running(lab: Lab) -> set[int]:
    """All processes but unitd and its fork servers."""
    return {pid for pid, words in lab.processes().items() if "unitd" not in words}


@pytest.mark.parametrize("cgroups", ["writable", "none"])
@pytest.mark.parametrize("change", [killed, reexecuted], ids=lambda change: change.__name__)
def test_all_of_them_go_on_and_obey(change: Callable[[Lab], None], cgroups: str, tmp_path: Path, cgroup: Path) -> None:
    """The same pids and states, every one answers, and each can be reloaded, restarted and stopped; nothing is left."""
    with Lab(tmp_path, cgroup, packaged(*FILES), cgroups=cgroups) as lab:
        lab.must("start", *ASKED)
        _serve(lab)
        lab.until(lambda: all(lab.unitctl("is-active", name).code == 0 for name in SERVICES), "all services")
        for _ in range(2):
            states, running = _shown(lab), _running(lab)
            change(lab)
            _serve(lab)
            assert _shown(lab) == states
            assert {pid for pid in running if pid not in _running(lab)} == set()
        # Not sshd, which at SIGHUP closes the socket that it was given, and then looks for it in vain.
        for name in ("nginx.service", "mosquitto.service", "postgresql@15-main.service"):
            before = lab.show(name, "MainPID")
            lab.must("reload", name)
            assert lab.show(name, "MainPID") == before
        lab.must("restart", *SERVICES)
        _serve(lab)
        change(lab)
        _serve(lab)
        lab.must("stop", *SERVICES)
        for name in SERVICES:
            assert lab.show(name, "Result") == "success"
        assert _running(lab) == set()
        lab.must("start", *ASKED)
        _serve(lab)
        change(lab)
        done = lab.unitctl("poweroff")
        assert done.code == 0, done.out
        assert lab.wait_for_end() == 0
        assert lab.processes() == {}
        assert "nothing is left" in lab.log()
        assert lab.run("find", "/sys/fs/cgroup", "-mindepth", "1", "-type", "d").out == "" or cgroups == "none"
