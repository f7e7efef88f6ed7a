"""Reads standard input to its end."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Mapping
from typing import BinaryIO

from adapters.base import Chunk, Position
from adapters.lines import Cut, LineCutter


class StandardInput:
    """Lines from a pipe, a terminal or a redirected file; `done` at its end.

    A last line without a newline is complete at the end of the input, and gets one. There is one place, `NAME:stdin`.
    A position is `{"offset": bytes consumed, "header": header line or null}`; what comes again on the input of a new
    process is taken for the same stream, so its first `offset` bytes are passed over.

    Args:
        name: Name of the source, unique within its stream.
        stream: The input; left open by `close`, for it was not opened here.
        line_bytes: Longest line; a longer one is dropped in constant memory.
        resume: False reads all that comes, whatever the position: for a pipe that never repeats itself.
    """

    def __init__(self, name: str, stream: BinaryIO, *, line_bytes: int = 1 << 20, resume: bool = True) -> None:
        self.name = name
        self._fd = stream.fileno()
        self._cutter = LineCutter(line_bytes)
        self._resume = resume
        self._offset = 0
        self._pass_over = 0
        self._header: str | None = None
        self._last = b"\n"
        self._ended = False
        self._more = False

    @property
    def _place(self) -> str:
        return f"{self.name}:stdin"

    def open(self, positions: Mapping[str, Position]) -> None:
        """Start from the position of this source's place, if there is one."""
        position = positions.get(self._place)
        if position is not None and self._resume:
            self._offset = self._pass_over = int(position["offset"])
            self._header = position.get("header")

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; reads only what is there.

        Raises:
            OSError: The input cannot be read.
        """
        if self._place in skip:
            return []
        cut, budget = self._cutter.take(), max(limit_bytes, 4096)
        while cut is None and budget > 0 and not self._ended:
            block = self._read(min(budget, 1 << 18))
            if block is None:
                self._more = False
                return []
            budget -= len(block)
            cut = self._cutter.take()
        self._more = not self._ended
        return [] if cut is None else [self._chunk(cut)]

    def _read(self, size: int) -> bytes | None:
        """The next block, fed to the cutter; None when nothing is there yet."""
        if not select.select([self._fd], [], [], 0)[0]:
            return None
        block = os.read(self._fd, size)
        if not block:
            self._ended = True
            if self._last != b"\n":
                self._cutter.feed(b"\n")
            return block
        self._last = block[-1:]
        over = min(self._pass_over, len(block))
        self._pass_over -= over
        self._cutter.feed(block[over:])
        return block

    def _chunk(self, cut: Cut) -> Chunk:
        start, end = self._offset, self._offset + cut.consumed
        self._offset = end

        def position_at(offset: int, header: str | None) -> Position:
            return {"offset": end if offset == len(cut.data) else start + offset, "header": header}

        return Chunk(self._place, cut.data, "stdin", self._header, position_at, cut.discarded)

    def done(self) -> bool:
        """True when the input has ended and all of it was given."""
        return self._ended and not self._cutter.ready

    def backlog(self) -> frozenset[str]:
        """See `Source.backlog`."""
        return frozenset([self._place]) if self._cutter.ready or self._more else frozenset()

    def forgotten(self) -> list[str]:
        """Always []: the place is the only one."""
        return []

    def status(self) -> dict[str, float]:
        """`up` until the input has ended; `lag_bytes` are those read and not given."""
        return {"up": float(not self._ended), "lag_bytes": float(self._cutter.ahead)}

    def close(self) -> None:
        """Nothing to release."""
