"""Chunks of messages: each is read as if it came alone, and many of them as fast as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from adapters.base import Chunk, Format, Readings
from adapters.merge import concatenate

_MARK = b"\xef\xbb\xbf"


def read_messages(fmt: Format, chunk: Chunk, named: Callable[[str], str], *, headed: bool) -> Readings:
    """The readings of a chunk that has spans; those of one message share its end, so that they go on together.

    Args:
        fmt: Reads the lines.
        chunk: The messages.
        named: The name of rows that carry none, by what the source has for it.
        headed: Whether each begins with a header.
    """
    parts: list[Readings] = []
    bad_ends = []
    for start, end, series in _runs(chunk, headed):
        readings, _ = fmt.parse(chunk.data[start:end], named(series), None)
        bad_ends.append(readings.bad_ends + start)
        parts.append(replace(readings, ends=readings.ends + start))
    ends = np.concatenate([part.ends for part in parts])
    spans = np.array([span.end for span in chunk.spans], np.int64)
    whole = parts[0] if len(parts) == 1 else concatenate(parts)
    return replace(whole, ends=spans[np.searchsorted(spans, ends)], bad_ends=np.concatenate(bad_ends))


def _runs(chunk: Chunk, headed: bool) -> Iterator[tuple[int, int, str]]:
    """Messages that can be read in one go, from where to where: of one series, where none begins with a header."""
    run: tuple[int, int, str] | None = None
    start = 0
    for end, series in chunk.spans:
        if run is not None and not headed and series == run[2] and not chunk.data.startswith(_MARK, start):
            run = (run[0], end, series)
        else:
            if run is not None:
                yield run
            run = (start, end, series)
        start = end
    if run is not None:
        yield run
