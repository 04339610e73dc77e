"""What is said while something takes its time, and how it is drawn on a terminal."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.peer import Peer
from unitd.ctl import waiting
from unitd.ctl.stops import Stops
from unitd.ctl.terminal import Block, cut, printable
from unitd.ctl.when import ago, parse_since
from unitd.wire.drawing import headline
from unitd.wire.progress import Progress

PID = 2**22 + 1
SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.fixture
def slow(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """A peer whose job ends only when it was asked what jobs there are, and a client that asks at once."""
    monkeypatch.setattr(waiting, "TICK_S", 0.0)
    peer.answers["StartUnit"] = peer.answers["StopUnit"] = lambda *_: ("o", ("/org/pyzinit/job/7",))
    peer.after["ListJobs"] = lambda: [peer.signal("JobRemoved", "uoss", 7, "/org/pyzinit/job/7", "a.service", "done")]
    return peer


def test_a_stop_that_takes_long_says_phase_and_pid(slow: Peer, run: Run) -> None:
    slow.add("a.service", SubState="stop-sigterm", MainPID=PID, TimeoutStopUSec=2**64 - 1)
    slow.jobs = [(7, "a.service", "stop", "running", "/org/pyzinit/job/7", "/u")]
    assert run("stop", "a") == (0, "", f"waiting for: stopping a.service (stop-sigterm, pid {PID})\n")


def test_time_that_is_left_is_told(slow: Peer, run: Run) -> None:
    began = time.monotonic_ns() // 1000
    slow.add("a.service", SubState="start", StateChangeTimestampMonotonic=began, TimeoutStartUSec=3600 * SECOND)
    slow.jobs = [(7, "a.service", "start", "running", "/org/pyzinit/job/7", "/u")]
    said = run("start", "a").err
    assert said.startswith("waiting for: starting a.service (start, 359")
    assert said.endswith(" s left)\n")


def test_a_start_that_waits_for_another_unit_names_it(slow: Peer, run: Run) -> None:
    slow.add("a.service")
    slow.add("db.service", SubState="start", TimeoutStartUSec=2**64 - 1)
    slow.jobs = [
        (6, "db.service", "start", "running", "/org/pyzinit/job/6", "/u"),
        (7, "a.service", "start", "waiting", "/org/pyzinit/job/7", "/u"),
    ]
    assert run("start", "a").err == "waiting for: starting db.service (start), before a.service\n"


def test_quiet_waits_in_silence(slow: Peer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slow.add("a.service")
    slow.after["StartUnit"] = lambda *_: slow.after["ListJobs"]()
    assert run("-q", "start", "a") == (0, "", "")


class Screen(io.StringIO):
    """A terminal that cannot say how large it is."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


def test_a_block_is_drawn_over_itself() -> None:
    screen = Screen()
    block = Block(screen)
    block.draw(["one", "two"])
    block.draw(["three"])
    block.clear()
    drawn = screen.getvalue()
    frames = ["\r\x1b[2Kone\n\x1b[2Ktwo\n\x1b[J", "\x1b[2A\r\x1b[2Kthree\n\x1b[J", "\x1b[1A\r\x1b[J"]
    assert drawn == "".join(f"\x1b[?7l{frame}\x1b[?7h" for frame in frames)


def test_a_block_is_no_higher_than_the_terminal() -> None:
    screen = Screen()
    Block(screen).draw([str(number) for number in range(100)])
    assert screen.getvalue().count("\n") == 23
    assert "... and 78 more" in screen.getvalue()


def test_report_in_words() -> None:
    values: dict[str, tuple[str, Any]] = {
        "unit": ("s", "a.service"),
        "phase": ("s", "stop-sigterm"),
        "pids": ("a(us)", [(PID + number, "/bin/a") for number in range(5)]),
        "left_us": ("t", 2**64 - 1),
    }
    assert Progress.of(values).text(1) == f"stop-sigterm: pid {PID} /bin/a and 4 more"


def test_a_stop_that_takes_long_is_told_as_the_daemon_tells_it(slow: Peer, run: Run) -> None:
    report = slow.progress(
        "a.service", "stop-sigterm", [(PID, "/bin/a -x, D (disk sleep) in io_wait")], 4_000_000, "SIGKILL"
    )
    slow.add("a.service", SubState="stop-sigterm")
    slow.jobs = [(7, "a.service", "stop", "running", "/org/pyzinit/job/7", "/u")]
    slow.after["StopUnit"] = lambda *_: [report]
    told = f"stop-sigterm, 4 s left, then SIGKILL: pid {PID} /bin/a -x, D (disk sleep) in io_wait"
    assert run("stop", "a") == (0, "", f"waiting for: a.service: {told}\n")


