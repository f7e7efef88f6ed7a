"""A table of pandas as an input of the engine, its columns named as those of a file are."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.formats.number_text import LARGEST
from adapters.text import is_name
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import Limits, StreamSettings
from daemon.engine.messages.inputs import Batch

_NS_IN_MS = 1_000_000


def batch_of(frame: pd.DataFrame, stream: str, settings: StreamSettings, limits: Limits) -> Batch:
    """The readings of a table, in the order of its rows.

    Args:
        frame: A row for each reading. `format.time`, `format.value` and `format.series` name its columns; without a
            column of the stamps its index has them, and without `format.series` all are of the series that is named
            as the stream is. Stamps without a zone are of the stream's.
        stream: Name of the stream.
        settings: Of the stream.
        limits: Longest name of a series.

    Returns:
        The batch; rows that are no readings are counted in its `rejected`, under the reasons of files.

    Raises:
        ValueError: A column is missing, or cannot be what it should be.
    """
    choices = settings.format
    first, second, known = _instants(_stamps(frame, choices), settings.timezone)
    names = _names(frame, choices, stream)
    values, reasons = _values(frame, choices)
    fine = np.array([is_name(name) and len(name.encode()) <= limits.series_bytes for name in names], np.bool_)
    reasons = np.where(~known, "bad_time", np.where(~fine, "bad_series", reasons))
    kept = reasons == ""
    codes, series = pd.factorize(names[kept])
    return Batch(
        stream=stream,
        received_at_ms=0,
        series=[str(name) for name in series],
        codes=codes.astype(np.int32),
        at_ms=first[kept],
        fold_s=((second - first)[kept] // 1000).astype(np.int32),
        values=values[kept],
        rejected=dict(Counter(reasons[~kept].tolist())),
    )


def _stamps(frame: pd.DataFrame, choices: FormatSettings) -> pd.DatetimeIndex:
    """When the readings were taken."""
    if not isinstance(choices.time, str):
        raise ValueError(f"format.time is {choices.time}; of a table it is one column")
    if choices.time in frame.columns:
        return pd.DatetimeIndex(pd.to_datetime(frame[choices.time], errors="coerce", format=choices.time_format))
    if isinstance(frame.index, pd.DatetimeIndex):
        return frame.index
    raise ValueError(f"no column {choices.time!r} and no index of instants; name the column in format.time")


def _instants(
    stamps: pd.DatetimeIndex, timezone: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Epoch milliseconds, those of the later pass where a local hour occurs twice, and which are any at all."""
    first = second = stamps
    if stamps.tz is None:
        twice = np.ones(len(stamps), np.bool_)
        first = stamps.tz_localize(timezone, ambiguous=twice, nonexistent="shift_forward")
        second = stamps.tz_localize(timezone, ambiguous=~twice, nonexistent="shift_forward")
    known = np.asarray(~stamps.isna(), np.bool_)
    both = [np.asarray(each.as_unit("ns").asi8 // _NS_IN_MS, np.int64) for each in (first, second)]
    return both[0], both[1], known


def _names(frame: pd.DataFrame, choices: FormatSettings, stream: str) -> npt.NDArray[np.object_]:
    column = choices.series_columns
    if column is None:
        return np.full(len(frame), choices.series_of("", stream), object)
    if not isinstance(column, str) or column not in frame.columns:
        raise ValueError(f"no column {column!r} for the series; name it in format.series")
    return np.where(frame[column].isna(), "", frame[column].astype(str)).astype(object)


def _values(frame: pd.DataFrame, choices: FormatSettings) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Shape (N, F), and for each row why it is no reading, "" where it is one."""
    if absent := [name for name in choices.names if name not in frame.columns]:
        raise ValueError(f"no column {absent[0]!r} for the value; name it in format.value")
    given = frame[list(choices.names)]
    values = np.stack([pd.to_numeric(given[name], errors="coerce").to_numpy(np.float64) for name in given], axis=1)
    missing = given.isna().to_numpy().any(axis=1)
    bad = np.isnan(values).any(axis=1)
    beyond = (np.abs(values) > LARGEST).any(axis=1)
    reasons = np.where(missing, "missing_value", np.where(bad, "bad_value", np.where(beyond, "not_finite", "")))
    return values, reasons
