"""One peer of a listening socket: its bytes as whole lines, its deadlines, and what it is told."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from adapters.base import Chunk, Position
from adapters.lines import Cut, LineCutter
from adapters.sockets.tls import Shaken, shake

WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds a peer has.

    Attributes:
        line_s: From a line's first byte to its newline.
        idle_s: From one byte to the next.
        handshake_s: For the TLS handshake.
    """

    line_s: float = 30.0
    idle_s: float = 3600.0
    handshake_s: float = 10.0


class Connection:
    """A connected peer.

    Args:
        sock: The socket, not blocking; this object closes it.
        place: The connection's name.
        series: Series of rows that carry none.
        line_bytes: Longest line.
        peer: Its address, for people.
        now: When it was accepted, monotonic seconds.

    Attributes:
        shaking: Whether the TLS handshake is still going on.
        ended: The peer will send no more; why, as in `closed_<why>`. None while it may.
        drained: Whether nothing more could be read when it was last tried.
        accepted_at, heard_at, line_at: When it began, when the last byte and the last line came; the last is None
            before the first line.
    """

    def __init__(self, sock: socket.socket, place: str, series: str, *, line_bytes: int, peer: str, now: float) -> None:
        self.sock, self.place, self.series, self.peer = sock, place, series, peer
        self.shaking = isinstance(sock, ssl.SSLSocket)
        self.ended: str | None = None
        self.drained = False
        self.accepted_at = self.heard_at = now
        self.line_at: float | None = None
        self._partial_since: float | None = None
        self._cutter = LineCutter(line_bytes)
        self._bytes = self._lines = 0
        self._told = self._durable = 0
        self._out = b""

    @property
    def held_bytes(self) -> int:
        """Bytes in memory that were not given out."""
        return self._cutter.held

    @property
    def in_line(self) -> bool:
        """Whether a line has begun and not ended."""
        return self._partial_since is not None

    @property
    def ready(self) -> bool:
        """Whether `chunk` would give something without reading."""
        return self._cutter.ready or (self.ended is not None and self.in_line)

    @property
    def finished(self) -> bool:
        """Whether nothing more will come and all of it was given out."""
        return self.ended is not None and not self.ready

    @property
    def settled(self) -> bool:
        """Whether all that was given out is durable."""
        return self._durable >= self._lines

    @property
    def pending(self) -> bool:
        """Whether decrypted bytes wait that the socket's descriptor does not show."""
        return isinstance(self.sock, ssl.SSLSocket) and not self.shaking and self.sock.pending() > 0

    def shake(self, now: float) -> Shaken | None:
        """Take the TLS handshake a step further; how it ended, None while it goes on."""
        assert isinstance(self.sock, ssl.SSLSocket)
        outcome = shake(self.sock)
        if outcome is not None:
            self.shaking, self.heard_at = False, now
        return outcome

    def read(self, limit_bytes: int, now: float) -> Chunk | None:
        """The next chunk, None when no whole line is new; a peer that is gone has `ended`.

        Args:
            limit_bytes: Bytes to read, at least 4096.
            now: Monotonic seconds.
        """
        if not self._cutter.ready and self.ended is None:
            self._fill(max(limit_bytes, 4096), now)
        return self._chunk(now)

    def _fill(self, budget: int, now: float) -> None:
        self.drained = False
        while budget > 0 and self.ended is None:
            try:
                block = self.sock.recv(min(budget, _BLOCK_BYTES))
            except WOULD_BLOCK:
                self.drained = True
                return
            except OSError:
                self.ended = "reset"
                return
            if not block:
                self.ended = "peer"
                return
            self.heard_at = now
            budget -= len(block)
            self._cutter.feed(block)

    def _chunk(self, now: float) -> Chunk | None:
        cut = self._cutter.cut_all()
        if cut is None and self.ended is not None:
            cut = self._cutter.abandon()
        if cut is not None:
            self.line_at = now
        if not self._cutter.ahead:
            self._partial_since = None
        elif cut is not None or self._partial_since is None:
            self._partial_since = now
        return None if cut is None else self._given(cut)

    def _given(self, cut: Cut) -> Chunk:
        dropped = sum(count for reason, count in cut.discarded.items() if reason != "incomplete")
        bytes_before, lines_before = self._bytes, self._lines
        bytes_after, lines_after = bytes_before + cut.consumed, lines_before + cut.data.count(b"\n") + dropped
        self._bytes, self._lines = bytes_after, lines_after

        def position_at(offset: int, header: str | None) -> Position:
            if offset == len(cut.data):
                return {"offset": bytes_after, "lines": lines_after}
            known = min(offset, cut.plain)
            return {"offset": bytes_before + known, "lines": lines_before + cut.data.count(b"\n", 0, known)}

        return Chunk(self.place, cut.data, self.series, None, position_at, cut.discarded)

    def overdue(self, deadlines: Deadlines, now: float) -> str | None:
        """Which deadline has passed, None when none has."""
        if self.shaking:
            return "handshake_timeout" if now - self.accepted_at > deadlines.handshake_s else None
        if self._partial_since is not None and now - self._partial_since > deadlines.line_s:
            return "line_timeout"
        return "idle_timeout" if now - self.heard_at > deadlines.idle_s else None

    def waited(self, deadlines: Deadlines, now: float) -> bool:
        """Whether a peer that has ended was waited for long enough, to read or for its lines to be durable."""
        return now - self.heard_at > deadlines.line_s

    def acknowledge(self, lines: int) -> None:
        """So many lines are durable."""
        self._durable = max(self._durable, lines)

    def tell(self) -> bool:
        """Tell the peer how many lines are durable, as far as it reads; whether something is left to tell.

        What is held is one line at most: a peer that reads late is told the newest number only.
        """
        while self._out or self._durable > self._told:
            if not self._out:
                self._out, self._told = b"ok %d\n" % self._durable, self._durable
            try:
                self._out = self._out[self.sock.send(self._out) :]
            except WOULD_BLOCK:
                return True
            except OSError:
                self._out = b""
                return False
        return False

    def close(self) -> None:
        """Release the descriptor."""
        self.sock.close()
