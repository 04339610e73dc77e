"""The first target, and those that stand in for one that cannot be started."""

from collections.abc import Sequence

import pytest

from tests.fakes.house import House
from tests.fakes.kernel import FAILING
from unitd.model.effects import JobGone, Log, StartupFinished
from unitd.model.events import Leaving, ShutdownAsked

BROKEN = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/false\n"
UNITS = {
    "good.target": "[Unit]\nDefaultDependencies=no\n",
    "bad.target": "[Unit]\nDefaultDependencies=no\nRequires=bad.service\nAfter=bad.service\n",
    "worse.target": "[Unit]\nDefaultDependencies=no\nRequires=bad.service\nAfter=bad.service\n",
    "bad.service": BROKEN,
}


def booted(target: str, otherwise: Sequence[str] = ()) -> House:
    made = House(UNITS, {"/bin/false": FAILING})
    for effect in made.engine.boot(target, made.clock.now, otherwise):
        made.log.append((made.clock.now, effect))
        made.kernel.perform(effect)
    made.run()
    return made


def started(made: House) -> list[str]:
    """The targets whose start jobs ended well, in order."""
    ends = [effect for _, effect in made.log if isinstance(effect, JobGone) and effect.unit.endswith(".target")]
    return [end.unit for end in ends if end.result == "done"]


@pytest.mark.parametrize(
    ("target", "otherwise", "reached"),
    [
        ("good.target", ("worse.target",), ["good.target"]),
        ("bad.target", ("good.target",), ["good.target"]),
        ("missing.target", ("good.target",), ["good.target"]),
        ("bad.target", ("missing.target", "good.target"), ["good.target"]),
        ("bad.target", ("bad.target", "worse.target", "good.target"), ["good.target"]),
        ("bad.target", ("worse.target",), []),
        ("missing.target", ("missing.target",), []),
        ("bad.target", (), []),
    ],
)
def test_the_first_that_can_be_started_is(target: str, otherwise: tuple[str, ...], reached: list[str]) -> None:
    made = booted(target, otherwise)
    assert started(made) == reached
    assert made.engine.view.system_state() != "starting"
    assert made.engine.view.times()["Finish"]


def test_the_start_up_ends_once_with_what_was_reached() -> None:
    made = booted("bad.target", ("good.target",))
    kinds = [type(effect) for _, effect in made.log if isinstance(effect, StartupFinished)]
    assert kinds == [StartupFinished]
    texts = [effect.text for _, effect in made.log if isinstance(effect, Log)]
    assert "the first target cannot be started: starting good.target instead" in texts


def test_a_shutdown_during_the_start_up_starts_nothing_else() -> None:
    made = House(UNITS, {"/bin/false": FAILING})
    made.engine.boot("bad.target", made.clock.now, ("good.target",))
    made.feed(ShutdownAsked(0, Leaving.POWEROFF))
    made.run()
    assert "good.target" not in started(made)
    assert made.left is not None
