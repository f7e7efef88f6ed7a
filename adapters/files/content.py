"""The bytes of an open file at any offset: as they are, or decompressed while they are read."""

from __future__ import annotations

import errno
import os
import zlib
from abc import ABC, abstractmethod
from typing import Protocol

_RAW_BYTES = 1 << 16
_STEP_BYTES = 1 << 18
_KEPT_BYTES = (1 << 20) + 4096
"""What stays in memory of made bytes before the offset of the last read; going back further starts over."""


class Content(Protocol):
    """An open file. `fixed` says that bytes which were read never change; `complete` that none will follow."""

    fixed: bool

    def read(self, length: int, at: int) -> bytes:
        """Up to `length` bytes from offset `at`; fewer only where no more are there now. Raises OSError."""

    def size(self) -> int:
        """Offset after the last byte known of; more than what was read while there is more to read."""

    @property
    def complete(self) -> bool:
        """Whether the content has ended for good."""

    def status(self) -> os.stat_result:
        """What the system says of the file."""

    def close(self) -> None:
        """Release the descriptor; a second call does nothing."""


class Plain:
    """A file as it is."""

    fixed = False
    complete = False

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self, length: int, at: int) -> bytes:
        """See `Content.read`."""
        return os.pread(self.fd, length, at)

    def size(self) -> int:
        """See `Content.size`."""
        return os.fstat(self.fd).st_size

    def status(self) -> os.stat_result:
        """See `Content.status`."""
        return os.fstat(self.fd)

    def close(self) -> None:
        """See `Content.close`."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Forward(ABC):
    """A file whose bytes are made forward, from its beginning, while they are read; in bounded memory."""

    fixed = True

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """Start over."""
        self._kept, self._kept_at = bytearray(), 0

    @property
    def _end(self) -> int:
        """Offset after the last byte made."""
        return self._kept_at + len(self._kept)

    @abstractmethod
    def _advance(self) -> bool:
        """Make more bytes, at the end of those kept; False where there are none now. Raises OSError."""

    def read(self, length: int, at: int) -> bytes:
        """See `Content.read`; what lies before `at` by more than a mebibyte is let go."""
        if at < self._kept_at:
            self._begin()
        while self._end < at + length and self._advance():
            spare = min(at, self._end) - _KEPT_BYTES - self._kept_at
            if spare > 0:
                del self._kept[:spare]
                self._kept_at += spare
        first = at - self._kept_at
        return bytes(self._kept[first : first + length]) if first >= 0 else b""


class Compressed(Forward):
    """A gzip file, of one member or several, decompressed forward in bounded memory; it may still be growing.

    At its end the descriptor and the buffers are released, so that a thousand files read once cost nothing.
    """

    complete = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._status = os.fstat(fd)
        super().__init__()

    def _begin(self) -> None:
        if self.complete:
            return  # what was let go is gone
        super()._begin()
        self._inflate = zlib.decompressobj(wbits=31)
        self._raw, self._raw_at = b"", 0
        self._more = True  # output may be left inside the decompressor

    def _advance(self) -> bool:
        """Decompress a step further; False at the end, or where the file ends for now."""
        if self.complete:
            return False
        if not self._raw:
            self._raw = os.pread(self._fd, _RAW_BYTES, self._raw_at)
            self._raw_at += len(self._raw)
        if not self._raw and not self._more:
            return False
        try:
            out = self._inflate.decompress(self._raw, _STEP_BYTES)
        except zlib.error as error:
            raise OSError(errno.EBADMSG, f"is no sound gzip file: {error}") from error
        self._raw, self._more = self._inflate.unconsumed_tail, len(out) == _STEP_BYTES
        self._kept += out
        if self._inflate.eof:
            self._next_member(self._inflate.unused_data)
        return True

    def _next_member(self, rest: bytes) -> None:
        """Go on with the member that follows; NUL bytes after the last one are padding."""
        if not rest:
            rest = os.pread(self._fd, _RAW_BYTES, self._raw_at)
            self._raw_at += len(rest)
        if rest.strip(b"\0"):
            self._raw, self._inflate, self._more = rest, zlib.decompressobj(wbits=31), False
        else:
            self.complete = True

    def size(self) -> int:
        """See `Content.size`; of what is not decompressed yet the compressed length is counted."""
        if self.complete:
            return self._end
        return self._end + int(self._more) + len(self._raw) + max(0, self.status().st_size - self._raw_at)

    def status(self) -> os.stat_result:
        """See `Content.status`."""
        return os.fstat(self._fd) if self._fd >= 0 else self._status

    def skip_to_end(self, end: int) -> None:
        """Take `end` for the content's length without reading it, because all of it is known."""
        self._kept_at, self._kept, self.complete = end, bytearray(), True
        self.close()

    def close(self) -> None:
        """See `Content.close`; frees the buffers too."""
        if self._fd >= 0:
            self._status = os.fstat(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._kept_at, self._kept, self._raw = self._end, bytearray(), b""
