"""What is kept of a series' slots: the warm-up's values, then the ring of scaled ones, and windows of it.

A slot has three states: a value, NaN (nothing came), infinite (something came that is not for use: a guess, outside the
limits, misread).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled
from daemon.engine.table.series import READY, Arrays

MOST_MISSING = 0.5  # of a window; above it the window is not scored
LOWEST, GREATEST = -3.0, 4.0  # scaled values are clipped to this


@compiled
def fill_window(ring: Any, slot: int, x: Any, observed: Any) -> int:
    """Write the window that ends at `slot`, oldest first; gaps hold the value before them. Returns the gaps' number.

    What is not for use (outside the limits, estimated, misread) is a gap, too.
    """
    size = len(x)
    missing = 0
    before = -1
    for j in range(size):
        at = (slot - size + 1 + j) % size
        observed[j] = math.isfinite(ring[at, 0])
        if observed[j]:
            x[j] = ring[at]
            if before < 0:
                for i in range(j):
                    x[i] = x[j]
            before = j
        else:
            missing += 1
            if before >= 0:
                x[j] = x[before]
    return missing


@compiled
def scaled(value: float, origin: float, scale: float) -> float:
    """A value in units of the warm-up's range, clipped."""
    return min(max((value - origin) / scale, LOWEST), GREATEST)


@compiled
def write(a: Arrays, row: int, slot: int, value: Any, usable: bool) -> None:
    """Put a value into the series' ring: the warm-up's, or the scaled one; what is not `usable` takes its slot only."""
    s = a.rows[row]
    if s.status != READY:
        at = slot % a.history.shape[1]
        a.history[s.buffer, at] = np.inf
        if usable:
            a.history[s.buffer, at] = value
        return
    at = slot % a.ring.shape[1]
    a.ring[row, at] = np.inf
    if usable:
        for f in range(len(value)):
            a.ring[row, at, f] = scaled(value[f], a.origin[row, f], a.scale[row, f])


@compiled
def held(a: Arrays, row: int, slot: int) -> float:
    """What a slot that is kept holds of the first variable: NaN where it is free."""
    s = a.rows[row]
    if s.status == READY:
        return float(a.ring[row, slot % a.ring.shape[1], 0])
    return float(a.history[s.buffer, slot % a.history.shape[1], 0])


@compiled
def is_held(a: Arrays, row: int, slot: int, value: Any, usable: bool) -> bool:
    """Whether a taken slot holds just this value; of what is not usable it is only known that it is not."""
    s = a.rows[row]
    if not usable or math.isinf(held(a, row, slot)):
        return not usable and math.isinf(held(a, row, slot))
    for f in range(len(value)):
        if s.status == READY:
            x = scaled(value[f], a.origin[row, f], a.scale[row, f])
            if np.float32(x) != a.ring[row, slot % a.ring.shape[1], f]:
                return False
        elif value[f] != a.history[s.buffer, slot % a.history.shape[1], f]:
            return False
    return True


@compiled
def forget_between(a: Arrays, row: int, last: int, slot: int) -> None:
    """Mark the slots between two readings as gaps."""
    s = a.rows[row]
    if s.status == READY:
        size = a.ring.shape[1]
        for t in range(max(last + 1, slot - size + 1), slot):
            a.ring[row, t % size] = np.nan
    else:
        size = a.history.shape[1]
        for t in range(max(last + 1, slot - size + 1), slot):
            a.history[s.buffer, t % size] = np.nan
