"""Where the HTTP server listens; deadlines and a limit for every connection: no client can hold one for ever."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from daemon.runtime.logs import RateLimited
from daemon.web.answers import HEADERS
from daemon.web.crowd import Crowd, Rank
from daemon.web.handshake import Handshake

FIRST_S = 10.0  # from connecting to a complete request header
REQUEST_S = 30.0  # for answering one request
IDLE_S = 75.0  # for reading the answer and sending the next request: more than Prometheus' usual interval
_LINGERING_S = 2.0  # for a body nobody asked for
_HEADER_BYTES = 8190
_ACCEPTED = 32  # connections accepted in one turn of the loop, so that what they send is read before many more come
_QUEUED = 128  # connections that the system keeps until they are accepted

_quiet = logging.getLogger("aiohttp.server")
_limited = RateLimited()


class HttpConnection(web.RequestHandler):
    """aiohttp's connection with a deadline that is always set, and a place in the crowd.

    Attributes:
        known: Whether it was let in once.
        rank: See `Rank`.
        failures: Wrong passwords that it has sent.
        gone: Done once it is closed.
    """

    __slots__ = ("_crowd", "_deadline", "failures", "gone", "known", "rank")

    def __init__(self, crowd: Crowd, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._crowd = crowd
        self._deadline: asyncio.TimerHandle | None = None
        self.known, self.rank, self.failures = False, Rank.SILENT, 0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept a connection; another one goes if there are too many."""
        super().connection_made(transport)
        self.allow(FIRST_S)
        self._crowd.join(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._crowd.leave(self)
        if not self.gone.done():
            self.gone.set_result(None)
        super().connection_lost(exc)

    def let_in(self) -> None:
        """It may be answered, and is no stranger any more."""
        self.known, self.rank = True, Rank.ANSWERED

    def rest(self) -> None:
        """It was answered: a stranger has little time to ask again."""
        self.rank = Rank.RESTING if self.known else Rank.SILENT
        self.allow(IDLE_S if self.known else FIRST_S)

    def allow(self, seconds: float) -> None:
        """Close the connection in so many seconds, unless a later call says otherwise."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.give_up)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong here with its traceback; what a client sent wrong is a line, and not for each request."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            _limited.warning("unreadable", "an HTTP request cannot be read", error=_reason(str(error)))
        else:
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what cannot be read with what is wrong with it, and close."""
        response = super().handle_error(request, status, exc, message)
        if isinstance(exc, HttpProcessingError):
            text = f"{status} the request cannot be read: {_reason(exc.message)}\n"
            response = web.Response(status=status, text=text, headers=HEADERS)
            response.force_close()
        return response

    def give_up(self) -> None:
        """Close it, whatever it is at."""
        transport = self.transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            transport.abort()  # a client that does not read would keep close() waiting
        else:
            transport.close()


def _reason(said: str) -> str:
    """What aiohttp's parser says, without the bytes that it quotes on further lines."""
    lines = [line.strip(" :") for line in said.removeprefix("400, message:").splitlines()]
    return next((line for line in lines if line), "malformed")


@web.middleware
async def deadlines(
    request: web.Request,
    handler: Handler,
) -> web.StreamResponse:
    """Give each request its time, then the client its time to read the answer and to come back."""
    connection = request.protocol
    if isinstance(connection, HttpConnection):
        connection.allow(REQUEST_S + 1)
    try:
        async with asyncio.timeout(REQUEST_S):
            return await handler(request)
    except TimeoutError:
        raise web.HTTPServiceUnavailable(text="this took too long; try again\n") from None
    finally:
        if isinstance(connection, HttpConnection):
            connection.rest()


class Site(web.BaseSite):
    """Listens on an address, each connection with its deadlines.

    Args:
        runner: Of the application.
        crowd: The connections of the server.
        host: To listen on; every address that a name has.
        port: 0 has the system choose.
        tls: Context of TLS; None for plain HTTP.
    """

    __slots__ = ("_crowd", "_host", "_port", "_servers", "_tls")

    def __init__(
        self, runner: web.AppRunner, crowd: Crowd, host: str, port: int, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(runner)
        self._crowd, self._host, self._port, self._tls = crowd, host, port, tls
        self._servers: list[asyncio.Server] = []

    @property
    def name(self) -> str:
        """Where it listens, for people."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http{'s' if self._tls else ''}://{host}:{self.port}"

    @property
    def wanted(self) -> tuple[str, int]:
        """Host and port that were asked for."""
        return self._host, self._port

    @property
    def port(self) -> int:
        """The port it is bound to, once started."""
        return int(self._servers[0].sockets[0].getsockname()[1]) if self._servers else self._port

    async def start(self) -> None:
        """Bind and accept connections. Raises OSError when the address cannot be had."""
        await super().start()
        self._servers = [await self._listen(self._tls)]

    async def secure(self, tls: ssl.SSLContext | None) -> None:
        """Have connections from now on use another context; those there are go on, and none is refused meanwhile."""
        old = self._servers
        bound = [bound.dup() for server in old for bound in server.sockets]
        self._servers, self._tls = [await self._listen(tls, each) for each in bound], tls
        await _retire(old)

    async def stop(self) -> None:
        """Accept no more connections."""
        await _retire(self._servers)
        await super().stop()

    async def _listen(self, tls: ssl.SSLContext | None, bound: socket.socket | None = None) -> asyncio.Server:
        loop, server = asyncio.get_running_loop(), self._runner.server
        assert isinstance(server, web.Server)

        def connection() -> HttpConnection:
            return HttpConnection(
                self._crowd,
                server,
                loop=loop,
                keepalive_timeout=IDLE_S,
                lingering_time=_LINGERING_S,
                access_log=None,
                logger=_quiet,
                auto_decompress=False,  # nobody reads bodies; one that cannot be decoded would only fail
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
            )

        def accepted() -> asyncio.Protocol:
            return Handshake(self._crowd, connection(), tls, FIRST_S, _LINGERING_S) if tls else connection()

        where: dict[str, Any] = {"sock": bound} if bound is not None else {"host": self._host, "port": self._port}
        serving = await loop.create_server(accepted, backlog=_ACCEPTED, **where)
        for each in serving.sockets:
            with each.dup() as same:
                same.listen(_QUEUED)
        return serving


async def _retire(servers: list[asyncio.Server]) -> None:
    """Close servers, but not between their accepting a connection and giving it to its protocol.

    asyncio would leave such a connection open, and its client waiting.
    """
    loop = asyncio.get_running_loop()
    for listening in (listening for server in servers for listening in server.sockets):
        loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)  # what was accepted in this turn of the loop
    for server in servers:
        server.close()


class Server:
    """An application and where it is to be had. Everything about it can be changed while it serves.

    Args:
        app: What is served.
        address: Host and port; port 0 has the system choose.
        tls: Context of TLS; None for plain HTTP.
    """

    def __init__(self, app: web.Application, address: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2.0)
        self._address, self._tls = address, tls
        self._crowd = Crowd()
        self._site: Site | None = None

    @property
    def name(self) -> str:
        """Where it listens, for people."""
        assert self._site is not None
        return self._site.name

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be had."""
        await self._runner.setup()
        try:
            self._site = await self._listen(self._address)
        except BaseException:
            await self._runner.cleanup()
            raise

    async def bind(self, address: tuple[str, int]) -> Site | None:
        """Listen there too; None when it is where it listens already. Raises OSError when the address cannot be had."""
        return None if self._site is not None and address == self._site.wanted else await self._listen(address)

    async def move(self, site: Site) -> None:
        """Leave the old address for one that `bind` gave; connections there go on."""
        if self._site is not None:
            await self._site.stop()
        self._site = site

    async def secure(self, tls: ssl.SSLContext | None) -> None:
        """Use another TLS context, or none, for connections from now on."""
        if tls is self._tls:
            return
        self._tls = tls
        if self._site is not None:
            await self._site.secure(tls)

    async def close(self) -> None:
        """Accept nothing more and end what is being answered, within seconds."""
        await self._runner.cleanup()

    async def _listen(self, address: tuple[str, int]) -> Site:
        site = Site(self._runner, self._crowd, *address, self._tls)
        try:
            await site.start()
        except BaseException:
            if site in self._runner.sites:
                await site.stop()
            raise
        return site
