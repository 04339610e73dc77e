"""Topic unit_name: validity, parts and escaping of unit names."""

from collections.abc import Callable
from pathlib import Path

from unitd.syntax import unit_name
from unitd.syntax.errors import Bad

from .comparison import Case, Comparison, Document

_ANSWERS: dict[str, Callable[[Case], object]] = {
    "is_valid": lambda case: unit_name.valid(case["input"], _kinds(case)),
    "unit_prefix_is_valid": lambda case: unit_name.prefix_valid(case["input"]),
    "unit_instance_is_valid": lambda case: unit_name.instance_valid(case["input"]),
    "slice_name_is_valid": lambda case: unit_name.slice_valid(case["input"]),
    "parent_slice": lambda case: unit_name.parent_slice(case["input"]),
    "template_of": lambda case: unit_name.template_of(case["input"]),
    "replace_instance": lambda case: unit_name.with_instance(case["input"], case["instance"]),
    "escape": lambda case: unit_name.escape(case["input"]),
    "unescape": lambda case: unit_name.unescape(case["input"]),
    "path_escape": lambda case: unit_name.path_escape(case["input"]),
    "path_unescape": lambda case: unit_name.path_unescape(case["input"]),
    "from_path": lambda case: unit_name.from_path(case["input"], case["suffix"]),
    "from_path_instance": lambda case: unit_name.from_path_instance(case["prefix"], case["input"], case["suffix"]),
    "to_path": lambda case: unit_name.to_path(case["input"]),
    "mangle": lambda case: unit_name.mangle(case["input"], case["suffix"], globs=case["allow_globs"]),
}


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares one operation; refused is null, and is told from null where the case tells it."""
    refused = False
    got: object = None
    try:
        got = _ANSWERS[case["op"]](case)
    except Bad:
        refused = True
    return Comparison([case["expect"], case.get("error", refused)], [got, refused])


def _kinds(case: Case) -> int:
    kinds = 0
    for name in case["kinds"]:
        kinds |= {
            "PLAIN": unit_name.PLAIN,
            "INSTANCE": unit_name.INSTANCE,
            "TEMPLATE": unit_name.TEMPLATE,
            "ANY": unit_name.ANY,
        }[name]
    return kinds
