"""Values of a file in figures, and those among them that stand for what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

BINS = 40
WHISKER = 1.5  # interquartile ranges (Tukey 1977)

SENTINELS = np.array(
    [
        *(sign * nines for sign in (1, -1) for nines in (99, 999, 9999, 99999, 999999, 9999999)),
        -1,
        -99.9,
        -999.9,
        32767,
        -32768,
        65535,
        2147483647,
        -2147483648,
        4294967295,
        1e20,
        -1e20,
    ]
)
"""What stands for a missing value in files of loggers and head-ends."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Values:
    """Statistics of all values. `std` divides by count - 1; quartiles interpolate between neighbours.

    Attributes:
        lower, upper: Whiskers of the box plot: the outermost values within 1.5 interquartile ranges of the box.
        outside: Values beyond the whiskers.
        bins: Values in each of equal parts between `min` and `max`, shape (40,).
    """

    count: int
    mean: float
    std: float
    min: float
    q25: float
    median: float
    q75: float
    max: float
    lower: float
    upper: float
    outside: int
    bins: list[int]


def sentinels(values: Floats) -> list[float]:
    """Numbers that stand for missing values: such as people take for that, and far outside of all others.

    >>> sentinels(np.array([0.1, 0.5, -999.0, 0.4, 2.0, -999.0]))
    [-999.0]
    """
    usual = np.isin(values, SENTINELS)
    rest = values[~usual]
    if not usual.any() or 2 * len(rest) < len(values):
        return []
    low, high = float(rest.min()), float(rest.max())
    reach = max(high - low, abs(high), 1e-9)
    found = sorted(set(values[usual].tolist()))
    return [each for each in found if each < low - reach or each > high + 3 * reach or (each < 0 <= low)]


def statistics(values: pd.Series) -> Values:
    """Statistics of values, at least one.

    >>> statistics(pd.Series([1.0, 2, 3, 4, 100])).outside
    1
    """
    found = values.describe()
    low, q25, q75, high = (float(found[key]) for key in ("min", "25%", "75%", "max"))
    reach = WHISKER * (q75 - q25)
    inside = values[values.between(q25 - reach, q75 + reach)]
    wide = high - low > BINS * np.spacing(max(abs(low), abs(high)))  # else bins have no width
    bins, _ = np.histogram(values, BINS, (low, high) if wide else (low - 0.5, low + 0.5))
    return Values(
        count=len(values),
        mean=float(found["mean"]),
        std=float(found["std"]) if len(values) > 1 else 0.0,
        min=low,
        q25=q25,
        median=float(found["50%"]),
        q75=q75,
        max=high,
        lower=float(inside.min()),
        upper=float(inside.max()),
        outside=len(values) - len(inside),
        bins=bins.tolist(),
    )
