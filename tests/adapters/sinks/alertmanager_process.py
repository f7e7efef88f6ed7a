"""A real Alertmanager on the loopback, which tells a receiver."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

from tests.server_process import ServerProcess

CONFIG = """\
route: {{receiver: people, group_by: [alertname, series], group_wait: 200ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: people
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class AlertmanagerProcess(ServerProcess):
    """One that keeps its storage over several lives.

    Args:
        directory: For its files.
        people: Address that it tells.
    """

    program = "prometheus-alertmanager"

    def __init__(self, directory: Path, people: str) -> None:
        super().__init__(directory)
        self._config, self._storage = directory / "alertmanager.yml", directory / "alertmanager"
        self._config.write_text(CONFIG.format(url=people))
        self.url = f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        """See `ServerProcess.arguments`."""
        return [
            f"--config.file={self._config}",
            f"--storage.path={self._storage}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=debug",
        ]

    def ready(self) -> bool:
        """Whether it says so."""
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

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self._storage, ignore_errors=True)
