"""Topic extract_word: splitting into words under every combination of rules."""

from pathlib import Path

from unitd.syntax import words

from .comparison import Case, Comparison, Document


def run(case: Case, folder: Path, document: Document) -> Comparison:
    """Compares the words, and whether the text breaks off."""
    flags = 0
    for name in case["flags"]:
        flags |= getattr(words, name)
    error = None
    separators = words.BLANKS if case["separators"] is None else case["separators"]
    try:
        got = words.split(case["input"], flags, separators)
    except words.Broken as fault:
        got, error = list(fault.words), "EINVAL"
    return Comparison([case["expect"], case["error"]], [got, error])
