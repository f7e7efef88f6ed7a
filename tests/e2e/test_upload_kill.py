"""Posted readings and `kill -9`: a sender that repeats what was not answered has each reading count exactly once."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from daemon.replay.expectations import read_events
from tests.e2e.processes import Daemon, json_of, until
from tests.e2e.test_kill import recovered
from tests.e2e.test_listener_kill import CONFIGURATION, ROWS, accepted_by

KILLS, SEED, LINES_A_BODY = 3, 7, 12


class Sender:
    """Posts bodies in order, each again until it is answered with 200, from a thread of its own."""

    def __init__(self, port: int, bodies: Sequence[bytes], pause_s: float) -> None:
        self._port, self._bodies, self._pause_s = port, bodies, pause_s
        self.repeated = self.tries = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for body in self._bodies:
            while not self._told(body):
                time.sleep(0.05)
            time.sleep(self._pause_s)

    def _told(self, body: bytes) -> bool:
        self.tries += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("POST", "/api/v1/readings?series=tcp", body)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        assert answer.status in (200, 503), said
        if answer.status == 200:
            self.repeated += json.loads(said)["repeated"]
        return answer.status == 200

    def finish(self) -> None:
        """Wait until all are answered."""
        self._thread.join(180)
        assert not self._thread.is_alive()


def test_each_reading_counts_once(tmp_path: Path, shared_data: Path) -> None:
    """Killed again and again: all accepted, none rejected as a duplicate, and the events are those of a replay."""
    data = (shared_data / "nab/data/realKnownCause/nyc_taxi.csv").read_bytes().splitlines(keepends=True)[: ROWS + 1]
    (tmp_path / "tcp.csv").write_bytes(b"".join(data))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = CONFIGURATION.format(port=port)
    text = text.replace(f'{{type: tcp, listen: "127.0.0.1:{port}", ack: true}}', "{type: http}")
    config = tmp_path / "tidegauge.yaml"
    config.write_text(text.replace('http: {listen: "127.0.0.1:0"}', f'http: {{listen: "127.0.0.1:{port}"}}'))
    json_of("replay", tmp_path / "tcp.csv", "--config", config, "--record", "expected.jsonl", cwd=tmp_path)
    bodies = [data[0] + b"".join(data[at : at + LINES_A_BODY]) for at in range(1, len(data), LINES_A_BODY)]
    sender, chance, before = Sender(port, bodies, 0.02), random.Random(SEED), 0
    for _ in range(KILLS):
        with Daemon(config) as daemon:
            daemon.loaded()
            until("new readings", partial(daemon.has_read, min(before + 50, ROWS)))
            before = int(accepted_by(daemon))
            time.sleep(chance.uniform(0, 0.3))
            daemon.end(signal.SIGKILL)
    with Daemon(config) as last:
        last.loaded()
        sender.finish()
        until("all accepted", lambda: accepted_by(last) == ROWS)
        assert sum(last.metric("tidegauge_readings_rejected_total").values()) == 0
        assert last.end() == 0
    assert sender.tries > len(bodies)
    _, events = recovered(tmp_path / "state")
    assert events == read_events(tmp_path / "expected.jsonl")
