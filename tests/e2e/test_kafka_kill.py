"""Kafka and `kill -9` of the daemon in mid-stream: each reading counts exactly once, by offsets in the journal.

The brokers are librdkafka's mock cluster, in the test's process; it forgets all with it, so brokers are not killed.
"""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from pathlib import Path

import yaml

from daemon.replay.expectations import read_events
from tests.adapters.brokers.kafka_cluster import PARTITIONS, KafkaCluster
from tests.e2e.processes import Daemon, json_of, until
from tests.e2e.test_broker_kill import ROWS, lines
from tests.e2e.test_kill import recovered
from tests.e2e.test_listener_kill import accepted_by

KILLS, SEED = 2, 11


def test_each_reading_counts_once(tmp_path: Path) -> None:
    """Killed twice while messages come: all are accepted once, none repeated, and events are those of a replay."""
    whole, chance = lines(), random.Random(SEED)
    (tmp_path / "quay.csv").write_bytes(b"".join(whole))
    config = tmp_path / "tidegauge.yaml"
    with KafkaCluster() as cluster:
        cluster.publish([("tide", None, None)], PARTITIONS - 1)
        stream = {
            "sources": [{"type": "kafka", "url": cluster.url, "consumer": "tide", "topics": ["tide"]}],
            "format": {"columns": ["timestamp", "value"]},
            "interval": "1h",
            "clock": "event",
            "warm_up": "90d",
            "alerts": {"limits": {"max": 100}},
        }
        settings = {"version": 1, "state_dir": "state", "streams": {"tide": stream}}
        settings |= {"http": {"listen": "127.0.0.1:0"}, "events": {"stdout": False}}
        settings |= {"checkpoint": {"every": "1s"}, "log": {"format": "plain"}}
        config.write_text(yaml.safe_dump(settings))
        json_of("replay", tmp_path / "quay.csv", "--config", config, "--record", "expected.jsonl", cwd=tmp_path)
        sent = 0
        for number in range(1, KILLS + 2):
            with Daemon(config) as daemon:
                daemon.loaded()
                until_ = ROWS * number // (KILLS + 1)
                for start in range(sent, until_, 20):
                    cluster.publish([("tide", "quay", line) for line in whole[start : min(start + 20, until_)]])
                    time.sleep(0.01)
                before, sent = sent, until_
                if number <= KILLS:
                    until("new readings", partial(daemon.has_read, (before + sent) // 2 + 1))
                    time.sleep(chance.uniform(0, 0.2))
                    daemon.end(signal.SIGKILL)
                    continue
                until("all accepted", lambda: accepted_by(daemon) == ROWS)
                assert sum(daemon.metric("tidegauge_readings_rejected_total").values()) == 0
                assert sum(daemon.metric("tidegauge_readings_repeated_total").values()) == 0
                assert sum(daemon.metric("tidegauge_source_lag_messages").values()) == 0
                assert daemon.end() == 0
    _, events = recovered(tmp_path / "state")
    assert events == read_events(tmp_path / "expected.jsonl")
