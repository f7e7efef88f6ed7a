"""The pipeline killed at each named point between two durable steps goes on as if nothing had happened."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from daemon.config.file import load
from daemon.engine.messages.events import Event
from daemon.metrics.collector import Durations
from daemon.replay.expectations import read_events
from daemon.replay.replay import replay
from daemon.runtime.durable import DurableEngine
from daemon.service.pipeline import Pipeline
from daemon.store import FAULT_POINTS, EventFilter, Store
from daemon.store.faults import Reached, nowhere
from daemon.trainer.trainer import InlineTrainer
from tests.daemon.store.make_fixture import reading
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
    model: {window: 8, copies: 1, retrain_every: 40}
    alerts: {refractory: 1h, limits: {max: 150}}
events: {file: events.jsonl}
history: {keep: 0s}
"""
ROWS, PIECE = 400, 40
HIT = {"database.before_rename": 1}
"""The hit at which a point kills; the third where it is not named."""


def drive(directory: Path, reached: Reached = nowhere) -> None:
    """Run the pipeline while its file grows by pieces, to the last reading; now and then checkpoint and prune."""
    pipeline = Pipeline(
        load(directory / "tidegauge.yaml"), InlineTrainer(), Durations(), stdout=io.BytesIO(), reached=reached
    )
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        until("ready", lambda: pipeline.ready or pipeline.error, every_s=0.01)
        file = directory / "tide.csv"
        there = file.read_bytes().count(b"\n") - 1 if file.exists() else -1
        for start in range(max(there, 0), ROWS, PIECE):
            with file.open("ab") as out:
                out.write(b"" if file.stat().st_size else b"timestamp,value\n")
                out.write(b"".join(map(reading, range(start, start + PIECE))))
            _let_it_read(pipeline, start + PIECE)
            if start // PIECE % 2:
                pipeline.post(Pipeline.checkpoint)
                pipeline.post(Pipeline.tidy)
        _let_it_read(pipeline, ROWS)
    finally:
        pipeline.stop()
        thread.join()
    assert pipeline.error is None


def _let_it_read(pipeline: Pipeline, readings: int) -> None:
    """Wait until so many readings are applied."""
    counters = pipeline.durable.engine.streams["tide"].counters
    until("read", lambda: counters.accepted == readings or pipeline.error, every_s=0.01)


def die(directory: Path, point: str, hit: int) -> None:
    """In a process of its own: `drive`, with kill -9 when `point` is passed for the `hit`-th time."""
    passed: Counter[str] = Counter()

    def reached(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == hit:
            os.kill(os.getpid(), signal.SIGKILL)

    drive(directory, reached)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Event]]:
    """State and event revisions of replay, in memory."""
    directory = tmp_path_factory.mktemp("expected")
    (directory / "tidegauge.yaml").write_text(CONFIGURATION)
    (directory / "tide.csv").write_bytes(b"timestamp,value\n" + b"".join(map(reading, range(ROWS))))
    settings = load(directory / "tidegauge.yaml")
    report = replay(directory / "tide.csv", settings, "tide", InlineTrainer())
    assert report.trainings["promoted"] >= 5
    assert {reason for event in report.events for reason in event.reasons} >= {"model", "limit"}
    return report.state_sha256, report.events


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_killed_at(point: str, tmp_path: Path, expected: tuple[str, list[Event]]) -> None:
    """After kill -9 at a named point and another start, state, event list and event file are those of replay."""
    (tmp_path / "tidegauge.yaml").write_text(CONFIGURATION)
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["daemon.service.pipeline", "daemon.trainer.trainer"])
    child = server.Process(target=die, args=(tmp_path, point, HIT.get(point, 3)))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    drive(tmp_path)
    assert recovered(tmp_path / "state") == expected
    assert read_events(tmp_path / "events.jsonl") == expected[1]


def recovered(directory: Path) -> tuple[str, list[Event]]:
    """SHA-256 of the state that the next start would recover, and the recorded revisions."""
    with Store.open(directory) as store:
        assert store.check() == []
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        return durable.digest(), [event for _, event in store.events(EventFilter(latest_only=False))]
