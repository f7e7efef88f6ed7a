"""Whatever bytes come, the framer and the formats go on, in bounded memory, and account for every line.

CI takes a few hundred examples of each; `make fuzz` takes as many as FUZZ_EXAMPLES says.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.base import Format
from adapters.formats.csv import CsvFormat
from adapters.formats.influx import InfluxFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.formats.number_text import NumberReader
from adapters.lines import LineCutter
from tests.adapters.formats.parsed_lines import assert_same

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LIMIT = 40

TOKENS = [
    *(
        b"1714557600",
        b"-999",
        b"2024-05-01",
        b"10:30",
        b"1714557600000000000",
        b"2024-05-01T10:00:00Z",
        b"2024-03-31 02:30:00",
        b"1.5",
        b"-1e308",
    ),
    *(b"1e999", b"nan", b"7i", b"true", b"null", b"a", b"meter-7", b"value", b"timestamp", b"series"),
    *(b",", b";", b" ", b"=", b'"', b"\\", b"\\,", b"\\ ", b'\\"', b"{", b"}", b"[", b"]", b":", b"#"),
    *(b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\0", b"\t", b"\xff", b"\xc3", b"\xef\xbb\xbf", "ü€😀".encode()),
    *(
        b'{"timestamp":1714557600,"series":"a","value":1}',
        b"timestamp,series,value",
        b"value,timestamp,a",
        b"m,a=b value=1 1714557600",
    ),
    *(b"x" * 50, b"\0" * 50, b"9" * 400, b"[" * 200),
]
"""What lines of the formats are made of, whole and broken."""

soup = st.lists(st.one_of(st.sampled_from(TOKENS), st.sampled_from(TOKENS), st.binary(max_size=5)), max_size=60).map(
    b"".join
)

FORMATS: dict[str, Callable[[bool], Format]] = {
    "csv": lambda vouch: CsvFormat(series="series", timezone="Europe/Berlin", vouch=vouch),
    "columns": lambda vouch: CsvFormat(columns=["timestamp", "value"], delimiter=";", decimal=",", vouch=vouch),
    "jsonl": lambda vouch: JsonlFormat(series="series", vouch=vouch),
    "jsonl nested": lambda vouch: JsonlFormat(time="a.timestamp", value="a.value", vouch=vouch),
    "csv quality": lambda vouch: CsvFormat(quality="a", numbers=NumberReader(missing=[1.5, "a"]), vouch=vouch),
    "csv two": lambda vouch: CsvFormat(time=["timestamp", "series"], time_format="%Y-%m-%d %H:%M", vouch=vouch),
    "jsonl vector": lambda vouch: JsonlFormat(value="value", width=2, vouch=vouch),
    "influx": lambda vouch: InfluxFormat(vouch=vouch),
    "influx tags": lambda vouch: InfluxFormat(tags=["a", "m"], value=["value", "a"], vouch=vouch),
}


@pytest.mark.parametrize("name", FORMATS)
@fuzz
@given(data=soup, header=st.sampled_from([None, "", "timestamp,series,value", "series,value"]))
def test_any_bytes_are_read_or_refused(name: str, data: bytes, header: str | None) -> None:
    """No input raises; readings are finite, series within bounds, each line counts once at most; both paths agree."""
    readings, after = FORMATS[name](True).parse(data, "stem", header)
    slow, after_slow = FORMATS[name](False).parse(data, "stem", header)
    assert_same(readings, slow)
    assert after == after_slow
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    ends = np.concatenate([readings.ends, readings.bad_ends])
    assert len(np.unique(ends)) <= lines
    assert "jsonl" in name or len(np.unique(ends)) == len(ends)  # a list of objects has several readings
    assert (np.diff(readings.ends) >= 0).all()
    assert all(data[end - 1 : end] == b"\n" or end == len(data) for end in ends.tolist())
    assert (np.abs(readings.values) <= 1e30).all()
    assert ((readings.at_ms >= 631_152_000_000) & (readings.at_ms < 4_102_444_800_000)).all()
    assert all(0 < len(series.encode()) <= 256 for series in readings.series)
    assert not len(readings) or (readings.codes.min() >= 0 and readings.codes.max() < len(readings.series))


def framed(stream: bytes) -> tuple[list[bytes], Counter[str]]:
    """What the framer must make of a stream: its lines, and what it drops by reason."""
    *whole, rest = stream.split(b"\n")
    dropped = Counter("binary" if b"\0" in line else "too_long" for line in whole if len(line) > LIMIT)
    if len(rest) > LIMIT:
        dropped["binary" if b"\0" in rest else "too_long"] += 1
    elif rest:
        dropped["incomplete"] += 1
    return [line for line in whole if len(line) <= LIMIT], dropped


@fuzz
@given(stream=soup, chance=st.randoms(use_true_random=False))
def test_any_cut_of_any_stream_gives_the_same_lines(stream: bytes, chance: random.Random) -> None:
    """However a stream arrives, its lines and drops are the same, every byte is consumed, one line is held at most."""
    cutter, lines, dropped = LineCutter(LIMIT), list[bytes](), Counter[str]()
    take = cutter.cut_all if chance.random() < 0.5 else cutter.cut
    at = consumed = 0
    while at < len(stream):
        size = chance.choice([1, 2, 7, 30, 200])
        cutter.feed(stream[at : at + size])
        at += size
        while (cut := take()) is not None:
            lines += cut.data.split(b"\n")[:-1]
            dropped.update(cut.discarded)
            consumed += cut.consumed
        assert cutter.held <= LIMIT
    while (cut := cutter.abandon()) is not None:
        dropped.update(cut.discarded)
        consumed += cut.consumed
    expected, lost = framed(stream)
    assert lines == expected
    assert (+dropped, consumed) == (+lost, len(stream))
