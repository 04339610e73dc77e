"""The units that unitd ships hang together by themselves, and the manual names each of them."""

import re
from pathlib import Path

import pytest

from unitd.syntax.unit_file import Entry, parse

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "units"
FILES = sorted(path for path in UNITS.rglob("*") if path.suffix in {".target", ".service", ".socket", ".timer"})
SHIPPED = {path.name for path in FILES if path.parent == UNITS}
BUILT_IN = {"-.slice", "system.slice", "user.slice", "init.scope", "-.mount"}
ENDS = ("poweroff", "reboot", "halt", "kexec", "exit")


def entries(path: Path) -> tuple[Entry, ...]:
    """The assignments of a file that has no line to complain about."""
    parsed = parse(path.read_bytes())
    assert not parsed.notes, f"{path}: {parsed.notes}"
    return parsed.entries


def words(path: Path, key: str) -> list[str]:
    """All words that `key` is given."""
    return [word for entry in entries(path) if entry.key == key for word in entry.value.split()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(UNITS)))
def test_what_a_unit_requires_exists(path: Path) -> None:
    required = {*words(path, "Requires"), *words(path, "BindsTo"), *words(path, "Requisite")}
    beside = {other.name for other in path.parent.iterdir()}
    assert required <= SHIPPED | BUILT_IN | beside


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(UNITS)))
def test_a_unit_says_what_it_is(path: Path) -> None:
    assert len([entry for entry in entries(path) if entry.key == "Description"]) == 1


def test_the_manual_names_every_shipped_target_and_no_other() -> None:
    table = (ROOT / "docs" / "units.md").read_text().split("## What is shipped")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {f"{name}.target" for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert named == {name for name in SHIPPED if name.endswith(".target")}


@pytest.mark.parametrize("end", ENDS)
def test_an_end_comes_after_everything_has_stopped(end: str) -> None:
    path = UNITS / f"{end}.target"
    stages = ["shutdown.target", "umount.target", "final.target"]
    assert words(path, "Requires") == stages
    assert words(path, "After") == stages
    assert words(path, "DefaultDependencies") == ["no"]
    assert words(path, "AllowIsolate") == ["yes"]


def test_no_shipped_unit_is_a_link_because_a_wheel_cannot_carry_one() -> None:
    assert not [path for path in UNITS.rglob("*") if path.is_symlink()]


def test_every_service_of_the_demo_passes_on_the_mark_that_the_proof_looks_for() -> None:
    services = sorted((UNITS / "demo").glob("*.service"))
    assert services
    assert [p.name for p in services if "UNITD_DEMO_RUN" not in words(p, "PassEnvironment")] == []


def test_the_demo_target_reaches_every_unit_of_the_demo() -> None:
    demo = UNITS / "demo"
    reached, open_ends = {"demo.target"}, ["demo.target"]
    while open_ends:
        path = demo / open_ends.pop()
        pulled = {name for key in ("Requires", "Wants") for name in words(path, key)} - reached
        local = {name for name in pulled if (demo / name).exists()}
        reached |= local
        open_ends.extend(sorted(local))
    assert reached == {path.name for path in demo.iterdir() if path.is_file()}
