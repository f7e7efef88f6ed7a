"""Brokers and `kill -9`: of the daemon in mid-stream, and of the broker; each reading counts exactly once."""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from daemon.replay.expectations import read_events
from tests.adapters.brokers.mosquitto_process import MosquittoProcess
from tests.adapters.brokers.nats_process import NatsProcess
from tests.e2e.processes import Daemon, json_of, until
from tests.e2e.test_kill import recovered
from tests.e2e.test_listener_kill import accepted_by

ROWS, KILLS, SEED, START_S = 600, 2, 11, 1_784_160_000


class BrokerProcess(Protocol):
    """A real broker that keeps its messages over several lives."""

    def __enter__(self) -> BrokerProcess: ...
    def __exit__(self, *_: object) -> None: ...
    def start(self) -> None: ...
    def end(self, number: int = signal.SIGKILL) -> None: ...
    def publish(self, messages: Sequence[tuple[str, bytes]]) -> object: ...


def mosquitto(directory: Path) -> tuple[BrokerProcess, dict[str, object]]:
    broker = MosquittoProcess(directory, kept=True)
    source = {"type": "mqtt", "url": broker.url, "client": "tide", "topics": ["tide/#"], "series": "{level2}"}
    return broker, source | {"in_flight": 40}


def nats(directory: Path) -> tuple[BrokerProcess, dict[str, object]]:
    broker = NatsProcess(directory)
    source = {"type": "nats", "url": broker.url, "consumer": "tide", "subject": "tide.*", "series": "{token2}"}
    return broker, source | {"in_flight": 40}


BROKERS = {"mqtt": mosquitto, "nats": nats}
AGAIN: dict[str, set[str]] = {"mqtt": {"too_old"}, "nats": set()}
"""Why readings are rejected that a broker sends again after its own `kill -9`, having written down less than it did."""


def lines() -> list[bytes]:
    """A tide that goes beyond its limit twice."""
    values = [5 + math.sin(hour / 12.4 * 2 * math.pi) + 0.01 * (hour * 7 % 13) for hour in range(ROWS)]
    values[300] = values[500] = 900.0
    return [f"{START_S + 3600 * hour},{value!r}\n".encode() for hour, value in enumerate(values)]


class Publisher:
    """Publishes lines in order, each again until the broker has it, from a thread of its own."""

    def __init__(self, broker: BrokerProcess, topic: str, whole: Sequence[bytes]) -> None:
        self._broker, self._topic, self._lines = broker, topic, whole
        self.sent = self._allowed = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def allow(self, lines: int) -> None:
        """Go on up to so many lines."""
        self._allowed = min(lines, len(self._lines))

    def _run(self) -> None:
        while self.sent < len(self._lines):
            part = self._lines[self.sent : min(self.sent + 20, self._allowed)]
            try:
                self._broker.publish([(self._topic, line) for line in part])
            except OSError:
                part = []
            self.sent += len(part)
            time.sleep(0.02)

    def finish(self) -> None:
        """Wait until all are published."""
        self.allow(len(self._lines))
        self._thread.join(120)
        assert not self._thread.is_alive()


def again(metric: str, daemon: Daemon) -> set[str]:
    """The reasons of a metric that have any."""
    return {labels.split('"')[1] for labels, count in daemon.metric(metric).items() if count}


@pytest.mark.parametrize("kind", BROKERS)
def test_each_reading_counts_once(kind: str, tmp_path: Path) -> None:
    """Daemon and broker are killed in turn: all readings are accepted once, and events are those of a replay."""
    whole, chance = lines(), random.Random(SEED)
    (tmp_path / "quay.csv").write_bytes(b"".join(whole))
    make: Callable[[Path], tuple[BrokerProcess, dict[str, object]]] = BROKERS[kind]
    broker, source = make(tmp_path)
    stream = {
        "sources": [source],
        "format": {"columns": ["timestamp", "value"]},
        "interval": "1h",
        "clock": "event",
        "warm_up": "90d",
        "alerts": {"limits": {"max": 100}},
    }
    settings = {"version": 1, "state_dir": "state", "streams": {"tide": stream}, "http": {"listen": "127.0.0.1:0"}}
    settings |= {"events": {"stdout": False}, "checkpoint": {"every": "1s"}, "log": {"format": "plain"}}
    config = tmp_path / "tidegauge.yaml"
    config.write_text(yaml.safe_dump(settings))
    json_of("replay", tmp_path / "quay.csv", "--config", config, "--record", "expected.jsonl", cwd=tmp_path)
    with broker:
        if isinstance(broker, NatsProcess):
            broker.add("TIDE", "tide.*")
        publisher = Publisher(broker, "tide/quay" if kind == "mqtt" else "tide.quay", whole)
        for number in range(1, KILLS + 1):
            with Daemon(config) as daemon:
                daemon.loaded()
                publisher.allow(ROWS * number // (KILLS + 1))
                until("new readings", partial(daemon.has_read, publisher.sent // 2 + 1))
                time.sleep(chance.uniform(0, 0.2))
                daemon.end(signal.SIGKILL)
        with Daemon(config) as last:
            last.loaded()
            until("the broker has all that it was given", lambda: publisher.sent == ROWS * KILLS // (KILLS + 1))
            until("all accepted", lambda: accepted_by(last) == publisher.sent)
            assert again("tidegauge_readings_rejected_total", last) == set()
            assert sum(last.metric("tidegauge_readings_repeated_total").values()) == 0, "what came again was known"
            time.sleep(0.2)  # what it was given, it has written
            broker.end()
            until("the source is down", lambda: "source is down" in last.said())
            broker.start()
            publisher.finish()
            until("all accepted", lambda: accepted_by(last) == ROWS)
            assert again("tidegauge_readings_rejected_total", last) <= AGAIN[kind]
            assert last.end() == 0
    _, events = recovered(tmp_path / "state")
    assert events == read_events(tmp_path / "expected.jsonl")
