"""What the package imports is what pyproject.toml declares, and docs/dependencies.md gives a reason for each."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def modules(requirements: list[str]) -> set[str]:
    """The top-level modules of distributions, which for all of ours are their names."""
    return {re.split(r"[<>=~! \[;]", requirement)[0].replace("-", "_") for requirement in requirements}


REQUIRED = modules(PROJECT["dependencies"])
EXTRA = {name for extra in PROJECT["optional-dependencies"].values() for name in modules(extra)}


def imported() -> set[str]:
    """The top-level modules of others that any module of unitd imports, wherever in it."""
    found: set[str] = set()
    for path in sorted((ROOT / "unitd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"unitd"}


def test_what_is_required_is_imported() -> None:
    assert sorted(REQUIRED - imported()) == []


def test_what_is_imported_is_declared() -> None:
    assert sorted(imported() - REQUIRED - EXTRA) == []


def test_each_has_its_reason() -> None:
    rows = re.findall(r"^\| ([a-z][a-z0-9-]*) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    assert {name.replace("-", "_") for name in rows if name != "library"} == REQUIRED
