"""Topic job_merge: what two job types make together, and in which states a job has nothing to do."""

from pathlib import Path

from unitd.jobs.algebra import REDUNDANT, merge
from unitd.model.states import JobType

from .comparison import Case, Comparison, Document


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares one cell of a table; a state that unitd does not have is in no set."""
    if case["op"] == "merge":
        merged = merge(_type(case["a"]), _type(case["b"]))
        return Comparison(case["expect"], merged and merged.replace("-", "_"))
    states = {str(state) for state in REDUNDANT[_type(case["job"])]}
    return Comparison(case["expect"], case["state"] in states)


def _type(word: str) -> JobType:
    return JobType(word.replace("_", "-"))
