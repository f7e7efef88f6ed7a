"""Seasons of a series: periods after which its values come again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

SEASON_SLOTS = 200_000  # newest slots that seasons are looked for in
LEAST_STRENGTH = 0.3  # autocorrelation of a season
LEAST_RISE = 0.2  # of the autocorrelation, from its lowest point before a season's peak
FEWEST_PAIRS = 0.5  # of the pairs that a lag would have without gaps in common
NEARLY = 0.8  # of the strongest season: the shortest one that is as strong as this is named too

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Season:
    """A period after which values come again; `strength` is the autocorrelation there, at most 1."""

    period_s: int
    strength: float


def seasons_of(own: pd.DataFrame, interval: int, rising: bool) -> list[Season]:
    """The seasons of one series' readings, by time, in its newest slots."""
    values = own.set_index("slot")["value"]
    if rising:
        rise = values.diff()
        values = rise.where(rise >= 0, values).iloc[1:]
    values = values.groupby(level=0).last()  # the reading of a slot that came last
    newest = values.index[-1]
    slots = pd.RangeIndex(max(values.index[0], newest + 1 - SEASON_SLOTS), newest + 1)
    return [Season(lag * interval, strength) for lag, strength in seasons(values.reindex(slots).to_numpy())]


def seasons(grid: Floats) -> list[tuple[int, float]]:
    """Periods of a series, in slots, each with its autocorrelation: the strongest, and the shortest nearly as strong.

    A period is a peak of the autocorrelation that rises clearly from the valley before it, within a third of the
    history, so that it was seen three times. Of one that is many of a shorter one, as a week is of days, twice its
    length must stand out, too: by chance some number of days is always the strongest.

    Args:
        grid: One value a slot, NaN is a gap, shape (N,).

    >>> [lag for lag, _ in seasons(np.sin(np.arange(1000) * 2 * np.pi / 24))]
    [24]
    """
    whole = _autocorrelation(grid)
    correlation = whole[: len(grid) // 3]
    if len(correlation) < 5:
        return []
    valley = np.minimum.accumulate(correlation)
    inner = correlation[1:-1]
    peak = (inner > correlation[:-2]) & (inner >= correlation[2:])
    clear = (inner >= LEAST_STRENGTH) & (inner - valley[1:-1] >= LEAST_RISE)
    lags = np.flatnonzero(peak & clear) + 1
    if not len(lags):
        return []
    # among multiples that are equally strong the first
    strongest = int(lags[np.flatnonzero(correlation[lags] >= correlation[lags].max() - 0.01)[0]])
    shortest = int(lags[np.flatnonzero(correlation[lags] >= NEARLY * correlation[strongest])[0]])
    if 2 * shortest > strongest:
        found = [strongest]
    else:
        found = [strongest, shortest] if _comes_again(whole, strongest, shortest) else [int(lags[0])]
    return [(lag, float(correlation[lag])) for lag in found]


def _comes_again(correlation: Floats, long: int, short: int) -> bool:
    """Whether twice the long period stands out among the multiples of the short one from the long one to its triple."""
    near = short // 4
    there = correlation[2 * long - near : 2 * long + near + 1].max()
    others = [2 * long + step * short for step in range(1 - long // short, long // short) if step]
    return all(there > correlation[at - near : at + near + 1].max() for at in others if at + near < len(correlation))


def _autocorrelation(grid: Floats) -> Floats:
    """Correlation of a series with itself, by lag, over the pairs that are both there; shape (N,)."""
    seen = ~np.isnan(grid)
    size = 1 << (2 * len(grid) - 1).bit_length()
    x = np.where(seen, grid - np.nanmean(grid), 0.0)
    spectrum, mask = np.fft.rfft(x, size), np.fft.rfft(seen.astype(np.float64), size)
    products = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(grid)]
    pairs = np.fft.irfft(mask * mask.conj(), size)[: len(grid)]
    # where gaps come again, as at night, few and special pairs are left at some lags: they say nothing of a season
    expected = pairs[0] * (1 - np.arange(len(grid)) / len(grid))
    pairs = np.where(pairs >= FEWEST_PAIRS * expected, pairs, 0.0)
    variance = products[0] / max(pairs[0], 1.0)
    if variance <= 0:
        return np.zeros(len(grid))
    return np.where(pairs > 0.5, products / np.maximum(pairs, 1.0) / variance, 0.0)
