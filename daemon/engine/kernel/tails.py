"""Tails: how seldom so great a value occurs in a series lately (compiled)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.parameters import Parameters

Record = Any

LN10 = math.log(10.0)
KEPT = 32  # greatest values a tail keeps; about twice what it uses
EVERY = 20  # readings of the series between two refits

TAIL = np.dtype(
    [
        ("value", "f4", (KEPT,)),
        ("born", "i4", (KEPT,)),
        ("count", "i4"),
        ("fitted", "i4"),
        ("u", "f8"),
        ("gamma", "f8"),
    ],
    align=True,
)


@compiled
def tail(state: Record, value: float, p: Parameters, stagger: int) -> float:
    """-log10 of how often so great a value occurs locally (peaks over threshold, exponential excesses); 0 below it.

    The threshold is a quantile of the last `tail_history` values, of which the greatest 32 are kept; it is refitted
    every 20 readings, before the value is added. All values are added, anomalous ones too: leaving them out would
    break the promised rate (Siffer et al. 2017, doi:10.1145/3097983.3098144).
    """
    n = state.count
    if n >= p.tail_start and (state.fitted == 0 or (n + stagger) % EVERY == 0):
        _fit(state, p)
    _keep(state, value, n)
    state.count = n + 1
    if state.fitted == 0 or value <= state.u:
        return 0.0
    return float(-math.log10(p.tail_fraction) + (value - state.u) / (state.gamma * LN10))


@compiled
def _keep(state: Record, value: float, n: int) -> None:
    """Put `value` into a free place, or into that of the smallest value kept if it is greater. `born` 0 is free."""
    least = 0
    for i in range(KEPT):
        if state.born[i] == 0:
            least = i
            break
        if state.value[i] < state.value[least]:
            least = i
    if state.born[least] == 0 or value > state.value[least]:
        state.value[least] = value
        state.born[least] = n + 1


@compiled
def _fit(state: Record, p: Parameters) -> None:
    """Forget values older than the history, then set the threshold and the mean excess, shrunk by ten excesses of 1."""
    n = state.count
    seen = min(n, p.tail_history)
    order = np.empty(KEPT, np.float64)
    kept = 0
    for i in range(KEPT):
        if state.born[i] != 0 and state.born[i] <= n - seen:
            state.born[i] = 0
        if state.born[i] != 0:
            at = kept
            while at > 0 and order[at - 1] < state.value[i]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = state.value[i]
            kept += 1
    rank = p.tail_fraction * (seen - 1)
    above = min(int(rank), kept - 1)
    below = min(above + 1, kept - 1)
    u = order[above] + (rank - above) * (order[below] - order[above])
    total, excesses = 0.0, 0
    while excesses < kept and order[excesses] > u:
        total += order[excesses] - u
        excesses += 1
    state.u = u
    state.gamma = (total + 10.0) / (excesses + 10.0)
    state.fitted = 1
