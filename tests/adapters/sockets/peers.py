"""Listening sources and their peers, for tests."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from adapters.base import Chunk, Live
from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint


class Clock:
    """A clock that goes when it is told to, and what was noticed meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.noticed: list[tuple[str, dict[str, object]]] = []

    def __call__(self) -> float:
        return self.now

    def notice(self, cause: str, message: str, **fields: object) -> None:
        """Takes what an operator should read."""
        self.noticed.append((message, fields))


@contextmanager
def listening(clock: Clock | None = None, endpoint: Any = None, **options: Any) -> Iterator[Listener]:
    """An open TCP listener on a free port of this machine."""
    own = clock or Clock()
    listener = Listener("s", endpoint or TcpEndpoint("127.0.0.1", 0), monotonic=own, notice=own.notice, **options)
    with closing(listener):
        listener.open({})
        yield listener


def connect(source: Live) -> socket.socket:
    """A peer of a TCP source."""
    host, port = source.address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)


def until(attempt: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """The first result of `attempt` that is true."""
    deadline = time.monotonic() + limit_s
    while not (result := attempt()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)
    return result


def poll(source: Live, limit_bytes: int = 1 << 20) -> list[Chunk]:
    """Poll until something comes, and say that it is durable."""
    chunks: list[Chunk] = until(lambda: source.poll(limit_bytes))
    commit(source, chunks)
    return chunks


def commit(source: Live, chunks: list[Chunk]) -> None:
    """What the daemon does when chunks are durable."""
    source.committed({chunk.place: chunk.position_at(len(chunk.data), None) for chunk in chunks})


def drain(source: Live, idle: int = 3) -> tuple[dict[str, bytes], dict[str, int]]:
    """Lines by place and drops by reason, polled until so many polls in a row gave nothing."""
    texts: dict[str, bytes] = {}
    dropped: dict[str, int] = {}
    left = idle
    while left:
        chunks = source.poll(1 << 20)
        commit(source, chunks)
        left = idle if chunks else left - 1
        for chunk in chunks:
            texts[chunk.place] = texts.get(chunk.place, b"") + chunk.data
            for reason, count in chunk.discarded.items():
                dropped[reason] = dropped.get(reason, 0) + count
        if not chunks:
            time.sleep(0.002)
    return texts, dropped


def gone(peer: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    peer.setblocking(False)
    try:
        return peer.recv(100) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
