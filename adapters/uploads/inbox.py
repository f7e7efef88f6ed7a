"""Bodies that were posted, as a source: each is durable as a whole before its sender is told so, and counts once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from adapters.base import Chunk, Notice, Position, unnoticed
from adapters.lines import Cut, LineCutter
from adapters.peer_source import PeerSource
from adapters.source_kind import Surroundings
from adapters.uploads.protocol import PATHS

WAITING_BYTES = 64 << 20
"""Bytes of bodies that may wait to be durable; a body that comes while there are more is refused."""
REMEMBERED = 1000
"""Bodies whose repetition is known for one. Up to twice as many are kept, so that they are let go in lots."""


class FullError(Exception):
    """Too much waits to be durable; send it again later."""


class ClosedError(Exception):
    """The source is not open, or was closed before the body was durable; send it again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a body, all of which is durable.

    Attributes:
        readings: Its lines that were readings.
        rejected: Its other lines, by reason.
        repeated: Whether it had come before, so that nothing was done; what it held is not known any more.
    """

    readings: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    repeated: bool = False


@dataclass(slots=True)
class _Upload:
    """A body that waits to be durable."""

    place: str
    series: str
    body: bytes
    header: str | None = None
    base: int = 0  # bytes of it that were durable before it came again
    end: int = 0  # bytes of it in all
    readings: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    told: Future[Receipt] = field(default_factory=Future)


class Inbox(PeerSource):
    """Bodies of whole lines; each is a place, `NAME:KEY`, and given as one chunk.

    A position is `{"offset": bytes, "header": line}` of a body. It is kept with the readings, so a body that is sent
    again, because its sender was not told in time, goes on where it was durable: mostly at its end, and nothing of it
    counts twice. The last thousand are known so, over restarts too.

    Args:
        name: Name of the source, unique within its stream.
        kind: Under which the server looks for it.
        inboxes: Where it can be found once it is open.
        line_bytes: Longest line; a longer one is dropped.
        body_bytes: Longest body, as it is sent and as it is unpacked.
        waiting_bytes: Bytes that may wait.
        remembered: See `REMEMBERED`.
        notice: Takes what an operator should read.
    """

    resumes = True

    def __init__(
        self,
        name: str,
        kind: str,
        inboxes: Inboxes,
        *,
        line_bytes: int = 1 << 20,
        body_bytes: int = 16 << 20,
        waiting_bytes: int = WAITING_BYTES,
        remembered: int = REMEMBERED,
        notice: Notice = unnoticed,
    ) -> None:
        super().__init__(name, notice)
        self.kind, self.body_bytes = kind, body_bytes
        self._inboxes, self._line_bytes = inboxes, line_bytes
        self._most, self._remembered = waiting_bytes, remembered
        self._lock = threading.Lock()
        self._open = False
        self._queue: deque[_Upload] = deque()
        self._pending: dict[str, _Upload] = {}  # by place: queued, or given out and not yet durable
        self._known: OrderedDict[str, Position] = OrderedDict()  # by place: how far it is durable, the newest last
        self._held = self._given = 0
        self._counts.update(dict.fromkeys(("uploads", "repeated", "refused_full", "lines"), 0))

    # Any thread

    @property
    def is_open(self) -> bool:
        """Whether it takes bodies."""
        return self._open

    def offer(self, body: bytes, series: str, key: bytes | None = None) -> Future[Receipt]:
        """Take a body; the future is done when all of it is durable, or raises ClosedError.

        Args:
            body: Lines; the last one needs no newline.
            series: Series of rows that name none.
            key: What tells bodies apart; by default their bytes and `series`.

        Raises:
            FullError: Too much waits.
            ClosedError: The source is not open.
        """
        digest = hashlib.sha256(b"key\0" + key if key is not None else series.encode() + b"\0" + body)
        place = f"{self.name}:{digest.hexdigest()[:32]}"
        body = body if body.endswith(b"\n") or not body else body + b"\n"
        with self._lock:
            if not self._open:
                raise ClosedError("the source is not open")
            if (same := self._pending.get(place)) is not None:
                self._counts["repeated"] += 1
                return same.told
            upload = _Upload(place, series, body, end=len(body))
            upload.told.set_running_or_notify_cancel()  # one who gives up waiting takes nothing from the others
            if (position := self._known.get(place)) is not None:
                upload.base, upload.header = position["offset"], position["header"]
            if upload.base >= upload.end:
                self._counts["repeated"] += bool(body)
                upload.told.set_result(Receipt(repeated=bool(body)))
                return upload.told
            if self._held + len(body) > self._most and self._held:
                self._counts["refused_full"] += 1
                self._notice(f"{self.name} full", "upload refused, too much waits", source=self.name)
                raise FullError(f"{self._held} bytes wait to be durable")
            self._counts["uploads"] += 1
            self._held += len(body)
            self._queue.append(upload)
            self._pending[place] = upload
        self._inboxes.wake()
        return upload.told

    # The pipeline's thread

    @property
    def address(self) -> str:
        """See `Live.address`."""
        return self._inboxes.shown(self) if self._open else ""

    def open(self, positions: Mapping[str, Position]) -> None:
        """Be found by senders; bodies durable already are known."""
        with self._lock:
            self._known = OrderedDict(positions)
            self._open = True
        self._inboxes.enter(self)

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; a body is given whole, so the last one may go beyond the limit."""
        chunks: list[Chunk] = []
        while limit_bytes > 0:
            with self._lock:
                if not self._queue:
                    break
                upload = self._queue.popleft()
            chunk = self._chunk(upload)
            chunks.append(chunk)
            limit_bytes -= len(chunk.data) + 1
        return chunks

    def _chunk(self, upload: _Upload) -> Chunk:
        cutter = LineCutter(self._line_bytes)
        cutter.feed(upload.body[upload.base :])
        cut = cutter.cut_all() or Cut(b"", 0, {}, 0)
        upload.body = b""  # the chunk has what is needed of it
        dropped = sum(cut.discarded.values())
        self._counts["lines"] += cut.data.count(b"\n") + dropped
        base, end = upload.base, upload.end

        def position_at(offset: int, header: str | None) -> Position:
            if offset == len(cut.data):
                return {"offset": end, "header": None}
            return {"offset": base + min(offset, cut.plain), "header": header}

        self._given += 1  # a place's name says nothing of when it came
        at = upload.place, cut.data, upload.series, upload.header
        return Chunk(*at, position_at, cut.discarded, self._given, last=True)

    def parsed(self, place: str, readings: int, rejected: Mapping[str, int]) -> None:
        """See `Live.parsed`."""
        if (upload := self._pending.get(place)) is not None:
            upload.readings, upload.rejected = readings, dict(rejected)

    def committed(self, positions: Mapping[str, Position]) -> None:
        """See `Live.committed`; whoever waits for a body is told once all of it is durable."""
        done: list[_Upload] = []
        with self._lock:
            for place, position in positions.items():
                self._known[place] = position
                self._known.move_to_end(place)
                upload = self._pending.get(place)
                if upload is not None and position["offset"] >= upload.end:
                    done.append(self._pending.pop(place))
                    self._held -= upload.end
            if len(self._known) > 2 * self._remembered:
                while len(self._known) > self._remembered:
                    self._forgotten.append(self._known.popitem(last=False)[0])
        for upload in done:
            upload.told.set_result(Receipt(upload.readings, upload.rejected))

    def reload(self) -> None:
        """Nothing to read again."""

    def status(self) -> dict[str, float]:
        """`up`, bytes that wait, and counts since the start."""
        with self._lock:
            waiting = sum(len(upload.body) for upload in self._queue)
            return {
                "up": float(self._open),
                "lag_bytes": float(waiting),
                **{name: float(count) for name, count in self._counts.items()},
            }

    def close(self) -> None:
        """Take no more; whoever waits is told to send it again."""
        with self._lock:
            self._open = False
            left, self._pending = list(self._pending.values()), {}
            self._queue.clear()
            self._held = 0
        for upload in left:
            upload.told.set_exception(ClosedError("the source was closed"))


