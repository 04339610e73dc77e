"""Runs topics over a conformance folder and prints the outcome.

Last line: `N passed, N failed`. A topic without code prints `TOPIC not run: REASON` and is not counted.
"""

import importlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TextIO

from .comparison import Case, Comparison, Document
from .deviations import DEVIATIONS
from .topics import MODULES, NOT_RUN


@dataclass(slots=True)
class Tally:
    """How one topic went: case ids that failed, with the comparison, and deviations that applied."""

    topic: str
    total: int = 0
    failures: list[tuple[str, Comparison]] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)

    @property
    def passed(self) -> int:
        return self.total - len(self.failures)


def known_topics() -> list[str]:
    """All topics that have a row in the table, sorted."""
    return sorted(MODULES.keys() | NOT_RUN.keys())


def why_not_run(topic: str, folder: Path) -> str | None:
    """The reason why a topic cannot run here, or None when it can."""
    if topic not in MODULES:
        return NOT_RUN.get(topic, "no such topic")
    if not (folder / f"{topic}.json").is_file():
        return f"there is no {topic}.json"
    return None


def run_topic(topic: str, folder: Path) -> Tally:
    """Compares every case of one topic that has code."""
    module = importlib.import_module(f".{MODULES[topic]}", __package__)
    document: Document = json.loads((folder / f"{topic}.json").read_text(encoding="utf-8"))
    tally = Tally(topic)
    for case in _cases(module, document):
        tally.total += 1
        comparison = _compare(module, case, folder, document)
        if comparison.passed:
            continue
        if case["id"] in DEVIATIONS:
            tally.deviations.append(case["id"])
        else:
            tally.failures.append((case["id"], comparison))
    return tally


def run(folder: Path, topics: Sequence[str], verbose: bool, out: TextIO) -> int:
    """Runs the topics (all when none is named), prints, and returns the exit status: 1 when a case failed."""
    tallies = []
    for topic in topics or known_topics():
        reason = why_not_run(topic, folder)
        if reason is not None:
            print(f"{topic} not run: {reason}", file=out)
            continue
        tally = run_topic(topic, folder)
        print(f"{topic} {tally.passed}/{tally.total}", file=out)
        if verbose:
            _print_failures(tally, out)
        tallies.append(tally)
    for case_id in sorted(case_id for tally in tallies for case_id in tally.deviations):
        print(f"deviation {case_id}: {DEVIATIONS[case_id]}", file=out)
    failed = sum(len(tally.failures) for tally in tallies)
    print(f"{sum(tally.passed for tally in tallies)} passed, {failed} failed", file=out)
    return 1 if failed else 0


def _cases(module: ModuleType, document: Document) -> Iterable[Case]:
    listed: Iterable[Case] = module.cases(document) if hasattr(module, "cases") else document["cases"]
    return listed


def _compare(module: ModuleType, case: Case, folder: Path, document: Document) -> Comparison:
    """One comparison; an exception of the code under test is a failure of this case alone."""
    try:
        comparison: Comparison = module.run(case, folder, document)
    except Exception as error:
        return Comparison("an answer", f"{type(error).__name__}: {error}")
    return comparison


def _print_failures(tally: Tally, out: TextIO) -> None:
    for case_id, comparison in tally.failures:
        print(f"  {case_id}\n    expected {comparison.expected!r}\n    got      {comparison.got!r}", file=out)
