"""Chunks of messages: each is read as if it came alone, however many are read in one go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import Chunk, Format, Span
from adapters.formats.csv import CsvFormat
from adapters.formats.jsonl import JsonlFormat
from daemon.intake.messages import read_messages

FORMATS: dict[str, tuple[Format, bool]] = {
    "csv": (CsvFormat(columns=["timestamp", "value"]), False),
    "headed": (CsvFormat(), True),
    "jsonl": (JsonlFormat(), False),
}
BODIES = {
    "csv": ["1784160000,1\n", "1784160060,2\n1784160120,3\n", "bad\n", "\n", "\ufeff1784160000,4\n1784160000,x\n"],
    "headed": ["timestamp,value\n1784160000,1\n", "value,timestamp\n2,1784160060\n", "1784160000,1\n", "\n"],
    "jsonl": ['{"timestamp":1784160000,"value":1}\n', "{\n", '[{"timestamp":1784160000,"value":1}]\n', "\ufeff{}\n"],
}


def chunk_of(messages: list[tuple[str, str]]) -> Chunk:
    """Messages, each of a series and a text, as a source gives them."""
    spans, data = [], b""
    for series, text in messages:
        data += text.encode()
        spans.append(Span(len(data), series))
    return Chunk("s:x", data, "", None, lambda offset, header: {}, spans=tuple(spans))


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data())
def test_it_does_not_matter_what_comes_beside_it(kind: str, data: st.DataObject) -> None:
    """The readings of a chunk are those of its messages one by one; those of a message go on together."""
    fmt, headed = FORMATS[kind]
    of_series = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(BODIES[kind]))
    messages = data.draw(st.lists(of_series, min_size=1, max_size=6))
    chunk = chunk_of(messages)
    got = read_messages(fmt, chunk, lambda series: series.upper(), headed=headed)
    rows, bad, start = [], [], 0
    for end, series in chunk.spans:
        alone, _ = fmt.parse(chunk.data[start:end], series.upper(), None)
        rows += [(series.upper(), at, value, end) for at, value in zip(alone.at_ms, alone.values[:, 0], strict=True)]
        bad += [(reason, start + at) for reason, at in zip(alone.bad_reasons, alone.bad_ends, strict=True)]
        start = end
    names = [got.series[code] for code in got.codes]
    assert list(zip(names, got.at_ms, got.values[:, 0], got.ends, strict=True)) == rows
    assert list(zip(got.bad_reasons, got.bad_ends, strict=True)) == bad
