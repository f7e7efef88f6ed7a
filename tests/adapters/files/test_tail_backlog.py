"""Row 9 of the file tail's fault table: rotated and compressed files, found again by what is inside."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.files.content import Compressed
from adapters.formats.csv import CsvFormat
from adapters.merge import EventTimeMerge
from tests.adapters.files.tail_reader import Reader, append, descriptors, lines


def compress(path: Path) -> Path:
    """What gzip does: the compressed file keeps the time of change, the original goes."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    changed = path.stat().st_mtime_ns
    os.utime(packed, ns=(changed, changed))
    path.unlink()
    return packed


def test_row_9_gzipped_while_stopped(path: Path) -> None:
    """The rest of a file that was rotated and compressed meanwhile is read from inside it, then what came after it."""
    append(path, lines(0, 100))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        for number, start in enumerate((100, 110)):
            append(path, lines(start, start + 10))
            path.rename(rotated := path.with_name(f"meter.csv.{2 - number}"))
            os.utime(rotated, ns=(0, 10**18 + number))
            compress(rotated)
        append(path, lines(120, 130))

    reader.restart(rotate)
    for _ in range(4):
        reader.wait()
    assert reader.all == lines(0, 130)
    reader.restart()
    assert reader.wait() + reader.wait() == b""


def test_row_9_a_compressed_backlog_is_read_once(tmp_path: Path) -> None:
    """Files of a glob that are compressed are read to their end, not again after a restart, and hold no descriptor."""
    for number in range(20):
        append(file := tmp_path / f"meter-{number:02}.csv", lines(number * 10, number * 10 + 10))
        compress(file)
    before = descriptors()
    reader = Reader(tmp_path / "*.csv.gz")
    assert reader.read() == lines(0, 200)
    assert descriptors() == before
    assert reader.tail.status()["lag_bytes"] == 0
    assert {place.rpartition("/")[2] for place in reader.order} == {f"meter-{n:02}.csv.gz#000001" for n in range(20)}
    reader.restart((tmp_path / "meter-03.csv.gz").unlink)
    assert reader.wait() == b""
    append(file := tmp_path / "meter-20.csv", lines(300, 310))
    compress(file)
    assert reader.wait() == lines(300, 310)


def test_row_9_a_known_file_is_not_decompressed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart a file that was read whole is known by its head; with another time of change it is compared."""
    append(file := tmp_path / "meter.csv", lines(0, 399) * 300)
    packed = compress(file)
    reader = Reader(tmp_path / "*.gz")
    reader.read()
    steps: list[bool] = []
    real = Compressed._advance

    def counted(content: Compressed) -> bool:
        steps.append(real(content))
        return steps[-1]

    monkeypatch.setattr(Compressed, "_advance", counted)
    reader.restart()
    assert (reader.wait(), sum(steps)) == (b"", 1)
    reader.restart(lambda: os.utime(packed, ns=(1, 1)))
    assert reader.wait() == b""
    assert sum(steps) > 4


def test_row_9_truncated_before_its_turn(path: Path) -> None:
    """A file that is copied and truncated while it waits behind its predecessor is read from the copy, then anew."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()
    path.rename(path.with_name("meter.csv.1"))
    append(path, lines(50, 100))
    assert reader.read() == b"", "the renamed file is waited for"
    for number, start in ((2, 100), (3, 110)):
        path.with_name(f"meter.csv.{number}").write_bytes(path.read_bytes())
        path.write_bytes(lines(start, start + 10))
    for _ in range(6):
        reader.wait()
    assert reader.all == lines(0, 120)


def test_row_9_an_empty_copy_between_two_others(path: Path) -> None:
    """A copy without a line is no reason to take the next file for its continuation: the copy after it is read too."""
    append(path, lines(0, 5))
    reader = Reader(path)
    reader.read()

    def copytruncate(number: int) -> None:
        path.with_name(f"meter.csv.{number}").write_bytes(path.read_bytes())
        path.write_bytes(b"")

    copytruncate(3)
    copytruncate(2)
    for number in (3, 2):
        os.utime(path.with_name(f"meter.csv.{number}"), (10**9 - number,) * 2)
    append(path, lines(5, 8))
    reader.read()
    copytruncate(1)
    append(path, lines(8, 10))
    for _ in range(6):
        reader.wait()
    assert reader.all == lines(0, 10)


