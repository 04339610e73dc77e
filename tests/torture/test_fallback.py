"""An ordinary user without a cgroup to write to: what left its parent and its session is gone all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.torture.daemon import NOBODY, PYTHON, Daemon, program, watch_for

pytestmark = [pytest.mark.host, pytest.mark.slow]

APART = """
[Service]
TimeoutStopSec=1
ExecStart=/bin/sh -c '(setsid sh -c "sleep 1000 & sleep 1000" &) ; (sleep 1000 &) ; setsid sleep 1000 & exec sleep 1000'
"""
UNITS = {
    "apart@.service": APART,
    "deaf.service": f"[Service]\nType=notify\nTimeoutStopSec=1\nExecStart={program('tree', 60)}\n",
    "headless.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStopSec=1\n"
    f"ExecStart={program('leave', 6, 'deaf')}\n",
}


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A directory of the ordinary user's own."""
    if os.getuid() != 0:
        pytest.skip("to be somebody else needs root")
    where = Path(tempfile.mkdtemp(prefix="unitd-"))
    try:
        os.chown(where, NOBODY, NOBODY)
        yield where
    finally:
        shutil.rmtree(where)


@pytest.fixture
def daemon(nobodys: Path, cgroup: Path) -> Iterator[Daemon]:
    searched = f"{ROOT}:{sysconfig.get_path('purelib')}"
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    for python in (sys.executable, PYTHON):
        tried = [*as_nobody, python, "-s", "-c", "import unitd.runtime.daemon"]
        if subprocess.run(tried, env={"PYTHONPATH": searched}, capture_output=True, check=False).returncode == 0:
            break
    else:
        pytest.skip("no Python that others may run has what the daemon needs")
    surroundings = {"PYTHONPATH": searched}
    with Daemon(nobodys, cgroup, UNITS, uid=NOBODY, python=python, environment=surroundings) as made:
        yield made


def test_what_ran_away_is_gone_after_a_shutdown(daemon: Daemon) -> None:
    assert daemon.log().count("cannot use cgroups (/") == 1
    names = [f"apart@{number}.service" for number in range(10)]
    daemon.must("start", *names, "deaf.service", "headless.service")
    watch_for(lambda: len(daemon.living()) >= 10 * 6 + 60 + 6, "all of them")
    daemon.must("stop", "apart@0.service", "headless.service")
    assert len(daemon.living()) >= 9 * 5 + 60
    assert daemon.shut_down() < 30


def test_the_next_daemon_finds_by_the_mark_what_a_killed_one_started(daemon: Daemon) -> None:
    daemon.must("start", "apart@0.service", "deaf.service")
    watch_for(lambda: len(daemon.living()) >= 60 + 5, "all of them")
    ask = ("show", "deaf.service", "apart@0.service", "-pMainPID", "-pInvocationID", "-pActiveState")
    before = daemon.must(*ask)
    daemon.crash()
    daemon.__enter__()
    assert (
        daemon.must("show", "deaf.service", "apart@0.service", "-pMainPID", "-pInvocationID", "-pActiveState") == before
    )
    daemon.must("stop", "deaf.service")
    assert len(daemon.living()) <= 6
    assert daemon.shut_down() < 30


def test_a_stop_leaves_nothing_of_the_unit(daemon: Daemon) -> None:
    for unit in ("apart@1.service", "deaf.service", "headless.service"):
        daemon.must("start", unit)
        daemon.must("stop", unit)
        assert daemon.living() == {}, unit
    daemon.shut_down()


def test_services_do_not_get_what_the_daemon_was_told(daemon: Daemon) -> None:
    """Its own NOTIFY_SOCKET is for the daemon alone: a service would speak for it."""
    daemon.add({"env.service": "[Service]\nType=oneshot\nExecStart=/usr/bin/env\n"})
    daemon.must("start", "env.service")
    assert "NOTIFY_SOCKET" not in daemon.must("logs", "env.service")
    daemon.shut_down()
