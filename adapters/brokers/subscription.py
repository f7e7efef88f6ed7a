"""What all brokers have in common: messages taken on a thread, given in chunks, acknowledged when they are durable."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from adapters.base import Chunk, Notice, Position, Span, unnoticed
from adapters.lines import LineCutter
from adapters.peer_source import PeerSource

WAITING_BYTES = 16 << 20
"""Bytes of messages that may wait to be durable; beyond, nothing is read from the broker."""
_OVERHEAD = 256
"""Bytes that a message takes beside its own."""
_LEAVE_S = 5.0
"""How long an end waits for a thread that is in the middle of connecting."""


def cut_lines(payload: bytes, line_bytes: int) -> tuple[bytes, Mapping[str, int]]:
    """A message as whole lines, and what was dropped of it because it was too long, by reason."""
    data = payload if payload.endswith(b"\n") else payload + b"\n"
    if len(data) > line_bytes:
        cutter = LineCutter(line_bytes)
        cutter.feed(data)
        if (cut := cutter.cut_all()) is not None:
            return cut.data, cut.discarded
    return data, {}


@dataclass(slots=True)
class Received:
    """A message that waits to be durable.

    Attributes:
        series: Of its lines that name none.
        data: Its whole lines.
        mark: Where a position stands when it is durable; grows from one message to the next.
        handle: What its acknowledgement needs.
        discarded: Lines of it that were dropped, by reason.
    """

    series: str
    data: bytes
    mark: int
    handle: Any
    discarded: Mapping[str, int] = field(default_factory=dict)


class Subscription(PeerSource, ABC):
    """Messages of one broker, all of which are one place; each stands alone, whatever lines it holds.

    It is one connection. When that fails, so does `poll`: whoever supervises the source makes it anew where its
    positions are durable, and the broker sends again what was not acknowledged.

    A position is `{"offset": mark, ...}` of the last message that is durable. What a broker sends again although it is
    durable is acknowledged once more, and not given.

    Args:
        name: Name of the source, unique within its stream.
        address: The broker's, for people.
        line_bytes: Longest line; a longer one is dropped.
        in_flight: Messages that may wait to be durable.
        waiting_bytes: Bytes of them.
        wake: Called when a message has come, from its own thread.
        notice: Takes what an operator should read.
    """

    resumes = True

    def __init__(
        self,
        name: str,
        address: str,
        *,
        line_bytes: int = 1 << 20,
        in_flight: int = 256,
        waiting_bytes: int = WAITING_BYTES,
        wake: Callable[[], None] = lambda: None,
        notice: Notice = unnoticed,
    ) -> None:
        super().__init__(name, notice)
        self._address, self._line_bytes = address, line_bytes
        self._in_flight, self._most, self._wake = in_flight, waiting_bytes, wake
        self._lock = threading.Lock()
        self._queue: deque[Received] = deque()
        self._given: deque[Received] = deque()  # not yet durable
        self._durable: deque[Received] = deque()  # not yet acknowledged
        self._held = 0
        self._place = f"{name}:messages"
        self._position: Position = {"offset": 0}  # after all that was given
        self._error, self._connected = "", False
        self._ending, self._thread = threading.Event(), threading.Thread()
        self._counts.update(dict.fromkeys(("messages", "repeated", "lines"), 0))

    # What a broker must have

    @abstractmethod
    def _begin(self, positions: Mapping[str, Position]) -> None:
        """Take over the durable positions; on the pipeline's thread, before the other begins."""

    @abstractmethod
    def _serve(self) -> None:
        """Talk to the broker until `_ending` is set; raises whatever ends the connection. On its own thread."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Have `_serve` look at `_ending` and `_durable`; from any thread."""

    def _room(self) -> int:
        """How many messages may be given now; called with the lock held."""
        return self._in_flight

    def _positions(self, given: list[Received]) -> Callable[[int], Position]:
        """The position after so many of these, at least one, which follow `_position`."""
        return lambda count: {"offset": given[count - 1].mark}

    # Its own thread

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # whatever it is ends this connection, and `poll` says so
            self._error = " ".join(str(error).split()) or type(error).__name__
        finally:
            self._connected = False
        self._wake()

    @property
    def _full(self) -> bool:
        return self._held >= self._most

    def _receive(self, payload: bytes, series: str, mark: int, handle: Any) -> None:
        """Take a message that is to be given."""
        data, discarded = cut_lines(payload, self._line_bytes)
        with self._lock:
            self._counts["messages"] += 1
            self._queue.append(Received(series, data, mark, handle, discarded))
            self._held += len(data) + _OVERHEAD
        self._wake()

    def _acknowledgeable(self) -> list[Received]:
        """Messages that are durable, each told once."""
        with self._lock:
            told = list(self._durable)
            self._durable.clear()
        return told

    # The pipeline's thread

    @property
    def address(self) -> str:
        """See `Live.address`."""
        return self._address if self._thread.is_alive() else ""

    def open(self, positions: Mapping[str, Position]) -> None:
        """Begin to connect; whether that can be done, `poll` and `status` say."""
        self._begin(positions)
        self._thread = threading.Thread(target=self._run, name=f"source {self.name}", daemon=True)
        self._thread.start()

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; messages are given whole, so the last one may go beyond the limit.

        Raises:
            OSError: The connection is lost, or could not be had.
        """
        if self._error:
            raise OSError(self._error)
        if self._place in skip:
            return []
        given: list[Received] = []
        with self._lock:
            most = min(self._in_flight, self._room())
            while self._queue and limit_bytes > 0 and len(given) < most:
                given.append(self._queue.popleft())
                limit_bytes -= len(given[-1].data) + 1
            self._given += given
        return [self._chunk(given)] if given else []

    def _chunk(self, given: list[Received]) -> Chunk:
        data = b"".join(each.data for each in given)
        ends = list(accumulate(len(each.data) for each in given))
        discarded = sum((Counter(each.discarded) for each in given), Counter())
        # a position within the chunk does not pass the first message in which a line was dropped
        whole = next((index for index, each in enumerate(given) if each.discarded), len(given))
        self._counts["lines"] += data.count(b"\n") + sum(discarded.values())
        before, after = self._position, self._positions(given)

        def position_at(offset: int, header: str | None) -> Position:
            count = len(given) if offset == len(data) else min(bisect_right(ends, offset), whole)
            return after(count) if count else before

        self._position = after(len(given))
        spans = tuple(Span(end, each.series) for end, each in zip(ends, given, strict=True))
        return Chunk(self._place, data, "", None, position_at, dict(discarded), spans=spans)

    def committed(self, positions: Mapping[str, Position]) -> None:
        """See `Live.committed`; the broker is told by the other thread."""
        for place, position in positions.items():
            if place != self._place:
                continue
            with self._lock:
                while self._given and self._given[0].mark <= position["offset"]:
                    self._held -= len(self._given[0].data) + _OVERHEAD
                    self._durable.append(self._given.popleft())
        self._interrupt()

    def reload(self) -> None:
        """Certificates are read when it connects."""

    def status(self) -> dict[str, float]:
        """`up`, bytes that wait, and counts since the start."""
        with self._lock:
            return {
                "up": float(self._connected and not self._error),
                "lag_bytes": float(sum(len(each.data) for each in self._queue)),
                **{name: float(count) for name, count in self._counts.items()},
            }

    def close(self) -> None:
        """End the connection; what was not acknowledged is sent again when it is opened."""
        self._ending.set()
        self._interrupt()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)
