"""Very many files: descriptors are a bounded pool, the first look is linear, and nothing is lost by giving one back."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.files.generation import Opened
from adapters.files.position_index import PositionIndex
from adapters.files.tail import FileTail
from tests.adapters.files.tail_reader import LINES, Reader, append, descriptors, lines

HEADER = b"series,value,at\n"


class FewDescriptors(Reader):
    """A reader that keeps sixteen files open."""

    def start(self) -> None:
        self.tail = FileTail("src", self.pattern, scan_every_s=0, descriptors=16, monotonic=lambda: self.now)
        self.tail.open(self.positions)

    def settle(self) -> bytes:
        """Poll until nothing is new."""
        found, quiet = b"", 0
        while quiet < 6:
            new = self.read(polls=1)
            found, quiet = found + new, 0 if new else quiet + 1
        return found

    def of(self, path: Path) -> bytes:
        """All that was read under a path, header lines left out."""
        own = [text for place, text in self.text.items() if place.split(":", 1)[1].rsplit("#", 1)[0] == str(path)]
        return b"".join(own).replace(HEADER, b"")


def meters(directory: Path, count: int) -> list[Path]:
    """Files whose contents differ in every line."""
    paths = [directory / f"meter-{k}.csv" for k in range(count)]
    for k, path in enumerate(paths):
        path.write_bytes(HEADER + row(k, 0))
    return paths


def row(meter: int, at: int) -> bytes:
    return b"m%d,%d,%d\n" % (meter, meter * 7 + at, at)


def test_a_pool_of_descriptors(tmp_path: Path) -> None:
    """Of 200 files that grow again and again every line is read once, with sixteen open at the most."""
    paths, before = meters(tmp_path, 200), descriptors()
    reader = FewDescriptors(tmp_path / "*.csv")
    for at in range(1, 5):
        reader.settle()
        assert descriptors() - before <= 17
        for k, path in enumerate(paths):
            append(path, row(k, at))
    reader.settle()
    for k, path in enumerate(paths):
        assert reader.of(path) == b"".join(row(k, at) for at in range(5))
    status = reader.tail.status()
    assert status["files"] == 200
    assert status["descriptors"] <= 16
    assert status["position_bytes"] == sum(path.stat().st_size for path in paths)
    reader.tail.close()
    assert descriptors() == before


def test_whatever_happens_to_a_file_without_a_descriptor(tmp_path: Path) -> None:
    """Rotated by a rename, copied and truncated, deleted and made again, replaced while stopped: all lines, once."""
    count, rng = 80, random.Random(7)
    paths = meters(tmp_path, count)
    written = [row(k, 0) for k in range(count)]
    changes = 0

    def changed(*paths: Path) -> None:
        """Give files the time of this change: a system's clock may be too coarse to tell two of them apart."""
        nonlocal changes
        for path in paths:
            changes += 1
            os.utime(path, ns=(0, 10**18 + changes * 10**6))

    changed(*paths)
    reader = FewDescriptors(tmp_path / "*.csv")
    reader.settle()
    for at in range(1, 60, 3):
        for k in rng.sample(range(count), 25):
            path, late = paths[k], row(k, at)
            kind = rng.choice(["append", "rename", "late", "copytruncate", "made again"])
            if kind == "append":
                append(path, late)
            elif kind == "copytruncate":
                shutil.copyfile(path, copy := path.with_name(f"{path.name}.{at}"))
                changed(copy)
                path.write_bytes(HEADER + late)
            elif kind == "made again":
                path.unlink()
                path.write_bytes(HEADER + late)
            else:
                path.rename(renamed := path.with_name(f"{path.name}.{at}"))
                path.write_bytes(HEADER + row(k, at + 1))
                if kind == "late":
                    append(renamed, late)
                    changed(renamed)
                    late += row(k, at + 1)
                else:
                    late = row(k, at + 1)
            changed(path)
            written[k] += late
        if at % 4 == 0:
            reader.restart()
        for _ in range(3):
            reader.settle()
            reader.now += 20
    for _ in range(4):
        reader.settle()
        reader.now += 20
    for k, path in enumerate(paths):
        assert sorted(reader.of(path).splitlines()) == sorted(written[k].splitlines()), path.name


def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """System calls by name, while it is patched."""
    counts: Counter[str] = Counter()
    for name in ("open", "stat", "fstat", "pread", "scandir", "lseek"):
        real = getattr(os, name)

        def call(*args: Any, _name: str = name, _real: Any = real, **more: Any) -> Any:
            counts[_name] += 1
            return _real(*args, **more)

        monkeypatch.setattr(os, name, call)
    return counts


@pytest.mark.parametrize("restarted", [False, True])
def test_the_first_look_is_linear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool) -> None:
    """Four times as many files take four times the calls: of what is looked at, opened and read, and of comparisons."""
    work: dict[int, Counter[str]] = {}
    compared: dict[int, list[int]] = {}
    real = PositionIndex.candidates
    for count in (100, 400):
        directory = tmp_path / str(count)
        directory.mkdir()
        meters(directory, count)
        os.utime(directory, ns=(0, 10**18))  # changed long ago
        reader = FewDescriptors(directory / "*.csv")
        if restarted:
            reader.settle()
            reader.tail.close()
        with monkeypatch.context() as patch:
            calls, compared[count] = counted(patch), [0]
            own = compared[count]

            def candidates(self: PositionIndex, opened: Opened, own: list[int] = own) -> Iterator[str]:
                found = list(real(self, opened))
                own.append(len(found))
                return iter(found)

            patch.setattr(PositionIndex, "candidates", candidates)
            tail = FileTail("src", directory / "*.csv", descriptors=16, monotonic=lambda: 0.0)
            tail.open(reader.positions if restarted else {})
            data, polls = b"", 0
            while tail._pending or polls % 4:
                data += b"".join(chunk.data for chunk in tail.poll(1 << 20))
                polls += 1
            work[count] = calls
            tail.close()
        assert data.count(b"m") == (0 if restarted else count)
        reader.tail.close()
    for name, few in work[100].items():
        assert work[400][name] <= 5 * few, name
    assert sum(work[400].values()) <= 40 * 400
    assert work[400]["scandir"] <= 8
    assert max(compared[400]) <= 2, "positions that a file is compared with"


