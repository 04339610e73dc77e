"""What a shutdown and a look for orphans ask of the host, and what is said of its answers."""

from __future__ import annotations

from tests.fakes.house import House
from tests.fakes.kernel import Program
from unitd.model.claims import Claim
from unitd.model.config import Config
from unitd.model.effects import KillEverything, Log, LookForOrphans, Verify
from unitd.model.events import LeftBehind, OrphansAsked, OrphansFound, Survivors
from unitd.model.processes import Left
from unitd.model.states import SECOND
from unitd.syntax.claims import Port, ProcessFilter

WEB = "[Service]\nExecStart=/bin/a\n[X-Unitd]\nPorts=80 127.0.0.1:53/udp\nProcessFilter=/bin/a x\nOnConflict=kill"
CLAIM = Claim("web.service", (Port(80), Port(53, "udp", "127.0.0.1")), (ProcessFilter("/bin/a", ("x",)),), True)
OTHER = "[Service]\nExecStart=/bin/a\n[X-Unitd]\nPorts=81"
PLAIN = "[Service]\nExecStart=/bin/a"


def house() -> House:
    made = House(
        {"web.service": WEB, "other.service": OTHER, "plain.service": PLAIN},
        {"/bin/a": Program()},
        Config(shutdown_timeout=30 * SECOND),
    )
    made.start("web.service", span=SECOND)
    made.start("plain.service", span=SECOND)
    return made


def test_what_is_claimed_by_those_that_are_up_is_looked_for_at_the_end() -> None:
    made = house()
    made.shutdown()
    made.run()
    assert {effect.claims for effect in made.effects(Verify)} == {(CLAIM,)}
    assert {effect.claims for effect in made.effects(KillEverything)} <= {(CLAIM,)}


def test_orphans_are_asked_of_the_host_and_answered_later() -> None:
    made = house()
    # A unit that is loaded and down claims too, for a look at any time.
    made.engine.core.units.record("other.service")
    made.feed(OrphansAsked(7))
    (asked,) = made.effects(LookForOrphans)
    assert asked.claims == (CLAIM, Claim("other.service", (Port(81),)))
    assert {"web.service", "plain.service"} <= asked.up
    assert "other.service" not in asked.up
    assert 7 not in made.answers
    found = (Left(12, unit="web.service"),)
    made.feed(OrphansFound(7, found))
    assert made.answers[7] == found


def test_what_is_left_behind_is_said_in_the_unit_s_log() -> None:
    made = house()
    made.feed(LeftBehind("web.service", (Left(12, unit="web.service", found="child", command="x"),)))
    made.feed(LeftBehind("", (Left(13, found="child", command="y"),)))
    said = [(line.unit, line.text) for line in made.effects(Log) if "12" in line.text or "13" in line.text]
    hint = "unitctl orphans lists such, and a shutdown ends them"
    assert said == [
        ("web.service", f"web.service leaves behind 12 (x); {hint}"),
        ("", f"a process of no known unit was left to us: 13 (y); {hint}"),
    ]
    made.shutdown()
    made.feed(LeftBehind("web.service", (Left(14, unit="web.service", found="child", command="z"),)))
    assert "web.service leaves behind 14 (z)" in made.lines()


def test_a_foreign_one_that_is_ended_is_told_of_with_the_setting() -> None:
    made = House({})
    made.acts = False
    made.shutdown()
    made.feed(Survivors((Left(12, unit="web.service", found="port 80/tcp", command="nginx", ours=False),)))
    held = "port 80/tcp of web.service is held by nginx (PID 12), which is not ours"
    assert f"{held}, and is asked to end now (OnConflict=kill)" in made.lines()


def test_who_is_left_alone_is_named_once() -> None:
    made = house()
    stranger = Left(12, unit="web.service", found="port 80/tcp", command="nginx", ours=False, note="left alone")
    made.acts = False
    made.shutdown(force=True)
    for _ in range(2):
        made.run(SECOND)
        made.feed(Survivors((Left(9, unit="a.service"),), (stranger,)))
    text = "port 80/tcp of web.service is held by nginx (PID 12), which is not ours: left alone"
    assert made.lines().count(text) == 1
