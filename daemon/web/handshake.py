"""A connection until TLS is agreed on: a stranger of the crowd, as any that has not asked yet.

asyncio's own servers tell a protocol of a connection only once TLS is agreed on. Until then one that sends nothing
holds a descriptor, and nobody could count or close it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from asyncio.sslproto import SSLProtocol

from daemon.web.crowd import Crowd, Rank


class Handshake(asyncio.Protocol):
    """The TCP side of a connection; once TLS is agreed on, `protocol` has it.

    Args:
        crowd: The connections of the server.
        protocol: Speaks HTTP.
        tls: Context of the server.
        handshake_s: Time to agree.
        shutdown_s: Time to part.
    """

    known = False
    rank = Rank.SILENT

    def __init__(
        self, crowd: Crowd, protocol: asyncio.Protocol, tls: ssl.SSLContext, handshake_s: float, shutdown_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None
        self._agreed = loop.create_future()
        self._agreed.add_done_callback(self._end)
        self._tls = SSLProtocol(
            loop,
            protocol,
            tls,
            self._agreed,
            server_side=True,
            ssl_handshake_timeout=handshake_s,  # type: ignore[arg-type]
            ssl_shutdown_timeout=shutdown_s,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, and agree on TLS."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._crowd.join(self)
        if not transport.is_closing():
            transport.set_protocol(self._tls)
            self._tls.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It was closed before anything began."""
        self._crowd.leave(self)

    def give_up(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, agreed: asyncio.Future[None]) -> None:
        """TLS is agreed on, or never will be."""
        self._crowd.leave(self)
        with contextlib.suppress(Exception, asyncio.CancelledError):  # a client that speaks no TLS is no news
            agreed.result()
