"""The content of a file that is not UTF-8, as UTF-8: decoded forward while it is read, in bounded memory."""

from __future__ import annotations

import errno
import os

from adapters.files.content import Content, Forward
from adapters.text_file import AUTO, Recoder

_RAW_BYTES = 1 << 16
_EDGE_BYTES = 64
_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Recoded(Forward):
    """A file in another encoding; offsets count bytes of UTF-8. It may grow.

    What was read is not looked at again but for its last bytes: where these changed, or the file is shorter, reading
    fails, and whoever opens the file next finds another content.

    Args:
        inner: The file.
        encoding: See `Recoder`.
    """

    def __init__(self, inner: Content, encoding: str) -> None:
        self._inner, self._encoding = inner, encoding
        super().__init__()

    def _begin(self) -> None:
        super()._begin()
        self._recoder = Recoder(self._encoding)
        self._raw_at, self._edge = 0, b""

    @property
    def complete(self) -> bool:
        """See `Content.complete`."""
        return self._inner.complete and self._raw_at >= self._inner.size()

    def _advance(self) -> bool:
        """Decode a block; False where the file ends for now, OSError where what was read of it has changed."""
        start = self._raw_at - len(self._edge)
        block = self._inner.read(len(self._edge) + _RAW_BYTES, start)
        if block[: len(self._edge)] != self._edge:
            raise OSError(errno.ESTALE, "was written anew while it was read")
        raw = block[len(self._edge) :]
        self._raw_at += len(raw)
        self._edge = block[-_EDGE_BYTES:]
        self._kept += self._recoder.feed(raw)
        return bool(raw)

    def size(self) -> int:
        """See `Content.size`; of what is not decoded yet the length in the file is counted."""
        return self._end + max(0, self._inner.size() - self._raw_at)

    def status(self) -> os.stat_result:
        """See `Content.status`."""
        return self._inner.status()

    def close(self) -> None:
        """See `Content.close`."""
        self._inner.close()


def as_text(content: Content, encoding: str) -> Content:
    """A file as UTF-8: itself where it is that, as far as its mark and the configuration tell.

    A compressed file is not looked into for a mark: that would decompress what is known already.
    """
    if encoding == "utf-8" or (encoding == AUTO and (content.fixed or content.read(2, 0) not in _MARKS)):
        return content
    return Recoded(content, encoding)
