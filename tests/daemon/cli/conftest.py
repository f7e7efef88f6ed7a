"""What tests of hostile and own models begin with; the module's `made` is the directory that is copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy of what the module made, for one test."""
    return shutil.copytree(made, tmp_path / "copy")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file that an attack would overwrite."""
    (path := tmp_path / "victim").write_bytes(b"precious")
    return path
