"""Makes a small state directory with the version that is checked out.

    python -m tests.daemon.store.make_fixture FILE.tar.xz

Run it before the layout of the state changes, so that later versions are held to reading what this one wrote.
"""

from __future__ import annotations

import io
import math
import sys
import tarfile
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.config.file import load
from daemon.metrics.collector import Durations
from daemon.service.pipeline import Pipeline
from daemon.trainer.trainer import InlineTrainer
from tests.e2e.processes import until

CONFIGURATION = """\
version: 1
state_dir: state
streams:
  tide:
    sources: [{type: file, path: tide.csv}]
    interval: 1h
    clock: event
    warm_up: 4d
    max_series: 2
    model: {window: 8, copies: 1, retrain_every: 300}
    alerts: {refractory: 1h, limits: {max: 100}}
"""
ROWS, MORE, PIECE = 300, 40, 50


def reading(number: int) -> bytes:
    """Line of one reading: a tide, with something unusual every 30 hours after the warm-up."""
    value = 50 + 30 * math.sin(number * math.tau / 12.42) + math.sin(number * number)
    value += 80 if number > 150 and number % 30 < 2 else 0
    return b"2026-03-%02dT%02d:00Z,%.6f\n" % (1 + number // 24, number % 24, value)


def drive(directory: Path, start: int, stop: int, checkpoint_at: int | None = None) -> Pipeline:
    """Run the pipeline over the readings from `start` to `stop`; it writes no checkpoint when it ends."""
    pipeline = Pipeline(load(directory / "tidegauge.yaml"), InlineTrainer(), Durations(), stdout=io.BytesIO())
    thread = threading.Thread(target=pipeline.run)
    if checkpoint_at is not None:
        pipeline.checkpoint = lambda: None  # type: ignore[method-assign]  # the one at the end
    thread.start()
    file = directory / "tide.csv"
    try:
        until("ready", lambda: pipeline.ready or pipeline.error, every_s=0.01)
        counters = pipeline.durable.engine.streams["tide"].counters
        unknown = start - counters.accepted  # what a rebuilt state has not seen
        for first in range(start, stop, PIECE):
            last = min(first + PIECE, stop)
            with file.open("ab") as out:
                out.write(b"" if file.stat().st_size else b"timestamp,value\n")
                out.write(b"".join(map(reading, range(first, last))))

            def read(last: int = last) -> object:
                return counters.accepted + unknown >= last or pipeline.error

            until("read", read, every_s=0.01)
            if last == checkpoint_at:
                pipeline.post(lambda one: one.durable.checkpoint())
    finally:
        pipeline.stop()
        thread.join()
    assert pipeline.error is None
    return pipeline


def make(directory: Path) -> None:
    """Fill an empty directory with a configuration, a file, and the state of a daemon that has read it."""
    (directory / "tidegauge.yaml").write_text(CONFIGURATION)
    drive(directory, 0, ROWS, checkpoint_at=ROWS - 2 * PIECE)


def main(archive: Path) -> None:
    """Write the fixture."""
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        make(directory)
        with tarfile.open(archive, "w:xz") as tar:
            for path in sorted(p for p in directory.rglob("*") if p.is_file()):
                tar.add(path, path.relative_to(directory))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
