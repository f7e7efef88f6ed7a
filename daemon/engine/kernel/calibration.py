"""Keeping the promised rate: from the statistics' sum to a rarity that counts new episodes, and the rate measured.

The sum A = P + V / 4 of two tails says how unusual a reading is, but not how often a series starts an episode: readings
above a threshold come in clusters, the two tails overlap, and series differ. So two levels of A are followed, those
that clusters of one series exceed `OFTEN` and `RARELY` times a month. Rarity is read off the line through both, in
clusters per month on a logarithmic scale; a threshold of rarity is then a budget of episodes.

A level is the stream's plus the series' own offset, both moved by stochastic approximation (Robbins and Monro 1951,
doi:10.1214/aoms/1177729586): up by a step at each cluster, down by the rate times the step between. The stream's level
is what its series have in common and moves the more, the more of them there are: a hundred series tell in weeks what
one tells in years. A series alone has its own slow offset only. Levels start where A would put them, were it minus
log10 of a probability and a cluster `1 / EXTREMAL_INDEX` readings. All readings count, anomalous ones too, and each is
judged before it is learned from. Steps are bounded, so a great anomaly teaches no more than a small one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled

Record = Any
MONTH_S = 30.44 * 86400

OFTEN, RARELY = 5.0, 0.5  # clusters a month of the two levels
EXTREMAL_INDEX = 0.5  # clusters for each reading above a level, where nothing is known yet
OWN_PRIOR = (10.0, 36.0)  # clusters that a series' offset of 0 is worth
STREAM_PRIOR = 4.0  # clusters that the stream's first levels are worth
SPEED = 2.0  # of a step: mean excesses per cluster known of
OWN_MEMORY, STREAM_MEMORY = 60.0, 2000.0  # clusters after which steps get no smaller
DEAD = 0.35  # of a level's mean time between clusters, after one of a series: its next ones do not move the stream's
LEAST_EXCESS = 0.1  # mean excess, units of A
LEAST_LEVEL = 0.5
ENDS_BELOW = 0.5  # of the level, for ENDS_AFTER readings in a row: then the cluster has ended
ENDS_AFTER = 3

MONTHS = 4  # kept of the measured rate, the one in progress included
_ARRAYS = ("level", "readings", "records", "measured")

CALIBRATION = np.dtype(
    [
        ("offset", "f8", (2,)),  # from the stream's levels
        ("readings", "i4"),  # judged so far
        ("counted", "i4", (2,)),  # `readings` at the last cluster that moved the stream's level, plus 1
        ("above", "i1", (2,)),  # 1 within a cluster
        ("quiet", "i1", (2,)),  # readings in a row below its end
        ("records", "i4"),  # values outside all seen before, for `novelty`
        ("excess", "f4"),  # sum of how far they were outside, as a share of the range
        ("errors", "i4"),  # scored readings, for `outlier`
        ("greatest", "f4", (2,)),  # error of a newest reading in this week of them, and in the one before
    ],
    align=True,
)
"""What one series knows of its own rates."""


class Rates(NamedTuple):
    """A stream's own part, as compiled code takes it."""

    calibrated: bool  # whether levels are learned
    month: float  # slots of a month of 30.44 days
    level: npt.NDArray[np.float64]  # (2,) of A, exceeded OFTEN and RARELY a month by clusters of one series
    readings: npt.NDArray[np.int64]  # (1,) judged so far, over all series
    records: npt.NDArray[np.float64]  # (3,) of `novelty`: records, sum of their excesses, scarcity learned
    measured: npt.NDArray[np.int64]  # (MONTHS, 3) by month: its number, readings judged, episodes opened


def rates(interval_s: int, calibrated: bool = True) -> Rates:
    """Rates of a stream that knows nothing yet; those of one that is not `calibrated` stay as they are."""
    month = MONTH_S / interval_s
    nominal = [math.log10(month * EXTREMAL_INDEX / rate) for rate in (OFTEN, RARELY)]
    level = np.maximum(np.array(nominal), LEAST_LEVEL)
    level[1] = max(level[1], level[0] + LEAST_EXCESS * math.log(OFTEN / RARELY))
    return Rates(calibrated, month, level, np.zeros(1, np.int64), np.zeros(3), np.zeros((MONTHS, 3), np.int64))


