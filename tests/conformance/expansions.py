"""Topic specifier: what specifiers stand for in a unit."""

from pathlib import Path
from typing import Final

from unitd.syntax.errors import Bad
from unitd.syntax.specifiers import HostFacts, expand, unit_table

from .comparison import Case, Comparison, Document

# The account database that the facts were recorded with.
RECORDED_HOST: Final = HostFacts(home="/nonexistent", shell="/bin/bash")


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares the expanded text; refused is an error of any kind."""
    try:
        got: list[object] = [expand(case["input"], unit_table(case["unit"], RECORDED_HOST)), False]
    except Bad:
        got = [None, True]
    return Comparison([case["expect"], case["error"] is not None], got)
