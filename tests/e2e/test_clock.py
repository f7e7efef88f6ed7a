"""Row 18 of the file tail's fault table: the wall clock jumps."""

from __future__ import annotations

import io
import random
import threading
from pathlib import Path

import pytest

from daemon.config.file import load
from daemon.metrics.collector import Durations
from daemon.service import pipeline
from daemon.trainer.trainer import InlineTrainer
from tests.daemon.store.make_fixture import CONFIGURATION, drive, reading
from tests.e2e.processes import until

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
            monkeypatch.setattr(pipeline, "wall_s", lambda: chance.uniform(0, 1 << 32))
        states.append(drive(directory, 0, ROWS).durable.digest())
    assert states[0] == states[1]


def test_a_clock_that_is_not_set_keeps_readings_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At boot the machine may think it is 1970: nothing is read and refused as `future`; set, all of it is accepted."""
    (tmp_path / "tidegauge.yaml").write_text(CONFIGURATION.replace("clock: event", "clock: wall"))
    (tmp_path / "tide.csv").write_bytes(b"timestamp,value\n" + b"".join(map(reading, range(20))))
    shown = [60_000]
    monkeypatch.setattr(pipeline, "wall_ms", lambda: shown[0])
    daemon = pipeline.Pipeline(load(tmp_path / "tidegauge.yaml"), InlineTrainer(), Durations(), stdout=io.BytesIO())
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        until("waiting", lambda: "1970-01-01 00:01 UTC" in daemon.readiness.why_not or daemon.error, every_s=0.01)
        turns = daemon.picture.process["turns"]
        until("more turns", lambda: daemon.picture.process["turns"] > turns + 3)
        assert (daemon.ready, daemon.durable.engine.streams["tide"].counters.accepted) == (False, 0)
        shown[0] = 1_900_000_000_000
        until("reading", lambda: daemon.durable.engine.streams["tide"].counters.accepted == 20)
        assert daemon.ready
    finally:
        daemon.stop()
        thread.join()
