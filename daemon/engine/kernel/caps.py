"""Caps: how much of an error statistics learn, three times the 99 % quantile of the errors before it (compiled)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled

Record = Any

CAP = np.dtype([("height", "f4", (5,)), ("place", "i4", (5,)), ("count", "i4")], align=True)


@compiled
def cap_value(cap: Record, start: int) -> float:
    """Three times the 99 % quantile of all earlier values; infinite before `start` values."""
    if cap.count < max(start, 5):
        return math.inf
    return float(3.0 * cap.height[2] + 1e-6)


@compiled
def cap_push(cap: Record, value: float) -> None:
    """Advance the 99 % quantile by one value: the P2 algorithm (Jain and Chlamtac, CACM 28(10), 1985)."""
    q, n, count = cap.height, cap.place, cap.count
    cap.count = count + 1
    if count < 5:
        at = count
        while at > 0 and q[at - 1] > value:
            q[at] = q[at - 1]
            at -= 1
        q[at] = value
        n[count] = count + 1
        return
    if value < q[0]:
        q[0] = value
        cell = 0
    elif value >= q[4]:
        q[4] = value
        cell = 3
    else:
        cell = 0
        while value >= q[cell + 1]:
            cell += 1
    for i in range(cell + 1, 5):
        n[i] += 1
    for i in range(1, 4):
        _move_marker(q, n, i, 1.0 + count * (0.495, 0.99, 0.995)[i - 1])


@compiled
def _move_marker(q: Record, n: Record, i: int, wanted: float) -> None:
    """Move marker `i` of the P2 quantile one place towards `wanted`, parabolically where that keeps the order."""
    off = wanted - n[i]
    if not ((off >= 1.0 and n[i + 1] - n[i] > 1) or (off <= -1.0 and n[i - 1] - n[i] < -1)):
        return
    d = 1 if off > 0 else -1
    above = (n[i] - n[i - 1] + d) * (q[i + 1] - q[i]) / (n[i + 1] - n[i])
    below = (n[i + 1] - n[i] - d) * (q[i] - q[i - 1]) / (n[i] - n[i - 1])
    moved = q[i] + d * (above + below) / (n[i + 1] - n[i - 1])
    if not q[i - 1] < moved < q[i + 1]:
        moved = q[i] + d * (q[i + d] - q[i]) / (n[i + d] - n[i])
    q[i] = moved
    n[i] += d
