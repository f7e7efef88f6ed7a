"""kill -9 of the daemon at any instant: state, event list and event file are those of a run that nobody interrupted."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.engine.messages.events import Event
from daemon.replay.expectations import read_events
from daemon.replay.rerun import rerun
from daemon.runtime.durable import DurableEngine
from daemon.store import EventFilter, Store, open_reader
from daemon.trainer.trainer import InlineTrainer
from tests.e2e.processes import Daemon, Writer, cpu_ns, json_of, running, until

ROWS = 1_500
FIRST = 200  # rows after which the warm-up is over
KILLS = {"training": 8, "start": 4, "any": 8}
CONFIGURATION = """\
version: 1
state_dir: state
streams:
  taxi:
    sources: [{type: file, path: nyc_taxi.csv}]
    interval: 30m
    timezone: America/New_York
    clock: event
    warm_up: 3d
    model: {window: 16, copies: 16, retrain_every: 50}
    alerts: {false_alarms_per_month: 60, refractory: 1h, limits: {max: 27500}}
events: {file: events.jsonl}
checkpoint: {every: 1s}
http: {listen: "127.0.0.1:0"}
log: {format: plain}
"""


@dataclass(frozen=True)
class Reference:
    """What a run says that nobody interrupts."""

    lines: list[bytes]
    state_sha256: str
    events: list[Event]


@pytest.fixture(scope="module")
def reference(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Replay of the first rows, with many trainings and events."""
    directory = tmp_path_factory.mktemp("reference")
    data = (shared_data / "nab/data/realKnownCause/nyc_taxi.csv").read_bytes()
    lines = data.splitlines(keepends=True)[: ROWS + 1]
    file, config = directory / "nyc_taxi.csv", make(directory)
    file.write_bytes(b"".join(lines))
    replayed = json_of("replay", file, "--config", config, "--record", "events.jsonl", cwd=directory)
    assert (replayed["readings"], replayed["trainings"]["failed"]) == (ROWS, 0)
    assert replayed["trainings"]["promoted"] >= 20
    events = read_events(directory / "events.jsonl")
    assert len(events) >= 20
    return Reference(lines, replayed["state_sha256"], events)


def make(directory: Path) -> Path:
    """A configuration with many trainings and events."""
    config = directory / "tidegauge.yaml"
    config.write_text(CONFIGURATION)
    return config


def expect_as_if_uninterrupted(directory: Path, reference: Reference) -> None:
    """State, event list, event file and the repeated journal equal replay's of the whole file."""
    state, recorded = recovered(directory / "state")
    assert state == reference.state_sha256
    assert recorded == reference.events
    # the file is cut to its committed length at every start, so nothing is in it twice
    assert read_events(directory / "events.jsonl") == recorded
    printed = {(event.id, event.revision) for event in read_events(directory / "stdout")}
    assert printed == {(event.id, event.revision) for event in recorded}  # at least once each
    expect_repeatable(directory / "state")


def expect_repeatable(state: Path) -> None:
    """The whole journal applied to a new engine gives the state and the events that are there."""
    repeated = rerun(state, lambda done, total: None)
    assert (repeated.state_sha256, repeated.events) == recovered(state)


def recovered(directory: Path) -> tuple[str, list[Event]]:
    """SHA-256 of the state that the next start would recover, and the recorded revisions."""
    with Store.open(directory) as store:
        durable = DurableEngine(store, InlineTrainer())
        durable.recover()
        return durable.digest(), [event for _, event in store.events(EventFilter(latest_only=False))]


