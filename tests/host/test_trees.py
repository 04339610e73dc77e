"""Removing a directory: what is not there is fine, what cannot be removed is said."""

from pathlib import Path

from unitd.host import trees


def test_a_tree_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    trees.remove(str(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_no_trouble_and_what_is_no_directory_is(tmp_path: Path) -> None:
    said: list[str] = []
    trees.remove(str(tmp_path / "missing"), said.append)
    assert said == []
    (tmp_path / "file").write_text("x")
    trees.remove(str(tmp_path / "file"), said.append)
    assert len(said) == 1
    assert said[0].startswith(f"cannot remove {tmp_path}/file: ")