def stops(*reports: Progress) -> Stops:
    found = Stops()
    for report in reports:
        found.take(report)
    return found


STUCK = Progress(
    "db.service",
    "stop-sigterm",
    ((41, "/usr/bin/db, the second, D (disk sleep) in io_wait"), (42, "/usr/bin/db --writer, S (sleeping)")),
    12_000_000,
    "SIGKILL",
    processes=5,
    units_left=3,
    elapsed_us=8_000_000,
    cap_left_us=22_000_000,
)


def test_the_table_of_stops() -> None:
    waits = Progress("web.service", "waiting", next="SIGTERM after db.service", processes=1, pids=((50, "web"),))
    assert stops(waits, STUCK).drawing(23) == [
        "  UNIT         PHASE         LEFT  NEXT                      PROCESS",
        "  db.service   stop-sigterm  12 s  SIGKILL                   (+3) 41 D in io_wait: /usr/bin/db, the second",
        "      42 S: /usr/bin/db --writer",
        "  web.service  waiting             SIGTERM after db.service  50 web",
    ]


@pytest.mark.parametrize(
    ("rows", "last"), [(10, "u3.service"), (4, "... and 2 more"), (3, "... and 3 more"), (5, "u3.service")]
)
def test_the_table_is_no_higher_than_there_is_room(rows: int, last: str) -> None:
    many = stops(*(STUCK._replace(unit=f"u{number}.service") for number in range(4)))
    drawn = many.drawing(rows)
    assert len(drawn) <= rows
    assert any(last in line for line in drawn)


def test_what_is_left_at_the_end_replaces_the_units() -> None:
    found = stops(STUCK, Progress("", "killed", ((41, "x of db.service, D (disk sleep) in io_wait"),)))
    (row,) = found.drawing(5)[1:]
    assert row.split() == ["the", "rest", "killed", "41", "D", "in", "io_wait:", "x", "of", "db.service"]


def test_the_headline() -> None:
    assert headline(12, stops(STUCK).latest(), SECOND) == "shutting down: 12 stopped, 3 left, 8 s of 30 s"
    assert headline(0, None, SECOND) == "shutting down: 0 stopped, 1 s"


def test_a_report_survives_the_wire() -> None:
    assert Progress.of(STUCK.values) == STUCK
    assert Progress.of({"unit": ("s", "a.service"), "later": ("s", "unknown")}) == Progress("a.service", "")


def test_what_a_program_prints_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[2J\tb\r") == "a\\x1b[2J\tb\\x0d"
    assert cut("abcdef", 4) == "abc…"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (5, "5us ago"),
        (4_000, "4ms ago"),
        (59 * SECOND, "59s ago"),
        (123 * SECOND, "2min 3s ago"),
        (3_700 * SECOND, "1h 1min ago"),
        (25 * 3_600 * SECOND, "1 day 1h ago"),
        (3 * DAY, "3 days ago"),
        (8 * DAY, "1 week 1 day ago"),
        (-5 * SECOND, "5s left"),
    ],
)
def test_how_long_ago(length: int, text: str) -> None:
    assert ago(100 * DAY - length, 100 * DAY) == text


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("now", 100 * DAY),
        ("-1h", 100 * DAY - 3600 * SECOND),
        ("10min ago", 100 * DAY - 600 * SECOND),
        ("@5", 5 * SECOND),
        ("@5.5", 5_500_000),
    ],
)
def test_times_for_since(text: str, instant: int) -> None:
    assert parse_since(text, 100 * DAY) == instant


def test_dates_for_since() -> None:
    now = int(time.mktime((2026, 3, 4, 12, 30, 0, 0, 0, -1))) * SECOND
    midnight = int(time.mktime((2026, 3, 4, 0, 0, 0, 0, 0, -1))) * SECOND
    assert parse_since("today", now) == parse_since("2026-03-04", now) == midnight
    assert parse_since("12:30", now) == parse_since("2026-03-04 12:30:00", now) == now
    with pytest.raises(ValueError, match="cannot take 'soon'"):
        parse_since("soon", now)