class Inboxes:
    """The inboxes of a configuration by type and stream.

    Args:
        wake: Called, from any thread, when a body has come.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], Inbox] = {}

    def enter(self, inbox: Inbox) -> None:
        """It is open, in place of any before it."""
        with self._lock:
            self._found[inbox.kind, _stream(inbox)] = inbox

    def tidy(self) -> None:
        """Forget those that are closed, once no other is to take their place.

        Until then they are found, and say that a body is to be sent again: what a sender is told about a stream that
        is only being opened again must not be that there is none.
        """
        with self._lock:
            self._found = {key: inbox for key, inbox in self._found.items() if inbox.is_open}

    def streams(self, kind: str) -> list[str]:
        """Streams that have one of this type, sorted."""
        with self._lock:
            return sorted(stream for of, stream in self._found if of == kind)

    def find(self, kind: str, stream: str) -> Inbox | None:
        """That of a stream, None where it has none of this type."""
        with self._lock:
            return self._found.get((kind, stream))

    @staticmethod
    def shown(inbox: Inbox) -> str:
        """Where bodies for it are posted, below the HTTP server's address."""
        return f"{PATHS[inbox.kind]}?stream={_stream(inbox)}"


def _stream(inbox: Inbox) -> str:
    return inbox.name.rpartition("/")[0]


def made(name: str, settings: Any, surroundings: Surroundings) -> Inbox:
    """As an entry of `sources` has it."""
    return Inbox(
        name,
        "http",
        surroundings.inboxes,
        line_bytes=surroundings.line_bytes,
        body_bytes=settings.body_bytes,
        notice=surroundings.notice,
    )
