"""What a mutant is, and the copy of the tree that it is planted in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600


@dataclass(frozen=True)
class Mutant:
    """A change of one place.

    Attributes:
        file: Path in the tree.
        old: Text that is there exactly once.
        new: What takes its place.
        tests: What should find it, as arguments of pytest separated by blanks.
        survives: Why no test finds it; None for one that must be found.
    """

    file: str
    old: str
    new: str
    tests: str
    survives: str | None = None

    def in_tree(self, tree: Path = ROOT) -> int:
        """How often the old text is in its file."""
        return (tree / self.file).read_text(encoding="utf-8").count(self.old)

    @contextmanager
    def planted(self, tree: Path) -> Iterator[None]:
        """The tree with the change."""
        path = tree / self.file
        whole = path.read_text(encoding="utf-8")
        if whole.count(self.old) != 1:
            raise ValueError(f"{self.file} has {whole.count(self.old)} of {self.old!r}")
        path.write_text(whole.replace(self.old, self.new), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(whole, encoding="utf-8")


def copy_tree(into: Path) -> None:
    """The tracked files, and those that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


def is_found(tree: Path, tests: str) -> bool:
    """Whether the tests, which pass in the tree as it is, fail in it as it has been changed.

    Raises:
        ValueError: They could not be run at all.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True  # a change that hangs is found, too
    if done.returncode not in (0, 1, 2):  # 2: interrupted, as by an error of a module while tests are collected
        raise ValueError(f"{tests}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode != 0
