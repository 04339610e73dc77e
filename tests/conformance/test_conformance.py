"""Every topic that has code, case by case, when the folder of cases is there."""

from pathlib import Path

import pytest

from .runner import run_topic, why_not_run
from .topics import MODULES, NOT_RUN


@pytest.mark.parametrize("topic", sorted(MODULES))
def test_topic_agrees_with_systemd(topic: str, conformance: Path) -> None:
    reason = why_not_run(topic, conformance)
    if reason is not None:
        pytest.skip(reason)
    tally = run_topic(topic, conformance)
    shown = [f"{case_id}: {comparison.expected!r} != {comparison.got!r}" for case_id, comparison in tally.failures]
    assert not shown, "\n".join(shown)
    assert tally.total > 0


def test_a_topic_is_either_run_or_explained() -> None:
    assert not MODULES.keys() & NOT_RUN.keys()
