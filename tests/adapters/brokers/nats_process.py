"""A real nats-server with JetStream on the loopback, and a publisher that waits until the stream has each message."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import nats

from tests.conftest import need
from tests.e2e.processes import until

T = TypeVar("T")


class NatsProcess:
    """One that keeps its port and its streams over several lives.

    Args:
        directory: For its files.
        more: Lines added to its configuration.
        options: How a client of the test connects.
    """

    def __init__(self, directory: Path, more: str = "", **options: Any) -> None:
        self._program, self._directory, self._options = need("nats-server"), directory, options
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._config = directory / "nats.conf"
        store = f'jetstream {{ store_dir: "{directory / "nats-data"}" }}\n'
        self._config.write_text(f'listen: "127.0.0.1:{self.port}"\n{store}{more}')
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self._directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([str(self._program), "-c", str(self._config)], stdout=log, stderr=log)
        until("nats-server is ready", self._ready, every_s=0.02)

    def _ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None
        try:
            self.ask(lambda stream: stream.account_info())
        except (OSError, nats.errors.Error):
            return False
        return True

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal and wait until it has ended; by default as `kill -9` does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait()

    def ask(self, what: Callable[[Any], Awaitable[T]]) -> T:
        """Do something with JetStream."""

        async def done() -> T:
            link = await nats.connect(
                self.url, allow_reconnect=False, connect_timeout=5, error_cb=_unheard, **self._options
            )
            try:
                return await what(link.jetstream())
            finally:
                await link.close()

        return asyncio.run(done())

    def add(self, stream: str, *subjects: str, **more: Any) -> None:
        """Add a stream."""
        self.ask(lambda all_: all_.add_stream(name=stream, subjects=list(subjects), **more))

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> list[int]:
        """Publish subjects and payloads in order; the stream's number of each, once it has all of them."""

        async def each(stream: Any) -> list[int]:
            return [(await stream.publish(subject, payload)).seq for subject, payload in messages]

        try:
            return self.ask(each)
        except nats.errors.Error as error:
            raise OSError(str(error)) from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


async def _unheard(error: Exception) -> None:
    """What fails is raised where it is asked for."""
