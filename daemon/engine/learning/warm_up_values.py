"""From a warm-up's values to the scale of a series, and to its windows; compiled over many series at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled
from daemon.engine.table.ring import GREATEST, LOWEST, MOST_MISSING, fill_window
from daemon.engine.table.series import Arrays

FEW = 0.02  # of a warm-up's values, at either end, that do not set its range by themselves
REACH = 3.0  # widths of all the others that they may lie outside and still be a part of it
OF_LEVEL = 0.01  # of its level: the range of a series that was constant


@compiled
def span(values: Any) -> tuple[float, float]:
    """Least and greatest of a variable's values that no few of them set.

    Sentinels (-999, 9999), bursts and broken readings of a warm-up must not stretch its range. The middle 96 % of the
    values say how wide the series is; what lies further out than `REACH` times that is left out. Where they are all
    the same, as of a meter that mostly reads 0, or a sensor that stands at 50, its level or else the usual size of the
    others takes the width's place.

    Args:
        values: Finite, at least one, shape (N,).
    """
    ordered = np.sort(values)
    few = min(math.ceil(FEW * len(ordered)), (len(ordered) - 1) // 2)
    low, high = ordered[few], ordered[len(ordered) - 1 - few]
    reach = REACH * (high - low)
    if reach == 0.0:
        others = np.abs(ordered[ordered != low])
        if low != 0.0:
            reach = abs(low)
        elif len(others):
            reach = REACH * _middle(np.sort(others))
    first, last = 0, len(ordered) - 1
    while ordered[first] < low - reach:
        first += 1
    while ordered[last] > high + reach:
        last -= 1
    return float(ordered[first]), float(ordered[last])


@compiled
def _middle(ordered: Any) -> float:
    """Median of sorted values."""
    n = len(ordered)
    return float(ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2.0)


@compiled
def _fit(a: Arrays, row: int, f: int, values: Any, ranged: bool) -> bool:
    """Set range and scale of a series' variable by its warm-up's values, as far as they are for use; False: none is."""
    usable = values[np.isfinite(values)]
    if len(usable) == 0:
        return False
    low, high = span(usable)
    a.low[row, f], a.high[row, f] = low, high
    a.origin[row, f], a.scale[row, f] = 0.0, 1.0
    if ranged:
        a.origin[row, f] = low
        a.scale[row, f] = high - low if high > low else max(OF_LEVEL * abs(high), 1e-6)
    for i in range(len(usable)):
        usable[i] = min(max((usable[i] - a.origin[row, f]) / a.scale[row, f], LOWEST), GREATEST)
    a.median[row, f] = _middle(np.sort(usable))
    return True


@compiled
def scale(a: Arrays, rows: Any, ranged: bool, out: Any) -> None:
    """Set the scale of series in warm-up by their values, and write these scaled, oldest first.

    Args:
        a: The table's arrays.
        rows: The series, shape (N,), each with a reading.
        ranged: Whether the range is the unit; else values stay as they are.
        out: Written: shape (N, p, F), float32; NaN is a gap, infinite not for use.
    """
    p, width = a.history.shape[1], a.history.shape[2]
    values = np.empty(p)
    for i in range(len(rows)):
        row = rows[i]
        history, oldest = a.history[a.rows[row].buffer], a.rows[row].last + 1
        for f in range(width):
            for j in range(p):
                values[j] = history[(oldest + j) % p, f]
            known = _fit(a, row, f, values, ranged)
            for j in range(p):
                out[i, j, f] = np.inf if math.isinf(values[j]) else np.nan
                if known and math.isfinite(values[j]):
                    in_units = (values[j] - a.origin[row, f]) / a.scale[row, f]
                    out[i, j, f] = min(max(in_units, LOWEST), GREATEST)


@compiled
def cut(a: Arrays, rows: Any, scaled: Any, begin: Any, out_x: Any, out_observed: Any, out_slot: Any) -> None:
    """Write the windows of scaled warm-ups that have few enough gaps and an observed newest slot, series by series.

    Args:
        a: The table's arrays.
        rows: The series, shape (N,).
        scaled: What `scale` wrote, shape (N, p, F).
        begin: Written: the first window of each series, and their number at the end, shape (N + 1,).
        out_x, out_observed, out_slot: Written; with room for N * p.
    """
    p, size = scaled.shape[1], out_x.shape[1]
    ring = np.empty((size, scaled.shape[2]), np.float32)
    found = 0
    for i in range(len(rows)):
        begin[i], last = found, a.rows[rows[i]].last
        ring[:] = np.nan
        for j in range(p):
            slot = last - p + 1 + j
            ring[slot % size] = scaled[i, j]
            if not math.isfinite(scaled[i, j, 0]):
                continue
            if fill_window(ring, slot, out_x[found], out_observed[found]) <= MOST_MISSING * size:
                out_slot[found] = slot
                found += 1
    begin[len(rows)] = found


@compiled
def count(a: Arrays, rows: Any, size: int, observed: Any, scored: Any) -> None:
    """Write how many warm-up slots of each series hold a reading, and how many end a window that can be scored.

    Args:
        a: The table's arrays.
        rows: The series, shape (N,).
        size: Slots of a window.
        observed, scored: Written, shape (N,).
    """
    p = a.history.shape[1]
    for i in range(len(rows)):
        history, oldest = a.history[a.rows[rows[i]].buffer], a.rows[rows[i]].last + 1
        within = 0
        observed[i], scored[i] = 0, 0
        for j in range(p):
            if j >= size and math.isfinite(history[(oldest + j - size) % p, 0]):
                within -= 1
            if math.isfinite(history[(oldest + j) % p, 0]):
                observed[i] += 1
                within += 1
                if size - within <= MOST_MISSING * size:
                    scored[i] += 1
