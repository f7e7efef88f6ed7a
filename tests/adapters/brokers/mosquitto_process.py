"""A real mosquitto on the loopback, and a publisher that goes on until the broker has each message."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from paho.mqtt import publish

from tests.server_process import ServerProcess

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


class MosquittoProcess(ServerProcess):
    """One that can be made to forget, or not to.

    Args:
        directory: For its files.
        more: Lines added to its configuration; by default anybody may connect.
        kept: Whether sessions and messages outlive it.
    """

    program = "mosquitto"

    def __init__(self, directory: Path, more: str = "allow_anonymous true\n", *, kept: bool = False) -> None:
        super().__init__(directory)
        data = directory / "mosquitto-data"
        data.mkdir(mode=0o700, exist_ok=True)
        self._config = directory / "mosquitto.conf"
        # as root it would change to a user of its own, who cannot enter pytest's directory
        text = CONFIG.format(port=self.port) + KEPT.format(data=data) * kept
        self._config.write_text(f"{text}user root\n{more}")
        self.url = f"mqtt://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        """See `ServerProcess.arguments`."""
        return ["-c", str(self._config)]

    def publish(self, messages: Iterable[tuple[str, bytes]], retain: bool = False, qos: int = 1) -> None:
        """Publish topics and payloads in order; returns when the broker has acknowledged all of them."""
        whole: Any = [{"topic": topic, "payload": payload, "qos": qos, "retain": retain} for topic, payload in messages]
        if whole:
            publish.multiple(whole, hostname="127.0.0.1", port=self.port)
