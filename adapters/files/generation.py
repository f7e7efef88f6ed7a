"""One generation of a file: an open descriptor, how far it was read, and whether it is still the same content."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace

from adapters.base import Chunk, Position
from adapters.files.birth import born_ns
from adapters.files.content import Compressed, Content, Plain
from adapters.files.identity import Window
from adapters.files.recoded import as_text
from adapters.lines import Cut, LineCutter
from adapters.text import series_of
from adapters.text_file import AUTO

GZIP = ".gz"
_DROP_BLOCKS = 64
"""Blocks of a line that is being dropped, read in one go; they cost time but no memory."""


@dataclass(slots=True)
class Opened:
    """An open file of which is not known yet whether it was read before."""

    content: Content
    name: str
    device: int
    inode: int
    born_ns: int | None = None
    """When it was made; None where that is not known."""
    lost_of: str = ""
    """Place of the generation that the file held before, when a partial line of it went away and is found nowhere."""
    copy_of: str | None = None
    """Place of the generation whose rotated copy this is; it is left alone while that one is followed."""

    @classmethod
    def at(cls, name: str, encoding: str = AUTO) -> Opened | None:
        """Open a file whose text is in an encoding, see `Recoder`; None when it is no regular file.

        Raises:
            OSError: It cannot be opened.
        """
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        content: Content = Compressed(fd) if name.endswith(GZIP) else Plain(fd)
        return cls(as_text(content, encoding), name, status.st_dev, status.st_ino, born_ns(fd))

    def renewed(self, lost_of: str) -> Opened:
        """The same file with a descriptor of its own, because its content was replaced."""
        assert isinstance(self.content, Plain)
        return Opened(Plain(os.dup(self.content.fd)), self.name, self.device, self.inode, self.born_ns, lost_of)

    def lag_bytes(self) -> int:
        """Bytes of the file, none of which was read."""
        return 0 if self.copy_of else self.content.size()

    def close(self) -> None:
        """Release the descriptor."""
        self.content.close()


class Generation:
    """Reads one content of one file from an offset on.

    Args:
        opened: The file; this object closes it.
        place: The generation's name.
        path: Path under which the generation was first met; its stem is the series.
        window: What was read before.
        header: Header that was in force there.
        since_ns: Time of change of the newest rotated file of the path that was there before this generation.
        line_bytes: Longest line.
    """

    def __init__(
        self,
        opened: Opened,
        place: str,
        path: str,
        *,
        window: Window,
        header: str | None,
        since_ns: int,
        line_bytes: int,
    ) -> None:
        self.opened = opened
        self.place = place
        self.path = path
        self.window = window
        self.header = header
        self.since_ns = since_ns
        self.ended = False
        """The content was replaced under us: nothing more can be read, only what is buffered is left."""
        self.lost_partial = False
        self.leaving_at: float | None = None
        """When the file's name was first seen to be gone; None while it has one."""
        self.grown_at = 0.0
        self.resumed = bool(window.offset)
        """It was read in part when its file was found, which may be another one that begins alike."""
        self.was_empty = False
        """It was looked at when it had no whole line yet."""
        self.replaces: list[str] = []
        """Places of the same path that came before and have ended."""
        self._cutter = LineCutter(line_bytes)
        self._edge = b""
        self._doubts = 0
        self._size = opened.lag_bytes()

    @property
    def series(self) -> str:
        """Series of rows that carry none."""
        return series_of(self.path.removesuffix(GZIP))

    @property
    def complete(self) -> bool:
        """Whether all was read of a file that cannot grow."""
        return self.opened.content.complete and not self.unread

    @property
    def unread(self) -> bool:
        """Whether there is more that was seen and not read."""
        return self._cutter.ready or (not self.ended and self._size > self._read_at)

    @property
    def ambiguous(self) -> bool:
        """Whether nothing was read but one line, which does not tell this file from others that begin with it."""
        return bool(self.window.offset and not self.window.head) and not self.opened.content.fixed

    @property
    def grown(self) -> bool:
        """Whether the file is longer than what was read of it."""
        return self.opened.content.size() > self.window.offset

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
        cut = self._cutter.cut()
        for _ in range(_DROP_BLOCKS):
            if cut is not None or self.ended or not self._fill(max(limit_bytes, 4096), now):
                break
            cut = self._cutter.cut()
            if cut is None and not self._cutter.dropping and self._size <= self._read_at:
                break
        if cut is None and self.complete:  # it has no late writes to wait for
            cut = self._cutter.abandon()
        self.was_empty |= cut is None and not self.window.offset
        chunk = None if cut is None else replace(self._chunk(cut), last=self.complete)
        if self.complete:
            self.opened.close()
        return chunk

    def abandon(self) -> Chunk | None:
        """Give up the partial last line, as a chunk of nothing but its rejection; None when there is none."""
        cut = self._cutter.abandon()
        return None if cut is None else self._chunk(cut)

    def lost_before(self) -> Chunk:
        """A chunk of nothing but the partial line that the file held before this generation."""
        return Chunk(
            self.place, b"", self.series, None, lambda _, header: self.position(Window(), header), {"incomplete": 1}
        )

    def _fill(self, limit_bytes: int, now: float) -> bool:
        """Read a block and look again whether the file is the one it was; False when nothing was added."""
        content = self.opened.content
        block = content.read(limit_bytes, self._read_at)
        self._size = content.size()
        if not content.fixed and not self._same(content):
            return False
        if not block:
            return False
        self.grown_at = now
        self._cutter.feed(block)
        self._edge = (self._edge + block)[-64:] if len(block) < 64 else block[-64:]
        self._edge = self._edge[-self._cutter.ahead :]
        return True

    def _same(self, content: Content) -> bool:
        """Whether the block just read continues what was read before."""
        same = self.window.holds(content)
        if same is None and self._doubts == 0:  # a stale size, or a truncation: the next look decides
            self._doubts = 1
            return False
        if not same:
            self.ended = True
            self.lost_partial = self._cutter.ahead > 0
            self._cutter.clear()
            return False
        self._doubts = 0
        if content.read(len(self._edge), self._read_at - len(self._edge)) != self._edge:
            self._cutter.clear()  # the partial line was taken back; what is there now is read afresh
            self._edge = b""
            return False
        return True

    def _chunk(self, cut: Cut) -> Chunk:
        before, tail_drop = self.window, cut.consumed - len(cut.data)
        after = before.moved(cut.data)
        if tail_drop:
            after = after.jumped(self.opened.content, tail_drop, sum(cut.discarded.values()))
        self.window = after
        self._edge = self._edge[-self._cutter.ahead :] if self._cutter.ahead else b""

        def position_at(offset: int, header: str | None) -> Position:
            window = after if offset == len(cut.data) else before.moved(cut.data[:offset])
            return self.position(window, header)

        first = None if before.lines is None else before.lines + 1
        return Chunk(
            self.place, cut.data, self.series, self.header, position_at, cut.discarded, path=self.path, first_line=first
        )

    def position(self, window: Window, header: str | None) -> Position:
        """The position after `window`; the keys are described in `FileTail`."""
        opened = self.opened
        hints = {"device": opened.device, "inode": opened.inode, "born_ns": opened.born_ns, "since_ns": self.since_ns}
        position = {"path": self.path, **hints, **window.position()}
        content = opened.content
        if content.complete and window.offset == content.size():
            position["packed"] = packed(content)
        return {**position, "header": header}

    def close(self) -> None:
        """Release the descriptor."""
        self.opened.close()


def packed(content: Content) -> list[int]:
    """Length and time of change of a compressed file: equal ones need not be decompressed to be known again."""
    status = content.status()
    return [status.st_size, status.st_mtime_ns]
