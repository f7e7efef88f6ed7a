"""Readings as they arrived in the field, each file with what is right: no alarm but for what is odd in it.

`inputs/` are files that an earlier version read or judged wrongly, all made for this project.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from daemon.api import Replayed, replay
from daemon.config.file import load
from tests.e2e.processes import json_of, tidegauge

INPUTS = Path(__file__).parent / "inputs"
SENTINELS = ["2024-01-05 04:00", "2024-01-07 22:30", "2024-01-11 10:00"]


def told(name: str, **settings: Any) -> Replayed:
    """What the replay of a half-hourly file of defaults comes to."""
    return replay(INPUTS / f"{name}.csv.gz", {"interval": "30m", **settings})


def starts(events: pd.DataFrame) -> list[str]:
    """When events began."""
    return [f"{at:%Y-%m-%d %H:%M}" for at in events["started_at"]]


def test_a_constant_that_moves_is_found_in_its_first_slot() -> None:
    """50 Hz for 24 days, then 49.2 for six hours."""
    assert starts(told("const_50Hz_49.2").events) == ["2024-04-25 00:00"]


@pytest.mark.parametrize("limits", [{}, {"min": 0, "max": 5}])
def test_values_that_mean_missing_do_not_blind_a_series(limits: dict[str, float]) -> None:
    """Three -999 while it warms up; the fault of day 30 is found as without them, and limits tell of the three."""
    (fault,) = starts(told("gauge_fault").events)
    found = told("gauge_sentinel_warm", alerts={"limits": limits}).events
    assert starts(found) == [*(SENTINELS if limits else []), fault]


def test_one_reading_of_nought_is_no_increase() -> None:
    """A register's dip is told as a faulty reading, and no consumption of 799 kWh is made of it."""
    (event,) = told("counter_zero_dip", kind="counter").revisions.to_dict("records")
    assert (event["reasons"], event["value"]) == ("counter", 0.0)


@pytest.mark.parametrize("name", ["counter_dip_in_warmup", "counter_nodip_fault"])
def test_a_dip_in_the_warm_up_hides_no_burst(name: str) -> None:
    """With the dip and without it, the burst of day 30 is the only event."""
    assert starts(told(name, kind="counter").events) == ["2024-01-31 05:00"]


def test_events_name_the_reading_that_was_odd() -> None:
    """Every revision of a single spike's event has its value, what was expected, and its slot as its end."""
    revisions = told("spike_event_value").revisions
    spike = revisions[revisions["started_at"] == pd.Timestamp("2024-04-03 03:00", tz="UTC")]
    assert len(spike) > 1
    assert set(spike["value"]) == {6.0}
    assert all(abs(spike["expected"] - 0.17) < 0.05)
    assert set(spike["ended_at"].dropna()) == {pd.Timestamp("2024-04-03 03:00", tz="UTC")}


def test_sparse_counts_keep_the_budget() -> None:
    """Poisson counts of 0.05 a slot, nothing odd in them: a few episodes in 36 days, not 53."""
    assert len(told("sparse_storm").events) <= 4


def test_stamps_beside_the_grid_lose_nothing() -> None:
    """Stamps 1.5 s around the grid: 1,920 slots are filled, none twice."""
    found = told("jitter_grid")
    assert (len(found.readings), found.rejected, len(found.events)) == (1_920, {}, 0)


def test_a_night_without_readings_is_no_gap() -> None:
    """An inverter that is silent at night raises no gap, in the warm-up or later."""
    assert not told("solar_nightgap").events["reasons"].str.contains("gap").any()


@pytest.mark.parametrize(
    ("name", "readings", "begins"),
    [
        ("compact_stamp.csv", 99, "2024-01-01 00:00"),
        ("h24.csv", 59, "2024-01-01 01:00"),
        ("date_and_time_columns.csv", 149, "2024-01-01 00:00"),
        ("enedis_preamble.csv", 57, "2023-12-31 23:30"),
        ("telegraf_json.jsonl", 100, "2024-01-01 00:00"),
    ],
)
def test_describe_finds_how_a_file_is_read(name: str, readings: int, begins: str, tmp_path: Path) -> None:
    """Its suggested configuration reads the file whole, at the right times."""
    config = tmp_path / "tidegauge.yaml"
    said = json_of("describe", INPUTS / name, "--config", config, cwd=tmp_path)
    assert (said["rows"], said["repeated"]) == (readings, 0)
    assert f"{datetime.fromtimestamp(said['first_at'], UTC):%Y-%m-%d %H:%M}" == begins
    assert set(said["rejected"]) <= {"preamble"}
    assert load(config).streams


def test_a_column_of_dates_alone_is_said(tmp_path: Path) -> None:
    """Asked for the date's column only, describe names the column that has the times of day."""
    said = tidegauge("describe", INPUTS / "date_and_time_columns.csv", "--time", "date", cwd=tmp_path).stderr
    assert "the stamps have no time of day, and column 'time' looks like one" in said


def test_sentinels_of_both_kinds_and_a_header_that_comes_again(tmp_path: Path) -> None:
    """A text and a number that stand for missing values are both suggested; a repeated header is neither."""
    rows = [
        f"{1_704_067_200 + 1800 * i},{'n/a' if i % 17 == 3 else 9999 if i % 23 == 5 else 1 + i % 7}" for i in range(200)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["timestamp,value", *rows[:90], "timestamp,value", *rows[90:]]) + "\n")
    said = json_of("describe", "a.csv", "--config", "a.yaml", cwd=tmp_path)
    (stream,) = load(tmp_path / "a.yaml").streams.values()
    assert list(stream.format.missing) == ["n/a", 9999.0]
    assert said["values"]["max"] == 7
