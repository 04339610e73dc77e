"""Topics environment and env_file_debian: environment files and the substitution of variables."""

from pathlib import Path

from unitd.syntax import environment
from unitd.syntax.errors import Bad

from .comparison import Case, Comparison, Document


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares the assignments of a file, or the arguments after substitution."""
    if case["op"] == "substitute":
        variables = dict(entry.split("=", 1) for entry in case["env"])
        return Comparison(case["expect"], environment.substitute(case["argv"], variables))
    try:
        got: list[str] | None = environment.load(case["input"])
    except Bad:
        got = None
    return Comparison([case["expect"] if not case["error"] else None], [got])
