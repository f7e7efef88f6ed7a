"""Windows for a network that reconstructs them, cut and scaled as the engine cuts and scales a series' warm-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.features import calendar
from models.offline.history import History, HistoryError

LOWEST, GREATEST = -3.0, 4.0  # scaled values are clipped to this, as in the engine
MOST_MISSING = 0.5


class Scale(NamedTuple):
    """A series' minimum and range over its training part, shape (F,): scaled values are 0 to 1 there."""

    origin: npt.NDArray[np.float64]
    range: npt.NDArray[np.float64]

    def apply(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values in units of the range, clipped."""
        scaled: npt.NDArray[np.float64] = np.clip((values - self.origin) / self.range, LOWEST, GREATEST)
        return scaled


class Windows(NamedTuple):
    """M windows.

    Attributes:
        x: Scaled, gaps filled with the last value, shape (M, W, F), float32.
        observed: False at gaps, shape (M, W).
        calendar: `features.calendar` of each newest slot, shape (M, 4), float32.
        series: Index of each window's series, shape (M,).
        slot: Each window's newest slot, counted from the series' first, shape (M,).
    """

    x: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    calendar: npt.NDArray[np.float32]
    series: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]

    def rows(self, chosen: npt.NDArray[np.int64]) -> Windows:
        """Those of these indices."""
        return Windows(
            self.x[chosen], self.observed[chosen], self.calendar[chosen], self.series[chosen], self.slot[chosen]
        )


def scale_of(history: History) -> Scale:
    """The scale of a stretch of readings.

    Raises:
        HistoryError: It has no reading at all.
    """
    if not history.observed.any():
        raise HistoryError(f"{history.series}: its training part has no reading at all")
    low, high = np.nanmin(history.values, axis=0), np.nanmax(history.values, axis=0)
    return Scale(low, np.where(high > low, high - low, np.maximum(np.abs(high), 1e-6)))


def cut(
    histories: Sequence[History], scales: Sequence[Scale], ranges: Sequence[tuple[int, int]], window: int, weekly: bool
) -> Windows:
    """All windows that lie in the ranges, whose newest slot has a reading and of which at most half is missing.

    Args:
        histories: The series, of one interval and width.
        scales: Of each series.
        ranges: Of each series, the slots that a window may hold, counted from its first.
        window: Slots of a window (W).
        weekly: Whether the calendar has the time of week.
    """
    parts = [
        _of_series(history, scale, max(0, start), min(stop, len(history)), window, weekly, index)
        for index, (history, scale, (start, stop)) in enumerate(zip(histories, scales, ranges, strict=True))
    ]
    return Windows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _of_series(history: History, scale: Scale, start: int, stop: int, window: int, weekly: bool, index: int) -> Windows:
    values = scale.apply(history.values[start:stop])  # (N, F)
    count, width = max(0, len(values) - window + 1), history.values.shape[1]
    if not count:
        return Windows(
            np.zeros((0, window, width), np.float32),
            np.zeros((0, window), np.bool_),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.int64),
            np.zeros(0, np.int64),
        )
    seen = history.observed[start:stop]
    filled = filled_forward(values)
    x = np.lib.stride_tricks.sliding_window_view(filled, window, axis=0).transpose(0, 2, 1)  # (count, W, F)
    observed = np.lib.stride_tricks.sliding_window_view(seen, window)  # (count, W)
    kept = np.flatnonzero((observed.mean(1) >= MOST_MISSING) & observed[:, -1])
    newest = start + kept + window - 1
    return Windows(
        x[kept].astype(np.float32),
        observed[kept].copy(),
        calendar(history.local_s[newest], True, weekly),
        np.full(len(kept), index, np.int64),
        newest,
    )


def filled_forward(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each gap filled with the last value before it, or the first one after, or 0; shape (N, F) as given."""
    return np.ascontiguousarray(pd.DataFrame(values).ffill().bfill().fillna(0.0).to_numpy())


def ranges_of(histories: Sequence[History], part: tuple[int, int]) -> list[tuple[int, int]]:
    """A range of slots, counted from the epoch, as each series counts them."""
    return [(part[0] - history.first, part[1] - history.first) for history in histories]


def span_of(histories: Sequence[History]) -> tuple[int, int]:
    """First and last slot of all series together."""
    return min(h.first for h in histories), max(h.first + len(h) for h in histories) - 1
