"""From where readings live to where people are, all of it real: a scraped target, its sender, Tidegauge, Alertmanager.

Each of them is killed with `kill -9` on the way. The target shows a number that grows with each scrape, so that the
journal shows whether one was lost or came twice.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from daemon.engine.messages.inputs import Batch
from daemon.store import open_reader
from tests.adapters.sinks.alertmanager_process import AlertmanagerProcess
from tests.adapters.sinks.receiver import Receiver
from tests.conftest import need
from tests.e2e.processes import Daemon, until

ODD = 1e6
"""Added to what the target shows while it is wrong; the limit lies below it."""


class Target:
    """What is scraped: one metric, which grows by one with each scrape."""

    def __init__(self) -> None:
        self.scrapes, self.odd, self.hidden = 0, False, False
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = b""
                if not target.hidden:
                    target.scrapes += 1
                    body = f"tide_level {target.scrapes + ODD * target.odd}\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Target:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def prometheus(config: Path, url: str) -> list[str]:
    """The command of a Prometheus that scrapes and writes."""
    written = yaml.safe_load(config.read_text())
    keep = {"source_labels": ["__name__"], "regex": "tide_level", "action": "keep"}
    queue = {"batch_send_deadline": "200ms", "min_backoff": "30ms", "max_backoff": "300ms"}
    written["remote_write"] = [{"url": url, "write_relabel_configs": [keep], "queue_config": queue}]
    config.write_text(yaml.safe_dump(written))
    data = config.with_name("prometheus-data")
    return [
        str(need("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        "--web.listen-address=127.0.0.1:0",
    ]


def vmagent(config: Path, url: str) -> list[str]:
    """The command of VictoriaMetrics' agent that scrapes and writes."""
    return [
        str(need("vmagent")),
        f"-promscrape.config={config}",
        f"-remoteWrite.url={url}",
        f"-remoteWrite.tmpDataPath={config.with_name('vmagent-data')}",
        "-remoteWrite.flushInterval=200ms",
        "-httpListenAddr=127.0.0.1:0",
    ]


@contextmanager
def running(command: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, killed with `kill -9` in the end."""
    with (directory / "sender.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def journaled(directory: Path) -> list[float]:
    """Every reading in the journal, in order."""
    with open_reader(directory) as reader:
        batches = [item for _, item in reader.entries() if isinstance(item, Batch)]
    return [value % ODD for batch in batches for value in batch.values[:, 0].tolist()]


@pytest.mark.parametrize("sender", [prometheus, vmagent])
def test_what_goes_wrong_is_told_once_and_resolves(tmp_path: Path, sender: object) -> None:
    """It fires, whoever is killed meanwhile; it resolves, and never fires after that; no reading lost, none doubled."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Receiver() as people, Target() as target, AlertmanagerProcess(tmp_path, people.url) as alertmanager:
        config = tmp_path / "tidegauge.yaml"
        stream = {
            "sources": [{"type": "prometheus", "match": ["tide_level"], "series": "{instance}"}],
            "interval": "1s",
            "aggregate": "last",
            "warm_up": "1h",
            "alerts": {"limits": {"max": ODD - 1}, "refractory": "0s"},
        }
        events = {"stdout": False, "alertmanager": [{"url": alertmanager.url, "resend": "1s"}]}
        settings = {"version": 1, "state_dir": "state", "streams": {"tide": stream}, "events": events}
        settings |= {"http": {"listen": f"127.0.0.1:{port}"}, "log": {"format": "plain"}}
        config.write_text(yaml.safe_dump(settings))
        scrape = tmp_path / "scrape.yml"
        job = {"job_name": "tide", "static_configs": [{"targets": [target.address]}]}
        job |= {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
        scrape.write_text(yaml.safe_dump({"scrape_configs": [job]}))
        command = (prometheus if sender is prometheus else vmagent)(
            scrape, f"http://127.0.0.1:{port}/api/v1/write?stream=tide"
        )

        def notes() -> list[str]:
            """What Alertmanager told people."""
            bodies = [json.loads(each.body) for each in people.got]
            return [alert["status"] for body in bodies for alert in body["alerts"]]

        def active() -> list[str]:
            return [alert["labels"]["series"] for alert in alertmanager.alerts()]

        with running(command, tmp_path) as process:
            with Daemon(config) as daemon:
                daemon.loaded()
                until("readings", lambda: len(journaled(tmp_path / "state")) > 5)
                target.odd = True
                until("it fires", lambda: notes() == ["firing"])
                assert active() == [target.address]
                daemon.end(signal.SIGKILL)
            seen = target.scrapes
            until("scrapes that nobody takes", lambda: target.scrapes > seen + 5)
            alertmanager.end()
            with Daemon(config) as daemon:
                daemon.loaded()
                alertmanager.start()
                until("it is told again", lambda: active() == [target.address])
                target.odd = False
                until("it resolves", lambda: "resolved" in notes())
                after = len(notes())
                target.hidden = True
                first = int(min(journaled(tmp_path / "state")))
                whole = [float(n) for n in range(first, target.scrapes + 1)]
                # an agent's blocks overtake each other, and one that waits to be sent again waits up to a minute
                until("all is journaled", lambda: set(whole) <= set(journaled(tmp_path / "state")), limit_s=150)
                assert sorted(journaled(tmp_path / "state")) == whole, "none doubled"
                assert "firing" not in notes()[after:]
                process.kill()
                process.wait()
                with running(command, tmp_path):
                    target.hidden, target.odd, after = False, True, len(notes())
                    until("the sender's next life is heard too", lambda: "firing" in notes()[after:])
                assert daemon.end() == 0
