"""Labelled windows for `classify`: clean stretches as they are, and as many with one injected anomaly.

A window is the newest readings of one series, gaps left out. An anomaly reaches to the newest reading, as when it is
first seen; the promotion gate places its anomalies in the same way. So the question is that of a stream: is what
happens now normal? Strengths are in units of the series' own spread, of which there are two:

    deviation   the standard deviation of its clean readings
    residual    what is left of its movement beside its daily season (`injection.spread`), which is less

What the network sees of a reading (`inputs`):

    value       the reading alone, in deviations of its series: to be binned into tokens
    relative    five numbers: its distance from the window's median in the window's deviations; its difference to the
                reading before in robust deviations of the window's differences; both in deviations of the series; and
                its distance from the reading a day before in deviations of the series, 0 where there is none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.injection import KINDS, inject, spread
from models.offline.history import History, HistoryError
from models.offline.lessons import Examples
from models.offline.recipe import ExampleRecipe

Floats = npt.NDArray[np.float64]

_MAD_TO_STD = 1.4826
_LEAST_DAYS = 3  # of readings, for a season to be taken away
_NEAR, _FAR, _SHRINK = 6.0, 12.0, 3.0  # what the network sees is clipped, and the far columns are shrunk to its range


class Clean(NamedTuple):
    """The readings of a series that nothing is wrong with as far as known, gaps left out.

    Attributes:
        values: Shape (N,).
        day: Index of the reading a day before each, -1 where there is none, shape (N,).
        starts: First readings of the windows that lie in one clean stretch, shape (S,).
        deviation: Their standard deviation.
        unit: What a strength of 1 is.
    """

    values: Floats
    day: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    deviation: float
    unit: float


def examples(
    histories: Sequence[History],
    windows: Sequence[Sequence[tuple[float, float]]],
    recipe: ExampleRecipe,
    window: int,
) -> tuple[Examples, list[str]]:
    """Labelled windows of every series that has room for one, and the names of those that have none.

    Each series draws from a generator of its own, seeded by the recipe and its place in the alphabet, so that it gives
    the same windows in whatever company.

    Args:
        histories: The series, of one variable.
        windows: Of each series, labelled stretches that are left out, first and last instant in epoch seconds.
        recipe: How many, how strong, what is seen.
        window: Readings of a window (W).

    Raises:
        HistoryError: A series has several variables.
    """
    found, without = [], []
    for index, (history, labelled) in enumerate(zip(histories, windows, strict=True)):
        clean = clean_readings(history, labelled, window, recipe.spread)
        if clean is None:
            without.append(history.label)
            continue
        found.append(_of_series(clean, recipe, window, index, _seed(recipe.seed, history.label)))
    if not found:
        raise HistoryError(f"no series has a clean stretch of {window} readings in a row")
    return Examples(*(np.concatenate(columns) for columns in zip(*found, strict=True))), without


def clean_readings(
    history: History, labelled: Sequence[tuple[float, float]], window: int, unit: Literal["deviation", "residual"]
) -> Clean | None:
    """What windows are drawn from; None where there is no clean stretch of `window` readings, or a constant one only.

    Raises:
        HistoryError: The series has several variables.
    """
    if history.values.shape[1] != 1:
        raise HistoryError(f"{history.label}: readings of {history.values.shape[1]} variables cannot be classified")
    slots = np.flatnonzero(history.observed)
    values, at = history.values[slots, 0], history.at[slots]
    wrong = np.zeros(len(slots), np.bool_)
    for first, last in labelled:
        wrong |= (at >= first) & (at <= last)
    if len(slots) <= window:
        return None
    before = np.concatenate([[0], np.cumsum(wrong)])
    starts = np.flatnonzero(before[window:] == before[:-window])
    clean = np.where(wrong, np.nan, values)
    deviation = float(np.nanstd(clean)) if len(starts) else 0.0
    if not deviation > 0:
        return None
    grid = np.full(len(history), np.nan)
    grid[slots] = clean
    period = history.day if len(history) >= _LEAST_DAYS * history.day else 1
    size = deviation if unit == "deviation" else float(spread(grid, period))
    yesterday = np.searchsorted(slots, slots - history.day)
    day = np.where(slots[np.minimum(yesterday, len(slots) - 1)] == slots - history.day, yesterday, -1)
    return Clean(values, day, starts, deviation, size)


def _seed(seed: int, label: str) -> list[int]:
    return [seed, *label.encode()]


def _of_series(clean: Clean, recipe: ExampleRecipe, window: int, index: int, seed: list[int]) -> Examples:
    """Windows of one series, every second one with an anomaly, the kinds in turn."""
    rng = np.random.default_rng(seed)
    raw, starts = np.empty((recipe.windows, window)), rng.choice(clean.starts, recipe.windows)
    kinds = ["" if i % 2 == 0 else KINDS[i // 2 % len(KINDS)] for i in range(recipe.windows)]
    for i, start in enumerate(starts.tolist()):
        raw[i] = clean.values[start : start + window]
        if kinds[i]:
            raw[i] = _with_anomaly(raw[i], kinds[i], recipe, clean.unit, rng)
    days = clean.day[starts[:, None] + np.arange(window)]  # (M, W)
    yesterday = np.where(days >= 0, clean.values[days], np.nan)
    x = seen(raw, yesterday, clean.deviation, recipe.inputs)
    return Examples(
        x,
        np.ones((recipe.windows, window), np.bool_),
        np.array([bool(kind) for kind in kinds], np.int64),
        np.full(recipe.windows, index, np.int64),
        np.array(kinds, dtype="U16"),
    )


def _with_anomaly(values: Floats, kind: str, recipe: ExampleRecipe, unit: float, rng: np.random.Generator) -> Floats:
    """One anomaly up to the newest reading."""
    strength, length = rng.uniform(*recipe.strengths), int(rng.integers(recipe.lengths[0], recipe.lengths[1] + 1))
    length = 1 if kind in ("spike", "dip") else min(length, len(values) - 1)
    seed = int(rng.integers(2**31))
    start = len(values) - length
    return inject(values, kind, strength, seed, start=start, length=length, unit=unit).values  # type: ignore[arg-type]


def seen(
    raw: Floats, yesterday: Floats, deviation: float, inputs: Literal["value", "relative"]
) -> npt.NDArray[np.float32]:
    """What the network sees of windows.

    Args:
        raw: Readings, shape (M, W).
        yesterday: The readings a day before, NaN where there are none, shape (M, W).
        deviation: The series' standard deviation, positive.
        inputs: See the module.

    Returns:
        Shape (M, W, 1) or (M, W, 5), float32.
    """
    if inputs == "value":
        return (raw / deviation)[..., None].astype(np.float32)
    level = raw - np.median(raw, 1, keepdims=True)
    step = np.diff(raw, axis=1, prepend=raw[:, :1])
    usual = _MAD_TO_STD * np.median(np.abs(step), 1, keepdims=True)
    usual = np.where(usual > 0, usual, np.maximum(step.std(1, keepdims=True), 1e-9 * deviation))
    columns = [
        np.clip(level / np.maximum(raw.std(1, keepdims=True), 1e-9 * deviation), -_NEAR, _NEAR),
        np.clip(step / usual, -_FAR, _FAR) / _SHRINK,
        np.clip(level / deviation, -_FAR, _FAR) / _SHRINK,
        np.clip(step / deviation, -_FAR, _FAR) / _SHRINK,
        np.clip(np.nan_to_num((raw - yesterday) / deviation), -_FAR, _FAR) / _SHRINK,
    ]
    return np.stack(columns, -1).astype(np.float32)
