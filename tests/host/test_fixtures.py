"""The fixtures that keep host tests from leaving anything behind."""

import os
import signal
from pathlib import Path

from tests.conftest import children, remove_cgroup


def sleeper_in(group: Path) -> int:
    """A child that joins `group`, ignores SIGTERM and waits for ever; its pid."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (group / "cgroup.procs").write_text("0")
        os.write(tell, b"x")
        while True:
            signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    return pid


def test_a_cgroup_is_removed_with_what_lives_below_it(cgroup: Path) -> None:
    nested = cgroup / "a" / "b"
    nested.mkdir(parents=True)
    pid = sleeper_in(nested)
    assert (nested / "cgroup.procs").read_text().split() == [str(pid)]
    remove_cgroup(cgroup)
    assert not cgroup.exists()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_removing_a_cgroup_twice_is_fine(cgroup: Path) -> None:
    remove_cgroup(cgroup)
    remove_cgroup(cgroup)


def test_children_are_seen(cgroup: Path) -> None:
    pid = sleeper_in(cgroup)
    try:
        assert pid in children()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert pid not in children()
