"""docs/architecture.md names every module of the package in its room, and only what is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "unitd"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
WALKED = sorted(set(re.findall(r"`([a-z_0-9]+(?:/[a-z_0-9]+)+)\.([A-Za-z_.]+)`", PAGE)))


def modules(room: str) -> set[str]:
    """The modules of a room, as the page writes them: `rows/unit`."""
    found = (path.relative_to(PACKAGE / room).with_suffix("") for path in (PACKAGE / room).rglob("*.py"))
    return {str(path) for path in found if not path.name.startswith("__")}


def defined(module: str) -> set[str]:
    """Functions, classes and methods: `build`, `Engine`, `Engine.handle`."""
    names: set[str] = set()
    for node in ast.parse((PACKAGE / f"{module}.py").read_bytes()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            names.update(f"{node.name}.{each.name}" for each in inner)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_line_for_each_of_its_modules(room: str) -> None:
    section = PAGE.split(f"\n### {room}\n", 1)[1].split("\n#", 1)[0]
    first = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = [name for cell in first for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(named) == sorted(modules(room))


@pytest.mark.parametrize(("module", "name"), WALKED)
def test_what_the_walks_pass_by_is_there(module: str, name: str) -> None:
    assert name in defined(module)


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`((?:" + "|".join(ROOMS) + r")/[a-z_/]+)`", PAGE))))
def test_where_the_page_sends_a_reader_is_there(place: str) -> None:
    assert (PACKAGE / place).is_dir() or (PACKAGE / f"{place}.py").is_file()
