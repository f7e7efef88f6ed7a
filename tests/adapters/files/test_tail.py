"""Rows of the file tail's fault table, with real files; those of lines are in test_tail_lines.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.files.content import Plain
from tests.adapters.files.tail_reader import LINES, Reader, append, descriptors, lines


def test_row_1_rename_and_create(path: Path) -> None:
    """The renamed file is read to its end, late writes too, and only then the new one."""
    append(path, lines(0, 5))
    reader = Reader(path)
    assert reader.read() == lines(0, 5)
    append(path, lines(5, 7))
    path.rename(old := path.with_name("meter.csv.1"))
    append(path, lines(9, 12))
    assert reader.read() == lines(5, 7)
    append(old, lines(7, 9))
    assert reader.wait(3) == lines(7, 9)
    assert reader.wait(3) == b""
    assert reader.wait(3) == lines(9, 12)
    assert reader.tail.status()["rotations"] == 1
    assert len(reader.positions) == 1, "the finished generation's position is forgotten"


def test_row_1_an_old_file_that_keeps_growing_ends(path: Path) -> None:
    """A writer that never lets go of the renamed file does not keep the new one waiting for ever."""
    append(path, lines(0, 2))
    reader = Reader(path)
    reader.read()
    path.rename(old := path.with_name("meter.csv.1"))
    append(path, b"new,1,1\n")
    for k in range(20):
        append(old, LINES[10 + k])
        reader.wait(4)
    assert b"new,1,1\n" in reader.all


@pytest.mark.parametrize("rows", [2, 20, 60], ids=["smaller", "same", "larger"])
def test_row_2_copytruncate(path: Path, rows: int) -> None:
    """A file replaced in place is read from its start, whether it is smaller, as large, or larger than before."""
    append(path, lines(100, 120))
    reader = Reader(path)
    reader.read()
    path.write_bytes(lines(200, 200 + rows))
    assert reader.read() == lines(200, 200 + rows)
    assert reader.tail.status()["truncations"] == 1
    assert len(reader.text) == 2


def test_row_2_the_copy_gives_what_was_missed(path: Path) -> None:
    """Lines written between the last read and the truncation are read from the copy, then the new content."""
    append(path, lines(0, 20))
    reader = Reader(path)
    reader.read()
    append(path, lines(20, 25))
    path.with_name("meter.csv.1").write_bytes(path.read_bytes())
    path.write_bytes(lines(30, 33))
    reader.read()
    reader.wait()
    assert reader.all == lines(0, 25) + lines(30, 33)


@pytest.mark.parametrize("began", [False, True])
def test_row_2_what_came_and_went_in_a_file_seen_empty(path: Path, began: bool) -> None:
    """Lines that were written to a file seen empty and copied away before the next look are read, and read first."""

    def copy_away(number: int) -> None:
        copy = path.with_name(f"meter.csv.{number}")
        copy.write_bytes(path.read_bytes())
        path.write_bytes(b"")
        for k, changed in enumerate((copy, path)):
            os.utime(changed, ns=(0, 10**18 + 2 * number + k))

    append(path, lines(0, 20 * began))
    reader = Reader(path)
    reader.read()
    copy_away(1)
    for _ in range(4):
        reader.wait()
    assert reader.all == lines(0, 20 * began)
    for number in (2, 3):
        append(path, lines(10 * number, 10 * number + 5))
        copy_away(number)
    append(path, lines(40, 45))
    for _ in range(4):
        reader.wait()
    reader.restart()
    reader.wait()
    assert reader.all == lines(0, 20 * began) + lines(20, 25) + lines(30, 35) + lines(40, 45)


def test_row_3_truncated_with_a_partial_line(path: Path) -> None:
    """A buffered partial line is dropped and counted when its file is truncated, never joined to what comes next."""
    append(path, lines(0, 5) + b"a,77")
    reader = Reader(path)
    assert reader.read() == lines(0, 5)
    path.write_bytes(b"x,1,1\n" * 3)
    assert reader.read() == b"x,1,1\n" * 3
    assert reader.discarded == {"incomplete": 1}


def test_row_3_a_partial_line_that_the_copy_completes(path: Path) -> None:
    """A partial line whose file is truncated is not counted when it is read whole from the copy."""
    append(path, lines(0, 5) + LINES[5][:3])
    reader = Reader(path)
    reader.read()
    append(path, LINES[5][3:])
    path.with_name("meter.csv.1").write_bytes(path.read_bytes())
    path.write_bytes(lines(6, 8))
    reader.read()
    reader.wait()
    assert (reader.all, reader.discarded) == (lines(0, 8), {})


def test_row_3_partial_line_rewritten(path: Path) -> None:
    """A partial line that is taken back and written anew is read as it stands then."""
    append(path, lines(0, 5) + b"b,77")
    reader = Reader(path)
    reader.read()
    path.write_bytes(lines(0, 5) + b"c,8,9\n")
    assert reader.read() == b"c,8,9\n"


def test_row_4_partial_last_line(path: Path) -> None:
    """A partial line is not parsed, the offset stays before it; completed, over a restart too, it is read once."""
    append(path, lines(0, 3) + b"a,9")
    reader = Reader(path)
    assert reader.read() == lines(0, 3)
    reader.restart(lambda: append(path, b"9,1\nb"))
    assert reader.read() == b"a,99,1\n"
    append(path, b",1,2\n")
    assert reader.read() == b"b,1,2\n"


def test_row_4_partial_line_of_a_rotated_file(path: Path) -> None:
    """A partial line that is still partial after the grace is counted once, over a restart too."""
    append(path, lines(0, 300) + b"a,9")
    reader = Reader(path)
    reader.read()
    path.rename(path.with_name("meter.csv.1"))
    reader.read()
    reader.wait()
    assert reader.discarded == {"incomplete": 1}
    reader.restart()
    reader.wait()
    reader.wait()
    assert reader.discarded == {"incomplete": 1}


@pytest.mark.parametrize("running", [True, False])
def test_row_5_deleted_and_recreated(path: Path, running: bool) -> None:
    """A new file under the old name, likely with the old inode, is a new generation and read from its start."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()

    def replace() -> None:
        path.unlink()
        append(path, lines(100, 180))

    if running:
        replace()
        reader.read()
        reader.wait()
    else:
        reader.restart(replace)
        reader.read()
    assert reader.all == lines(0, 50) + lines(100, 180)
    assert len(reader.text) == 2


