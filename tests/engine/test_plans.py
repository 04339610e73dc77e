"""What the process of a service gets where its file says little: streams, search path, disk class (systemd.exec(5))."""

import pytest

from tests.fakes.house import House
from unitd.model.effects import Spawn

UNIT = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=cat\n"


@pytest.mark.parametrize(
    ("given", "streams"),
    [
        ("", ("null", "log", "inherit")),
        ("StandardInput=file:/etc/os-release", ("file:/etc/os-release", "log", "inherit")),
        ("StandardInputText=a", ("data", "log", "inherit")),
        ("StandardInput=file:/a\nStandardOutput=inherit", ("file:/a", "log", "inherit")),
        ("StandardInput=file:/a\nStandardOutput=file:/a", ("file:/a", "file:/a", "inherit")),
        ("StandardInput=socket", ("socket", "inherit", "inherit")),
        ("StandardInput=fd:a", ("fd:a", "inherit", "inherit")),
        ("StandardInput=tty", ("tty", "inherit", "inherit")),
        ("StandardOutput=journal+console\nStandardError=null", ("null", "log", "null")),
    ],
)
def test_streams(given: str, streams: tuple[str, str, str]) -> None:
    made = House({"a.service": UNIT + given})
    made.start("a.service")
    stdio = made.effects(Spawn)[0].plan.stdio
    assert (stdio.input, stdio.output, stdio.error) == streams


def test_the_search_path_comes_with_the_plan() -> None:
    made = House({"a.service": f"{UNIT}ExecSearchPath=/a:/b\nExecSearchPath=/c"})
    made.start("a.service")
    plan = made.effects(Spawn)[0].plan
    assert (plan.path, plan.search) == ("cat", ("/a", "/b", "/c"))


@pytest.mark.parametrize(
    ("given", "disk"),
    [
        ("", (None, 4)),
        ("IOSchedulingClass=none", ("best-effort", 4)),
        ("IOSchedulingClass=idle", ("idle", 4)),
        ("IOSchedulingPriority=2", ("best-effort", 2)),
        ("IOSchedulingClass=realtime\nIOSchedulingPriority=0", ("realtime", 0)),
    ],
)
def test_the_class_of_disk_access(given: str, disk: tuple[str | None, int]) -> None:
    made = House({"a.service": UNIT + given})
    made.start("a.service")
    scheduling = made.effects(Spawn)[0].plan.scheduling
    assert (scheduling.io_class, scheduling.io_priority) == disk
