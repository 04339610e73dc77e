"""A daemon that re-executes itself drops the connection, and unitctl goes on with the one that comes after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Error, Peer
from unitd.ctl.connection import Disconnected, open_path

JOB = "/org/pyzinit/job/7"


def dropping(peer: Peer, method: str, times: int = 1) -> None:
    """The connection ends right after the answer to this method, so many times."""
    left = iter(range(times))
    peer.after[method] = lambda *_: [None for _ in [next(left, None)] if _ is not None]


def test_a_call_that_was_not_answered_is_sent_again(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    silent = iter([True])

    def answer(name: str, mode: str) -> Any:
        if next(silent, False):
            raise Drop
        return "o", (JOB,)

    peer.answers["StartUnit"] = answer
    peer.after["StartUnit"] = lambda *_: [peer.signal("JobRemoved", "uoss", 7, JOB, "a.service", "done")]
    assert run("start", "a").status == 0
    assert len(peer.asked("StartUnit")) == 2


@pytest.mark.parametrize(("state", "status"), [("active", 0), ("failed", 1)])
def test_a_job_that_ended_meanwhile_is_judged_by_the_unit(peer: Peer, run: Run, state: str, status: int) -> None:
    peer.add("a.service", ActiveState=state, Result="success" if status == 0 else "exit-code")
    peer.answers["StartUnit"] = lambda *_: ("o", (JOB,))
    dropping(peer, "StartUnit")
    assert run("start", "a").status == status
    assert len(peer.asked("StartUnit")) == 1


def test_a_job_that_is_still_there_is_followed(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    peer.jobs = [(7, "a.service", "stop", "running", JOB, "/")]
    peer.answers["StopUnit"] = lambda *_: ("o", (JOB,))
    dropping(peer, "StopUnit")

    def then(*_: Any) -> Iterator[Any]:
        peer.jobs = []
        yield peer.signal("JobRemoved", "uoss", 7, JOB, "a.service", "done")

    peer.after["ListJobs"] = then
    assert run("stop", "a").status == 0


def test_logs_are_followed_on(peer: Peer, run: Run) -> None:
    peer.add("a.service")
    lines = [(1_000_000, "x", 5, "one"), (2_000_000, "x", 5, "two")]
    asked = iter(range(9))

    def answer(unit: str, count: int, since: int) -> Any:
        number = next(asked)
        if number == 3:
            raise Error("AccessDenied", "enough")
        return "a(tsis)", (lines[: 1 if number < 2 else 2],)

    peer.answers["GetLogs"] = answer
    dropping(peer, "GetLogs", 2)
    said = run("logs", "-f", "a")
    assert said.out.count(" x[5]: one") == 1
    assert said.out.count(" x[5]: two") == 1


def test_the_verb_waits_for_the_new_program(peer: Peer, run: Run) -> None:
    versions = iter(("1.0", "2.0"))
    peer.answers["Get"] = lambda *_: ("v", (("s", next(versions)),))
    peer.answers["Reexecute"] = lambda *_: (_ for _ in ()).throw(Drop)
    peer.answers["GetConnectionUnixProcessID"] = lambda *_: ("u", (42,))
    said = run("daemon-reexec")
    assert (said.status, said.out) == (
        0,
        "the daemon re-executed itself: unitd 1.0 became unitd 2.0, still pid 42\n",
    )
    assert len(peer.asked("Reexecute")) == 1


def test_a_refusal_is_told(peer: Peer, run: Run) -> None:
    peer.manager = {"Version": ("s", "1.0")}

    def refuse() -> Any:
        raise Error("Failed", "cannot re-execute: the program on disk does not start")

    peer.answers["Reexecute"] = refuse
    said = run("daemon-reexec")
    assert said.status == 1
    assert "cannot re-execute: the program on disk does not start" in said.err


def test_who_closes_again_and_again_is_gone(peer: Peer) -> None:
    peer.answers["Nothing"] = lambda *_: (_ for _ in ()).throw(Drop)
    link = open_path(str(peer.directory / "private"), "a peer")
    with pytest.raises(Disconnected):
        link.manager("Nothing")
    link.close()
    assert 1 < len(peer.asked("Nothing")) < 10


class Drop(OSError):
    """The connection ends without an answer."""
