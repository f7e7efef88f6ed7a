"""The text of a file as UTF-8, whatever it was written in, and decompressed; a bounded part at a time."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path

from adapters.base import Progress
from adapters.lines import Cut, LineCutter

_BLOCK = 1 << 20
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
AUTO = "auto"


class Recoder:
    """Turns the bytes of a text into UTF-8.

    Args:
        encoding: A codec of Python's; `auto` for UTF-16 where a byte order mark says so, else UTF-8.
    """

    def __init__(self, encoding: str = AUTO) -> None:
        self._encoding = encoding
        self._held = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        if encoding == "utf-16":  # without a mark it is the usual order of bytes
            self._encoding = AUTO
        self._unmarked = "utf-16-le" if encoding == "utf-16" else "utf-8"
        if self._encoding != AUTO:
            self._begin(encoding)

    def feed(self, block: bytes, *, last: bool = False) -> bytes:
        """More of the text; with `last` nothing follows. What is none of its encoding becomes U+FFFD."""
        if self._encoding == AUTO:
            self._held += block
            if len(self._held) < 2 and not last:
                return b""
            block, self._held = self._held, b""
            self._begin(_MARKS.get(block[:2], self._unmarked))
        return block if self._decoder is None else self._decoder.decode(block, last).encode()

    def _begin(self, encoding: str) -> None:
        self._encoding = encoding
        if encoding != "utf-8":  # UTF-8 is left as it is, so that its faults are found line by line
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")


def cuts(
    path: Path, line_bytes: int, encoding: str = AUTO, progress: Progress = lambda done, total: None
) -> Iterator[tuple[Cut, int]]:
    """Whole lines of a file, a chunk at a time, each with the number of its first line; a last one is complete.

    Raises:
        OSError: The file cannot be read.
    """
    cutter, recoder, total, line = LineCutter(line_bytes), Recoder(encoding), path.stat().st_size, 1
    ended, last = False, b""
    with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
        while not ended:
            block = file.read(_BLOCK)
            ended = not block
            text = recoder.feed(block, last=ended)
            last = text[-1:] or last
            cutter.feed(text + b"\n" if ended and last not in (b"", b"\n") else text)
            while (cut := cutter.cut()) is not None:
                yield cut, line
                line += cut.data.count(b"\n") + sum(cut.discarded.values())
            progress(raw.tell(), total)


def numbered_lines(
    path: Path, encoding: str = AUTO, progress: Progress = lambda done, total: None
) -> Iterator[tuple[int, str]]:
    """The lines of a file that are text, without their ends, each with its number; a BOM is left out.

    Raises:
        OSError: The file cannot be read.
    """
    for cut, number in cuts(path, _BLOCK, encoding, progress):
        for step, raw in enumerate(cut.data.split(b"\n")[:-1]):
            yield number + step, raw.decode("utf-8", "replace").removeprefix("\ufeff").rstrip("\r")
