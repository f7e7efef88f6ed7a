"""Series changed at random, so that a classifier learns what an anomaly is and not which series it knows.

A few dozen series are few: a network soon knows each by its shape. Every pass over the training part therefore sees
series of its own: thinned, upside down, added to each other, bent, smoothed, noisy, rounded, cut off, and some made by
rule (`models.generator`). Whatever is drawn follows from the generator given.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.generator import NOISES, seasonal
from models.offline.history import History

Floats = npt.NDArray[np.float64]
Spans = Sequence[tuple[float, float]]

_MADE = 0.2  # share of series that are made by rule
_DAYS = 28  # of a made series
_SLOTS_PER_DAY = (24, 48, 96, 144, 288)
_THIN = (1, 1, 1, 2, 3, 6)  # every so manieth slot
_REACH = 6.0  # deviations beyond which nothing is bent further


def varied(
    histories: Sequence[History], labelled: Sequence[Spans], least: int, rng: np.random.Generator
) -> tuple[History, Spans]:
    """One series, drawn and changed, and what of it is left out.

    Args:
        histories: To draw from, of one variable.
        labelled: Of each, stretches that are left out, first and last instant in epoch seconds.
        least: Slots that are left at least.
        rng: What is random.
    """
    if rng.random() < _MADE:
        return _changed(_made(rng), rng), ()
    index = int(rng.integers(len(histories)))
    history, spans = histories[index], labelled[index]
    if rng.random() < 0.3:
        other = int(rng.integers(len(histories)))
        if histories[other].interval_s == history.interval_s:
            history = _added(history, histories[other], labelled[other], rng)
    return _changed(_thinned(history, least, rng), rng), spans


def _made(rng: np.random.Generator) -> History:
    slots = int(rng.choice(_SLOTS_PER_DAY))
    values = seasonal(NOISES[rng.integers(len(NOISES))], _DAYS, slots, int(rng.integers(2**31)))
    interval_s = 86400 // slots
    return History("made", interval_s, 0, values[:, None], np.arange(len(values), dtype=np.int64) * interval_s)


def _with(history: History, values: Floats) -> History:
    return History(history.series, history.interval_s, history.first, values[:, None], history.local_s)


def _added(history: History, other: History, spans: Spans, rng: np.random.Generator) -> History:
    """With another series on top, shifted in time; its gaps and labelled stretches become gaps."""
    at, more = other.at, other.values[:, 0].copy()
    for first, last in spans:
        more[(at >= first) & (at <= last)] = np.nan
    own, scale = np.nanstd(history.values), np.nanstd(more)
    if not scale > 0:
        return history
    more = np.roll(np.resize(more, len(history)), int(rng.integers(len(history))))
    return _with(history, history.values[:, 0] + rng.uniform(0.2, 1.0) * own / scale * more)


def _thinned(history: History, least: int, rng: np.random.Generator) -> History:
    """Every second, third or sixth slot of it."""
    step = int(rng.choice(_THIN))
    if len(history) < least * step or history.day % step:
        return history
    begin = -history.first % step
    return History(
        history.series,
        history.interval_s * step,
        (history.first + begin) // step,
        history.values[begin::step],
        history.local_s[begin::step],
    )


def _changed(history: History, rng: np.random.Generator) -> History:
    """Its values, some changes of `_CHANGES` one after the other, and upside down half of the time."""
    values = history.values[:, 0]
    deviation = float(np.nanstd(values))
    if not deviation > 0:
        return history
    z = (values - np.nanmean(values)) / deviation
    if rng.random() < 0.5:
        z = -z
    for share, change in _CHANGES:
        if rng.random() < share:
            z = change(z, rng)
    return _with(history, z)


def _bent(z: Floats, rng: np.random.Generator) -> Floats:
    """Greater values apart and lesser ones together, or the other way round."""
    by = rng.uniform(-0.7, 0.7)
    near = np.clip(z, -_REACH, _REACH)
    bent: Floats = np.expm1(by * near) / by + (z - near)
    return bent


def _smoothed(z: Floats, rng: np.random.Generator) -> Floats:
    """The mean of the newest few."""
    count = int(rng.integers(2, 25))
    total = np.cumsum(np.nan_to_num(z))
    smooth = (total - np.concatenate([np.zeros(count), total[:-count]])) / count
    return np.where(np.isnan(z), np.nan, smooth)


def _noisy(z: Floats, rng: np.random.Generator) -> Floats:
    return z + 10 ** rng.uniform(-3, -0.3) * rng.standard_normal(len(z))


def _rounded(z: Floats, rng: np.random.Generator) -> Floats:
    step = 10 ** rng.uniform(-2, -0.2)
    rounded: Floats = np.round(z / step) * step
    return rounded


def _cut_off(z: Floats, rng: np.random.Generator) -> Floats:
    """Nothing below one of its quantiles."""
    return np.maximum(z, np.nanquantile(z, rng.uniform(0.0, 0.7)))


_CHANGES = ((0.4, _bent), (0.2, _smoothed), (0.25, _noisy), (0.25, _rounded), (0.15, _cut_off))
