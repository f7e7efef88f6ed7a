"""A real mosquitto on the loopback, and a publisher that goes on until the broker has each message."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from paho.mqtt import publish

from tests.conftest import need
from tests.e2e.processes import until

CONFIG = """\
listener {port} 127.0.0.1
max_inflight_messages 5000
max_queued_messages 0
sys_interval 0
log_type all
"""


KEPT = """\
persistence true
persistence_location {data}/
autosave_interval 1
autosave_on_changes true
"""
"""What writes all down after each change, so that little is lost by `kill -9`; slow."""


class MosquittoProcess:
    """One that keeps its port over several lives.

    Args:
        directory: For its files.
        more: Lines added to its configuration; by default anybody may connect.
        kept: Whether sessions and messages outlive it.
    """

    def __init__(self, directory: Path, more: str = "allow_anonymous true\n", *, kept: bool = False) -> None:
        self._program = need("mosquitto")
        self._directory = directory
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        data = directory / "mosquitto-data"
        data.mkdir(mode=0o700, exist_ok=True)
        self._config = directory / "mosquitto.conf"
        # as root it would change to a user of its own, who cannot enter pytest's directory
        text = CONFIG.format(port=self.port) + KEPT.format(data=data) * kept
        self._config.write_text(f"{text}user root\n{more}")
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged, over all its lives."""
        return (self._directory / "mosquitto.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self._directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([str(self._program), "-c", str(self._config)], stdout=log, stderr=log)
        until("mosquitto listens", self._listens, every_s=0.01)

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def stall(self) -> None:
        """Have it do nothing until it ends or goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait until it has ended; by default as `kill -9` does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
            self._process.wait()

    def publish(self, messages: Iterable[tuple[str, bytes]], retain: bool = False, qos: int = 1) -> None:
        """Publish topics and payloads in order; returns when the broker has acknowledged all of them."""
        whole: Any = [{"topic": topic, "payload": payload, "qos": qos, "retain": retain} for topic, payload in messages]
        if whole:
            publish.multiple(whole, hostname="127.0.0.1", port=self.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
