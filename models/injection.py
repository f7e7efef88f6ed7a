"""Anomalies to put into a series: the same library for the promotion gate, the offline trainer and tests.

Every kind is a pure function of the values, the strength, the place and a seed. Nothing outside the range returned
changes, a gap (NaN) stays one, and more strength never changes less. `GENERATOR` names the exact rules below: a figure
measured with another generator is not comparable.

Strength is in units of the series' own spread (`spread`): what is left of its movement when the season is taken away.

    spike           one slot, up by `strength` spreads
    dip             one slot, down by `strength` spreads
    level_shift     every slot, up or down by `strength` spreads
    trend           rising or falling from nothing to `strength` spreads at the end
    flatline        stuck at the value before, until the series itself has moved `strength` spreads away from it
    changed_season  the range's halves change places: the right values at the wrong time
    noise_burst     white noise with a standard deviation of `strength` spreads
    missing_day     as low as the series gets (its 2 % quantile), like a day on which nothing happened

changed_season and missing_day replace values: they go towards the replacement as far as moves the range by `strength`
spreads (root mean square), and at most all the way, so on a series with a small season they may stay below `strength`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

GENERATOR = "injection-1"

Kind = Literal["spike", "dip", "level_shift", "trend", "flatline", "changed_season", "noise_burst", "missing_day"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Floats = npt.NDArray[np.float64]

_MAD_TO_STD = 1.4826  # a normal distribution's standard deviation over its median absolute deviation
_LOW_QUANTILE = 0.02


class Injected(NamedTuple):
    """A series with an anomaly in it.

    Attributes:
        values: Same shape as the input, float64.
        start, end: The anomaly is in `values[start:end]`; outside it nothing changed.
    """

    values: Floats
    start: int
    end: int


def spread(values: npt.NDArray[np.floating], period: int = 1) -> Floats:
    """How much a series moves beside its season, robustly: an outlier in a hundred values changes little.

    The differences between values one period apart have a median absolute deviation; scaled to a standard deviation
    and divided by the square root of 2, because a difference carries the noise of two values. Where most differences
    are equal (a constant, or a count that rarely changes) the plain standard deviation takes its place.

    Args:
        values: Shape (N,) or (N, F); NaN is a gap.
        period: Slots of a season; 1 where none is known: differences of neighbours.

    Returns:
        One number per variable, shape () or (F,), units of `values`; 0 for a constant.

    Raises:
        ValueError: There is no more than one period of values, or a variable has none at all.

    >>> float(spread(np.array([0.0, 5, 1, 6, 3, 8, 1, 5]), period=2).round(3))
    1.048
    """
    x = np.asarray(values, np.float64)
    if not 1 <= period < len(x):
        raise ValueError(f"{len(x)} values have no differences {period} apart; give a shorter period")
    if np.isnan(x).all(axis=0).any():
        raise ValueError("a variable has no value at all, so it has no spread")
    differences = x[period:] - x[:-period]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # gaps may leave no difference at all: NaN, which is not > 0
        middle = np.nanmedian(differences, axis=0)
        robust = _MAD_TO_STD / np.sqrt(2) * np.nanmedian(np.abs(differences - middle), axis=0)
    found: Floats = np.where(robust > 0, robust, np.nanstd(x, axis=0))
    return found


def inject(
    values: npt.NDArray[np.floating],
    kind: Kind,
    strength: float,
    seed: int | tuple[int, ...],
    *,
    period: int = 1,
    start: int | None = None,
    length: int | None = None,
    unit: Floats | float | None = None,
) -> Injected:
    """Put one anomaly into a series.

    Args:
        values: Shape (N,) or (N, F): the anomaly is in all variables, each in units of its own spread.
        kind: One of `KINDS`.
        strength: In spreads, at least 0; 0 changes nothing but a flatline's few slots.
        seed: Seed of the place and of what is random; equal arguments give equal bits.
        period: Slots of a day or other season. It is the length where none is given, but for spike and dip.
        start: First slot; drawn from the last three quarters where not given, so that there is a normal stretch before.
        length: Slots, at least 1; cut at the end of the series. Spike and dip have 1.
        unit: Length of a spread, shape () or (F,); `spread(values, period)` where not given.

    Raises:
        ValueError: `kind` is not one of `KINDS`, `strength` is negative, the place lies outside the series, or a
            variable has no value at all.

    >>> inject(np.array([1.0, 2, 1, 2, 1, 2]), "spike", 3.0, 0, start=4, unit=0.5)
    Injected(values=array([1. , 2. , 1. , 2. , 2.5, 2. ]), start=4, end=5)
    """
    x = np.array(values, np.float64)
    n, rng = len(x), np.random.default_rng(seed)
    if kind not in _SHAPES or not strength >= 0:
        raise ValueError(f"no anomaly {kind!r} of strength {strength}; kinds are {', '.join(KINDS)}, strengths >= 0")
    count = 1 if kind in ("spike", "dip") else (length if length is not None else max(period, 2))
    if count < 1:
        raise ValueError(f"an anomaly has at least one slot, not {count}")
    if start is None:
        first = n // 4
        start = int(rng.integers(first, max(first, n - count) + 1))
    if not 0 <= start < n:
        raise ValueError(f"slot {start} lies outside a series of {n}")
    end = min(start + count, n)
    size = np.asarray(spread(x, period) if unit is None else unit, np.float64)
    columns = x.reshape(n, -1)  # (N, F)
    moved = _SHAPES[kind](columns, start, end, strength, np.broadcast_to(size, x.shape[1:]).reshape(-1), rng)  # (L, F)
    changed = columns.copy()
    changed[start:end] = moved
    return Injected(changed.reshape(x.shape), start, end)


# Each takes the series (N, F), the range, the strength, the spread (F,) and a generator; it returns the range's values.
_Shape = Callable[[Floats, int, int, float, Floats, np.random.Generator], Floats]


def _sign(rng: np.random.Generator) -> float:
    return float(rng.integers(0, 2)) * 2 - 1


def _spike(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    return x[start:end] + strength * size


def _dip(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    return x[start:end] - strength * size


def _level_shift(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    return x[start:end] + _sign(rng) * strength * size


def _trend(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    ramp = np.arange(1, end - start + 1)[:, None] / (end - start)  # (L, 1)
    return x[start:end] + _sign(rng) * ramp * strength * size


def _flatline(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    part = x[start:end]
    if start and not np.isnan(x[start - 1]).any():
        stuck = x[start - 1]  # (F,)
    else:
        stuck = np.array([_last(before, after) for before, after in zip(x[:start].T, part.T, strict=True)])
    away = np.nan_to_num(np.abs(part - stuck)) >= strength * size  # (L, F)
    slots = np.arange(len(part))[:, None]
    last = np.where(away.any(axis=0), away.argmax(axis=0), len(part) - 1)  # (F,)
    return np.where((slots <= last) & ~np.isnan(part), stuck, part)


def _last(before: Floats, after: Floats) -> float:
    """The last observed value of `before`, or the first of `after`; 0 when neither has one."""
    older, newer = before[~np.isnan(before)], after[~np.isnan(after)]
    return float(older[-1] if len(older) else newer[0] if len(newer) else 0.0)


def _changed_season(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    return _towards(x[start:end], np.roll(x[start:end], (end - start) // 2, axis=0), strength, size)


def _noise_burst(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    return x[start:end] + rng.standard_normal((end - start, x.shape[1])) * strength * size


def _missing_day(x: Floats, start: int, end: int, strength: float, size: Floats, rng: np.random.Generator) -> Floats:
    quantile = np.nanquantile if np.isnan(x).any() else np.quantile  # the former goes column by column
    return _towards(x[start:end], quantile(x, _LOW_QUANTILE, axis=0), strength, size)


def _towards(part: Floats, goal: Floats, strength: float, size: Floats) -> Floats:
    """From `part` (L, F) towards `goal` until the root mean square of the move is `strength` spreads."""
    move = goal - part
    count = np.maximum(np.count_nonzero(~np.isnan(move), axis=0), 1)
    whole = np.sqrt(np.nan_to_num(move**2).sum(axis=0) / count)  # (F,)
    share = np.minimum(1.0, strength * size / np.where(whole > 0, whole, 1.0))
    return np.where(np.isnan(move), part, part + share * move)


_SHAPES: dict[str, _Shape] = {
    "spike": _spike,
    "dip": _dip,
    "level_shift": _level_shift,
    "trend": _trend,
    "flatline": _flatline,
    "changed_season": _changed_season,
    "noise_burst": _noise_burst,
    "missing_day": _missing_day,
}
