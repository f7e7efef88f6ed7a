"""Row 15 of the file tail's fault table: what the kernel says makes reading sooner, and never decides what is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.files.content import Plain
from adapters.files.hints import Hint, Hints
from adapters.files.tail import FileTail
from tests.adapters.files.tail_reader import append, descriptors, lines

LOOK_S = 1.0  # as the daemon has it


class Lossy(Hints):
    """Real notifications, of which the test may lose some."""

    losing = overflowing = False

    def drain(self) -> Hint:
        hint = super().drain()
        if self.overflowing:
            return Hint(overflowed=True)
        return Hint() if self.losing else hint


class Tail:
    """A tail with hints and a clock that the test moves."""

    def __init__(self, pattern: Path, hints: Hints | None = None) -> None:
        self.now, self.hints = 0.0, Lossy() if hints is None else hints
        self.tail = FileTail("src", pattern, scan_every_s=LOOK_S, hints=self.hints, monotonic=lambda: self.now)
        self.tail.open({})

    def read(self, after_s: float = 0.0) -> bytes:
        """What one poll gives, so long after the last one."""
        self.now += after_s
        return b"".join(chunk.data for chunk in self.tail.poll(1 << 20))

    def settle(self) -> bytes:
        """Read until nothing is new."""
        return b"".join(iter(self.read, b""))


def test_row_15_a_notification_makes_reading_sooner(path: Path) -> None:
    """New lines, a new name and a rotation are read at the next poll, without waiting for the next look at all."""
    append(path, lines(0, 5))
    one = Tail(path)
    assert one.settle() == lines(0, 5)
    append(path, lines(5, 9))
    assert one.read() == lines(5, 9)
    one.settle()
    append(path.with_name("other"), b"x")
    path.rename(path.with_name("meter.csv.1"))
    append(path, lines(9, 12))
    assert one.read(LOOK_S / 10) == b"", "the renamed file is waited for"
    assert one.tail.status()["files"] == 2, "the new name was seen"
    assert one.read(5) + one.settle() == lines(9, 12)


@pytest.mark.parametrize("way", ["lost", "overflowed", "impossible"])
def test_row_15_a_lost_notification_does_not_matter(path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without notifications everything is found all the same: within a look when they are lost, else at once."""
    append(path, lines(0, 5))
    hints = Lossy()
    if way == "impossible":
        monkeypatch.setattr(hints, "watch", lambda directories: None)
    one = Tail(path, hints)
    one.settle()
    hints.losing, hints.overflowing = way == "lost", way == "overflowed"
    append(path, lines(5, 9))
    assert one.read() == (b"" if way == "lost" else lines(5, 9))
    assert one.read(LOOK_S) == (lines(5, 9) if way == "lost" else b"")
    path.rename(path.with_name("meter.csv.1"))
    append(path, lines(9, 12))
    assert b"".join(one.read(LOOK_S) for _ in range(8)) == lines(9, 12)


def test_row_15_a_quiet_file_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks only files that changed are read from; one that waits for its turn is not passed over."""
    for number in range(20):
        append(tmp_path / f"{number:02}.csv", lines(number, number + 1))
    one = Tail(tmp_path / "*.csv")
    one.settle()
    real, seen = Plain.read, list[int]()

    def counted(content: Plain, length: int, at: int) -> bytes:
        seen.append(content.fd)
        return real(content, length, at)

    monkeypatch.setattr(Plain, "read", counted)
    assert (one.read(), seen) == (b"", [])
    append(tmp_path / "07.csv", lines(50, 52))
    places = [f"src:{tmp_path}/07.csv#000001"]
    assert one.tail.poll(1 << 20, skip=places) == []
    assert one.tail.poll(1 << 20, skip=places) == []
    assert one.read() == lines(50, 52)
    assert len(set(seen)) == 1
    one.read(LOOK_S)
    assert len(set(seen)) == 20


def test_row_15_a_directory_that_is_replaced(tmp_path: Path) -> None:
    """A directory that goes and comes back, and files in directories that a glob finds later, are watched anew."""
    folder = tmp_path / "day-1"
    folder.mkdir()
    append(folder / "a.csv", lines(0, 2))
    one = Tail(tmp_path / "*" / "*.csv")
    assert one.settle() == lines(0, 2)
    folder.rename(tmp_path / "gone")
    (tmp_path / "gone" / "a.csv").unlink()
    folder.mkdir()
    append(folder / "a.csv", lines(10, 12))
    assert b"".join(one.read(LOOK_S * 6) for _ in range(3)) == lines(10, 12)
    one.settle()
    append(folder / "a.csv", lines(12, 13))
    assert one.read() == lines(12, 13)


def test_row_15_a_link_is_polled(tmp_path: Path) -> None:
    """Nothing is said of a symbolic link's target in another directory, so it is polled every time."""
    (tmp_path / "elsewhere").mkdir()
    append(target := tmp_path / "elsewhere" / "meter", lines(0, 2))
    (tmp_path / "meter.csv").symlink_to(target)
    one = Tail(tmp_path / "meter.csv")
    one.settle()
    append(target, lines(2, 3))
    assert one.read() == lines(2, 3)


def test_hints_say_what_changed_and_stay_bounded(tmp_path: Path) -> None:
    """Names with any bytes, changes and names apart, no more than one read at a time, no descriptor left over."""
    before, hints = descriptors(), Hints()
    assert hints.drain() == Hint(), "nothing is watched before it is asked for"
    hints.watch([str(tmp_path), str(tmp_path / "missing")])
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.csv")
    Path(strange).write_bytes(b"x")
    assert hints.drain() == Hint({strange}, {strange})
    append(Path(strange), b"y")
    assert hints.drain() == Hint({strange}, set())
    for number in range(3000):
        Path(tmp_path, f"{number:030}").touch()
    assert 500 < len(hints.drain().changed) < 3000
    hints.watch([])
    while hints.drain().changed:
        pass
    Path(strange).unlink()
    assert hints.drain() == Hint()
    assert not hints.covers(strange)
    hints.close()
    hints.close()
    assert descriptors() == before
