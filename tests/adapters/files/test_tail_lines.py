"""Rows of the file tail's fault table that are about lines: runs of NUL, marks, long lines, headers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.files.tail_reader import Reader, append, lines, parsed


def test_row_10_nul_run(path: Path) -> None:
    """A long run of NUL bytes is dropped up to the next newline without being held, and counted."""
    append(path, lines(0, 2))
    with path.open("ab") as file:
        file.truncate(5 << 20)
    append(path, b"\n" + lines(2, 4))
    reader = Reader(path, line_bytes=1000)
    reader.read(polls=20)
    assert (reader.all, reader.discarded) == (lines(0, 4), {"binary": 1})


def test_row_11_marks_line_ends_and_bad_bytes(path: Path) -> None:
    """A byte order mark and carriage returns are no part of any value; a line that is not UTF-8 costs only itself."""
    append(path, b"\xef\xbb\xbftimestamp,series,value\r\n2026-03-01T00:00Z,a,1\r\n")
    append(path, b"2026-03-01T00:00Z,caf\xe9,2\r\n2026-03-01T00:00Z,b,3\n\xff\xfe\n2026-03-01T00:30Z,a,4\r\n")
    accepted, rejected = parsed(Reader(path))
    assert accepted == [("a", 1.0), ("b", 3.0), ("a", 4.0)]
    assert rejected == {"encoding": 2}


@pytest.mark.parametrize("restart", [True, False])
def test_row_12_long_lines(path: Path, restart: bool) -> None:
    """Lines beyond the limit are dropped and counted, once also over a restart; those at the limit are read."""
    exact = b"e" * 100 + b"\n"
    append(path, lines(0, 2) + b"x" * 101 + b"\n" + exact + b"y" * 200_000 + b"\n" + b"z" * 200 + b"\n" + lines(2, 4))
    reader = Reader(path, line_bytes=100)
    for _ in range(40):
        reader.read(limit_bytes=50, polls=1)
        if restart:
            reader.restart()
    assert reader.all == lines(0, 2) + exact + lines(2, 4)
    assert reader.discarded == {"too_long": 3}


def test_row_12_a_line_without_end(path: Path) -> None:
    """A line that never ends stays unread; what is held of it stays below the limit and a block."""
    append(path, lines(0, 1))
    reader = Reader(path, line_bytes=1000)
    for _ in range(50):
        append(path, b"x" * 10_000)
        reader.read(limit_bytes=5000, polls=2)
    head = next(iter(reader.tail._files.lanes.values()))[0]
    assert len(head._cutter._buffer) <= 6000  # type: ignore[union-attr]
    append(path, b"\n" + lines(1, 2))
    assert reader.read() == lines(1, 2)


def test_row_13_shared_headers_stay_apart(tmp_path: Path) -> None:
    """Files that begin with the same header are told apart over a restart, and a generation starts without header."""
    header = b"series,timestamp,value\n"
    for k, name in enumerate(("a.csv", "b.csv", "c.csv")):
        append(tmp_path / name, header + lines(100 * k, 100 * k + k))
    reader = Reader(tmp_path / "*.csv")
    reader.read()
    assert [chunk.header for chunk in reader.tail.poll(1 << 20)] == []

    def three_more() -> None:
        for name in "abc":
            append(tmp_path / f"{name}.csv", b"%s,1,1\n" % name.encode())

    reader.restart(three_more)
    reader.read()
    assert [text.splitlines()[-1][:1] for _, text in sorted(reader.text.items())] == [b"a", b"b", b"c"]
    assert len(reader.text) == 3


@pytest.mark.parametrize("way", ["rename", "copytruncate"])
@pytest.mark.parametrize("restart", [True, False])
def test_row_13_header_repeated_after_rotation(path: Path, way: str, restart: bool) -> None:
    """Each generation begins with its own header, which is never a rejected reading, even with other columns."""
    append(path, b"timestamp,series,value\n2026-03-01T00:00Z,a,1\n2026-03-01T00:30Z,a,2\n")
    reader = Reader(path)
    before = parsed(reader)

    def rotate() -> None:
        old = path.with_name("meter.csv.1")
        if way == "rename":
            path.rename(old)
        else:
            old.write_bytes(path.read_bytes())
        path.write_bytes(b"series,value,timestamp\na,3,2026-03-01T01:00Z\n")

    if restart:
        reader.restart(rotate)
    else:
        rotate()
    for _ in range(3):
        after = parsed(reader)
        reader.now += 10
        before = (before[0] + after[0], before[1] | after[1])
    assert before == ([("a", 1.0), ("a", 2.0), ("a", 3.0)], {})
