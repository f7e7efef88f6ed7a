"""Reads standard input to its end."""

from __future__ import annotations

import os
import select
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, BinaryIO

from adapters.base import Chunk, Position
from adapters.lines import Cut, LineCutter
from adapters.source_kind import Surroundings
from adapters.text_file import AUTO, Recoder

_HEAD_BYTES = 1024


class StandardInput:
    """Lines from a pipe, a terminal or a redirected file; `done` at its end.

    A last line without a newline is complete at the end of the input, and gets one. There is one place, `NAME:stdin`.
    A position is `{"offset": bytes consumed, "head_bytes": length of the input's head, at most 1024, "head": its hash,
    "header": header line or null}`. When a new process is given an input with the same head, the first `offset` bytes
    are passed over; another head is another input, and read from its start.

    Args:
        name: Name of the source, unique within its stream.
        stream: The input; left open by `close`, for it was not opened here.
        line_bytes: Longest line; a longer one is dropped in constant memory.
        encoding: See `Recoder`; offsets count bytes of UTF-8.
    """

    def __init__(self, name: str, stream: BinaryIO, *, line_bytes: int = 1 << 20, encoding: str = AUTO) -> None:
        self.name = name
        self._fd = stream.fileno()
        self._cutter, self._recoder = LineCutter(line_bytes), Recoder(encoding)
        self._head = b""
        self._saved: Position | None = None
        self._offset = 0
        self._pass_over = 0
        self._unsure = bytearray()
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
        self._saved = position if position and position["offset"] else None

    def poll(self, limit_bytes: int, skip: Collection[str] = ()) -> list[Chunk]:
        """See `Source.poll`; reads only what is there.

        Raises:
            OSError: The input cannot be read.
        """
        if self._place in skip:
            return []
        cut, budget = self._cutter.cut(), max(limit_bytes, 4096)
        while cut is None and budget > 0 and not self._ended:
            block = self._read(min(budget, 1 << 18))
            if block is None:
                self._more = False
                return []
            budget -= len(block)
            cut = self._cutter.cut()
        self._more = not self._ended
        return [] if cut is None else [self._chunk(cut)]

    def _read(self, size: int) -> bytes | None:
        """The next block, fed to the cutter; None when nothing is there yet."""
        if not select.select([self._fd], [], [], 0)[0]:
            return None
        raw = os.read(self._fd, size)
        self._ended = not raw
        block = self._recoder.feed(raw, last=self._ended)
        self._head += block[: _HEAD_BYTES - len(self._head)]
        self._last = block[-1:] or self._last
        if self._saved is not None:
            self._unsure += block
            if not self._ended and len(self._unsure) < self._saved["head_bytes"]:
                return block
            self._recognise(self._saved)
            self._feed(bytes(self._unsure))
            self._unsure.clear()
        else:
            self._feed(block)
        if self._ended and self._last != b"\n":
            self._cutter.feed(b"\n")
        return block

    def _recognise(self, saved: Position) -> None:
        """Go on at the saved position if the input begins as it did."""
        self._saved = None
        if _hash(self._head[: saved["head_bytes"]]) == saved["head"]:
            self._offset = self._pass_over = int(saved["offset"])
            self._header = saved.get("header")

    def _feed(self, block: bytes) -> None:
        over = min(self._pass_over, len(block))
        self._pass_over -= over
        self._cutter.feed(block[over:])

    def _chunk(self, cut: Cut) -> Chunk:
        start, end, head = self._offset, self._offset + cut.consumed, self._head
        self._offset = end

        def position_at(offset: int, header: str | None) -> Position:
            at = end if offset == len(cut.data) else start + offset
            return {"offset": at, "head_bytes": len(head[:at]), "head": _hash(head[:at]), "header": header}

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


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def made(name: str, settings: Any, surroundings: Surroundings) -> StandardInput:
    """As an entry of `sources` has it."""
    return StandardInput(name, surroundings.stdin, line_bytes=surroundings.line_bytes, encoding=surroundings.encoding)
