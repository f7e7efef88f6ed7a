"""Files that were rotated while nobody looked, once or hundreds of times: nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.adapters.files.tail_reader import Reader, append, descriptors, lines


def test_rotated_while_stopped(path: Path) -> None:
    """After a restart the renamed file is found by its content, read to its end, then the new one; nothing twice."""
    append(path, lines(0, 100))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        append(path, lines(100, 110))
        path.rename(path.with_name("meter.csv.1"))
        append(path, lines(110, 120))

    reader.restart(rotate)
    reader.read()
    reader.wait()
    assert reader.all == lines(0, 120)
    reader.restart()
    reader.wait()
    assert reader.wait() == b""


def test_rotated_twice_while_stopped(path: Path) -> None:
    """A file that was written and rotated while nobody looked is read after its predecessor, as the same path."""
    append(path, lines(0, 100))
    reader = Reader(path)
    reader.read()

    def rotate_twice() -> None:
        for k, start in enumerate((100, 110)):
            append(path, lines(start, start + 10))
            path.rename(rotated := path.with_name(f"meter.csv.{2 - k}"))
            os.utime(rotated, ns=(0, 10**18 + k))
        append(path, lines(120, 130))
        path.with_name("meter.csv.bak").write_bytes(b"not,a,rotation\n")

    reader.restart(rotate_twice)
    for _ in range(4):
        reader.wait()
    assert reader.all == lines(0, 130)
    assert {chunk.rpartition("#")[0] for chunk in reader.text} == {f"src:{path}"}


def test_rotated_while_stopped_and_the_file_before_deleted(path: Path) -> None:
    """What was rotated after a file that is gone is read, oldest first, then the new file; what came before is not."""
    append(old := path.with_name("meter.csv.9"), lines(300, 310))
    os.utime(old, ns=(0, 10**17))
    append(path, lines(0, 5))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        path.unlink()
        for k, start in enumerate((10, 20)):
            append(path, lines(start, start + 5))
            path.rename(rotated := path.with_name(f"meter.csv.{2 - k}"))
            os.utime(rotated, ns=(0, 10**18 + k))
        append(path, lines(30, 35))

    reader.restart(rotate)
    for _ in range(4):
        reader.wait()
    assert reader.all == lines(0, 5) + lines(10, 15) + lines(20, 25) + lines(30, 35)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("way", ["rename", "copytruncate"])
def test_rotated_with_one_line_read(path: Path, way: str, running: bool) -> None:
    """A file of which the header alone was read is found where it was rotated to, though the next begins alike."""
    header = b"timestamp,series,value\n"
    append(old := path.with_name("meter.csv.9"), header + lines(300, 310))
    os.utime(old, ns=(0, 10**17))
    append(path, header)
    reader = Reader(path)
    assert reader.read() == header

    def rotate() -> None:
        for k, start in enumerate((0, 10)):
            append(path, (header if k and way == "rename" else b"") + lines(start, start + 5))
            rotated = path.with_name(f"meter.csv.{2 - k}")
            if way == "rename":
                path.rename(rotated)
            else:
                rotated.write_bytes(path.read_bytes())
                path.write_bytes(header)
            os.utime(rotated, ns=(0, 10**18 + k))
        append(path, (header if way == "rename" else b"") + lines(20, 25))

    if running:
        rotate()
        reader.read()
    else:
        reader.restart(rotate)
    for _ in range(6):
        reader.wait()
    assert reader.all.replace(header, b"") == lines(0, 5) + lines(10, 15) + lines(20, 25)
    assert set(reader.all.splitlines()) >= {header.strip()}


def test_rotated_while_stopped_after_files_with_a_header_alone(path: Path) -> None:
    """What is rotated after two files that had a header alone, and are gone, is found though the next begins alike."""
    header = b"timestamp,series,value\n"
    reader = Reader(path)
    for k in range(2):
        append(path, header)
        os.utime(path, ns=(0, 10**18 + k))
        assert reader.wait() == header
        path.unlink()
        reader.wait()
    assert len(reader.positions) == 1

    def rotate() -> None:
        append(rotated := path.with_name("meter.csv.1"), header + lines(0, 5))
        os.utime(rotated, ns=(0, 10**18 + 2))
        append(path, header + lines(10, 15))

    reader.restart(rotate)
    for _ in range(3):
        reader.wait()
    assert reader.all == header * 2 + lines(0, 5) + header + lines(10, 15)


def test_rotated_hundreds_of_times_while_stopped(path: Path) -> None:
    """However many files were rotated meanwhile, all are read, oldest first, with a bounded number open at a time."""
    before = descriptors()
    append(path, lines(0, 5))
    reader = Reader(path)
    reader.read()

    def rotate() -> None:
        for k in range(300):
            append(path, lines(5 + k, 6 + k))
            path.rename(rotated := path.with_name(f"meter.csv.{k:03}"))
            os.utime(rotated, ns=(0, 10**18 + k * 10**10))
        append(path, lines(305, 310))

    reader.restart(rotate)
    most = 0
    for _ in range(100):
        reader.wait()
        most = max(most, descriptors())
    assert reader.all == lines(0, 310)
    assert 100 < most - before < 140


def test_rotated_before_an_older_file_ended(path: Path) -> None:
    """A file whose time of change is older than that of its predecessor does not have the predecessor read again."""
    append(path, lines(0, 5))
    reader = Reader(path)
    reader.read()
    path.rename(path.with_name("meter.csv.1"))
    append(path, lines(5, 8))
    os.utime(path, (10**9, 10**9))
    reader.read()
    path.unlink()
    append(path, lines(8, 10))
    for _ in range(5):
        reader.wait()
    assert reader.all == lines(0, 10)
