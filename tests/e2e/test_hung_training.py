"""A training that hangs: the daemon reads on, other streams go on, and a kill in the middle loses nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from daemon.engine.messages.inputs import Batch
from daemon.store import open_reader
from tests.e2e.processes import Daemon, get, json_of, lines_of, until
from tests.e2e.test_kill import expect_repeatable

STREAM = """\
  {name}:
    sources: [{{type: udp, listen: "127.0.0.1:{port}"}}]
    format: {{type: jsonl}}
    interval: 60s
    clock: event
    warm_up: {warm_up}
    alerts: {{limits: {{max: 100}}}}
    model: {{window: 8, copies: 1, time_limit: 10m}}
"""
FIRST = 1_700_000_040
WARM_UP, TRAINED, SENT = 60, 80, 200


def make(directory: Path) -> tuple[Path, dict[str, socket.socket]]:
    """A configuration of three streams, of which one will never train, and a sender to each."""
    senders, streams = {}, ""
    for name, warm_up in {"hung": "1h", "other": "1d", "earlier": "1h"}.items():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        streams += STREAM.format(name=name, port=port, warm_up=warm_up)
        senders[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        senders[name].connect(("127.0.0.1", port))
    config = directory / "tidegauge.yaml"
    config.write_text(
        f"version: 1\nstate_dir: state\nstreams:\n{streams}"
        "http: {listen: '127.0.0.1:0'}\nevents: {file: events.jsonl, stdout: false}\nlog: {format: plain}\n"
    )
    return config, senders


def send(sender: socket.socket, first: int, count: int, value: float = 10.0) -> None:
    """One reading a minute, a datagram each."""
    for slot in range(first, first + count):
        sender.send(b'{"timestamp": %d, "series": "s", "value": %f}' % (FIRST + 60 * slot, value + slot % 7))


def of_stream(daemon: Daemon, metric: str, stream: str) -> float | None:
    """A stream's sample, None where there is none."""
    return daemon.metric(f"tidegauge_{metric}").get(f'{{stream="{stream}"}}')


def limits_in(events: Path) -> list[str]:
    """Streams with a reading beyond their limit, of the events that were delivered."""
    return [event["stream"] for event in lines_of(events) if "limit" in event["reasons"]] if events.exists() else []


def test_a_hung_training_holds_back_its_stream_alone(tmp_path: Path) -> None:
    """A worker is stopped in a training whose result is due, and the daemon is killed by kill -9 while it waits.

    Until then another stream's limit is told of, what comes for the stream itself is journaled, and `ready`, status
    and metrics say what waits. Afterwards everything that was read is applied, once, and a repeated journal agrees.
    """
    config, senders = make(tmp_path)
    with senders["hung"], senders["other"], senders["earlier"]:
        with Daemon(config) as daemon:
            daemon.loaded()
            send(senders["earlier"], 0, TRAINED)
            promoted = '{outcome="promoted",stream="earlier"}'
            until("a training", lambda: daemon.metric("tidegauge_fine_tunes_total").get(promoted))
            os.kill(until("its worker, which has nothing to do", daemon.worker), signal.SIGSTOP)
            send(senders["hung"], 0, TRAINED)
            since = until("waiting", lambda: of_stream(daemon, "training_awaited_since_timestamp_seconds", "hung"))
            send(senders["other"], 0, TRAINED)
            send(senders["other"], TRAINED, 1, value=500.0)
            until("the alarm of the other", lambda: limits_in(tmp_path / "events.jsonl") == ["other"])
            assert of_stream(daemon, "readings_accepted_total", "other") == TRAINED + 1

            send(senders["hung"], TRAINED, SENT - TRAINED - 1)
            send(senders["hung"], SENT - 1, 1, value=500.0)
            lines = '{source="hung/0"}'
            until("all read", lambda: daemon.metric("tidegauge_source_lines_total").get(lines) == SENT)
            until("all journaled", lambda: _journaled(tmp_path / "state", "hung") == SENT)
            accepted = of_stream(daemon, "readings_accepted_total", "hung")
            assert accepted is not None and WARM_UP < accepted < TRAINED
            assert of_stream(daemon, "training_awaited_since_timestamp_seconds", "hung") == since
            assert (of_stream(daemon, "inputs_waiting", "hung") or 0) > 0
            assert of_stream(daemon, "inputs_waiting", "other") == 0
            assert "hung waits for training hung@" in get(f"{daemon.address()}/-/ready")
            behind = json_of("status", "--config", config, cwd=tmp_path)["process"]["behind"]
            assert (list(behind), behind["hung"]["since"]) == (["hung"], since)
            assert json.loads(get(f"{daemon.address()}/api/v1/status"))["process"]["behind"] == behind
            daemon.process.kill()
            daemon.process.wait()
        with Daemon(config) as daemon:
            daemon.loaded()
            until("all applied", lambda: of_stream(daemon, "readings_accepted_total", "hung") == SENT)
            until("its own alarm", lambda: sorted(limits_in(tmp_path / "events.jsonl")) == ["hung", "other"])
            until("nothing waits", lambda: of_stream(daemon, "inputs_waiting", "hung") == 0)
            assert of_stream(daemon, "training_awaited_since_timestamp_seconds", "hung") is None
            assert daemon.end() == 0
    expect_repeatable(tmp_path / "state")


def _journaled(state: Path, stream: str) -> int:
    """Readings of a stream in the journal."""
    with open_reader(state) as reader:
        batches = [item for _, item in reader.entries() if isinstance(item, Batch)]
    return sum(len(batch) for batch in batches if batch.stream == stream)
