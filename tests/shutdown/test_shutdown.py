"""Shutdowns on a make-believe kernel: order, bounds, and the proof that nothing is left (rows A and B)."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from tests.engine.test_relations import unit
from tests.fakes.house import House
from tests.fakes.kernel import DONE, FAILING, Kernel, Program
from unitd.model.config import Config
from unitd.model.effects import Answer, Kill, KillEverything, Leave, Verify
from unitd.model.events import Exit, How, Leaving, ReloadAsked
from unitd.model.refusals import Kind, Refusal
from unitd.model.states import INFINITY, SECOND

STUBBORN = Program(ignores=frozenset({15}))
CAP = 30 * SECOND
TREE = Program(children=(Program(children=(Program(),)), Program(orphans=True, children=(STUBBORN,))), orphans=True)


def house(units: Mapping[str, str], programs: Mapping[str, Program] | None = None) -> House:
    """Services by the letter that names them and their program; all are started."""
    made = House({f"{name}.service": unit(*text.split("|")) for name, text in units.items()}, programs)
    made.start(*(f"{name}.service" for name in units), span=10 * SECOND)
    return made


def down(made: House, cap: int = CAP) -> int:
    """Shut down; how long it took. Nothing is left, and the cap is kept."""
    asked = made.clock.now
    made.shutdown()
    made.run()
    assert [(e.leaving, e.code, e.survivors) for e in made.effects(Leave)] == [(Leaving.POWEROFF, 0, ())]
    assert made.kernel.living == {}
    took = made.clock.now - asked
    assert took <= cap
    return took


def first_signals(made: House) -> dict[str, int]:
    """When each unit's processes got their first signal."""
    found: dict[str, int] = {}
    for now, effect in made.log:
        if isinstance(effect, Kill):
            found.setdefault(effect.unit.removesuffix(".service"), now)
    return found


def test_nothing_runs() -> None:
    made = House({})
    assert down(made) < SECOND
    assert any("nothing to stop, for none of the " in line for line in made.lines())


