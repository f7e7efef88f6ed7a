"""Likelihoods: how far the mean of the latest values is from all earlier means (compiled)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daemon.engine.kernel.compiled import compiled

Record = Any

LN10 = math.log(10.0)
MOST = 60.0  # what a likelihood is at most


def _likelihood(short: int) -> np.dtype[Any]:
    rings = [("raw", "f4", (short,)), ("capped", "f4", (short,)), ("means", "f4", (short,))]
    return np.dtype([*rings, ("count", "i8"), ("held", "i8"), ("mean", "f8"), ("m2", "f8")], align=True)


LIKELIHOOD_1, LIKELIHOOD_10, LIKELIHOOD_30 = _likelihood(1), _likelihood(10), _likelihood(30)


@compiled
def minus_log10_normal_tail(z: float) -> float:
    """-log10 of the probability that a standard normal exceeds `z`, at most 60; asymptotic series from z = 5."""
    if z < 5.0:
        return -math.log10(0.5 * math.erfc(z / math.sqrt(2.0)))
    z2 = z * z
    tail = (z2 / 2.0 + math.log(z * math.sqrt(2.0 * math.pi))) / LN10
    return min(tail - math.log10(1.0 - 1.0 / z2 + 3.0 / (z2 * z2)), MOST)


@compiled
def likelihood(state: Record, value: float, cap: float, two_sided: bool) -> float:
    """How unlikely the mean of the last `short` values is against all earlier means of that length, as -log10 p.

    The history holds means of capped values, and only those whose values all came before the current short window, so
    that an anomaly is never compared with itself. After Ahmad et al. 2017, doi:10.1016/j.neucom.2017.04.070.
    """
    short = len(state.raw)
    k = state.count
    at = k % short
    state.raw[at] = value
    state.capped[at] = min(max(value, -cap), cap)
    filled = min(k + 1, short)
    total, capped = 0.0, 0.0
    for i in range(filled):
        total += state.raw[i]
        capped += state.capped[i]
    if k == 0:
        _hold(state, capped / filled)
    elif k > short:
        _hold(state, state.means[at])
    state.means[at] = capped / filled
    state.count = k + 1
    spread = math.sqrt(max(state.m2 / state.held, 0.0))
    z = (total / filled - state.mean) / max(spread, 0.01)
    return minus_log10_normal_tail(abs(z) if two_sided else z)


@compiled
def _hold(state: Record, mean: float) -> None:
    """Add one mean to the history (Welford 1962)."""
    state.held += 1
    delta = mean - state.mean
    state.mean += delta / state.held
    state.m2 += delta * (mean - state.mean)
