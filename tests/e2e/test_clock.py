"""Row 18 of the file tail's fault table: the wall clock jumps."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from daemon.service import pipeline
from tests.daemon.store.make_fixture import CONFIGURATION, drive

ROWS = 240


def test_row_18_wall_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that jumps years back and forth changes nothing: instants come from the data."""
    states = []
    chance = random.Random(18)
    for name in ("steady", "jumping"):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "tidegauge.yaml").write_text(CONFIGURATION)
        if name == "jumping":
            monkeypatch.setattr(pipeline, "wall_ms", lambda: chance.randrange(0, 1 << 42))
            monkeypatch.setattr("daemon.service.pipeline.time.time", lambda: chance.uniform(0, 1 << 32))
        states.append(drive(directory, 0, ROWS).durable.digest())
    assert states[0] == states[1]