def test_the_cap_holds_when_nobody_can_look_who_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host failed to answer, for whatever reason: nothing is proved, and so the exit is not a clean one."""
    made = house({"a": "/bin/a"})
    began, perform = made.clock.now, Kernel.perform
    monkeypatch.setattr(Kernel, "perform", lambda self, e: None if isinstance(e, Verify) else perform(self, e))
    made.shutdown()
    made.run()
    assert made.clock.now - began <= CAP
    assert made.left is not None
    assert [left.pid for left in made.left.survivors] == [0]


def test_the_answer_comes_at_once() -> None:
    made = house({"a": ""}, {"/bin/a": STUBBORN})
    before = made.clock.now
    assert not isinstance(made.shutdown(), Refusal)
    assert made.clock.now == before
    assert any(isinstance(effect, Answer) for _, effect in made.log)


def test_dependents_are_gone_before_what_they_depend_on_is_signalled() -> None:
    made = house(
        {"a": "After=b.service", "b": "After=c.service", "c": ""},
        {f"/bin/{n}": Program(slow=2 * SECOND) for n in "abc"},
    )
    took = down(made)
    signals = first_signals(made)
    assert list(signals) == ["a", "b", "c"]
    assert all(b - a > 2 * SECOND for a, b in pairwise(signals.values()))
    assert took < 7 * SECOND


def test_units_that_do_not_depend_on_each_other_stop_together() -> None:
    made = house(dict.fromkeys("abcdefgh", ""), {f"/bin/{n}": Program(slow=5 * SECOND) for n in "abcdefgh"})
    assert down(made) < 6 * SECOND


def test_a_unit_is_released_the_moment_it_is_gone() -> None:
    made = house({"a": "|TimeoutStopSec=25"}, {"/bin/a": Program(slow=SECOND)})
    assert down(made) < 2 * SECOND


def test_each_unit_has_its_own_timeout() -> None:
    made = house({"a": "|TimeoutStopSec=2", "b": "|TimeoutStopSec=7"}, {"/bin/a": STUBBORN, "/bin/b": STUBBORN})
    took = down(made)
    kills = {effect.unit: now for now, effect in made.log if isinstance(effect, Kill) and effect.signal == 9}
    assert 4 * SECOND < kills["b.service"] - kills["a.service"] < 6 * SECOND
    assert 6 * SECOND < took < 8 * SECOND


def test_a_unit_that_wants_more_than_the_cap_gets_nearly_all_of_it() -> None:
    made = house({"a": "|TimeoutStopSec=1h"}, {"/bin/a": STUBBORN})
    assert down(made) > 20 * SECOND


def test_a_unit_with_default_dependencies_has_its_whole_timeout() -> None:
    made = House({"a.service": "[Service]\nExecStart=/bin/a\nTimeoutStopSec=20"}, {"/bin/a": Program(slow=19 * SECOND)})
    made.start("a.service", "basic.target")
    assert 19 * SECOND < down(made) < 21 * SECOND
    assert [signal for *_, signal in made.kernel.signals] == [15]


def test_a_chain_of_five_that_want_more_than_there_is_gets_its_signals() -> None:
    names = "abcde"
    units = {name: f"After={after}.service|TimeoutStopSec=20" for name, after in pairwise(names)} | {
        "e": "|TimeoutStopSec=20"
    }
    made = house(units, {f"/bin/{name}": STUBBORN for name in names})
    down(made)
    asked = [effect.unit[0] for effect in made.effects(Kill) if effect.signal == 15]
    killed = [(now, effect.unit[0]) for now, effect in made.log if isinstance(effect, Kill) and effect.signal == 9]
    assert asked == list(names)
    assert [name for _, name in killed] == list(names)
    assert all(later - earlier > 2 * SECOND for (earlier, _), (later, _) in pairwise(killed))
    assert not made.effects(KillEverything)
    assert not any("cannot stop" in line for line in made.lines())


def test_every_step_of_every_unit_hangs() -> None:
    names = "abc"
    units = {
        name: f"After={after}.service|ExecStop=/bin/h;ExecStopPost=/bin/h;TimeoutStopSec=1h"
        for name, after in zip(names, "bcz", strict=True)
    }
    made = house(units, {"/bin/h": STUBBORN} | {f"/bin/{name}": STUBBORN for name in names})
    down(made)
    assert made.ran().count("/bin/h") == 6


@pytest.mark.parametrize("cap", [2, 5, 30])
def test_the_cap_holds_whatever_the_units_do(cap: int) -> None:
    units = {
        f"u{i}": f"|KillMode={mode};SendSIGKILL={sure};ExecStop=/bin/h;TimeoutStopSec=infinity"
        for i, (mode, sure) in enumerate(
            (m, s) for m in ("control-group", "mixed", "process", "none") for s in ("yes", "no")
        )
    }
    texts = {f"{name}.service": unit(*text.split("|")) for name, text in units.items()}
    made = House(
        texts, {"/bin/h": STUBBORN} | {f"/bin/{name}": TREE for name in units}, Config(shutdown_timeout=cap * SECOND)
    )
    made.start(*texts, span=SECOND)
    down(made, cap * SECOND)


def test_what_no_signal_ends_is_named() -> None:
    made = house({"a": "", "b": ""}, {"/bin/a": Program(immortal=True)})
    asked = made.clock.now
    made.shutdown()
    made.run()
    (leave,) = made.effects(Leave)
    assert [left.unit for left in leave.survivors] == ["a.service"]
    assert made.clock.now - asked <= CAP


@pytest.mark.parametrize(
    "lines", ["KillMode=process", "KillMode=none", "KillMode=mixed;SendSIGKILL=no", "SendSIGKILL=no;TimeoutStopSec=1"]
)
def test_what_is_spared_by_a_stop_is_ended_in_the_last_stage(lines: str) -> None:
    made = house({"a": f"|{lines}"}, {"/bin/a": Program(children=(Program(), STUBBORN))})
    down(made)
    assert [effect.signal for effect in made.effects(KillEverything)] == [15, 9]


def test_what_was_spared_long_ago_is_ended_too() -> None:
    made = house({"a": "|KillMode=process"}, {"/bin/a": Program(children=(Program(),))})
    made.stop("a.service")
    assert len(made.kernel.living) == 1
    down(made)


def test_what_left_its_cgroup_is_ended() -> None:
    made = house({"a": ""}, {"/bin/a": Program(children=(Program(leaves=True), Program(leaves=True)))})
    down(made)


@pytest.mark.parametrize("moment", [0, 150, 1_000, 20_000, 60_000, 150_000, 500_000])
def test_in_the_middle_of_starting_a_hundred_units(moment: int) -> None:
    units = {
        f"u{i}.service": unit(
            f"After=u{i // 3}.service;Requires=u{i // 3}.service" if i else "",
            "Type=notify;ExecStartPre=/bin/pre;Restart=always;RestartSec=0",
        )
        for i in range(100)
    }
    ready = Program(says=((10_000, "READY=1"),), spawning=2_000, execing=1_000, slow=100_000)
    made = House(units, {f"/bin/u{i}": ready for i in range(100)} | {"/bin/pre": Program(life=5_000)})
    for name in units:
        made.job("start", name)
    made.run(moment)
    down(made)
    assert made.jobs == []
    assert all(made.state(name).split("/")[0] in ("inactive", "failed") for name in units)


def test_a_cycle_among_the_units() -> None:
    made = house({"a": "", "b": "", "c": ""}, {f"/bin/{n}": Program(slow=SECOND) for n in "abc"})
    for name, after in ("ab", "bc", "ca"):
        made.source.texts[f"{name}.service"] = unit(f"After={after}.service")
    made.reload()
    down(made)
    assert any("ordering cycle a.service -> c.service -> b.service -> a.service" in line for line in made.lines())


def test_restart_rules_do_not_fire() -> None:
    made = house(
        {"a": "After=b.service|Restart=always;RestartSec=0", "b": "|Restart=always;RestartSec=0"},
        {"/bin/a": Program(slow=SECOND, caught=Exit(How.EXITED, 1))},
    )
    made.shutdown()
    made.run(SECOND // 2)
    b = made.service("b.service").main
    assert b is not None
    for event in made.kernel.end(b.pid, FAILING.exit):
        made.feed(event)
    made.run()
    assert made.ran() == ["/bin/a", "/bin/b"]
    assert made.left is not None


def test_a_unit_that_waits_for_its_restart_is_not_restarted() -> None:
    made = house(
        {"a": "|Restart=always;RestartSec=3", "b": ""},
        {"/bin/a": Program(life=9 * SECOND), "/bin/b": Program(slow=5 * SECOND)},
    )
    down(made)
    assert made.ran().count("/bin/a") == 1


def test_nothing_can_be_started_any_more() -> None:
    made = house({"a": "", "b": "ExecReload"}, {"/bin/a": Program(slow=SECOND)})
    made.stop("b.service")
    made.shutdown()
    for type in ("start", "restart", "try-restart"):
        with pytest.raises(Refusal) as refusal:
            made.job(type, "b.service")
        assert refusal.value.kind is Kind.SHUTTING_DOWN
    assert made.ask(ReloadAsked).kind is Kind.SHUTTING_DOWN
    made.job("stop", "a.service")
    made.run()
    assert made.left is not None
    assert made.kernel.living == {}


def test_a_socket_does_not_start_its_service_any_more() -> None:
    made = House(
        {
            "a.socket": "[Unit]\nDefaultDependencies=no\nAfter=z.service\n[Socket]\nListenStream=/run/a",
            "a.service": unit("", ""),
            "z.service": unit("After=a.socket"),
        },
        {"/bin/z": Program(slow=SECOND)},
    )
    made.source.texts["a.socket"] = made.source.texts["a.socket"].replace("After=z.service\n", "")
    made.reload()
    made.start("a.socket", "z.service")
    made.shutdown()
    made.run(SECOND // 2)
    made.kernel.connect("a.socket")
    made.run()
    assert made.ran() == ["/bin/z"]
    assert made.left is not None


def test_a_second_request_changes_only_how_to_leave() -> None:
    made = house({"a": ""}, {"/bin/a": Program(slow=SECOND)})
    made.shutdown()
    kills = len(made.effects(Kill))
    made.shutdown(Leaving.REBOOT)
    made.run()
    assert [(e.leaving, e.code, e.survivors) for e in made.effects(Leave)] == [(Leaving.REBOOT, 0, ())]
    assert len(made.effects(Kill)) == kills == 1


@pytest.mark.parametrize("later", [False, True])
def test_force_kills_at_once(later: bool) -> None:
    made = house({"a": "After=b.service|TimeoutStopSec=20", "b": ""}, {"/bin/a": STUBBORN})
    if later:
        made.shutdown()
        made.run(SECOND)
    before = made.clock.now
    made.shutdown(force=True)
    made.run()
    assert made.left is not None
    assert made.kernel.living == {}
    assert made.clock.now - before < SECOND


def test_a_unit_that_is_stopping_already_is_clamped() -> None:
    made = house({"a": "|TimeoutStopSec=1h"}, {"/bin/a": STUBBORN})
    made.stop("a.service", span=SECOND)
    down(made)


def test_a_unit_that_fails_while_it_waits_for_its_turn_is_clamped() -> None:
    hangs = Program(ignores=frozenset({15}))
    made = house(
        {"a": "After=b.service|TimeoutStopSec=5", "b": "|TimeoutStopSec=1h"},
        {"/bin/a": STUBBORN, "/bin/b": Program(life=12 * SECOND, children=(hangs,))},
    )
    down(made)
    assert not made.effects(KillEverything)


def test_a_start_that_is_under_way_is_ended() -> None:
    made = house({"a": "|Type=notify;TimeoutStartSec=1h", "b": "After=a.service"})
    down(made)
    assert made.ran() == ["/bin/a"]


@pytest.mark.parametrize("type", ["start", "isolate"])
def test_power_targets_are_shutdowns(type: str) -> None:
    made = house({"a": ""})
    made.job("start", "poweroff.target", "isolate" if type == "isolate" else "replace-irreversibly")
    made.run()
    assert [(e.leaving, e.code, e.survivors) for e in made.effects(Leave)] == [(Leaving.POWEROFF, 0, ())]
    assert made.kernel.living == {}


def test_deadline_is_finite_until_the_daemon_leaves() -> None:
    made = house({"a": "|TimeoutStopSec=infinity"}, {"/bin/a": Program(immortal=True)})
    made.shutdown()
    while made.left is None:
        assert min(made.engine.deadline(), made.kernel.next_instant()) < INFINITY
        made.run(SECOND)


def test_oneshots_that_remain_have_their_exec_stop_in_order() -> None:
    made = house(
        {
            "a": "After=b.service|Type=oneshot;RemainAfterExit=yes;ExecStop=/bin/sa",
            "b": "|Type=oneshot;RemainAfterExit=yes;ExecStop=/bin/sb",
        },
        dict.fromkeys(("/bin/a", "/bin/b", "/bin/sa", "/bin/sb"), DONE),
    )
    down(made)
    assert made.ran()[-2:] == ["/bin/sa", "/bin/sb"]


def test_two_hundred_trees() -> None:
    units = {f"u{i}": "" for i in range(200)}
    made = house(units, {f"/bin/{name}": TREE for name in units})
    assert len(made.kernel.living) == 1000
    assert down(made, 100 * SECOND) < CAP
