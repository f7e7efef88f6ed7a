"""A real Alertmanager on the loopback, which tells a receiver."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.conftest import need
from tests.e2e.processes import until

CONFIG = """\
route: {{receiver: people, group_by: [alertname, series], group_wait: 200ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: people
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class AlertmanagerProcess:
    """One that keeps its port and its storage over several lives.

    Args:
        directory: For its files.
        people: Address that it tells.
    """

    def __init__(self, directory: Path, people: str) -> None:
        self._program = need("prometheus-alertmanager")
        self._directory = directory
        self._config = directory / "alertmanager.yml"
        self._config.write_text(CONFIG.format(url=people))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with (self._directory / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._program),
                    f"--config.file={self._config}",
                    f"--storage.path={self._directory / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        until("Alertmanager is ready", self._ready)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """Those that are active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found

    def kill(self) -> None:
        """As `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._directory / "alertmanager", ignore_errors=True)
