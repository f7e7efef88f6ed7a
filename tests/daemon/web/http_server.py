"""A real server on a free port of the loopback, for tests that talk to it as clients do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from daemon.engine.messages.events import Event
from daemon.metrics.collector import Picture
from daemon.store import EventFilter
from daemon.web import routes
from daemon.web.connections import Server
from daemon.web.records import Records
from tests.daemon.web.pictures import event, picture

NOWHERE = Path("/nonexistent")


class HandMadeRecords(Records):
    """Records of an empty directory, with events that a function makes."""

    def __init__(self, directory: Path, made: Callable[..., Any]) -> None:
        super().__init__(directory)
        self._made = made

    def events(self, wanted: EventFilter, limit: int) -> list[tuple[int, Event]]:
        """What the function makes of the filter and the limit."""
        return list(enumerate(map(Event.from_json, self._made(wanted, limit)), 1))


@asynccontextmanager
async def server(
    shown: Picture | Callable[[], Picture] | None = None,
    events: Callable[..., Any] = lambda wanted, limit: [event()],
    *,
    listen: tuple[str, int] = ("127.0.0.1", 0),
    records: Records | None = None,
    **given: Any,
) -> AsyncIterator[str]:
    """The address of a server that shows `shown`."""
    whole = picture() if shown is None else shown
    wanted: dict[str, Any] = {"healthy": lambda: True, "ready": lambda: (True, ""), "reload": reloaded, **given}
    records = records or HandMadeRecords(NOWHERE, events)
    serving = Server(routes.make_app(whole if callable(whole) else lambda: whole, records, **wanted), listen)
    await serving.start()
    try:
        yield serving.name
    finally:
        await serving.close()


async def reloaded() -> bool:
    """A reload that went well."""
    return True


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


async def ask(url: str, method: str = "GET", **given: Any) -> Answer:
    """One request."""
    async with aiohttp.ClientSession() as session, session.request(method, url, **given) as response:
        return Answer(response.status, response.headers, await response.read())


async def talk(address: str, sent: bytes, seconds: float = 5.0) -> bytes:
    """All that the server says to raw bytes until it closes the connection."""
    host, port = address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
    try:
        writer.write(sent)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()


def asked(path: str, method: str = "GET", *, request: dict[str, Any] | None = None, **given: Any) -> Answer:
    """One request to a server of its own."""

    async def run() -> Answer:
        async with server(**given) as address:
            return await ask(address + path, method, **(request or {}))

    return asyncio.run(run())


def served(work: Callable[[str], Awaitable[Any]], **given: Any) -> Any:
    """What `work` makes of a server's address."""

    async def run() -> Any:
        async with server(**given) as address:
            return await work(address)

    return asyncio.run(run())
