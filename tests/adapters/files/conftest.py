"""The file that tests of tails follow."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """It is not there yet."""
    return tmp_path / "meter.csv"
