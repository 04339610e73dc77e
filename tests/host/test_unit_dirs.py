"""Real directories: priority, links, listing, and what changed since."""

import os
from pathlib import Path

import pytest

from unitd.host.unit_dirs import UnitDirs, search_path, shipped_directory
from unitd.model.config import Config
from unitd.model.states import Load
from unitd.syntax.specifiers import HostFacts

RUN = "[Service]\nExecStart=/bin/a\n"
INSTALLABLE = f"{RUN}[Install]\nWantedBy=t.target\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("etc", "lib"):
        (tmp_path / name).mkdir()
    return tmp_path


def source(root: Path) -> UnitDirs:
    return UnitDirs([f"{root}/etc", f"{root}/lib", f"{root}/none"], HostFacts(), Config())


def test_the_first_directory_wins(root: Path) -> None:
    (root / "lib/a.service").write_text(f"[Unit]\nDescription=lib\n{RUN}")
    (root / "etc/a.service").write_text(f"[Unit]\nDescription=etc\n{RUN}")
    assert source(root).load("a.service").fragment == f"{root}/etc/a.service"


def test_links(root: Path) -> None:
    (root / "lib/a.service").write_text(RUN)
    (root / "far.service").write_text(RUN)
    (root / "etc/al.service").symlink_to(f"{root}/lib/a.service")
    (root / "etc/far.service").symlink_to("../far.service")
    (root / "etc/gone.service").symlink_to("../nowhere/gone.service")
    (root / "etc/wrong.socket").symlink_to(f"{root}/lib/a.service")
    (root / "etc/masked.service").symlink_to("/dev/null")
    units = source(root)
    assert units.load("al.service").name == "a.service"
    assert units.load("a.service").aliases == ("al.service",)
    assert units.load("far.service").fragment == f"{root}/etc/far.service"
    assert units.load("gone.service").load is Load.NOT_FOUND
    assert units.load("wrong.socket").load is Load.NOT_FOUND
    assert units.load("masked.service").load is Load.MASKED


def test_what_is_no_file_is_an_error(root: Path) -> None:
    os.mkfifo(root / "etc/a.service")
    unit = source(root).load("a.service")
    assert unit.load is Load.ERROR
    assert "not a regular file" in str(unit.fatal)


def test_a_listing_stays_until_refresh(root: Path) -> None:
    units = source(root)
    assert units.load("a.service").load is Load.NOT_FOUND
    (root / "etc/a.service").write_text(RUN)
    assert units.load("a.service").load is Load.NOT_FOUND
    units.refresh()
    assert units.load("a.service").load is Load.LOADED


def test_changes_since_load(root: Path) -> None:
    file = root / "etc/a.service"
    file.write_text(RUN)
    units = source(root)
    unit = units.load("a.service")
    assert not units.changed_since_load(unit)
    os.utime(file, ns=(1, 1))
    assert units.changed_since_load(unit)
    unit = units.load("a.service")
    (root / "etc/a.service.d").mkdir()
    (root / "etc/a.service.d/x.conf").write_text("[Service]\nNice=1\n")
    units.refresh()
    assert units.changed_since_load(unit)
    unit = units.load("a.service")
    file.unlink()
    assert units.changed_since_load(unit)
    assert units.is_gone(unit)


def test_states_of_files(root: Path) -> None:
    for name in ("on.service", "off.service"):
        (root / f"lib/{name}").write_text(INSTALLABLE)
    (root / "lib/plain.service").write_text(RUN)
    (root / "lib/also.service").write_text(f"{RUN}[Install]\nAlso=on.service\n")
    (root / "etc/t.target.wants").mkdir()
    (root / "etc/t.target.wants/on.service").symlink_to(f"{root}/lib/on.service")
    (root / "etc/al.service").symlink_to(f"{root}/lib/plain.service")
    (root / "etc/no.service").symlink_to("/dev/null")
    states = {path.rpartition("/")[2]: state for path, state in source(root).list_files()}
    assert states == {
        "al.service": "alias",
        "also.service": "indirect",
        "no.service": "masked",
        "off.service": "disabled",
        "on.service": "enabled",
        "plain.service": "enabled",
    }
    assert source(root).file_state("nothing.service") == ""


def test_directories_to_watch(root: Path) -> None:
    (root / "etc/a.service.d").mkdir()
    assert source(root).directories() == [f"{root}/etc", f"{root}/lib", f"{root}/etc/a.service.d"]


def test_search_path() -> None:
    facts = HostFacts(home="/h", runtime_dir="/r")
    shipped = shipped_directory()
    assert search_path(Config(), facts)[0] == "/etc/unitd"
    assert "/lib/systemd/system" not in search_path(Config(), facts)
    assert "/lib/systemd/system" in search_path(Config(read_systemd_units=True), facts)
    assert search_path(Config(), facts, ["/x", "/y"]) == ("/x", "/y", shipped)
    assert search_path(Config(user=True), facts)[:2] == ("/h/.config/unitd", "/r/unitd/units")
    assert search_path(Config(user=True), facts, (), {"XDG_CONFIG_HOME": "/c"})[0] == "/c/unitd"


def test_all_that_the_shipped_units_say_is_known() -> None:
    units = UnitDirs([shipped_directory()], HostFacts(), Config())
    for path, _ in units.list_files():
        name = path.rpartition("/")[2].replace("@.", "@x.")
        unit = units.load(name)
        assert unit.load in (Load.LOADED, Load.MASKED), name
        assert all("not carried out" in problem.reason for problem in unit.problems), name
