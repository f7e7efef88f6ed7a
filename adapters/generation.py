"""One generation of a file: an open descriptor, how far it was read, and whether it is still the same content."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from adapters.base import Chunk, Position
from adapters.identity import Window
from adapters.lines import Cut, LineCutter

_DROP_BLOCKS = 64
"""Blocks of a line that is being dropped, read in one go; they cost time but no memory."""


@dataclass(slots=True)
class Opened:
    """An open file of which is not known yet whether it was read before."""

    fd: int
    name: str
    device: int
    inode: int
    lost_partial: bool = False
    """A partial line went away with what the file held before."""

    @classmethod
    def at(cls, name: str) -> Opened | None:
        """Open a file; None when it is no regular file.

        Raises:
            OSError: It cannot be opened.
        """
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        return cls(fd, name, status.st_dev, status.st_ino)

    def lag_bytes(self) -> int:
        """Bytes of the file, none of which was read."""
        return os.fstat(self.fd).st_size


class Generation:
    """Reads one content of one file from an offset on.

    Args:
        opened: The file; this object closes it.
        place: The generation's name.
        path: Path under which the generation was first met; its stem is the label.
        window: What was read before.
        header: Header that was in force there.
        line_bytes: Longest line.
    """

    def __init__(
        self, opened: Opened, place: str, path: str, *, window: Window, header: str | None, line_bytes: int
    ) -> None:
        self.opened = opened
        self.place = place
        self.path = path
        self.window = window
        self.header = header
        self.ended = False
        """The content was replaced under us: nothing more can be read, only what is buffered is left."""
        self.lost_partial = False
        self.leaving_at: float | None = None
        """When the file's name was first seen to be gone; None while it has one."""
        self.grown_at = 0.0
        self._cutter = LineCutter(line_bytes)
        self._edge = b""
        self._doubts = 0
        self._size = opened.lag_bytes()

    @property
    def label(self) -> str:
        """Series label of rows that carry none."""
        return Path(self.path).stem

    @property
    def unread(self) -> bool:
        """Whether there is more that was seen and not read."""
        return self._cutter.ready or (not self.ended and self._size > self._read_at)

    @property
    def _read_at(self) -> int:
        return self.window.offset + self._cutter.ahead

    def lag_bytes(self) -> int:
        """Bytes after the last line that was handed out."""
        return max(0, (self._read_at if self.ended else self._size) - self.window.offset)

    def read(self, limit_bytes: int, now: float) -> Chunk | None:
        """The next chunk, None when no whole line is new; `ended` tells whether the content is still the same.

        Raises:
            OSError: The file cannot be read any longer.
        """
        cut = self._cutter.take()
        for _ in range(_DROP_BLOCKS):
            if cut is not None or self.ended or not self._fill(max(limit_bytes, 4096), now):
                break
            cut = self._cutter.take()
            if cut is None and not self._cutter.dropping and self._size <= self._read_at:
                break
        return None if cut is None else self._chunk(cut)

    def abandon(self) -> Chunk | None:
        """Give up the partial last line, as a chunk of nothing but its rejection; None when there is none."""
        cut = self._cutter.abandon()
        return None if cut is None else self._chunk(cut)

    def lost_before(self) -> Chunk:
        """A chunk of nothing but the partial line that the file held before this generation."""
        return Chunk(
            self.place, b"", self.label, None, lambda _, header: self.position(Window(), header), {"incomplete": 1}
        )

    def _fill(self, limit_bytes: int, now: float) -> bool:
        """Read a block and look again whether the file is the one it was; False when nothing was added."""
        block = os.pread(self.opened.fd, limit_bytes, self._read_at)
        self._size = os.fstat(self.opened.fd).st_size
        same = self.window.holds(self.opened.fd)
        if same is None and self._doubts == 0:  # a stale size, or a truncation: the next look decides
            self._doubts = 1
            return False
        if not same:
            self.ended = True
            self.lost_partial = self._cutter.ahead > 0
            self._cutter.clear()
            return False
        self._doubts = 0
        if os.pread(self.opened.fd, len(self._edge), self._read_at - len(self._edge)) != self._edge:
            self._cutter.clear()  # the partial line was taken back; what is there now is read afresh
            self._edge = b""
            return False
        if not block:
            return False
        self.grown_at = now
        self._cutter.feed(block)
        self._edge = (self._edge + block)[-64:] if len(block) < 64 else block[-64:]
        self._edge = self._edge[-self._cutter.ahead :]
        return True

    def _chunk(self, cut: Cut) -> Chunk:
        before, tail_drop = self.window, cut.consumed - len(cut.data)
        after = before.moved(cut.data)
        if tail_drop:
            after = after.jumped(self.opened.fd, tail_drop)
        self.window = after
        self._edge = self._edge[-self._cutter.ahead :] if self._cutter.ahead else b""

        def position_at(offset: int, header: str | None) -> Position:
            window = after if offset == len(cut.data) else before.moved(cut.data[:offset])
            return self.position(window, header)

        return Chunk(self.place, cut.data, self.label, self.header, position_at, cut.discarded)

    def position(self, window: Window, header: str | None) -> Position:
        """The position after `window`; the keys are described in `FileTail`."""
        whence = {"path": self.path, "device": self.opened.device, "inode": self.opened.inode}
        return {**whence, **window.position(), "header": header}

    def close(self) -> None:
        """Release the descriptor."""
        os.close(self.opened.fd)
