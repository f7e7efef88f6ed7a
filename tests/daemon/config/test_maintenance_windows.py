"""Maintenance windows as instants: once, weekly, over both changes of the clock, for one stream or all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.config.file import load
from daemon.config.maintenance_settings import MaintenanceSettings, MaintenanceWindow

BERLIN = ZoneInfo("Europe/Berlin")


def window(timezone: str = "Europe/Berlin", **settings: Any) -> MaintenanceWindow:
    return MaintenanceWindow(MaintenanceSettings.model_validate(settings), timezone)


def berlin(text: str) -> int:
    """Epoch seconds of a local time, or of one with an offset."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=BERLIN)).timestamp())


def hours(made: MaintenanceWindow, begin: str, count: int) -> list[int]:
    """Which of so many hours from a local time on are in a window."""
    first = berlin(begin)
    return [n for n in range(count) if made.end_of(first + 3600 * n, first + 3600 * (n + 1)) is not None]


def test_once() -> None:
    """From its start to before its end, by the local clock or by an offset; the slot that it touches is in it."""
    assert hours(window(start="2026-12-01T22:30", end="2026-12-02T01:00"), "2026-12-01T20:00", 8) == [2, 3, 4]
    assert hours(window(start="2026-12-01T22:00Z", end="2026-12-02T00:00Z"), "2026-12-01T20:00", 8) == [3, 4]
    other = window(start="2026-12-01T22:00", end="2026-12-02T00:00", timezone="America/New_York")
    assert hours(other, "2026-12-02T00:00", 8) == [4, 5]


def test_every_week() -> None:
    """At its time of each of its days, past midnight, too; in bounds where it has some."""
    assert hours(window(weekly="Sat,Sun 23:00", duration="2h"), "2026-11-28T20:00", 60) == [3, 4, 27, 28]
    bounded = window(weekly="Mon-Fri 02:00", duration="1h", start="2026-12-02T00:00", end="2026-12-04T02:00")
    assert hours(bounded, "2026-11-30T00:00", 200) == [50, 74]


def test_over_a_change_of_the_clock() -> None:
    """It begins by the local clock and lasts its time; one that is skipped is an hour later, one twice once."""
    night = window(weekly="Sat 22:00", duration="8h")
    for day, ends in (("2026-03-28", "2026-03-29T07:00"), ("2026-10-24", "2026-10-25T05:00")):
        assert night.end_of(berlin(f"{day}T23:00"), berlin(f"{day}T23:30")) == berlin(ends)
    half = window(weekly="Sun 02:30", duration="30m")
    assert half.end_of(berlin("2026-03-29T03:30"), berlin("2026-03-29T03:35")) == berlin("2026-03-29T04:00")
    assert half.end_of(berlin("2026-10-25T02:30+02:00"), berlin("2026-10-25T02:35+02:00")) is not None
    assert half.end_of(berlin("2026-10-25T02:30+01:00"), berlin("2026-10-25T02:35+01:00")) is None


def test_the_next_end_is_found() -> None:
    """Beyond an instant, from one week to the next, over changes; none after the last."""
    weekly = window(weekly="Sun 02:00", duration="2h")
    assert weekly.next_end(berlin("2026-10-20T12:00")) == berlin("2026-10-25T03:00")
    assert weekly.next_end(berlin("2026-10-25T03:00")) == berlin("2026-11-01T04:00")
    assert window(start="2026-12-01T22:00", end="2026-12-02T00:00").next_end(berlin("2026-12-02T00:00")) is None


def test_those_for_all_are_each_streams_own(tmp_path: Path) -> None:
    """They stand behind those of each stream."""
    config = tmp_path / "tidegauge.yaml"
    config.write_text(
        "version: 1\nmaintenance: [{weekly: Sun 02:00, duration: 2h}]\nstreams:\n"
        "  a: {interval: 1h, maintenance: [{start: 2026-12-01T22:00, end: 2026-12-02T00:00}]}\n  b: {interval: 1h}\n"
    )
    settings = load(config)
    assert [each.weekly for each in settings.stream("a").maintenance] == [None, "Sun 02:00"]
    assert [each.weekly for each in settings.stream("b").maintenance] == ["Sun 02:00"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "add start and end, or weekly and duration"),
        ({"start": "2026-12-01"}, "end is missing"),
        ({"start": "2026-12-01", "end": "2026-11-01"}, "set end after start"),
        ({"start": "tomorrow", "end": "2026-12-01"}, "write 2026-12-01T22:00"),
        ({"weekly": "Sun 02:00"}, "add duration: 4h"),
        ({"weekly": "Someday 02:00", "duration": "1h"}, "write Sun 02:00"),
        ({"weekly": "Sun 25:00", "duration": "1h"}, "write Sun 02:00"),
        ({"start": "2026-12-01", "end": "2026-12-02", "duration": "1h"}, "is for weekly windows"),
        ({"weekly": "Sun 02:00", "duration": "1h", "timezone": "Europe/Atlantis"}, "not a known time zone"),
    ],
)
def test_what_is_no_window_is_refused(settings: dict[str, Any], said: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(ValueError, match=said):
        MaintenanceSettings.model_validate(settings)