@compiled
def calibrate(s: Record, r: Rates, a: float) -> float:
    """Rarity of a reading, then what it teaches.

    Args:
        s: The series' `CALIBRATION`.
        r: The stream's rates.
        a: The statistics' sum.

    Returns:
        -log10 of the share of readings at which so rare a cluster begins; at least 0.
    """
    span = math.log(OFTEN / RARELY)
    often = r.level[0] + s.offset[0]
    rarely = max(r.level[1] + s.offset[1], often + LEAST_EXCESS * span)
    excess = (rarely - often) / span
    rarity = math.log10(r.month / RARELY) + (a - rarely) / (excess * math.log(10.0))
    if not r.calibrated:
        return float(max(rarity, 0.0))
    s.readings += 1
    r.readings[0] += 1
    for k in range(2):
        begins = _follow(s, k, a, often if k == 0 else rarely)
        _learn(s, r, k, begins, excess)
    r.level[0] = max(r.level[0], LEAST_LEVEL)
    r.level[1] = max(r.level[1], r.level[0] + LEAST_EXCESS * span)
    return float(max(rarity, 0.0))


@compiled
def _follow(s: Record, k: int, a: float, level: float) -> bool:
    """Whether a cluster above a level begins here."""
    if a > level:
        s.quiet[k] = 0
        begins = s.above[k] == 0
        s.above[k] = 1
        return bool(begins)
    if s.above[k] == 1:
        s.quiet[k] = s.quiet[k] + 1 if a < ENDS_BELOW * level else 0
        if s.quiet[k] >= ENDS_AFTER:
            s.above[k] = 0
    return False


@compiled
def _learn(s: Record, r: Rates, k: int, begins: bool, excess: float) -> None:
    """Move the series' offset and the stream's level after one reading."""
    expected = (OFTEN, RARELY)[k] / r.month
    counts = begins and (s.counted[k] == 0 or (s.readings - s.counted[k]) * expected >= DEAD)
    if counts:
        s.counted[k] = s.readings + 1
    own = min(OWN_PRIOR[k] + s.readings * expected, OWN_MEMORY)
    s.offset[k] += SPEED * excess / own * ((1.0 if begins else 0.0) - expected)
    others = 1.0 - s.readings / r.readings[0]  # share of what the stream knows that came from other series
    common = min(STREAM_PRIOR + r.readings[0] * expected, STREAM_MEMORY)
    r.level[k] += SPEED * excess * others / common * ((1.0 if counts else 0.0) - expected / (1.0 + DEAD))


@compiled
def measure(r: Rates, slot: int, opened: bool) -> None:
    """Count a judged reading, and the episode it opened, in its month; a month that is over makes room for the next."""
    number = int(slot // r.month)
    at = number % MONTHS
    if r.measured[at, 0] < number or r.measured[at, 1] == 0:
        r.measured[at, 0], r.measured[at, 1], r.measured[at, 2] = number, 0, 0
    if r.measured[at, 0] == number:  # else it is older than all that are kept
        r.measured[at, 1] += 1
        r.measured[at, 2] += 1 if opened else 0


def take_back(r: Rates, slot: int, episodes: int) -> None:
    """Count so many episodes of a slot's month no longer, if it is kept: they were true."""
    number = int(slot // r.month)
    at = number % MONTHS
    if r.measured[at, 0] == number:
        r.measured[at, 2] = max(0, r.measured[at, 2] - episodes)


def measured_rate(r: Rates) -> float | None:
    """New episodes per series and month over the months kept; None before the first judged reading."""
    kept = r.measured[r.measured[:, 0] > r.measured[:, 0].max() - MONTHS]
    readings, episodes = int(kept[:, 1].sum()), int(kept[:, 2].sum())
    return episodes * r.month / readings if readings else None


def state(r: Rates) -> dict[str, npt.NDArray[Any]]:
    """Arrays that `restore` continues from."""
    return {name: getattr(r, name).copy() for name in _ARRAYS}


def restore(r: Rates, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Continue from what `state` returned."""
    for name in _ARRAYS:
        getattr(r, name)[...] = arrays[name]
