"""When a delivery has ended: another file was begun, it is complete, or it was quiet for `settle`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from adapters.files.tail import FileTail
from adapters.formats.csv import CsvFormat
from adapters.uploads.inbox import Inbox, Inboxes
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import StreamSettings
from daemon.engine.messages.inputs import Batch
from daemon.intake.intake import Intake

HEADER = "timestamp,series,value\n"


def tail(pattern: Path) -> FileTail:
    """A source that looks at its files at every poll."""
    return FileTail("s/0", pattern, scan_every_s=0)


FORMAT = CsvFormat(time="timestamp", value=["value"], series="series")


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def night(day: int, meters: range = range(3)) -> str:
    """A file in the order of meters."""
    rows = [f"2024-05-{day:02}T{hour:02}:00:00Z,m{meter},{meter}\n" for meter in meters for hour in range(24)]
    return HEADER + "".join(rows)


class Driven:
    """An intake of files under `arrival: batch`, and what it gave."""

    def __init__(self, pattern: Path, clock: Clock, settle_s: float = 60) -> None:
        self.intake = Intake("s", [tail(pattern)], FORMAT, FormatSettings(), monotonic=clock)
        self.intake.configure(StreamSettings(arrival="batch", settle=int(settle_s)))
        self.intake.open({})

    def turn(self) -> list[int]:
        """Readings of the inputs of a turn; 0 is the end of a delivery."""
        taken = self.intake.poll(0)
        found = [len(item) if isinstance(item, Batch) else 0 for item in (taken.inputs if taken else [])]
        return found + [0] * self.intake.quiet()

    def turns(self) -> list[int]:
        """All of it, until there is nothing to do."""
        found: list[int] = []
        while one := self.turn():
            found += one
        return found


def test_a_file_ends_when_it_is_quiet(tmp_path: Path) -> None:
    """Bursts of one file are one delivery; it ends `settle` after the last of them, once."""
    clock, text = Clock(), night(1)
    file = tmp_path / "a.csv"
    file.write_text(text[:900])
    driven = Driven(tmp_path / "*.csv", clock)
    first = driven.turns()
    clock.now = 59.0
    with file.open("a") as writer:
        writer.write(text[900:])
    assert sum(first + driven.turns()) == 72
    clock.now = 118.0
    assert driven.turns() == []
    clock.now = 119.0
    assert driven.turns() == [0]
    clock.now = 1000.0
    assert driven.turns() == []


def test_of_a_backlog_each_file_is_a_delivery(tmp_path: Path) -> None:
    """Files are read one after the other, those with the oldest readings first, whatever their names."""
    for name, day in (("c", 1), ("a", 2), ("b", 3)):
        (tmp_path / f"{name}.csv").write_text(night(day))
    clock = Clock()
    driven = Driven(tmp_path / "*.csv", clock)
    assert driven.turns() == [72, 0, 72, 0, 72]
    assert driven.intake.done() is False
    clock.now = 60.0
    assert driven.turns() == [0]


def test_a_compressed_file_is_complete(tmp_path: Path) -> None:
    """It cannot grow, so its delivery ends with its last line."""
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(night(1).encode()))
    assert Driven(tmp_path / "*.csv*", Clock()).turns() == [72, 0]


def test_a_body_that_was_posted_is_a_delivery() -> None:
    """Each of two that wait is one of its own; both are told of when durable."""
    inboxes = Inboxes()
    inbox = Inbox("s/0", "http", inboxes)
    intake = Intake("s", [inbox], FORMAT, FormatSettings())
    intake.configure(StreamSettings(arrival="batch"))
    intake.open({})
    told = [inbox.offer(night(day).encode(), "x") for day in (2, 1)]
    for each in told:
        taken = intake.poll(0)
        assert taken is not None
        assert [isinstance(item, Batch) for item in taken.inputs] == [True, False]
        intake.committed(taken)
        assert each.result(0).readings == 72
    assert intake.poll(0) is None
    assert not intake.quiet()


def test_a_restart_goes_on_with_the_file_that_was_being_read(tmp_path: Path) -> None:
    """After a kill in mid-delivery the same file is read on, though one with older readings waits."""
    text = night(2)
    (tmp_path / "b.csv").write_text(text[:900])
    driven = Driven(tmp_path / "*.csv", Clock())
    taken = driven.intake.poll(0)
    assert taken is not None
    with (tmp_path / "b.csv").open("a") as writer:
        writer.write(text[900:])
    (tmp_path / "a.csv").write_text(night(1))
    again = Intake("s", [tail(tmp_path / "*.csv")], FORMAT, FormatSettings(), monotonic=Clock())
    again.configure(StreamSettings(arrival="batch"))
    again.open(taken.positions)
    again.resume(taken.positions)
    driven.intake = again
    assert driven.turns() == [72 - len(taken.batch), 0, 72]


def test_under_live_nothing_ends(tmp_path: Path) -> None:
    """`arrival: live` merges a backlog by time and journals no ends; a reload goes over to it and back."""
    for name, day in (("c", 1), ("a", 2)):
        (tmp_path / f"{name}.csv").write_text(night(day))
    clock = Clock()
    driven = Driven(tmp_path / "*.csv", clock)
    driven.intake.configure(StreamSettings())
    clock.now = 1000.0
    assert driven.turns() == [144]
    driven.intake.configure(StreamSettings(arrival="batch", settle=5))
    (tmp_path / "d.csv").write_text(night(3, range(1)))
    clock.now = 2000.0
    assert driven.turns() == [24]
    clock.now = 2005.0
    assert driven.turns() == [0]


def test_deliveries_are_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Under `arrival: live` the first file in the order of meters is said, once; files in that of time after two."""
    said = "readings come in deliveries"
    clock = Clock()
    (tmp_path / "a.csv").write_text(night(1, range(30)))
    driven = Driven(tmp_path / "*.csv", clock)
    driven.intake.configure(StreamSettings(interval=3600))
    driven.turns()
    assert [record.__dict__["rows"] for record in caplog.records if said in record.message] == ["by series"]
    caplog.clear()
    driven.intake.configure(StreamSettings(interval=3600))
    for day in range(2, 6):
        clock.now += 86400
        (tmp_path / f"{day}.csv").write_text(night(day, range(1)))
        driven.turns()
    assert [record.__dict__["rows"] for record in caplog.records if said in record.message] == ["by time"]


def test_live_readings_are_no_deliveries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A backlog at the start and then a reading of each meter an hour, one sender being late now and then."""
    clock = Clock()
    (tmp_path / "a.csv").write_text("".join(sorted(night(1, range(30)).splitlines(True), reverse=False)[-1:]))
    driven = Driven(tmp_path / "*.csv", clock)
    driven.intake.configure(StreamSettings(interval=3600))
    for day in (2, 3, 4):
        for hour in range(24):
            clock.now += 3600
            with (tmp_path / "a.csv").open("a") as file:
                file.write("".join(f"2024-05-{day:02}T{hour:02}:00:00Z,m{k},1\n" for k in range(30)))
                file.write(f"2024-05-{day:02}T{max(0, hour - 6):02}:00:00Z,m30,1\n")
            driven.turns()
    assert caplog.records == []
