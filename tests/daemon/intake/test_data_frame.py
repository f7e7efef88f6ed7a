"""Tables of pandas as readings: columns as configured, stamps of every kind, a reason for each row that is none."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from daemon.config.file import of_options
from daemon.engine.messages.inputs import Batch
from daemon.intake.data_frame import batch_of


def batch(frame: pd.DataFrame, **options: object) -> Batch:
    settings = of_options("tide", options)
    return batch_of(frame, "tide", settings.streams["tide"], settings.limits)


def epoch_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_have_any_unit_and_zone(unit: str) -> None:
    """Epoch milliseconds of UTC, whatever pandas keeps; without a zone they are of the stream's."""
    aware = pd.DatetimeIndex(["2026-03-02 12:00", "2026-03-02 13:00"], tz="Europe/Paris").as_unit(unit)
    plain = pd.DatetimeIndex(["2026-03-02 12:00", "2026-03-02 13:00"]).as_unit(unit)
    wanted = [epoch_ms("2026-03-02 11:00"), epoch_ms("2026-03-02 12:00")]
    for stamps in (aware, plain):
        found = batch(pd.DataFrame({"timestamp": stamps, "value": [1.0, 2.0]}), timezone="Europe/Paris")
        assert (found.at_ms.tolist(), found.series, found.values.tolist()) == (wanted, ["tide"], [[1.0], [2.0]])


def test_the_index_has_the_stamps_where_no_column_has() -> None:
    """A table indexed by instants needs no column of them; text is read as pandas reads it."""
    index = pd.DatetimeIndex(["2026-03-02"], tz="UTC")
    assert batch(pd.DataFrame({"value": [1.0]}, index=index)).at_ms.tolist() == [epoch_ms("2026-03-02")]
    text = pd.DataFrame({"timestamp": ["2026-03-02T00:00:00Z"], "value": [1.0]})
    assert batch(text).at_ms.tolist() == [epoch_ms("2026-03-02")]


def test_a_local_hour_that_occurs_twice_or_never() -> None:
    """The first pass, and how far the second is, where a slot is taken; an hour that the clocks skip moves forward."""
    stamps = pd.DatetimeIndex(["2026-10-25 02:30", "2026-03-29 02:30", "2026-03-30 02:30"])
    found = batch(pd.DataFrame({"timestamp": stamps, "value": [1.0, 2.0, 3.0]}), timezone="Europe/Paris")
    wanted = [epoch_ms(text) for text in ("2026-10-25 00:30", "2026-03-29 01:00", "2026-03-30 00:30")]
    assert (found.at_ms.tolist(), found.fold_s.tolist()) == (wanted, [3600, 0, 0])


def test_every_row_is_a_reading_or_rejected_for_a_reason() -> None:
    """What is missing, no number, too great, no instant or no name is counted; the others are readings, in order."""
    frame = pd.DataFrame(
        {
            "timestamp": ["2026-03-02", "soon", *["2026-03-02"] * 7],
            "name": ["a", "a", None, "a\n", "x" * 300, "a", "a", "a", "b"],
            "value": ["1", "1", "1", "1", "1", "much", None, "1e31", "2.5"],
        }
    )
    found = batch(frame, format={"series": "name"})
    assert (found.series, found.codes.tolist(), found.values.tolist()) == (["a", "b"], [0, 1], [[1.0], [2.5]])
    counted = {"bad_time": 1, "bad_series": 3, "bad_value": 1, "missing_value": 1, "not_finite": 1}
    assert found.rejected == counted
    assert len(found) + sum(counted.values()) == len(frame)


def test_vectors_and_empty_tables() -> None:
    """Several columns are one reading, missing where one of them is; a table without rows is an empty batch."""
    stamps = pd.date_range("2026-03-02", periods=2, tz="UTC")
    frame = pd.DataFrame({"timestamp": stamps, "flow": [1, 2], "level": [3.0, np.nan]})
    found = batch(frame, format={"value": ["flow", "level"]})
    assert (found.values.tolist(), found.rejected) == ([[1.0, 3.0]], {"missing_value": 1})
    assert len(batch(frame[:0], format={"value": ["flow", "level"]})) == 0


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (["at", "value"], {}, "no column 'timestamp' and no index of instants"),
        (["timestamp", "v"], {}, "no column 'v.*' for the value"),
        (["timestamp", "value"], {"format": {"series": "meter"}}, "no column 'meter' for the series"),
        (["timestamp", "value"], {"format": {"time": ["day", "hour"]}}, "of a table it is one column"),
    ],
)
def test_a_column_that_is_not_there_is_named(columns: list[str], options: dict[str, object], said: str) -> None:
    """With the key that names it."""
    with pytest.raises(ValueError, match=said):
        batch(pd.DataFrame([["2026-03-02", 1.0]], columns=columns), **options)
