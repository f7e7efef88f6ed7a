"""Lines from peers that connect: TCP and Unix stream sockets, read in turn without ever blocking."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from adapters.base import Chunk, Notice, Position, unnoticed
from adapters.peer_source import PeerSource
from adapters.sockets.connection import Connection, Deadlines
from adapters.sockets.endpoint import CLOSINGS, REFUSALS, Endpoint, shown
from adapters.sockets.limits import Patience, Seats
from adapters.source_kind import Surroundings

BUFFER_BYTES = 16 << 20
"""Bytes of unfinished lines over all connections; beyond it only those with little of them are read."""
_ACCEPTS = 64
"""Connections accepted in one poll, so that a storm of them leaves time for those that are there."""
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener(PeerSource):
    """Lines of many peers; each connection is a place, `NAME:KIND#NUMBER`, numbered since the start.

    A position is `{"offset": bytes, "lines": lines}`, counted since the connection began, dropped lines included.
    Nothing resumes from it: with `ack` the peer is told `ok <lines>` when they are durable, so that it knows what to
    repeat. A connection that ends in the middle of a line loses that part, as `incomplete`. This side closes it when
    all its lines are durable.

    Args:
        name: Name of the source, unique within its stream.
        endpoint: Where to listen.
        line_bytes: Longest line; a longer one is dropped in constant memory.
        max_connections: Connections at once; `Seats` says what happens to further ones.
        deadlines: What a peer must keep.
        ack: Whether peers are told what is durable.
        notice: Takes what an operator should read.
        monotonic: Clock of the deadlines.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        line_bytes: int = 1 << 20,
        max_connections: int = 256,
        deadlines: Deadlines | None = None,
        ack: bool = False,
        notice: Notice = unnoticed,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name, notice)
        self._endpoint, self._line_bytes = endpoint, line_bytes
        self._deadlines, self._ack = deadlines or Deadlines(), ack
        self._monotonic = monotonic
        self._seats, self._patience = Seats(max_connections), Patience()
        self._listening: socket.socket | None = None
        self._epoll: select.epoll | None = None
        self._connections: dict[str, Connection] = {}  # by place, the one served longest ago first
        self._unread: set[str] = set()  # places with bytes that the last poll left alone, who are not late therefore
        self._number = 0

    @property
    def address(self) -> str:
        """See `Live.address`."""
        return "" if self._listening is None else shown(self._listening.getsockname())

    def open(self, positions: Mapping[str, Position]) -> None:
        """Listen; positions of an earlier life are forgotten.

        Raises:
            OSError: The address cannot be had, or a certificate not be read.
        """
        self._forgotten += positions
        self._listening = self._endpoint.listen()
        self._epoll = select.epoll()

    # Reading

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; also accepts connections, and ends those whose time is over."""
        if self._listening is None:
            return []
        now = self._monotonic()
        self._shake(now)
        chunks = self._read(limit_bytes, skip, now)
        self._accept(self._listening, now)  # after reading, so that nobody is displaced with a line unread
        for connection in list(self._connections.values()):
            self._look_after(connection, now)
        return chunks

    def _read(self, limit_bytes: int, skip: Collection[str], now: float) -> list[Chunk]:
        chunks: list[Chunk] = []
        ready = [c for c in self._ready() if c.place not in skip]
        share = limit_bytes // max(len(ready), 1)
        held = sum(c.held_bytes for c in self._connections.values())
        self._unread = {*skip, *(c.place for c in ready)}
        for connection in ready:
            if held > BUFFER_BYTES and connection.held_bytes > BUFFER_BYTES // self._seats.most:
                self._unread.discard(connection.place)  # its line must end in time all the same
            elif limit_bytes > 0:
                chunk = self._read_one(connection, share, now)
                if chunk is not None:
                    chunks.append(chunk)
                    limit_bytes -= len(chunk.data)
        return chunks

    def _read_one(self, connection: Connection, share: int, now: float) -> Chunk | None:
        self._connections[connection.place] = self._connections.pop(connection.place)
        chunk = connection.read(share, now)
        if connection.drained:
            self._unread.discard(connection.place)
        if chunk is not None:
            partial = chunk.discarded.get("incomplete", 0)
            self._counts["partial_lines"] += partial
            self._counts["lines"] += chunk.data.count(b"\n") + sum(chunk.discarded.values()) - partial
        if connection.ended is not None:
            self._leave(connection)
        elif chunk is not None:
            self._seats.spoke(connection)
        return chunk

    def _ready(self) -> list[Connection]:
        """Connections with something to read, the one served longest ago first."""
        assert self._epoll is not None
        readable = {fd for fd, _ in self._epoll.poll(0)}
        found = []
        for connection in self._connections.values():
            live = connection.ended is None and not connection.shaking
            connection.drained = not (live and (connection.sock.fileno() in readable or connection.pending))
            if connection.ready or not connection.drained:
                found.append(connection)
        return found

    # Connections

    def _accept(self, listening: socket.socket, now: float) -> None:
        if not self._patience.over(now):
            return
        for _ in range(_ACCEPTS):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    continue  # the peer was gone already
                self._patience.failed(now)
                self._counts["descriptors_exhausted"] += 1
                self._say("cannot accept connections, trying again", error=str(error))
                return
            self._admit(sock, peer, now)
        self._patience.succeeded()

    def _admit(self, sock: socket.socket, peer: Any, now: float) -> None:
        refusal = self._endpoint.refusal(peer) or (None if self._make_room(now) else "limit")
        if refusal is not None:
            self._refuse(refusal, shown(peer))
            sock.close()
            return
        try:
            sock.setblocking(False)
            sock = self._endpoint.prepare(sock)
        except OSError:  # the peer was gone already
            sock.close()
            return
        self._number += 1
        place = f"{self.name}:{self._endpoint.kind}#{self._number:06d}"
        connection = Connection(
            sock, place, self._endpoint.kind, line_bytes=self._line_bytes, peer=shown(peer), now=now
        )
        assert self._epoll is not None
        self._epoll.register(sock, select.EPOLLIN)
        self._connections[place] = connection
        self._seats.admit(connection)
        self._counts["accepted"] += 1

    def _make_room(self, now: float) -> bool:
        """Whether there is a seat, or was when another connection was displaced."""
        if len(self._seats) < self._seats.most:
            # those that have ended wait for their lines to be durable, but may not be without number either
            return len(self._connections) < 2 * self._seats.most
        connection = self._seats.displaceable(now)
        if connection is None or len(self._connections) >= 2 * self._seats.most:
            return False
        self._say("connection displaced by a new one; is max_connections too low?", peer=connection.peer)
        self._end(connection, "displaced")
        return True

    def _shake(self, now: float) -> None:
        """Take the TLS handshakes a step further."""
        for connection in self._seats.shaking():
            outcome = connection.shake(now)
            if outcome is not None and outcome.refusal is not None:
                self._refuse(outcome.refusal, connection.peer, error=outcome.detail)
                self._end(connection, "refused")

    def _look_after(self, connection: Connection, now: float) -> None:
        """End a connection whose time is over, tell it what it may be told, close it when all is done."""
        if connection.ended is None and connection.place not in self._unread:
            overdue = connection.overdue(self._deadlines, now)
            if overdue == "handshake_timeout":
                self._refuse(overdue, connection.peer)
                self._end(connection, "refused")
            elif overdue is not None:
                self._say("connection timed out", reason=overdue, peer=connection.peer)
                self._end(connection, overdue)
        owing = self._ack and connection.tell()
        if connection.finished and ((connection.settled and not owing) or connection.waited(self._deadlines, now)):
            connection.close()
            del self._connections[connection.place]
            self._forgotten.append(connection.place)

    def _end(self, connection: Connection, reason: str) -> None:
        connection.ended = reason
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        """Free the seat of a connection that has ended; what it gave may still wait to be durable."""
        if self._seats.leave(connection):
            assert self._epoll is not None
            self._epoll.unregister(connection.sock)
            self._counts[f"closed_{connection.ended}"] += 1

    def _refuse(self, reason: str, peer: str, **fields: object) -> None:
        self._counts[f"refused_{reason}"] += 1
        self._notice(
            f"{self.name} {reason}", "connection refused", source=self.name, reason=reason, peer=peer, **fields
        )

    # The rest of a source

    def committed(self, positions: Mapping[str, Position]) -> None:
        """See `Live.committed`; with `ack` the peers are told now, as far as they read."""
        for place, position in positions.items():
            if (connection := self._connections.get(place)) is not None:
                connection.acknowledge(position["lines"])
                if self._ack:
                    connection.tell()

    def reload(self) -> None:
        """Read certificates again, for connections from now on; raises OSError and keeps those in force."""
        self._endpoint.reload()

    def status(self) -> dict[str, float]:
        """`up`, bytes held, connections by state, and counts since the start."""
        shaking = len(self._seats.shaking())
        in_line = sum(c.in_line for c in self._connections.values())
        found = {
            "up": float(self._listening is not None),
            "lag_bytes": float(sum(c.held_bytes for c in self._connections.values())),
            "connections_handshake": float(shaking),
            "connections_in_line": float(in_line),
            "connections_idle": float(len(self._connections) - shaking - in_line),
        }
        kinds = ("lines", "accepted", "partial_lines", "descriptors_exhausted")
        refused, closed = (f"refused_{reason}" for reason in REFUSALS), (f"closed_{reason}" for reason in CLOSINGS)
        return found | {kind: float(self._counts[kind]) for kind in (*kinds, *refused, *closed)}

    def close(self) -> None:
        """Stop listening and drop all connections; lines that were not told to be durable may be repeated."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        self._seats = Seats(self._seats.most)
        if self._listening is not None and self._epoll is not None:
            self._epoll.close()
            self._listening.close()
            self._endpoint.close()
            self._listening = self._epoll = None


def listener(name: str, endpoint: Endpoint, settings: Any, surroundings: Surroundings) -> Listener:
    """A listener at an endpoint, as an entry of `sources` has its connections."""
    return Listener(
        name,
        endpoint,
        line_bytes=surroundings.line_bytes,
        max_connections=settings.max_connections,
        deadlines=Deadlines(line_s=settings.line_timeout, idle_s=settings.idle_timeout),
        ack=settings.ack,
        notice=surroundings.notice,
    )
