"""Slots, and the local time of day of a slot where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from daemon.engine.kernel.slots import SlotClock
from tests.daemon.engine.small_engines import FIRST, Row, engine, feed, row_of, the


def slot(clock: SlotClock, text: str) -> int:
    """Slot of an ISO stamp in UTC."""
    at_ms = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
    return int(clock.slots(np.array([at_ms]))[0])


@pytest.mark.parametrize(
    ("stamp", "wanted"), [("start", ["10:00", "10:00", "10:30"]), ("end", ["09:30", "10:00", "10:00"])]
)
def test_a_stamp_marks_the_start_or_the_end(stamp: str, wanted: list[str]) -> None:
    """10:00, 10:10 and 10:30 by what a stamp marks; an end stamp on a border belongs to the interval it ends."""
    clock = SlotClock(1800, "UTC", stamp)  # type: ignore[arg-type]
    found = [clock.at(slot(clock, f"2024-05-01T{time}:00")) for time in ("10:00", "10:10", "10:30")]
    assert [datetime.fromtimestamp(at, UTC).strftime("%H:%M") for at in found] == wanted


def test_a_holiday_is_a_sunday() -> None:
    """Local time of day stays, the day of week is a Sunday's: by country, part of it and date."""
    clock = SlotClock(1800, "Europe/Berlin", "start", ["DE-BY", "2024-12-24"])

    def local(text: str) -> tuple[int, str]:
        second = int(clock.local_s(np.array([slot(clock, text)]))[0])
        at = datetime.fromtimestamp(second, UTC)
        return at.weekday(), at.strftime("%H:%M")

    assert local("2024-05-29T10:00:00") == (2, "12:00")
    assert local("2024-05-30T10:00:00") == (6, "12:00")  # a Thursday, a holiday in Bavaria
    assert local("2024-05-30T21:30:00") == (6, "23:30")
    assert local("2024-05-30T22:00:00") == (4, "00:00")  # the next day there
    assert local("2024-12-24T08:00:00") == (6, "09:00")
    assert local("2024-10-06T08:00:00") == (6, "10:00")
    clock.set_holidays(["DE"])
    assert local("2024-05-30T10:00:00") == (3, "12:00")
    assert local("2024-12-25T10:00:00") == (6, "11:00")


def test_the_slot_in_progress() -> None:
    """Now belongs to the slot that has begun and not ended."""
    clock = SlotClock(1800, "UTC", "end")
    assert clock.slot_of_now(1800_000 * 7) == 7
    assert clock.slot_of_now(1800_000 * 8 - 1) == 7


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        ("2024-03-30T23:00:00", [0, 1, 3, 4]),
        ("2024-10-26T22:00:00", [0, 1, 2, 2, 3]),
        ("2024-04-30T22:00:00", [0, 1, 2, 3]),
    ],
)
def test_hours_of_a_day_whose_clock_changes(midnight: str, hours: list[int]) -> None:
    """Berlin's day of 23 hours skips 2 o'clock, that of 25 hours has it twice, others have each once."""
    clock = SlotClock(3600, "Europe/Berlin", "start")
    first = slot(clock, midnight)
    assert clock.hours(np.arange(first, first + len(hours))).tolist() == hours


@pytest.mark.parametrize(("day", "length"), [("2024-03-31", 23), ("2024-10-27", 25), ("2024-05-01", 24)])
def test_days_have_23_24_or_25_hours(day: str, length: int) -> None:
    """Slots whose local date is this one."""
    clock = SlotClock(3600, "Europe/Berlin", "start")
    first = slot(clock, f"{day}T00:00:00")
    local = clock.local_s(np.arange(first - 30, first + 60)) // 86400
    assert int((local == first // 24).sum()) == length


def test_zones_off_the_hour() -> None:
    """A zone of 5 h 45 min counts its own hours; the clock of Lord Howe changes by half an hour."""
    nepal = SlotClock(900, "Asia/Kathmandu", "start")
    assert nepal.hours(np.array([slot(nepal, "2024-05-01T00:15:00")])).tolist() == [6]
    howe = SlotClock(1800, "Australia/Lord_Howe", "start")
    change = slot(howe, "2024-04-06T15:00:00")  # 02:00 goes back to 01:30
    assert howe.local_s(np.arange(change - 2, change + 2)).tolist() == [
        at + offset
        for at, offset in zip(((change - 2 + n) * 1800 for n in range(4)), [39600, 39600, 37800, 37800], strict=True)
    ]


def test_no_slots() -> None:
    """An empty array has no hours."""
    assert SlotClock(1800, "Europe/Berlin", "start").hours(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("size", [1, 100])
def test_both_passes_of_a_repeated_hour_are_kept(size: int) -> None:
    """Stamps of the repeated hour take the first pass's slots, then the second's; what follows has its own."""
    made = engine(timezone="Europe/Berlin")
    hour = [("a", n, float(n), 3600) for n in (10, 11)]
    rows: list[Row] = [("a", 9, 0.0), *hour, *hour, ("a", 14, 1.0)]
    for start in range(0, len(rows), size):
        feed(made, rows[start : start + size])
    assert row_of(made, "a")["readings"] == 6
    assert row_of(made, "a")["last"] == FIRST + 14
    assert the(made).counters.rejected == {}
    assert the(made).counters.late == 0