def test_row_9_truncated_behind_a_backlog(path: Path) -> None:
    """The copy of a file that is truncated while a backlog is read comes after that backlog."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        for number in range(3):
            append(path, lines(50 + 10 * number, 60 + 10 * number))
            path.rename(rotated := path.with_name(f"meter.csv.{3 - number}"))
            os.utime(rotated, (10**9 + number,) * 2)
        append(path, lines(80, 90))

    reader.restart(rotate)
    path.with_name("meter.csv.4").write_bytes(path.read_bytes())
    path.write_bytes(lines(90, 100))
    for _ in range(6):
        reader.wait()
    assert reader.all == lines(0, 100)


def test_row_9_a_backlog_does_not_wait_file_by_file(path: Path) -> None:
    """Files that were quiet for the grace time before the next one was written are read on end, also at a restart."""
    append(path, lines(0, 100))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        for number in range(8):
            append(path, lines(100 + 10 * number, 110 + 10 * number))
            path.rename(rotated := path.with_name(f"meter.csv.{8 - number}"))
            os.utime(rotated, (10**9 + number,) * 2)
        append(path, lines(180, 190))

    reader.restart(rotate)
    reader.read(polls=20)
    assert reader.all == lines(0, 190)


@pytest.mark.parametrize("restart", [False, True])
def test_row_9_compressed_within_the_glob(tmp_path: Path, restart: bool) -> None:
    """A file that is read, rotated and compressed under names that all match is read once."""
    path = tmp_path / "meter.csv"
    append(path, lines(0, 100))
    reader = Reader(tmp_path / "meter.csv*")
    reader.read()
    append(path, lines(100, 105))
    path.rename(rotated := tmp_path / "meter.csv.1")
    append(path, lines(200, 220))
    reader.read()
    packed = rotated.with_name("meter.csv.1.gz")
    packed.write_bytes(gzip.compress(rotated.read_bytes())[:50])  # gzip is at work
    reader.wait()
    packed.write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    if restart:
        reader.restart()
    for _ in range(5):
        reader.wait()
    packed.rename(tmp_path / "meter.csv.2.gz")
    reader.wait()
    assert sorted(reader.all.splitlines()) == sorted((lines(0, 105) + lines(200, 220)).splitlines())


def test_row_9_copytruncate_within_the_glob(tmp_path: Path) -> None:
    """The copy that copytruncate makes gives only what was not read before the truncation."""
    path = tmp_path / "meter.csv"
    append(path, lines(0, 100))
    reader = Reader(tmp_path / "meter.csv*")
    reader.read()
    append(path, lines(100, 105))
    (tmp_path / "meter.csv.1").write_bytes(path.read_bytes())
    path.write_bytes(lines(200, 210))
    for _ in range(4):
        reader.wait()
    assert sorted(reader.all.splitlines()) == sorted((lines(0, 105) + lines(200, 210)).splitlines())
    reader.restart()
    assert reader.wait() == b""


def test_row_9_a_damaged_file_is_counted(tmp_path: Path) -> None:
    """Damage ends a compressed file: what came before it is read once, the file is tried again after growing pauses."""
    raw = bytearray(gzip.compress(lines(0, 300), mtime=0))
    raw[-8] ^= 1  # the checksum
    (tmp_path / "meter.csv.gz").write_bytes(raw)
    (tmp_path / "other.csv.gz").write_bytes(b"no gzip at all\n")
    append(tmp_path / "sound.csv", lines(300, 310))
    reader = Reader(tmp_path / "*.csv*")
    for _ in range(100):
        reader.wait(1)
    assert set(reader.all.splitlines()) >= set(lines(300, 310).splitlines())
    assert len(reader.all.splitlines()) == len(set(reader.all.splitlines()))
    assert 10 <= reader.tail.status()["unreadable"] <= 20


def test_row_9_merged_by_event_time(tmp_path: Path) -> None:
    """A backlog of plain and compressed files comes out as one stream in order of event time."""
    for number in range(4):
        rows = b"".join(
            b"2026-03-%02dT%02d:00Z,%d\n" % (d, h, number) for d in range(1, 20) for h in range(number, 24, 4)
        )
        append(file := tmp_path / f"{number}.csv", b"timestamp,value\n" + rows)
        if number % 2:
            compress(file)
    reader = Reader(tmp_path / "*.csv*")
    merge, fmt = EventTimeMerge(), CsvFormat(time="timestamp", value=["value"])
    headers: dict[str, str | None] = {}
    times: list[int] = []
    for _ in range(100):
        for chunk in reader.tail.poll(1000, merge.held()):
            readings, headers[chunk.place] = fmt.parse(chunk.data, chunk.series, headers.get(chunk.place, chunk.header))
            merge.add(chunk, readings, headers[chunk.place])
        merged = merge.release(reader.tail.backlog())
        times += [] if merged is None else merged.at_ms.tolist()
    assert len(times) == 19 * 24
    assert times == sorted(times)


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(st.binary(max_size=5000), min_size=1, max_size=4),
    cut=st.integers(0, 200),
    reads=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 9000)), max_size=10),
)
def test_compressed_content_is_what_was_compressed(
    tmp_path_factory: pytest.TempPathFactory, members: list[bytes], cut: int, reads: list[tuple[int, int]]
) -> None:
    """Any reads at any offsets, forward or back, over several members, give the bytes; a cut file gives a beginning."""
    whole = b"".join(members)
    raw = b"".join(map(gzip.compress, members))
    file = tmp_path_factory.mktemp("gz") / "x.gz"
    file.write_bytes(raw[: max(len(raw) - cut, 0)])
    content = Compressed(os.open(file, os.O_RDONLY))
    for at, length in reads:
        expected = whole[at : at + length]
        found = content.read(length, at)
        assert found == expected if cut == 0 else expected.startswith(found)
    if cut == 0:
        assert content.read(len(whole) + 1, 0) == whole
        assert (content.complete, content.size()) == (True, len(whole))
    elif not content.complete:  # a cut between two members cannot be told from an end
        file.write_bytes(raw)  # gzip goes on
        assert content.read(len(whole) + 1, 0) == whole
    content.close()


def test_memory_does_not_depend_on_the_content(tmp_path: Path) -> None:
    """Fifty mebibytes of NUL bytes and of long lines in a few kilobytes are read and dropped in a few mebibytes."""
    content = lines(0, 2) + bytes(25 << 20) + b"\n" + (b"x" * 5000 + b"\n") * 5000 + lines(2, 4)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content, 1))
    del content
    reader = Reader(tmp_path / "a.csv.gz", line_bytes=1000)
    tracemalloc.start()
    try:
        reader.read(limit_bytes=1 << 18, polls=300)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (reader.all, reader.discarded) == (lines(0, 4), {"binary": 1, "too_long": 5000})
