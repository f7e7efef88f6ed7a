"""Tests lie as the code does: who looks for those of a package finds them in the folder of its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daemon.cli.ownership import NAMES
from tests.conftest import ROOT

BESIDE = {"tests/daemon/store/fixtures"}
"""Folders of files, not of tests."""
WITHOUT_OWN = {"daemon/engine/messages"}
"""Packages of types that the tests of all others use."""
MOST_LINES = 450
"""Of a file of code or of tests; beyond, there are two things in it."""


def folders(root: Path) -> Iterator[str]:
    """Folders with Python files, below one of the three packages of `root`."""
    for name in NAMES:
        for path in sorted({file.parent for file in (root / name).rglob("*.py")}):
            yield str(path.relative_to(root))


def test_each_package_has_a_folder_of_tests() -> None:
    """And each folder of tests has a package."""
    code, tests = set(folders(ROOT)), set(folders(ROOT / "tests"))
    assert code - tests == WITHOUT_OWN
    assert {f"tests/{folder}" for folder in tests - code} <= BESIDE


def test_no_file_is_too_long() -> None:
    """A file can be read in one sitting."""
    files = [path for name in (*NAMES, "tests") for path in (ROOT / name).rglob("*.py")]
    assert len(files) > 500
    assert [str(path.relative_to(ROOT)) for path in files if len(path.read_bytes().splitlines()) > MOST_LINES] == []
