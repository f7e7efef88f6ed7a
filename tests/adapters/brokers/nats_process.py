"""A real nats-server with JetStream on the loopback, and a publisher that waits until the stream has each message."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import nats

from tests.server_process import ServerProcess

T = TypeVar("T")


class NatsProcess(ServerProcess):
    """One that keeps its streams over several lives.

    Args:
        directory: For its files.
        more: Lines added to its configuration.
        options: How a client of the test connects.
    """

    program = "nats-server"

    def __init__(self, directory: Path, more: str = "", **options: Any) -> None:
        super().__init__(directory)
        self._options, self._config = options, directory / "nats.conf"
        store = f'jetstream {{ store_dir: "{directory / "nats-data"}" }}\n'
        self._config.write_text(f'listen: "127.0.0.1:{self.port}"\n{store}{more}')
        self.url = f"nats://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        """See `ServerProcess.arguments`."""
        return ["-c", str(self._config)]

    def ready(self) -> bool:
        """Whether JetStream answers."""
        try:
            self.ask(lambda stream: stream.account_info())
        except (OSError, nats.errors.Error):
            return False
        return True

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


async def _unheard(error: Exception) -> None:
    """What fails is raised where it is asked for."""
