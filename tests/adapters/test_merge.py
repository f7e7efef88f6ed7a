"""Merging places by event time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import REJECTIONS, Chunk, Readings
from adapters.formats.csv import CsvFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.merge import EventTimeMerge, Merged, concatenate

FORM = CsvFormat(columns=["series", "timestamp", "value"], series="series")
BAD = b"nonsense\n"
BASE = 1_700_000_000


def chunk_of(place: str, data: bytes, start: int = 0, discarded: dict[str, int] | None = None) -> Chunk:
    """A chunk whose positions tell the offset in its place, and whether what was dropped after it was met."""

    def position_at(offset: int, header: str | None) -> dict[str, object]:
        return {"offset": start + offset, "all": offset == len(data), "header": header}

    return Chunk(place, data, "stem", None, position_at, discarded or {})


def add(merge: EventTimeMerge, chunk: Chunk) -> None:
    merge.add(chunk, *FORM.parse(chunk.data, chunk.series, ""))


def rows_of(merged: Merged) -> list[tuple[str, int]]:
    return [
        (merged.series[c], t // 1000 - BASE) for c, t in zip(merged.codes.tolist(), merged.at_ms.tolist(), strict=True)
    ]


places = st.lists(
    st.tuples(
        st.lists(st.one_of(st.integers(0, 30), st.integers(0, 30), st.none()), max_size=15),
        st.lists(st.integers(0, 15), max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def cut_up(place: str, times: list[int | None], cuts: list[int]) -> list[Chunk]:
    """Chunks of a place with a bad line for each None, cut after the given lines, with one drop after each chunk."""
    lines = [BAD if t is None else b"%s,%d,%d\n" % (place.encode(), BASE + t, k) for k, t in enumerate(times)]
    edges = sorted({0, len(lines), *(c for c in cuts if c < len(lines))})
    chunks, start = [], 0
    for left, right in pairwise(edges):
        data = b"".join(lines[left:right])
        chunks.append(chunk_of(place, data, start, {"too_long": 1}))
        start += len(data)
    return chunks


def run(queues: dict[str, list[Chunk]], order: list[str]) -> list[Merged]:
    """Feed the merge as a reader does: one chunk of each place at a time, in an order that the test chooses."""
    merge, out = EventTimeMerge(), []
    queues = {place: list(chunks) for place, chunks in queues.items()}
    turn = 0
    while any(queues.values()) or merge.held():
        ready = [p for p in queues if queues[p] and p not in merge.held()]
        if ready:
            wish = order[turn % len(order)]
            place = wish if wish in ready else ready[0]
            add(merge, queues[place].pop(0))
        turn += 1
        merged = merge.release([p for p in queues if queues[p]])
        if merged is not None:
            out.append(merged)
        else:
            assert ready, "the merge is stuck"
    return out


@settings(max_examples=150, deadline=None)
@given(places, st.data())
def test_merge_loses_nothing_and_cuts_do_not_matter(
    parts: list[tuple[list[int | None], list[int]]], data: st.DataObject
) -> None:
    """Whatever the cuts and the order of arrival, the same rows come in the same order, and all rejections once."""
    names = "abcd"[: len(parts)]
    order = data.draw(st.permutations(names))
    queues = {p: cut_up(p, times, cuts) for p, (times, cuts) in zip(names, parts, strict=True)}
    single = {p: cut_up(p, times, []) for p, (times, _) in zip(names, parts, strict=True)}
    out = run(queues, order)
    rows = [row for merged in out for row in rows_of(merged)]
    assert rows == [row for merged in run(single, list(names)) for row in rows_of(merged)]
    assert Counter(rows) == Counter(
        (p, t) for p, (times, _) in zip(names, parts, strict=True) for t in times if t is not None
    )
    rejected = sum((Counter(merged.rejected) for merged in out), Counter[str]())
    assert rejected["malformed"] == sum(times.count(None) for times, _ in parts)
    assert rejected["too_long"] == sum(len(chunks) for chunks in queues.values())
    for place, (times, _) in zip(names, parts, strict=True):
        mine = [t for p, t in rows if p == place]
        assert mine == [t for t in times if t is not None], "rows of one place keep their order"


@settings(max_examples=100, deadline=None)
@given(places, st.data())
def test_sorted_places_come_out_sorted_with_exact_positions(
    parts: list[tuple[list[int | None], list[int]]], data: st.DataObject
) -> None:
    """Sorted inputs give one sorted stream; the positions of each release hold exactly what went out so far."""
    names = "abcd"[: len(parts)]
    sorted_parts = {}
    for place, (times, cuts) in zip(names, parts, strict=True):
        numbers = iter(sorted(t for t in times if t is not None))
        sorted_parts[place] = ([None if t is None else next(numbers) for t in times], cuts)
    queues = {place: cut_up(place, *part) for place, part in sorted_parts.items()}
    text = {place: b"".join(chunk.data for chunk in chunks) for place, chunks in queues.items()}
    seen: Counter[str] = Counter()
    bad, position = 0, dict.fromkeys(names, 0)
    released: list[int | None] = []
    for merged in run(queues, data.draw(st.permutations(names))):
        seen.update(series for series, _ in rows_of(merged))
        released += [t for _, t in rows_of(merged)]
        bad += merged.rejected.get("malformed", 0)
        position.update({place: int(p["offset"]) for place, p in merged.positions.items()})
        done = {place: text[place][:offset].splitlines(keepends=True) for place, offset in position.items()}
        assert {p: sum(line != BAD for line in lines) for p, lines in done.items()} == {p: seen[p] for p in names}
        assert sum(line == BAD for lines in done.values() for line in lines) == bad
    in_order = [t for t in released if t is not None]
    assert in_order == sorted(in_order)
    assert len(in_order) == len(released)
    assert position == {place: len(text[place]) for place in names}


def test_a_place_with_backlog_holds_others_back() -> None:
    """Rows later than what a place with backlog has shown wait; without backlog they go."""
    merge = EventTimeMerge()
    add(merge, chunk_of("a", b"a,1700000001,0\na,1700000005,0\n"))
    add(merge, chunk_of("b", b"b,1700000002,0\nb,1700000003,0\n"))
    first = merge.release(["b"])
    assert first is not None
    assert rows_of(first) == [("a", 1), ("b", 2), ("b", 3)]
    assert first.positions["a"] == {"offset": 15, "all": False, "header": ""}
    assert merge.held() == {"a"}
    assert merge.release(["b"]) is None
    with pytest.raises(ValueError, match="held"):
        add(merge, chunk_of("a", b"a,1700000009,0\n"))
    rest = merge.release([])
    assert rest is not None
    assert rows_of(rest) == [("a", 5)]


def test_an_unread_place_holds_everything_back() -> None:
    """A place with backlog that has shown no row yet might show any time."""
    merge = EventTimeMerge()
    add(merge, chunk_of("a", b"a,1700000001,0\n"))
    assert merge.release(["a", "b"]) is None


def test_single_place_is_not_copied() -> None:
    """One place alone passes through: the very arrays of its readings."""
    merge = EventTimeMerge()
    chunk = chunk_of("a", b"a,1700000003,0\nx\na,1700000001,0\n", discarded={"binary": 2})
    readings, header = FORM.parse(chunk.data, "stem", "")
    merge.add(chunk, readings, header)
    merged = merge.release(["a"])
    assert merged is not None
    assert merged.values is readings.values
    assert merged.at_ms is readings.at_ms
    assert merged.rejected == {"malformed": 1, "binary": 2}
    assert merge.held() == frozenset()


def test_concatenate_merges_labels() -> None:
    """Labels of all parts share one dictionary; rows, rejections and offsets run on."""
    parts = [
        FORM.parse(data, "", "")[0]
        for data in (b"a,1700000001,1\nb,1700000001,2\nx\n", b"", b"b,1700000002,3\nc,1700000002,4\n")
    ]
    joined: Readings = concatenate(parts)
    assert joined.series == ["a", "b", "c"]
    assert [joined.series[c] for c in joined.codes] == ["a", "b", "b", "c"]
    assert joined.values.ravel().tolist() == [1, 2, 3, 4]
    assert joined.ends.tolist() == [15, 30, 47, 62]
    assert [REJECTIONS[r] for r in joined.bad_reasons] == ["malformed"]
    assert joined.codes.dtype == np.int32


def test_readings_of_one_line_go_on_together() -> None:
    """A line of several readings is not split by a bound: its end is a position, and no place is within it."""
    form = JsonlFormat(time="t", value="v", series="s")
    data = (
        f'[{{"s":"a","t":{BASE},"v":1}},{{"s":"a","t":{BASE + 9},"v":2}},{{"s":"a","v":2}}]\n'
        f'{{"s":"a","t":{BASE + 10},"v":3}}\n'
    ).encode()
    merge = EventTimeMerge()
    merge.add(chunk_of("a", data), *form.parse(data, "", ""))
    add(merge, chunk_of("b", b"b,%d,0\n" % (BASE + 5)))
    first = merge.release(["b"])
    assert first is not None
    assert (rows_of(first), dict(first.rejected)) == ([("b", 5)], {})
    last = merge.release([])
    assert last is not None
    assert (rows_of(last), dict(last.rejected)) == ([("a", 0), ("a", 9), ("a", 10)], {"bad_time": 1})
    assert last.positions["a"]["offset"] == len(data)
