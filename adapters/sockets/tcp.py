"""Listening on TCP: address, networks that are let in, keepalive, TLS."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from adapters.sockets.endpoint import ListenError
from adapters.sockets.listener import Listener, listener
from adapters.sockets.tls import Certificates
from adapters.source_kind import Surroundings

BACKLOG = 1024
_RECEIVE_BYTES = 256 << 10
"""Kernel buffer of each connection; left to itself it grows to several MiB, times the number of connections."""
KEEPALIVE_S = 60
"""Silence before the first probe; a peer that answers none of six, a sixth of it apart, is gone."""


class Networks:
    """The networks peers may come from.

    Args:
        networks: Such as `192.0.2.0/24` or `2001:db8::/32`.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(text) for text in networks]
        self._judged = lru_cache(1024)(self._judge)

    def __contains__(self, host: str) -> bool:
        return self._judged(host)

    def _judge(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class TcpEndpoint:
    """An address and port.

    Args:
        host: Name or address; a name is looked up once, by `listen`.
        port: Port; 0 picks a free one.
        allow: Networks that peers may come from.
        certificates: For TLS; None: plain.
        keepalive_s: Seconds of silence after which the kernel asks whether a peer is still there.
    """

    kind = "tcp"

    def __init__(
        self,
        host: str,
        port: int,
        *,
        allow: Iterable[str] = ("127.0.0.0/8", "::1/128"),
        certificates: Certificates | None = None,
        keepalive_s: int = KEEPALIVE_S,
    ) -> None:
        self._options = (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(keepalive_s // 6, 1)),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2000 * keepalive_s),  # the same for an answer, milliseconds
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        )
        self._host, self._port = host, port
        self._networks, self._certificates = Networks(allow), certificates

    def listen(self) -> socket.socket:
        """See `Endpoint.listen`; reads the certificates."""
        self.reload()
        sock = bind(self._host, self._port, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)  # accepted sockets inherit it
        sock.listen(BACKLOG)
        return sock

    def refusal(self, peer: Any) -> str | None:
        """`network` for a peer that is in none of those allowed."""
        return None if peer[0] in self._networks else "network"

    def prepare(self, sock: socket.socket) -> socket.socket:
        """See `Endpoint.prepare`."""
        for level, option, value in self._options:
            sock.setsockopt(level, option, value)
        return sock if self._certificates is None else self._certificates.wrap(sock)

    def reload(self) -> None:
        """See `Endpoint.reload`."""
        if self._certificates is not None:
            self._certificates.reload()

    def close(self) -> None:
        """Nothing beside the socket."""


def bind(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket that does not block.

    Raises:
        ListenError: The host is unknown, or the address is not ours or taken.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sock = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ListenError(f"cannot listen on {where}: {error.strerror}; free it, or set another listen:") from error
    sock.setblocking(False)
    return sock


def made(name: str, settings: Any, surroundings: Surroundings) -> Listener:
    """As an entry of `sources` has it."""
    host, port = settings.address
    tls = settings.tls
    certificates = None if tls.certificate is None else Certificates(tls.certificate, tls.key, tls.client_ca)
    endpoint = TcpEndpoint(host, port, allow=settings.allow, certificates=certificates)
    return listener(name, endpoint, settings, surroundings)
