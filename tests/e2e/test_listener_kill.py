"""Row 13 of the sockets: the daemon is killed between receipt and scoring, and its sender repeats what was not told."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from daemon.replay.expectations import read_events
from tests.e2e.processes import TIDEGAUGE, Daemon, json_of, until
from tests.e2e.test_kill import recovered

ROWS, KILLS, SEED = 700, 3, 5
CONFIGURATION = """\
version: 1
state_dir: state
streams:
  taxi:
    sources: [{{type: tcp, listen: "127.0.0.1:{port}", ack: true}}]
    interval: 30m
    timezone: America/New_York
    clock: event
    warm_up: 3d
    model: {{window: 16, copies: 4, retrain_every: 200}}
    alerts: {{false_alarms_per_month: 60, refractory: 1h, limits: {{max: 27500}}}}
events: {{file: events.jsonl}}
checkpoint: {{every: 1s}}
http: {{listen: "127.0.0.1:0"}}
log: {{format: plain}}
"""


def accepted_by(daemon: Daemon) -> float:
    """Readings accepted, as its metrics say."""
    return sum(daemon.metric("tidegauge_readings_accepted_total").values())


def test_13_killed_between_receipt_and_scoring(tmp_path: Path, shared_data: Path) -> None:
    """With `ack` each reading has one effect: accepted once, rejected when repeated, and events are as replayed."""
    data = (shared_data / "nab/data/realKnownCause/nyc_taxi.csv").read_bytes()
    file = tmp_path / "tcp.csv"  # its stem is the name that a connection gives
    file.write_bytes(b"".join(data.splitlines(keepends=True)[: ROWS + 1]))
    config = tmp_path / "tidegauge.yaml"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config.write_text(CONFIGURATION.format(port=port))
    replayed = json_of("replay", file, "--config", config, "--record", "expected.jsonl", cwd=tmp_path)
    assert replayed["readings"] == ROWS
    chance = random.Random(SEED)
    command: list[str | Path] = [
        TIDEGAUGE,
        "replay",
        file,
        "--config",
        config,
        "--to",
        f"tcp://127.0.0.1:{port}",
        "--ack",
    ]
    with Daemon(config) as first:
        first.loaded()
        with subprocess.Popen([*command, "--speed", "300000x"], cwd=tmp_path, stdout=subprocess.PIPE) as player:
            before = 0
            for number in range(KILLS):
                daemon = first if number == 0 else Daemon(config)
                with daemon:
                    daemon.loaded()
                    until("new readings", partial(daemon.has_read, min(before + 50, ROWS)))
                    before = int(accepted_by(daemon))
                    time.sleep(chance.uniform(0, 0.3))
                    daemon.end(signal.SIGKILL)
            with Daemon(config) as last:
                out, _ = player.communicate(timeout=120)
                assert (player.returncode, out) == (0, f"{ROWS + 1} lines sent to tcp://127.0.0.1:{port}\n".encode())
                # the player was told so before the next picture for the metrics was taken
                until("all accepted", lambda: accepted_by(last) == ROWS)
                rejected = last.metric("tidegauge_readings_rejected_total")
                assert last.end() == 0
    repeated = {f'{{reason="{reason}",stream="taxi"}}' for reason in ("revision", "too_old")}
    assert {labels for labels, count in rejected.items() if count} <= repeated
    _, events = recovered(tmp_path / "state")
    assert events == read_events(tmp_path / "expected.jsonl")
