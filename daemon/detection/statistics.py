"""From a network's errors to a rarity: the recursions of one series, one reading after another.

Each unit is a record type (its state, a few hundred bytes inside the series' row) and a compiled function that advances
it. They read like the equations of docs/detection.md, and every path (live, replay, joining) runs exactly these.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from daemon.engine.compiled import compiled

Record = Any
"""A numpy record: one series' state of one unit. Numba knows its fields; mypy does not."""

LN10 = math.log(10.0)
MOST_CAPPED = 60.0
KEPT = 32  # greatest values a tail keeps; about twice what it uses
EXCESSES = 15  # most values above the tail's own threshold
LEVEL_SHARE = 0.25  # of the level's tail in the rarity
EVERY = 20  # readings of the series between two refits of a tail
NEVER = -(1 << 40)
NO_CAP = 1 << 40  # readings before a cap applies, where none ever does

CAP = np.dtype([("height", "f4", (5,)), ("place", "i4", (5,)), ("count", "i4")], align=True)
TIME_OF_DAY = np.dtype([("total", "f4", (24,)), ("weight", "f4", (24,)), ("level", "f8"), ("cap", CAP)], align=True)
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


def _likelihood(short: int) -> np.dtype[Any]:
    rings = [("raw", "f4", (short,)), ("capped", "f4", (short,)), ("means", "f4", (short,))]
    return np.dtype([*rings, ("count", "i8"), ("held", "i8"), ("mean", "f8"), ("m2", "f8")], align=True)


LIKELIHOOD_1, LIKELIHOOD_10, LIKELIHOOD_30 = _likelihood(1), _likelihood(10), _likelihood(30)

STATISTICS = np.dtype(
    [
        ("newest_hours", TIME_OF_DAY),
        ("rms_hours", TIME_OF_DAY),
        ("newest_cap", CAP),
        ("rms_cap", CAP),
        ("level_cap", CAP),
        ("newest", LIKELIHOOD_10),
        ("rms", LIKELIHOOD_10),
        ("instant", LIKELIHOOD_1),
        ("level", LIKELIHOOD_30),
        ("rank_tail", TAIL),
        ("level_tail", TAIL),
    ],
    align=True,
)
"""All statistics of one series."""


class Parts(NamedTuple):
    """Which units are in use; `model.statistics` in the configuration."""

    time_of_day: bool = True
    caps: bool = True
    likelihood: bool = True
    tail: bool = True
    level: bool = True


class Parameters(NamedTuple):
    """What the warm-up's length p (slots) fixes for all series of a stream.

    Attributes:
        parts: Units in use.
        hourly: Whether errors are divided by what is usual at their hour (warm-up of 1.5 days and more).
        cap_start: Readings before a cap applies.
        tail_history: Readings a tail looks back on.
        tail_start: Readings before a tail is fitted.
        tail_fraction: Fraction of readings above the tail's own threshold.
    """

    parts: Parts
    hourly: bool
    cap_start: int
    tail_history: int
    tail_start: int
    tail_fraction: float


def parameters(warm_up_slots: int, interval_s: int, parts: Parts = Parts()) -> Parameters:  # noqa: B008 - immutable
    """Parameters for a warm-up of `warm_up_slots` slots of `interval_s` seconds."""
    history = max(100, int(0.67 * warm_up_slots))
    return Parameters(
        parts=parts,
        hourly=parts.time_of_day and warm_up_slots * interval_s >= 1.5 * 86400,
        cap_start=max(50, warm_up_slots // 4) if parts.caps else NO_CAP,
        tail_history=history,
        tail_start=min(100, warm_up_slots // 2),
        tail_fraction=min(0.03, EXCESSES / history),
    )


@compiled
def minus_log10_normal_tail(z: float) -> float:
    """-log10 of the probability that a standard normal exceeds `z`, at most 60; asymptotic series from z = 5."""
    if z < 5.0:
        return -math.log10(0.5 * math.erfc(z / math.sqrt(2.0)))
    z2 = z * z
    tail = (z2 / 2.0 + math.log(z * math.sqrt(2.0 * math.pi))) / LN10
    return min(tail - math.log10(1.0 - 1.0 / z2 + 3.0 / (z2 * z2)), MOST_CAPPED)


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


@compiled
def usual_error(hours: Record, hour: int) -> float:
    """Mean error at `hour`, shrunk towards the overall level by 30 readings' worth, at least a quarter of the level."""
    usual = (hours.total[hour] + 30.0 * hours.level) / (hours.weight[hour] + 30.0)
    return float(max(usual, 0.25 * hours.level))


@compiled
def normalise(hours: Record, error: float, hour: int, start: int) -> float:
    """`error` in multiples of what is usual at `hour`, in units of the overall level; then learns from it, capped."""
    capped = min(error, cap_value(hours.cap, start))
    out = error * hours.level / usual_error(hours, hour)
    hours.total[hour] = 0.98 * hours.total[hour] + capped
    hours.weight[hour] = 0.98 * hours.weight[hour] + 1.0
    hours.level = 0.999 * hours.level + 0.001 * capped
    cap_push(hours.cap, error)
    return float(out)


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


@compiled
def advance(
    s: Record, p: Parameters, newest: float, rms: float, deviation: float, hour: int, stagger: int
) -> tuple[float, float]:
    """One reading through all statistics of its series.

    Args:
        s: The series' `STATISTICS`.
        p: Parameters of the stream.
        newest: Error of the newest entry, units of the series' range.
        rms: Root mean squared error of the window, same units.
        deviation: Scaled value minus the median of the warm-up.
        hour: Local hour of day, 0 to 23.
        stagger: Offset of the tail's refits, so that series do not refit all at once.

    Returns:
        `(rank, unusual)`: the continuous score, and the sum of the tails, of which `daemon.detection.calibrating`
        makes a rarity.
    """
    if p.hourly:
        newest = normalise(s.newest_hours, newest, hour, p.cap_start)
        rms = normalise(s.rms_hours, rms, hour, p.cap_start)
    rank = _rank(s, p, newest, rms)
    unusual = tail(s.rank_tail, rank, p, stagger) if p.parts.tail else rank
    if p.parts.level:
        level = likelihood(s.level, deviation, cap_value(s.level_cap, p.cap_start), True)
        cap_push(s.level_cap, abs(deviation))
        unusual += LEVEL_SHARE * (tail(s.level_tail, level, p, stagger) if p.parts.tail else level)
    return rank, unusual


@compiled
def _rank(s: Record, p: Parameters, newest: float, rms: float) -> float:
    """How unlikely the latest errors are, the mean of three; without likelihoods, errors in units of their level."""
    if not p.parts.likelihood:
        return float(newest / s.newest_hours.level + rms / s.rms_hours.level) / 2.0
    newest_cap, rms_cap = cap_value(s.newest_cap, p.cap_start), cap_value(s.rms_cap, p.cap_start)
    rank = (
        likelihood(s.newest, newest, newest_cap, False)
        + likelihood(s.rms, rms, rms_cap, False)
        + likelihood(s.instant, rms, rms_cap, False)
    ) / 3.0
    cap_push(s.newest_cap, newest)
    cap_push(s.rms_cap, rms)
    return float(rank)


@compiled
def begin(s: Record, newest_level: float, rms_level: float) -> None:
    """Set the overall levels of the time-of-day normalisation from the warm-up's mean errors."""
    s.newest_hours.level = newest_level + 1e-9
    s.rms_hours.level = rms_level + 1e-9
