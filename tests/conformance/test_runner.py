"""The runner itself: what it counts, prints and returns."""

import io
import json
from pathlib import Path

import pytest

from . import runner
from .comparison import Comparison
from .deviations import DEVIATIONS


def _folder(tmp_path: Path, *answers: bool) -> Path:
    cases = [
        {"id": f"scalar-{n}", "op": "boolean", "input": "yes", "expect": answer} for n, answer in enumerate(answers)
    ]
    (tmp_path / "scalar.json").write_text(json.dumps({"topic": "scalar", "cases": cases}))
    return tmp_path


def test_all_passed_is_status_0(tmp_path: Path) -> None:
    out = io.StringIO()
    assert runner.run(_folder(tmp_path, True, True), ["scalar"], verbose=False, out=out) == 0
    assert out.getvalue().splitlines() == ["scalar 2/2", "2 passed, 0 failed"]


def test_a_failure_is_status_1_and_shown_when_asked(tmp_path: Path) -> None:
    out = io.StringIO()
    assert runner.run(_folder(tmp_path, True, False), ["scalar"], verbose=True, out=out) == 1
    lines = out.getvalue().splitlines()
    assert lines[0] == "scalar 1/2"
    assert lines[1:4] == ["  scalar-1", "    expected False", "    got      True"]
    assert lines[-1] == "1 passed, 1 failed"


def test_a_deviation_passes_and_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVIATIONS, "scalar-0", "on purpose")
    out = io.StringIO()
    assert runner.run(_folder(tmp_path, False), ["scalar"], verbose=False, out=out) == 0
    assert out.getvalue().splitlines() == ["scalar 1/1", "deviation scalar-0: on purpose", "1 passed, 0 failed"]


def test_topics_that_cannot_run_are_explained_and_not_counted(tmp_path: Path) -> None:
    out = io.StringIO()
    assert runner.run(_folder(tmp_path, True), [], verbose=False, out=out) == 0
    lines = out.getvalue().splitlines()
    assert "path_unit not run: prose for a running manager" in lines
    assert "timespan not run: there is no timespan.json" in lines
    assert lines[-1] == "1 passed, 0 failed"


def test_an_exception_fails_its_case_alone(tmp_path: Path) -> None:
    folder = _folder(tmp_path, True)
    document = json.loads((folder / "scalar.json").read_text())
    document["cases"].append({"id": "scalar-9", "op": "no such operation", "input": "", "expect": None})
    (folder / "scalar.json").write_text(json.dumps(document))
    tally = runner.run_topic("scalar", folder)
    assert [case_id for case_id, _ in tally.failures] == ["scalar-9"]
    assert tally.passed == 1


@pytest.mark.parametrize(
    ("expected", "got", "passed"),
    [
        ([1, [2]], (1, (2,)), True),
        (True, 1, False),
        (None, None, True),
        ({"a": (1,)}, {"a": [1]}, True),
        ("a", "b", False),
    ],
)
def test_comparison(expected: object, got: object, passed: bool) -> None:
    assert Comparison(expected, got).passed is passed