def test_killed_at_random_instants(tmp_path: Path, reference: Reference) -> None:
    """20 kills, of them at least 5 in the midst of a training, lose nothing, repeat nothing and leave no worker."""
    seed = int(os.environ.get("TIDEGAUGE_TEST_SEED", "2"))
    print(f"TIDEGAUGE_TEST_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    config = make(tmp_path)
    plan = [kind for kind, count in KILLS.items() for _ in range(count)]
    chance.shuffle(plan)
    hits = 0
    with Writer(tmp_path / "nyc_taxi.csv", reference.lines, seed, most=50) as writer:
        for number, kind in enumerate(plan, 1):
            with Daemon(config) as daemon:
                training = live_and_die(
                    daemon, writer, kind, FIRST + (ROWS - FIRST) * number // (len(plan) + 2), chance
                )
            hits += training
            print(f"{number}: {kind}, {training=}")  # noqa: T201
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.finish()
            until("all read", lambda: daemon.has_read(ROWS))
            assert daemon.end() == 0
    assert hits >= 5
    expect_as_if_uninterrupted(tmp_path, reference)


def live_and_die(daemon: Daemon, writer: Writer, kind: str, rows: int, chance: random.Random) -> bool:
    """Let a daemon run, with more lines to read, and kill it; whether a training was under way."""
    training = False
    if kind == "start":
        writer.allow(rows)
        time.sleep(chance.uniform(0, 4))
    elif kind == "any":
        daemon.loaded()
        writer.allow(rows)
        time.sleep(chance.uniform(0, 1.5))
    else:
        daemon.loaded()
        writer.allow(rows)
        until("a training", lambda: at_work(daemon), every_s=0)
        time.sleep(chance.uniform(0, 0.05))
        training = at_work(daemon) is not None
    worker_now = daemon.worker()
    daemon.process.kill()
    daemon.process.wait()
    if worker_now is not None:
        until("the worker is gone", lambda: not running(worker_now))
    return training


def at_work(daemon: Daemon) -> int | None:
    """The worker's process id when it trains.

    It is nicer than the daemon once it has torch, and does nothing from then on but train.
    """
    worker = daemon.worker()
    return worker if worker is not None and _has_started(worker, daemon) and busy(worker) else None


def _has_started(worker: int, daemon: Daemon) -> bool:
    try:
        return os.getpriority(os.PRIO_PROCESS, worker) > os.getpriority(os.PRIO_PROCESS, daemon.pid)
    except ProcessLookupError:
        return False


def busy(worker: int) -> bool:
    """Whether the worker, which does nothing but train, has used the processor just now."""
    before = cpu_ns(worker)
    time.sleep(0.004)
    return cpu_ns(worker) > before


def test_stop_in_a_training(tmp_path: Path, reference: Reference) -> None:
    """SIGTERM while a training is awaited: exit 0 at once, no failure is recorded, and nothing is lost."""
    config = make(tmp_path)
    with Writer(tmp_path / "nyc_taxi.csv", reference.lines, 3, pause_s=0) as writer:
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.allow(ROWS)
            worker = until("a training", lambda: at_work(daemon), every_s=0)
            os.kill(worker, signal.SIGSTOP)  # it shall take longer than the test
            time.sleep(0.3)
            assert daemon.end() == 0, daemon.said()
            assert not running(worker)
        with open_reader(tmp_path / "state") as reader:
            assert all(record.status == "promoted" for record in reader.models())
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.finish()
            until("all read", lambda: daemon.has_read(ROWS))
            assert daemon.end() == 0
    expect_as_if_uninterrupted(tmp_path, reference)


def test_worker_killed_in_a_training(tmp_path: Path, reference: Reference) -> None:
    """A worker killed by kill -9 is a failed training: recorded, counted, and the same when repeated."""
    config = make(tmp_path)
    with Writer(tmp_path / "nyc_taxi.csv", reference.lines, 4, pause_s=0) as writer:
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.allow(1 + ROWS // 2)
            worker = until("a training", lambda: at_work(daemon), every_s=0)
            os.kill(worker, signal.SIGKILL)
            until("half read", lambda: daemon.has_read(ROWS // 2))
            assert daemon.worker() not in (None, worker)
            outcomes = daemon.metric("tidegauge_fine_tunes_total")
            assert outcomes['{outcome="failed",stream="taxi"}'] == 1
            assert outcomes['{outcome="promoted",stream="taxi"}'] >= 5
            assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        with Daemon(config) as daemon:
            daemon.loaded()
            writer.finish()
            until("all read", lambda: daemon.has_read(ROWS))
            assert daemon.metric("tidegauge_fine_tunes_total")['{outcome="failed",stream="taxi"}'] == 1
            assert daemon.end() == 0
    failed = [m for m in json_of("models", "list", "--config", config, cwd=tmp_path) if m["status"] == "failed"]
    assert [(m["reason"], m["version"]) for m in failed] == [("killed", None)]
    expect_repeatable(tmp_path / "state")