def test_row_6_symlink_swapped(path: Path) -> None:
    """The old target is read to its end, then the new one."""
    first, second = path.with_name("x1"), path.with_name("x2")
    append(first, lines(0, 3))
    append(second, lines(10, 13))
    path.symlink_to(first)
    reader = Reader(path)
    reader.read()
    append(first, lines(3, 4))
    path.unlink()
    path.symlink_to(second)
    reader.read()
    reader.wait()
    assert reader.all == lines(0, 4) + lines(10, 13)


def test_row_7_missing_then_deleted(path: Path) -> None:
    """A missing file is waited for; a deleted one is drained through the open descriptor; `up` tells."""
    reader = Reader(path)
    assert (reader.read(), reader.tail.status()["up"]) == (b"", 0.0)
    append(path, lines(0, 3))
    assert (reader.read(), reader.tail.status()["up"]) == (lines(0, 3), 1.0)
    with path.open("ab") as file:
        path.unlink()
        reader.read()
        file.write(lines(3, 5))
    assert reader.read() == lines(3, 5)
    reader.wait()
    assert reader.tail.status()["up"] == 0.0
    append(path, lines(10, 12))
    assert reader.read() == lines(10, 12)


def test_row_7_moved_away_and_back(path: Path) -> None:
    """A file that comes back with its old content goes on where it was."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()
    path.rename(away := path.with_name("elsewhere"))
    reader.read()
    reader.wait()
    away.rename(path)
    append(path, lines(50, 51))
    assert reader.read() == lines(50, 51)


def test_row_7_deleted_when_its_header_was_read(path: Path) -> None:
    """A deleted file is read to its end before the copy of the next one, though both begin with the same header."""
    header = b"timestamp,series,value\n"
    append(path, header)
    reader = Reader(path)
    assert reader.read() == header
    append(path, lines(0, 5))
    os.utime(path, ns=(0, 10**18))
    path.unlink()
    path.with_name("meter.csv.1").write_bytes(header + lines(10, 15))
    path.write_bytes(header + lines(20, 25))
    os.utime(path.with_name("meter.csv.1"), ns=(0, 10**18 + 1))
    os.utime(path, ns=(0, 10**18 + 2))
    for _ in range(4):
        reader.wait()
    assert reader.all == header + lines(0, 5) + header + lines(10, 15) + header + lines(20, 25)


def test_row_8_permission(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be opened is counted and tried again with growing pauses; reading resumes at the offset."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()
    real, denied = os.open, [True]

    def guarded(name: str, flags: int) -> int:
        if denied[0]:
            raise PermissionError(13, "denied", name)
        return real(name, flags)

    monkeypatch.setattr(os, "open", guarded)
    reader.restart(lambda: append(path, lines(50, 60)))
    for _ in range(40):
        reader.wait(1)
    assert 3 <= reader.tail.status()["unreadable"] <= 10
    denied[0] = False
    assert reader.wait(60) == lines(50, 60)


def test_row_14_stale_size(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that seems shorter once is not taken for truncated; seen twice, or with other bytes, it is."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()
    real, seen = Plain.read, [len(lines(0, 30))]
    monkeypatch.setattr(Plain, "read", lambda content, length, at: real(content, length, at)[: max(0, seen[0] - at)])
    assert reader.read(polls=1) == b""
    seen[0] = 1 << 30
    append(path, lines(50, 52))
    assert reader.read() == lines(50, 52)
    assert reader.tail.status()["truncations"] == 0
    seen[0] = len(lines(0, 30))
    assert reader.read() == lines(0, 30), "two looks agree: it is another content, though it looks like the old one"
    assert reader.tail.status()["truncations"] == 1
    seen[0] = 1 << 30
    path.write_bytes(lines(200, 205))
    assert reader.read(polls=2) == lines(200, 205), "other bytes need no second look"


def test_row_15_polling_needs_no_notification(path: Path) -> None:
    """Nothing tells the tail of a change: whatever happened between two polls, the next one finds it."""
    reader = Reader(path)
    assert reader.read() == b""
    append(path, lines(0, 5))
    assert reader.read(polls=1) == lines(0, 5)
    append(path, lines(5, 9))
    path.rename(path.with_name("meter.csv.1"))
    append(path, lines(9, 12))
    assert reader.wait() + reader.wait() == lines(5, 12)


def test_a_position_of_the_first_version(path: Path) -> None:
    """A position without a time of change goes on where it was; from its next generation on it has one."""
    append(path, lines(0, 50))
    reader = Reader(path)
    reader.read()
    for position in reader.positions.values():
        del position["since_ns"]

    def rotate() -> None:
        append(path, lines(50, 55))
        path.rename(path.with_name("meter.csv.1"))
        append(path, lines(55, 60))

    reader.restart(rotate)
    for _ in range(3):
        reader.wait()
    assert reader.all == lines(0, 60)
    assert all(isinstance(position["since_ns"], int) for position in reader.positions.values())


def test_rename_within_the_glob(tmp_path: Path) -> None:
    """A rotated file that the glob still matches is followed under its new name, over a restart too."""
    path = tmp_path / "meter.csv"
    append(path, lines(0, 100))
    reader = Reader(tmp_path / "meter.csv*")
    reader.read()
    path.rename(tmp_path / "meter.csv.1")
    append(path, lines(200, 210))
    append(tmp_path / "meter.csv.1", lines(100, 101))
    assert sorted(reader.read().splitlines()) == sorted((lines(100, 101) + lines(200, 210)).splitlines())
    (tmp_path / "meter.csv.2.xz").write_bytes(b"\xfd7zXZ")
    reader.restart()
    assert reader.read() == b""
    assert reader.tail.status()["compressed"] == 1


def test_edited_file_goes_on(path: Path) -> None:
    """A file rewritten under a new inode with its old content and one more line gives only that line."""
    append(path, lines(0, 100))
    reader = Reader(path)
    reader.read()
    other = path.with_name("tmp")
    other.write_bytes(path.read_bytes() + lines(100, 101))
    other.replace(path)
    reader.read()
    reader.wait()
    assert reader.all == lines(0, 101)


def test_many_files_share_the_limit(tmp_path: Path) -> None:
    """Every file gets its turn; skipped places are left alone and `backlog` names what is unread."""
    for k in range(5):
        append(tmp_path / f"{k}.csv", LINES[k] * 5000)
    reader = Reader(tmp_path / "*.csv")
    chunks = reader.tail.poll(20_480)
    assert [len(chunk.data) > 0 for chunk in chunks] == [True] * 5
    places = {chunk.place for chunk in chunks}
    assert reader.tail.backlog() == places
    one = chunks[2].place
    assert [chunk.place for chunk in reader.tail.poll(20_480, skip=places - {one})] == [one]
    while reader.tail.poll(1 << 20):
        pass
    assert reader.tail.backlog() == frozenset()
    assert reader.tail.status()["lag_bytes"] == 0


def test_descriptors_are_released(path: Path) -> None:
    """Twenty rotations leave as many descriptors open as one file needs, and none after closing."""
    before = descriptors()
    append(path, lines(0, 2))
    reader = Reader(path)
    for k in range(20):
        reader.read()
        path.rename(path.with_name(f"meter.csv.{k}"))
        append(path, lines(10 * k, 10 * k + 5))
        reader.read()
        reader.wait()
    assert descriptors() == before + 1
    assert len(reader.positions) <= 2
    reader.tail.close()
    assert descriptors() == before
