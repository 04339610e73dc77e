"""What is told while something waits: over D-Bus, every second, for every stage; and to who looks at a terminal."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.torture.conftest import Launch
from tests.torture.daemon import BOUND_S, UNITCTL, Daemon, program, watch_for
from unitd.ctl.connection import Disconnected
from unitd.wire.progress import Progress

pytestmark = [pytest.mark.host, pytest.mark.slow]

CAP = "[Manager]\nShutdownTimeoutSec=12s\n"
SLEEP = "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n"
UNITS = {
    "deaf.service": f"[Service]\nType=notify\nTimeoutStopSec=4\nExecStart={program('stubborn')}\n",
    "base.service": "[Unit]\nBefore=stops.service\n" + SLEEP,
    "stops.service": SLEEP + "TimeoutStopSec=3\nExecStop=/bin/sleep 100\n",
    "post.service": SLEEP + "TimeoutStopSec=3\nExecStopPost=/bin/sleep 100\n",
    "spared.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nKillMode=none\n"
    f"ExecStart={program('leave', 2, 'deaf')}\n",
}


def test_every_stage_is_told_every_second(launch: Launch) -> None:
    """Unit, phase, processes with state and wait channel, time left, next step; also of who waits for others."""
    daemon = launch(UNITS, config=CAP)
    daemon.must("start", *UNITS)
    link, told = daemon.connect(), []
    link.manager("ListJobs")
    daemon.send(signal.SIGTERM)
    with contextlib.closing(link), contextlib.suppress(Disconnected):
        while (heard := link.signal(BOUND_S)) is not None:
            if heard.member == "ShutdownProgress":
                told.append((time.monotonic(), Progress.of(heard.body[0])))
    assert daemon.wait_for_end() == 0
    phases = {(report.unit, report.phase) for _, report in told}
    assert phases >= {
        ("deaf.service", "stop-sigterm"),
        ("stops.service", "stop"),
        ("post.service", "stop-post"),
        ("base.service", "waiting"),
        ("", "spared"),
        ("", "done"),
    }
    found = {(report.unit, report.phase): report for _, report in told}
    deaf = found["deaf.service", "stop-sigterm"]
    stops, base = found["stops.service", "stop"], found["base.service", "waiting"]
    assert deaf.next == "SIGKILL"
    assert deaf.processes == len(deaf.pids) == 2
    assert all(", S (sleeping)" in words for _, words in deaf.pids)
    assert stops.pids[0][1].startswith("/bin/sleep 100,")
    assert base.next == "SIGTERM after stops.service"
    assert all(report.elapsed_us + report.cap_left_us == 12_000_000 for _, report in told[:-1])
    # A second apart on an idle machine.
    moments = [at for at, _ in told]
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < 4


def on_a_terminal(daemon: Daemon, *words: str, rows: int = 24, columns: int = 80) -> tuple[int, str]:
    """unitctl on a pseudo-terminal of this size: its exit status, and all that it wrote."""
    own, its = pty.openpty()
    try:
        os.set_blocking(own, False)
        subprocess.run(["stty", "rows", str(rows), "cols", str(columns)], stdin=its, check=True)
        argv = [sys.executable, "-s", "-c", UNITCTL, "--runtime-dir", str(daemon.runtime), *words]
        environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm"}
        with subprocess.Popen(argv, stdin=its, stdout=its, stderr=its, env=environment) as run:
            os.close(its)
            its, pieces, deadline = -1, [], time.monotonic() + BOUND_S
            while select.select([own], [], [], max(deadline - time.monotonic(), 0))[0]:
                try:
                    pieces.append(os.read(own, 65536))
                except OSError:
                    break
            assert run.wait(BOUND_S) is not None
            return run.returncode, b"".join(pieces).decode()
    finally:
        os.close(own)
        if its >= 0:
            os.close(its)


def test_ctrl_c_only_ends_the_looking(launch: Launch) -> None:
    daemon = launch(UNITS)
    daemon.must("start", "deaf.service")
    with daemon.start("stop", "deaf.service") as asking:
        daemon.until("deaf.service", "deactivating")
        assert asking.stdout is not None
        assert "waiting for: deaf.service" in asking.stdout.readline()
        asking.send_signal(signal.SIGINT)
        out, _ = asking.communicate(timeout=BOUND_S)
    assert asking.returncode == 130
    assert "no longer looking" in out
    daemon.until("deaf.service", "failed")
    daemon.shut_down()


def frames(written: str) -> list[list[str]]:
    """What was drawn, one block after another, without the control sequences."""
    found = []
    for frame in written.split("\x1b[?7l")[1:]:
        lines = frame.partition("\x1b[J")[0].split("\r\n")
        found.append([line.partition("\x1b[2K")[2] for line in lines if "\x1b[2K" in line])
    return [frame for frame in found if frame]


def test_a_stop_on_a_terminal_is_one_table_that_is_drawn_again(launch: Launch) -> None:
    daemon = launch(UNITS)
    daemon.must("start", "deaf.service")
    status, written = on_a_terminal(daemon, "stop", "deaf.service")
    assert status == 0
    drawn = frames(written)
    assert len(drawn) >= 2
    assert drawn[0][0].startswith("waiting for 1 unit to stop, ")
    assert drawn[0][1].split() == ["UNIT", "PHASE", "LEFT", "NEXT", "PROCESS"]
    assert drawn[0][2].split()[:2] == ["deaf.service", "stop-sigterm"]
    assert "SIGKILL" in drawn[0][2]
    assert "deaf.service is stopped, but failed" in written
    daemon.shut_down()


def test_a_shutdown_on_a_small_terminal_fits(launch: Launch) -> None:
    many = {f"deaf{number}.service": UNITS["deaf.service"] for number in range(20)}
    daemon = launch(many, config=CAP)
    daemon.must("start", *many)
    watch_for(lambda: len(daemon.living()) == 40, "all of them")
    status, written = on_a_terminal(daemon, "poweroff", rows=10, columns=60)
    assert status == 0
    drawn = frames(written)
    assert max(map(len, drawn)) == 9
    assert max(len(line) for frame in drawn for line in frame) <= 59
    assert any(frame[-1] == "  ... and 14 more" for frame in drawn)
    assert any(frame[0].startswith("shutting down: ") and frame[0].endswith(" of 12 s") for frame in drawn)
    assert written.rstrip().endswith("no process is left\x1b[0m")
    assert daemon.wait_for_end() == 0
