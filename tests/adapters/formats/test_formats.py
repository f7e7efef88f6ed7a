"""The agreement of fast and slow path of line formats, however their chunks are cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import Format
from adapters.formats.csv import CsvFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.formats.rows import compact
from tests.adapters.formats.parsed_lines import assert_same, chunk_of, line_feeds

STAMPS = ["1", "1700000000.5", "1700000000123", "2024-03-31T02:30:00", "2024-10-27 02:30:00", "2024-05-05", "x", ""]


NUMBERS = [
    "1",
    "-2.5e-3",
    "3,5",
    "",
    "nan",
    "1e999",
    "1e30",
    "-1e31",
    "0x1",
    "1_0",
    "-999",
    "n/a",
    " 7 ",
    "٣",
    "12345678901234567890123",
]


LABELS = ["a", "b", " a", "ä", "", "a\x07", "x" * 257, '"q,""q"', '"', "a\x85", "\ufeff", "series"]


JUNK = [
    b"",
    b" ",
    b"\r",
    b"\t",
    b",,",
    b"a,1",
    b"a,1700000001,2,3",
    b"\xff,1700000001,2",
    b"a\0,1700000001,2",
    b"\0\0",
    b"series,timestamp,value",
    b"\xef\xbb\xbfseries,timestamp,value",
    b"a,1700000001,2\r",
    b"a\r,1700000001,2",
    b"{}",
    b"[]",
    b'{"series":"a","timestamp":1700000001,"value":1,"value":2}',
    b'{"series":"a","timestamp":1700000001,"x":"value"}',
    b'{"series":"a","timestamp":1700000001,"value":NaN}',
    b'{"series":"value","timestamp":1700000001.5,"value":1}',
    b'{"series":"\\u0061","timestamp":"1700000002","value":1e5}',
    b'{"series":{"value":1},"timestamp":1700000001}',
]


JSON_CELLS = [
    '"a"',
    '"b"',
    "1700000001",
    "2.5",
    "1e400",
    "null",
    "true",
    '"2024-05-05"',
    '"x"',
    "[1]",
    "[1,2]",
    '" a"',
    "-0.0",
]


csv_rows = st.builds(lambda s, t, v: f"{s},{t},{v}".encode(), *map(st.sampled_from, (LABELS, STAMPS, NUMBERS)))


json_rows = st.builds(
    lambda s, t, v: f'{{"series":{s},"timestamp":{t},"value":{v}}}'.encode(),
    *[st.sampled_from(JSON_CELLS)] * 3,
)


FORMATS: dict[str, Callable[[bool], Format]] = {
    "csv": lambda vouch: CsvFormat(series="series", timezone="Europe/Berlin", vouch=vouch),
    "columns": lambda vouch: CsvFormat(columns=["x", "timestamp", "value"], timezone="Europe/Berlin", vouch=vouch),
    "decimal": lambda vouch: CsvFormat(columns=["timestamp", "value"], delimiter="\t", decimal=",", vouch=vouch),
    "space": lambda vouch: CsvFormat(columns=["series", "timestamp", "value"], delimiter=" ", vouch=vouch),
    "jsonl": lambda vouch: JsonlFormat(series="series", timezone="Europe/Berlin", vouch=vouch),
    "list": lambda vouch: JsonlFormat(value="value", width=2, vouch=vouch),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(csv_rows, json_rows, st.sampled_from(JUNK), st.binary(max_size=9)), line_feeds)),
    st.sampled_from([None, "series,timestamp,value", "timestamp,value", ""]),
)
def test_fast_path_equals_slow_path(name: str, rows: list[tuple[bytes, bytes]], header: str | None) -> None:
    """Whatever lines a chunk mixes, both paths give the same readings, reasons and offsets, to the bit."""
    data = chunk_of(rows)
    if name in ("decimal", "space"):
        data = data.replace(b",", b"\t" if name == "decimal" else b" ")
    fast, header_fast = FORMATS[name](True).parse(data, "stem", header)
    slow, header_slow = FORMATS[name](False).parse(data, "stem", header)
    assert header_fast == header_slow
    assert_same(fast, slow)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(csv_rows, json_rows, st.sampled_from(JUNK)), line_feeds), min_size=1),
    st.data(),
)
def test_cuts_do_not_matter(name: str, rows: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """A chunk cut in two gives the same rows and rejections, the header carried across the cut."""
    cut = data.draw(st.integers(0, len(rows)))
    form = FORMATS[name](True)
    whole, header = form.parse(chunk_of(rows), "stem", None)
    left, between = form.parse(chunk_of(rows[:cut]), "stem", None)
    right, after = form.parse(chunk_of(rows[cut:]), "stem", between)
    assert after == header
    assert [whole.series[c] for c in whole.codes] == [r.series[c] for r in (left, right) for c in r.codes]
    for part in ("at_ms", "fold_s", "values", "bad_reasons"):
        both = np.concatenate([getattr(left, part), getattr(right, part)])
        assert getattr(whole, part).tobytes() == both.tobytes()


@given(st.lists(st.integers(0, 5), max_size=30))
def test_compact_keeps_the_texts(codes: list[int]) -> None:
    """Unused series go, the rest stand in the order of first use, and every row keeps its text."""
    series = list("abcdef")
    kept, renamed = compact(series, np.array(codes, np.int32))
    assert [kept[c] for c in renamed] == [series[c] for c in codes]
    assert kept == list(dict.fromkeys(series[c] for c in codes))
