"""Labelled windows for `classify`: clean stretches as they are, and as many with one injected anomaly.

A window is the newest readings of one series, gaps left out. An anomaly reaches to the newest reading, as when it is
first seen; the promotion gate places its anomalies in the same way. So the question is that of a stream: is what
happens now normal? Strengths are in units of the series' own spread, of which there are two:

    deviation   the standard deviation of its clean readings
    residual    what is left of its movement beside its daily season (`injection.spread`), which is less
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models.context import DAYS, Inputs, columns
from models.injection import KINDS, inject, spread
from models.offline.history import History, HistoryError
from models.offline.lessons import Examples
from models.offline.recipe import ExampleRecipe
from models.offline.variation import varied

Floats = npt.NDArray[np.float64]

_A_CHANGED_SERIES = 128  # windows of each changed series
_LEAST_WINDOWS = 4  # of a changed series
_LEAST_DAYS = 3  # of readings, for a season to be taken away


class Clean(NamedTuple):
    """The readings of a series that nothing is wrong with as far as known, gaps left out.

    Attributes:
        values: Shape (N,).
        days: Index of the reading one to seven days before each, -1 where there is none, shape (DAYS, N).
        starts: First readings of the windows that lie in one clean stretch, shape (S,).
        deviation: Their standard deviation.
        unit: What a strength of 1 is.
    """

    values: Floats
    days: npt.NDArray[np.int64]
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
            without.append(history.series)
            continue
        rng = np.random.default_rng([recipe.seed, *history.series.encode()])
        found.append(_of_series(clean, recipe, window, recipe.windows, index, rng))
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
        raise HistoryError(f"{history.series}: readings of {history.values.shape[1]} variables cannot be classified")
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
    return Clean(values, _days_before(slots, history.day), starts, deviation, size)


def _days_before(slots: npt.NDArray[np.int64], day: int) -> npt.NDArray[np.int64]:
    """Index of each reading's counterpart one to `DAYS` days before, -1 where there is none; shape (DAYS, N)."""
    wanted = slots - day * np.arange(1, DAYS + 1)[:, None]  # (DAYS, N)
    found = np.minimum(np.searchsorted(slots, wanted), len(slots) - 1)
    return np.where(slots[found] == wanted, found, -1)


def past(clean: Clean, raw: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """The readings one to seven days before those of each window.

    Where these are in the window themselves, they are as the anomaly left them: a stream would have no others.

    Args:
        clean: The series.
        raw: The windows' readings, shape (M, W).
        starts: Index of each window's first reading, shape (M,).

    Returns:
        Shape (M, W, DAYS), NaN where there are none.
    """
    slots = clean.days[:, starts[:, None] + np.arange(raw.shape[1])]  # (DAYS, M, W)
    within = slots - starts[:, None]
    own = np.take_along_axis(raw[None], np.maximum(within, 0), -1)
    before = np.where(slots >= 0, clean.values[slots], np.nan)
    return np.moveaxis(np.where(within >= 0, own, before), 0, -1)


def _seen(clean: Clean, raw: Floats, starts: npt.NDArray[np.int64], inputs: Inputs) -> npt.NDArray[np.float32]:
    """What the network sees of windows (M, W): shape (M, W, 1), in deviations of the series, or (M, W, 13)."""
    if inputs == "value":
        return (raw / clean.deviation)[..., None].astype(np.float32)
    context = columns(torch.from_numpy(raw), torch.from_numpy(past(clean, raw, starts)))
    return context.float().numpy()


def fresh_examples(
    histories: Sequence[History],
    windows: Sequence[Sequence[tuple[float, float]]],
    recipe: ExampleRecipe,
    window: int,
    count: int,
    rng: np.random.Generator,
) -> Examples:
    """Labelled windows drawn anew, of these series or of changed ones, as the recipe says.

    Args:
        histories: The series, of one variable.
        windows: Of each series, labelled stretches that are left out, first and last instant in epoch seconds.
        recipe: How strong, what is seen; `fresh` is not `no`.
        window: Readings of a window (W).
        count: How many, even.
        rng: What is random.
    """
    changed = recipe.fresh == "series"
    each = _A_CHANGED_SERIES if changed else recipe.fresh_windows or recipe.windows
    found: list[Examples] = []
    for index in itertools.count():
        if sum(len(e.label) for e in found) >= count:
            break
        at = index % len(histories)
        history, spans = histories[at], windows[at]
        if changed:
            history, spans = varied(histories, windows, _LEAST_WINDOWS * window, rng)
        clean = clean_readings(history, spans, window, recipe.spread)
        if clean is not None:
            found.append(_of_series(clean, recipe, window, each, at, rng))
    made = Examples(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
    return made.rows(np.arange(len(made.label)) < count)


def _of_series(
    clean: Clean, recipe: ExampleRecipe, window: int, count: int, index: int, rng: np.random.Generator
) -> Examples:
    """Windows of one series, every second one with an anomaly, the kinds in turn."""
    raw, starts = np.empty((count, window)), rng.choice(clean.starts, count)
    kinds = ["" if i % 2 == 0 else KINDS[i // 2 % len(KINDS)] for i in range(count)]
    for i, start in enumerate(starts.tolist()):
        raw[i] = clean.values[start : start + window]
        if kinds[i]:
            raw[i] = _with_anomaly(raw[i], kinds[i], recipe, clean.unit, rng)
    return Examples(
        _seen(clean, raw, starts, recipe.inputs),
        np.ones((count, window), np.bool_),
        np.array([bool(kind) for kind in kinds], np.int64),
        np.full(count, index, np.int64),
        np.array(kinds, dtype="U16"),
    )


def _with_anomaly(values: Floats, kind: str, recipe: ExampleRecipe, unit: float, rng: np.random.Generator) -> Floats:
    """One anomaly up to the newest reading."""
    strength, length = rng.uniform(*recipe.strengths), int(rng.integers(recipe.lengths[0], recipe.lengths[1] + 1))
    length = 1 if kind in ("spike", "dip") else min(length, len(values) - 1)
    seed = int(rng.integers(2**31))
    start = len(values) - length
    return inject(values, kind, strength, seed, start=start, length=length, unit=unit).values  # type: ignore[arg-type]
