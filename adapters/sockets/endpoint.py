"""Where a listener listens: what a TCP address and a Unix socket have in common."""

from __future__ import annotations

import socket
from typing import Any, Protocol

from adapters.sockets.tls import REFUSALS as TLS_REFUSALS

REFUSALS: tuple[str, ...] = ("limit", "network", "handshake_timeout", *TLS_REFUSALS)
"""Why a connection is refused."""
CLOSINGS: tuple[str, ...] = ("peer", "reset", "line_timeout", "idle_timeout", "displaced", "refused")
"""Why a connection ends: `peer` closed it; `refused` did not pass the TLS handshake."""


class ListenError(OSError):
    """A socket cannot be listened on: where, why, and what to do."""


class Endpoint(Protocol):
    """Where a listener listens, and what is done to each new connection."""

    kind: str
    """`tcp` or `unix`: part of each place's name, and the series of rows that carry none."""

    def listen(self) -> socket.socket:
        """A listening socket that does not block. Raises OSError."""

    def refusal(self, peer: Any) -> str | None:
        """Why a peer's address is refused, one of `REFUSALS`; None when it is not."""

    def prepare(self, sock: socket.socket) -> socket.socket:
        """An accepted socket with its options set, wrapped in TLS where there is some. Raises OSError."""

    def reload(self) -> None:
        """Read certificates again. Raises OSError and keeps those it had."""

    def close(self) -> None:
        """Release what `listen` made beside the socket."""


def shown(peer: tuple[Any, ...] | str) -> str:
    """A socket's address for people; a peer on a Unix socket has none."""
    if not isinstance(peer, tuple):
        return peer or "local"
    host, port = peer[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
