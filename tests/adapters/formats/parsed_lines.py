"""Lines to parse, and what came of them held against each other."""

from __future__ import annotations

from hypothesis import strategies as st

from adapters.base import Format, Readings

line_feeds = st.sampled_from([b"\n", b"\n", b"\r\n"])


def parse(form: Format, data: bytes, header: str | None = None) -> Readings:
    """What the format makes of these lines."""
    return form.parse(data, "stem", header)[0]


def assert_same(fast: Readings, slow: Readings) -> None:
    """Equal to the bit."""
    assert fast.series == slow.series
    for name in ("codes", "at_ms", "fold_s", "values", "ends", "bad_reasons", "bad_ends"):
        left, right = getattr(fast, name), getattr(slow, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes(), name


def chunk_of(rows: list[tuple[bytes, bytes]]) -> bytes:
    """Lines, each with its end."""
    return b"".join(line + feed for line, feed in rows)
