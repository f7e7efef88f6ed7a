"""The list of mutants does not rot; `make mutants` says whether the tests find them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.planted import MUTANTS


def test_each_can_be_planted() -> None:
    """The old text of each is in its file exactly once, is another than the new one, and its tests are there."""
    for mutant in MUTANTS:
        assert mutant.in_tree() == 1, f"{mutant.file}: {mutant.old!r}"
        assert mutant.old != mutant.new
        for name in mutant.tests.split():
            file, _, test = name.partition("::")
            if file.startswith("tests"):
                assert (ROOT / file).exists(), file
                assert f"def {test}" in ((ROOT / file).read_text() if test else "def "), name


def test_none_is_there_twice() -> None:
    """Each is another change."""
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS) >= 76


def test_the_tree_is_as_it_was_afterwards(tmp_path: Path) -> None:
    """A change is taken back however its tests ended, and one that cannot be planted says so."""
    (tmp_path / "a.py").write_text("one\n")
    with pytest.raises(RuntimeError), Mutant("a.py", "one", "two", "").planted(tmp_path):
        assert (tmp_path / "a.py").read_text() == "two\n"
        raise RuntimeError
    assert (tmp_path / "a.py").read_text() == "one\n"
    with pytest.raises(ValueError, match="has 0 of"), Mutant("a.py", "three", "", "").planted(tmp_path):
        pass
