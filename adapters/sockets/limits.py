"""How many connections there may be, which one makes room for a new one, and when to accept again after a failure."""

from __future__ import annotations

from adapters.sockets.connection import Connection

_HEARD_S = 60.0
"""A connection that gave a line makes room only after so long without another."""
_PAUSES_S = (0.1, 5.0)


class Seats:
    """The connections that are not ended, each with its seat.

    When all seats are taken, a new connection displaces the one that has been longest without a line: first those
    that never gave one, then those whose last is a minute old. One that has something to be read is left alone.

    Args:
        most: Number of seats.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._mute: dict[str, Connection] = {}  # those that never gave a line, oldest first
        self._heard: dict[str, Connection] = {}  # the others, the last line longest ago first

    def __len__(self) -> int:
        return len(self._mute) + len(self._heard)

    def admit(self, connection: Connection) -> None:
        """Give a new connection a seat."""
        self._mute[connection.place] = connection

    def leave(self, connection: Connection) -> bool:
        """Free a connection's seat; whether it had one."""
        mute = self._mute.pop(connection.place, None)
        return (mute or self._heard.pop(connection.place, None)) is not None

    def spoke(self, connection: Connection) -> None:
        """A connection with a seat gave a line."""
        self.leave(connection)
        self._heard[connection.place] = connection

    def shaking(self) -> list[Connection]:
        """Connections in their TLS handshake."""
        return [connection for connection in self._mute.values() if connection.shaking]

    def displaceable(self, now: float) -> Connection | None:
        """The connection that makes room for a new one, None when none does."""
        for connection in self._mute.values():
            if connection.shaking or (connection.drained and not connection.ready):
                return connection
        for connection in self._heard.values():
            if connection.line_at is not None and now - connection.line_at >= _HEARD_S and connection.drained:
                return connection
            break
        return None


class Patience:
    """Pauses between attempts that fail, each twice as long as the one before, up to 5 s."""

    def __init__(self) -> None:
        self._until = self._pause_s = 0.0

    def over(self, now: float) -> bool:
        """Whether it is time for an attempt."""
        return now >= self._until

    def failed(self, now: float) -> None:
        """An attempt failed."""
        first, last = _PAUSES_S
        self._pause_s = min(max(2 * self._pause_s, first), last)
        self._until = now + self._pause_s

    def succeeded(self) -> None:
        """An attempt did not fail."""
        self._pause_s = 0.0
