"""What makes a file the same file: its content near the start and just before an offset.

The head is up to 1024 bytes after the first line (so that files which share a CSV header differ), the tail up to 256
bytes before the offset. A position stores their lengths and hashes; device and inode only order the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from adapters.base import Position
from adapters.files.content import Content

HEAD_BYTES = 1024
TAIL_BYTES = 256
_START_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes that identify a file which was read up to `offset`.

    Attributes:
        offset: Bytes of the file that were consumed; just after a newline, or 0.
        head_at: Where the head begins: after the first line; 0 while `offset` is 0.
        head: Bytes from `head_at` on, at most 1024, none beyond `offset`.
        tail: Bytes just before `offset`, at most 256.
        lines: Lines of the file that were consumed; None where a position of an earlier version did not say.
    """

    offset: int = 0
    head_at: int = 0
    head: bytes = b""
    tail: bytes = b""
    lines: int | None = 0

    def moved(self, data: bytes) -> Window:
        """The window after `data`, whole lines that follow `offset`."""
        if not data:
            return self
        if self.offset == 0:
            head_at = data.find(b"\n") + 1
            head = data[head_at : head_at + HEAD_BYTES]
        else:
            head_at, head = self.head_at, self.head + data[: HEAD_BYTES - len(self.head)]
        tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self.tail + data)[-TAIL_BYTES:]
        return Window(self.offset + len(data), head_at, head, tail, self._further(data.count(b"\n")))

    def _further(self, lines: int) -> int | None:
        return None if self.lines is None else self.lines + lines

    def jumped(self, content: Content, length: int, lines: int) -> Window:
        """The window after `length` bytes, so many lines, that were dropped, read back from the file."""
        offset = self.offset + length
        head_at = self.head_at if self.offset else offset
        full = len(self.head) == HEAD_BYTES
        head = self.head if full else content.read(min(HEAD_BYTES, offset - head_at), head_at)
        tail_at = max(0, offset - TAIL_BYTES)
        return Window(offset, head_at, head, content.read(offset - tail_at, tail_at), self._further(lines))

    def holds(self, content: Content) -> bool | None:
        """Whether the file still has these bytes; None when it is too short to tell."""
        head = content.read(len(self.head), self.head_at)
        tail = content.read(len(self.tail), self.offset - len(self.tail))
        if head == self.head and tail == self.tail:
            return True
        short = len(head) < len(self.head) or len(tail) < len(self.tail)
        return None if short and self.head.startswith(head) and self.tail.startswith(tail) else False

    def position(self) -> Position:
        """The part of a position that identifies the file and the offset."""
        return {
            "offset": self.offset,
            "lines": self.lines,
            "head_at": self.head_at,
            "head_bytes": len(self.head),
            "head": _hash(self.head),
            "tail_bytes": len(self.tail),
            "tail": _hash(self.tail),
        }

    @classmethod
    def find(cls, content: Content, position: Position) -> Window | None:
        """The window of `position` in a file; None when it is not the file that was read, or ends before the offset."""
        offset, tail_bytes = int(position["offset"]), int(position["tail_bytes"])
        head = head_of(content, position)
        if head is None:
            return None
        tail = content.read(tail_bytes, offset - tail_bytes)
        if len(tail) != tail_bytes or _hash(tail) != position["tail"]:
            return None
        return cls(offset, int(position["head_at"]), head, tail, lines_of(position))


def lines_of(position: Position) -> int | None:
    """The lines that a position says were consumed."""
    lines = position.get("lines")
    return lines if isinstance(lines, int) else None


def head_of(content: Content, position: Position) -> bytes | None:
    """The head that `position` names, None when the file begins otherwise."""
    head = content.read(int(position["head_bytes"]), int(position["head_at"]))
    return head if len(head) == position["head_bytes"] and _hash(head) == position["head"] else None


class Start:
    """The start of a file, read once to be compared with many heads."""

    def __init__(self, content: Content) -> None:
        self._content, self._read = content, content.read(_START_BYTES, 0)

    def head_hash(self, head_at: int, length: int) -> str:
        """The hash of `length` bytes from `head_at` on, as positions have it; "" where there are fewer."""
        if head_at + length <= _START_BYTES:
            head = self._read[head_at : head_at + length]
        else:
            head = self._content.read(length, head_at)
        return _hash(head) if len(head) == length else ""


def valid(position: Any) -> bool:
    """Whether a position has the shape that `Window.find` needs."""
    if not isinstance(position, dict):
        return False
    numbers = [position.get(key) for key in ("offset", "head_at", "head_bytes", "tail_bytes")]
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return False
    return isinstance(position.get("path"), str) and position["tail_bytes"] <= position["offset"]


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
