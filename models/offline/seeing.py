"""What a classifier sees of a window's readings.

Shapes: M windows, W readings of each.

    value       the reading alone, in deviations of its series: to be binned into tokens
    context     thirteen numbers: its distance from the window's median in the window's deviations; its difference
                to the reading before in robust deviations of the window's differences; both in deviations of the
                series; its distance from the reading a day before, and from what is usual at its time, in deviations
                of the series; the latter in robust deviations of the window's; how many readings in a row are equal up
                to it; the distance of the reading a day before from the median of its window, how many are equal up to
                that one, and whether there is one; and its distance from the reading a week before in deviations of the
                series, and whether there is one. Where one is not known, what needs it is 0.
"""

from __future__ import annotations

import warnings
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Inputs = Literal["value", "context"]

_MAD_TO_STD = 1.4826
_NEAR, _FAR, _SHRINK = 6.0, 12.0, 3.0  # what the network sees is clipped, and the far columns are shrunk to its range
_LEAST = 1e-9  # of the series' deviation: no scale is smaller


class Raw(NamedTuple):
    """Windows as they are, and what came before them.

    Attributes:
        values: Readings, shape (M, W).
        yesterday: The readings a day before, NaN where there are none, shape (M, W).
        last_week: The readings a week before, as `yesterday`.
        usual: What is usual at each reading's time, NaN where nothing is known, shape (M, W).
        deviation: The series' standard deviation, positive.
    """

    values: Floats
    yesterday: Floats
    last_week: Floats
    usual: Floats
    deviation: float


def seen(raw: Raw, inputs: Inputs) -> npt.NDArray[np.float32]:
    """What the network sees, shape (M, W, 1) or (M, W, 13), float32; finite."""
    if inputs == "value":
        return (raw.values / raw.deviation)[..., None].astype(np.float32)
    return np.stack(_of_window(raw) + _of_past(raw), -1).astype(np.float32)


def _of_window(raw: Raw) -> list[Floats]:
    values, deviation = raw.values, raw.deviation
    least = _LEAST * deviation
    level = values - np.median(values, 1, keepdims=True)
    step = np.diff(values, axis=1, prepend=values[:, :1])
    return [
        np.clip(level / np.maximum(values.std(1, keepdims=True), least), -_NEAR, _NEAR),
        _far(step / _robust(step, least)),
        _far(level / deviation),
        _far(step / deviation),
        _far((values - raw.yesterday) / deviation),
    ]


def _of_past(raw: Raw) -> list[Floats]:
    deviation = raw.deviation
    beside = raw.values - raw.usual
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a window of which nothing is known: NaN, seen as 0
        centre = np.nanmedian(raw.yesterday, 1, keepdims=True)
        usual = _robust(beside, _LEAST * deviation)
    return [
        _far(beside / deviation),
        _far(beside / usual),
        _row(raw.values),
        _far((raw.yesterday - centre) / deviation),
        _row(raw.yesterday),
        (~np.isnan(raw.yesterday)).astype(np.float64),
        _far((raw.values - raw.last_week) / deviation),
        (~np.isnan(raw.last_week)).astype(np.float64),
    ]


def _far(x: Floats) -> Floats:
    clipped: Floats = np.clip(np.nan_to_num(x), -_FAR, _FAR) / _SHRINK
    return clipped


def _robust(x: Floats, least: float) -> Floats:
    """Each window's median distance from 0 as a standard deviation; the plain one where most are 0. Shape (M, 1)."""
    found = _MAD_TO_STD * np.nanmedian(np.abs(x), 1, keepdims=True)
    return np.where(found > 0, found, np.maximum(np.nanstd(x, 1, keepdims=True), least))


def _row(x: Floats) -> Floats:
    """Logarithm of how many readings in a row are equal up to each, 0 for one."""
    same = np.diff(x, axis=1, prepend=np.nan) == 0  # (M, W)
    at = np.arange(x.shape[1])
    begun = np.maximum.accumulate(np.where(same, 0, at), axis=1)  # where each row of equal readings began
    row: Floats = np.log1p(at - begun) / _SHRINK
    return row