def test_a_quiet_file_without_a_descriptor_costs_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at files that have not changed opens none of them."""
    meters(tmp_path, 100)
    reader = FewDescriptors(tmp_path / "*.csv")
    reader.settle()
    calls = counted(monkeypatch)
    reader.read(polls=1)
    assert calls["open"] == 0
    assert calls["stat"] <= 110


def test_a_name_of_its_own_is_a_series_of_its_own(tmp_path: Path) -> None:
    """meter-1 goes, meter-2 comes and begins with the same readings: all of meter-2 is read, as meter-2, and told."""
    for stopped in (False, True):
        directory = tmp_path / str(stopped)
        directory.mkdir()
        one, two = directory / "meter-1.csv", directory / "meter-2.csv"
        zeros = b"".join(b"2024-05-01T%02d:00:00Z,0\n" % hour for hour in range(24)) * 5
        one.write_bytes(b"timestamp,value\n" + zeros)
        reader = FewDescriptors(directory / "*.csv")
        reader.settle()

        def replace(one: Path = one, two: Path = two, zeros: bytes = zeros) -> None:
            one.unlink()
            two.write_bytes(b"timestamp,value\n" + zeros + zeros)

        if stopped:
            reader.restart(replace)
        else:
            replace()
        reader.settle()
        reader.now += 100
        reader.settle()
        assert reader.of(two) == b"timestamp,value\n" + zeros + zeros
        assert reader.of(one) == b"timestamp,value\n" + zeros
        if stopped:
            assert reader.tail.status()["ambiguous"] == 1
        reader.tail.close()


def test_copies_under_two_names_are_two_series(tmp_path: Path) -> None:
    """A file copied to another name of the glob is read whole, as itself, also after a restart."""
    one, two = tmp_path / "meter-1.csv", tmp_path / "meter-10.csv"
    one.write_bytes(lines(0, 100))
    reader = FewDescriptors(tmp_path / "*.csv")
    reader.settle()
    shutil.copyfile(one, two)
    reader.settle()
    append(one, LINES[100])
    append(two, LINES[200])
    reader.restart()
    reader.settle()
    assert reader.of(one) == lines(0, 101)
    assert reader.of(two) == lines(0, 100) + LINES[200]


def test_an_inode_that_comes_again(tmp_path: Path) -> None:
    """A new file with the inode and the beginning of one that is gone is another, unless its birth says otherwise."""
    for known in (True, False):
        directory = tmp_path / str(known)
        directory.mkdir()
        one, two = directory / "meter-1.csv", directory / "meter-2.csv"
        one.write_bytes(lines(0, 100))
        reader = FewDescriptors(directory / "*.csv")
        reader.settle()
        (place,) = reader.positions
        one.unlink()
        two.write_bytes(lines(0, 120))
        reader.tail.close()
        status = two.stat()
        reader.positions[place] |= {"inode": status.st_ino, "device": status.st_dev, "born_ns": 1 if known else None}
        reader.start()
        reader.settle()
        assert reader.of(two) == lines(0, 120)
        assert reader.tail.status()["ambiguous"] == 1
        reader.tail.close()


def test_a_file_that_was_renamed_within_the_glob_goes_on(tmp_path: Path) -> None:
    """Renamed while it is read, or while nobody reads, a file goes on where it was: inode and birth are the same."""
    one, two, three = (tmp_path / f"meter-{k}.csv" for k in (1, 2, 3))
    one.write_bytes(lines(0, 100))
    reader = FewDescriptors(tmp_path / "*.csv")
    reader.settle()
    one.rename(two)
    append(two, LINES[100])
    reader.settle()
    reader.restart(lambda: two.rename(three))
    append(three, LINES[101])
    reader.settle()
    assert reader.all == lines(0, 102)
    assert reader.tail.status()["ambiguous"] == 0


@pytest.mark.parametrize("names", [["meter.csv"], ["meter-1.csv", "meter-2.csv"], ["a/readings.csv", "b/readings.csv"]])
def test_a_directory_that_was_copied_goes_on(names: list[str], tmp_path: Path) -> None:
    """Positions that come along to another directory: each file goes on by its name there, though all begin alike."""
    old, new = tmp_path / "old", tmp_path / "elsewhere" / "new"
    for number, name in enumerate(names):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_bytes(lines(0, 100) + LINES[100 + number])
    pattern = names[0] if len(names) == 1 else "*/*.csv" if "/" in names[0] else "*.csv"
    reader = FewDescriptors(old / pattern)
    reader.settle()
    shutil.copytree(old, new)
    moved = FewDescriptors(new / pattern)
    moved.tail.close()
    moved.positions = reader.positions
    moved.start()
    for number, name in enumerate(names):
        append(new / name, LINES[200 + number])
    moved.settle()
    assert [moved.of(old / name) for name in names] == [LINES[200 + k] for k in range(len(names))]
    assert moved.tail.status()["ambiguous"] == 0
