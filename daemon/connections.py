"""Deadlines and a limit for every connection of the HTTP server: no client, silent or slow, can hold one for ever."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.typedefs import Handler

FIRST_S = 10.0  # from connecting to a complete request header
REQUEST_S = 30.0  # for answering one request
IDLE_S = 75.0  # for reading the answer and sending the next request: more than Prometheus' usual interval
_LINGERING_S = 2.0  # for a body nobody asked for
MOST = 128  # connections at once
_HEADER_BYTES = 8190

_quiet = logging.getLogger("aiohttp.server")


class Connection(web.RequestHandler):
    """aiohttp's connection with a deadline that is always set."""

    __slots__ = ("_deadline",)

    _deadline: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection, unless there are too many."""
        self._deadline = None
        super().connection_made(transport)
        manager = self._manager
        if manager is not None and len(manager.connections) > MOST:
            self._give_up()
            return
        self.allow(FIRST_S)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def allow(self, seconds: float) -> None:
        """Close the connection in so many seconds, unless a later call says otherwise."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        transport = self.transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            transport.abort()  # a client that does not read would keep close() waiting
        else:
            transport.close()


@web.middleware
async def deadlines(
    request: web.Request,
    handler: Handler,
) -> web.StreamResponse:
    """Give each request its time, then the client its time to read the answer and to come back."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.allow(REQUEST_S + 1)
    try:
        async with asyncio.timeout(REQUEST_S):
            return await handler(request)
    except TimeoutError:
        raise web.HTTPServiceUnavailable(text="this took too long; try again\n") from None
    finally:
        if isinstance(connection, Connection):
            connection.allow(IDLE_S)


class Site(web.BaseSite):
    """Listens on an address, each connection with its deadlines."""

    __slots__ = ("_host", "_port")

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        super().__init__(runner)
        self._host, self._port = host, port

    @property
    def name(self) -> str:
        """Where it listens, for people."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port it is bound to, once started."""
        server = self._server
        return int(server.sockets[0].getsockname()[1]) if isinstance(server, asyncio.Server) else self._port

    async def start(self) -> None:
        """Bind and accept connections. Raises OSError when the address cannot be had."""
        await super().start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert isinstance(server, web.Server)

        def connection() -> Connection:
            return Connection(
                server,
                loop=loop,
                keepalive_timeout=IDLE_S,
                lingering_time=_LINGERING_S,
                access_log=None,  # type: ignore[arg-type]
                logger=_quiet,
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
            )

        self._server = await loop.create_server(connection, self._host, self._port)
