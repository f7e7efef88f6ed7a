"""The pipeline while one stream waits for a training: what goes on, what waits with it, and what is said."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.config.file import load
from daemon.metrics.collector import Durations, make_registry
from daemon.metrics.exposition import expose
from daemon.service.jobs import Settled
from daemon.service.pipeline import Pipeline
from daemon.store import open_reader
from tests.daemon.runtime.test_backlog import HungTrainer
from tests.e2e.processes import samples, until

STREAM = """\
  {name}:
    sources: [{{path: {name}.csv}}]
    interval: 1h
    clock: event
    warm_up: 1d
    max_series: 8
    model: {{window: 8, copies: 1, retrain_every: 40}}
"""
ROWS, MORE = 60, 30


def line(slot: int) -> bytes:
    """A reading of one series."""
    return b"2024-01-%02dT%02d:00Z,%d\n" % (1 + slot // 24, slot % 24, 10 + slot % 7)


def append(path: Path, first: int, count: int) -> None:
    """Write readings."""
    with path.open("ab") as file:
        file.write(b"".join(map(line, range(first, first + count))))


@contextmanager
def running(directory: Path, trainer: HungTrainer) -> Iterator[Pipeline]:
    """The pipeline of two streams, `a` and `b`, on a thread of its own."""
    config = directory / "tidegauge.yaml"
    streams = "".join(STREAM.format(name=name) for name in "ab")
    config.write_text(f"version: 1\nstate_dir: state\nstreams:\n{streams}events: {{stdout: false}}\n")
    for name in "ab":
        (directory / f"{name}.csv").write_bytes(b"timestamp,value\n")
        append(directory / f"{name}.csv", 0, ROWS)
    pipeline = Pipeline(load(config), trainer, Durations(), stdout=io.BytesIO())
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    try:
        yield pipeline
    finally:
        pipeline.stop()
        thread.join()
    assert pipeline.error is None


def accepted(pipeline: Pipeline, stream: str) -> int:
    """Readings that a stream has accepted, by the newest picture."""
    snapshot = pipeline.picture.streams.get(stream)
    return 0 if snapshot is None else snapshot.accepted


def offset(directory: Path, stream: str) -> int:
    """How far the stream's file is durable."""
    with open_reader(directory / "state") as reader:
        return max((position["offset"] for position in reader.positions(f"{stream}/0").values()), default=0)


def test_what_needs_the_stream_waits_and_nothing_else(tmp_path: Path) -> None:
    """Files are read on and the other stream goes on; a checkpoint and work for that stream or all wait for it."""
    trainer, done = HungTrainer("a"), []
    with running(tmp_path, trainer) as pipeline:
        until("waiting", lambda: "a" in pipeline.behind and accepted(pipeline, "b") == ROWS)
        assert pipeline.ready
        assert not pipeline.waiting
        pipeline.post(Pipeline.checkpoint)
        for of in ("a", "b", None):
            pipeline.post(Settled(lambda _, of=of: done.append(of), of))  # type: ignore[misc]
        until("the work for b", lambda: done == ["b"])
        for name in "ab":
            append(tmp_path / f"{name}.csv", ROWS, MORE)
        until("b goes on", lambda: accepted(pipeline, "b") == ROWS + MORE)
        until("a is read on", lambda: offset(tmp_path, "a") == (tmp_path / "a.csv").stat().st_size)
        assert accepted(pipeline, "a") < ROWS
        assert done == ["b"]
        assert pipeline.picture.store["checkpoint_at_ms"] is None
        text = expose(make_registry(lambda: pipeline.picture))[0].decode()
        awaited = samples(text, "tidegauge_training_awaited_since_timestamp_seconds")
        assert awaited == {'{stream="a"}': pipeline.behind["a"]["since"]}
        assert samples(text, "tidegauge_inputs_waiting") == {
            '{stream="a"}': pipeline.behind["a"]["inputs"],
            '{stream="b"}': 0,
        }

        trainer.let_go()
        until("a made up", lambda: accepted(pipeline, "a") == ROWS + MORE and not pipeline.behind)
        until("all that waited", lambda: done == ["b", "a", None])
        until("the checkpoint", lambda: pipeline.picture.store["checkpoint_at_ms"])


def test_stopped_while_it_waits(tmp_path: Path) -> None:
    """The daemon ends at once; the next one takes up what is journaled and comes to what a run without waits gives."""
    with running(tmp_path, HungTrainer("a")) as pipeline:
        until("waiting", lambda: "a" in pipeline.behind and accepted(pipeline, "b") == ROWS)
    with running(tmp_path, HungTrainer()) as pipeline:
        until("all of it", lambda: accepted(pipeline, "a") == ROWS == accepted(pipeline, "b") and not pipeline.behind)
    whole = tmp_path / "whole"
    whole.mkdir()
    with running(whole, HungTrainer()) as other:
        until("all of it", lambda: accepted(other, "a") == ROWS == accepted(other, "b"))
    assert pipeline.durable.digest() == other.durable.digest()
