"""Who is left, in words."""

from __future__ import annotations

import pytest

from unitd.model.processes import Left


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (Left(7, unit="a.service"), "7 of a.service"),
        (
            Left(7, unit="a.service", found="cgroup", command="sleep 9", channel="do_wait"),
            "7 (sleep 9) of a.service in do_wait",
        ),
        (Left(7, unit="a.service", found="invocation id", command="(x)"), "7 (x) of a.service, invocation id"),
        (Left(0, note="cannot look"), "cannot look"),
        (Left(7, unit="a.service", found="port 80/tcp", command="x", ours=False), "7 (x), port 80/tcp of a.service"),
    ],
)
def test_in_words(left: Left, text: str) -> None:
    assert str(left) == text


@pytest.mark.parametrize(
    ("found", "pid", "text"),
    [
        ("port 80/tcp", 7, "port 80/tcp of a.service is held by nginx (PID 7), which is not ours: left alone"),
        ("port 80/tcp", 0, "port 80/tcp of a.service is held by a process that cannot be seen: left alone"),
        ("process filter", 7, "nginx (PID 7) matches ProcessFilter= of a.service, and is not ours: left alone"),
        ("invocation id", 7, "nginx (PID 7) carries the invocation id of a.service, and is not ours: left alone"),
    ],
)
def test_in_a_sentence(found: str, pid: int, text: str) -> None:
    assert Left(pid, unit="a.service", found=found, command="nginx", ours=False, note="left alone").sentence == text
