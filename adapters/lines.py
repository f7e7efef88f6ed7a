"""Whole lines out of a stream of bytes, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole lines, and what was dropped after them.

    Attributes:
        data: The lines.
        consumed: Bytes of the stream that `data` and the dropped lines after it took.
        discarded: Dropped lines by reason.
        plain: Bytes of `data` before the first dropped line; all of it, except from `cut_all`.
    """

    data: bytes
    consumed: int
    discarded: dict[str, int]
    plain: int


class LineCutter:
    """Holds at most what was fed since the last `take`, and one line.

    A line longer than the limit is dropped up to its newline: as `binary` when it holds a NUL byte, else `too_long`.

    Args:
        line_bytes: Longest line, without its newline.
    """

    def __init__(self, line_bytes: int) -> None:
        self._limit = line_bytes
        self.clear()

    def clear(self) -> None:
        """Forget everything fed and not taken."""
        self._buffer = bytearray()
        self._dropping = False
        self._dropped_bytes = 0  # of the lines in _dropped, and of the line that is being dropped
        self._nul = False
        self._dropped: Counter[str] = Counter()

    @property
    def ahead(self) -> int:
        """Bytes fed that no `take` has consumed."""
        return len(self._buffer) + self._dropped_bytes

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._buffer)

    @property
    def ready(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._dropped) or b"\n" in self._buffer

    @property
    def dropping(self) -> bool:
        """Whether the stream is inside a line that is too long."""
        return self._dropping

    def feed(self, block: bytes) -> None:
        """More of the stream."""
        if self._dropping:
            end = block.find(b"\n") + 1
            part = block[:end] if end else block
            self._dropped_bytes += len(part)
            self._nul = self._nul or b"\0" in part
            if not end:
                return
            self._count_drop()
            block = block[end:]
        self._buffer += block

    def cut(self) -> Cut | None:
        """The whole lines so far, up to and with the first run of dropped ones; None when there is none yet."""
        if self._dropped:
            return self._cut(b"")
        end = self._buffer.rfind(b"\n") + 1
        if not end:
            if len(self._buffer) > self._limit:
                self._drop(len(self._buffer))
                self._dropping = True
            return None
        start = self._first_long(end)
        data = bytes(self._buffer[:start])
        del self._buffer[:start]
        while (length := self._buffer.find(b"\n", 0, end - start)) > self._limit:
            self._drop(length + 1)
            self._count_drop()
            start += length + 1
        return self._cut(data)

    def cut_all(self) -> Cut | None:
        """The whole lines so far, with dropped ones anywhere between them; None when there is none yet."""
        cuts = list(iter(self.cut, None))
        if not cuts:
            return None
        discarded = sum((Counter(cut.discarded) for cut in cuts), Counter())
        data = b"".join(cut.data for cut in cuts)
        return Cut(data, sum(cut.consumed for cut in cuts), dict(discarded), len(cuts[0].data))

    def abandon(self) -> Cut | None:
        """Drop the partial last line because it will never be completed; None when there is none."""
        if not self._buffer and not self._dropping:
            return None
        if self._dropping:
            self._count_drop()
        else:
            self._dropped["incomplete"] += 1
            self._dropped_bytes += len(self._buffer)
            self._buffer.clear()
        return self._cut(b"")

    def _first_long(self, end: int) -> int:
        """Offset of the first line in the buffer that is too long, `end` when none is."""
        if end <= self._limit + 1:
            return end
        ends = np.flatnonzero(np.frombuffer(bytes(self._buffer[:end]), np.uint8) == 10) + 1
        starts = np.concatenate([[0], ends[:-1]])
        long = np.flatnonzero(ends - starts > self._limit + 1)
        return int(starts[long[0]]) if len(long) else end

    def _drop(self, length: int) -> None:
        self._nul = self._nul or b"\0" in self._buffer[:length]
        self._dropped_bytes += length
        del self._buffer[:length]

    def _count_drop(self) -> None:
        self._dropped["binary" if self._nul else "too_long"] += 1
        self._dropping = self._nul = False

    def _cut(self, data: bytes) -> Cut:
        cut = Cut(data, len(data) + self._dropped_bytes, dict(self._dropped), len(data))
        self._dropped_bytes = 0
        self._dropped.clear()
        return cut
