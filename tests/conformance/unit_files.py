"""Topic unit_parse: what one unit becomes, from a few files in three directories."""

import tempfile
from pathlib import Path

from unitd.host.unit_dirs import UnitDirs
from unitd.model.config import Config
from unitd.syntax.specifiers import HostFacts

from .comparison import Case, Comparison, Document
from .shown import answer, lay_out, like


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares the properties that the case lists."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        lay_out(root, case)
        below = [f"{root}/{part}" for part in ("etc", "run", "lib")]
        source = UnitDirs(below, HostFacts(), Config(allow_weaker_sandbox=True))
        unit = source.load(case["unit"])
        got = {
            name: like(expected, answer(unit, name, source, f"{root}/")) for name, expected in case["expect"].items()
        }
    return Comparison(case["expect"], got)
