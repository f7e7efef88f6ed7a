"""Simple detectors beside ours: each a score for every reading, over series side by side, none tuned on anything.

All read in order and look at nothing that comes later. A score of 0 is given in the warm-up and in gaps. Thresholds are
the measurement's: each rival gets, in hindsight, the one that gives it as many false alarms as is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.parameters import parameters
from daemon.engine.kernel.tails import TAIL, tail

Floats = npt.NDArray[np.float64]
DAY_S, WEEK_S = 86400, 7 * 86400
FORGET = 0.05  # of a slot's mean and spread with each visit
SHRINK = 5.0  # visits that a slot's first guess is worth
CHART_RATE = 0.1  # of the multivariate EWMA chart
KEPT_VARIANCE = 0.9  # of the principal components


class SideBySide(NamedTuple):
    """Series side by side.

    Attributes:
        values: Shape (T, N, F); NaN is a gap.
        rank: What our networks' statistics say, shape (T, N).
        first: Slot of the first row.
        interval_s: Length of a slot.
        warm_up: Slots that are not judged.
        seasonal: Whether stamps mean a time of day.
        seed: Of what is random.
    """

    values: Floats
    rank: Floats
    first: int
    interval_s: int
    warm_up: int
    seasonal: bool
    seed: int


def scores(table: SideBySide) -> dict[str, Floats]:
    """Score of every reading by rival, shape (T, N) each."""
    rivals = dict(RIVALS)
    if table.values.shape[2] > 1:
        rivals |= VECTOR_RIVALS
    found = {}
    there = np.isfinite(table.values).all(2)
    for name, rival in rivals.items():
        with np.errstate(all="ignore"):
            score = np.where(there, np.nan_to_num(rival(table)), 0.0)
        score[: table.warm_up] = 0.0
        found[name] = score
    return found


def _greatest(score: Floats) -> Floats:
    """Over variables, (T, N, F) to (T, N)."""
    found: Floats = np.abs(score).max(2)
    return found


def _season(table: SideBySide, period_s: int) -> int:
    return period_s // table.interval_s if table.seasonal and 2 * period_s <= table.warm_up * table.interval_s else 0


def seasonal_naive(table: SideBySide) -> Floats:
    """Distance from the value a week ago, a day ago where the warm-up is short, else from the last one."""
    x = table.values
    back = _season(table, WEEK_S) or _season(table, DAY_S) or 1
    off = np.full_like(x, np.nan)
    off[back:] = x[back:] - x[:-back]
    unit = np.nanmedian(np.abs(off[: max(table.warm_up, back + 2)]), axis=0)
    return _greatest(off / np.where(unit > 0, unit, np.nanstd(off, axis=0) + 1e-9))


def innovation(table: SideBySide) -> Floats:
    """Change since the last reading, in mean changes at this slot of the day."""
    x = table.values
    return _against_slots(np.diff(x, axis=0, prepend=x[:1]), table, _season(table, DAY_S), False)


def hour_of_week(table: SideBySide) -> Floats:
    """Distance from the mean of this hour of the week, in its deviations."""
    return _against_slots(table.values, table, _season(table, WEEK_S), True)


def _against_slots(x: Floats, table: SideBySide, season: int, centred: bool) -> Floats:
    """Deviations from the mean (or 0) of a slot of the season, which forget, shrunk towards the overall ones."""
    period, n = max(season, 1), x.shape[1:]
    mean, power, seen = np.zeros((period, *n)), np.zeros((period, *n)), np.zeros((period, *n))
    overall, score = np.zeros((3, *n)), np.zeros_like(x)
    for t in range(len(x)):
        h, v = (table.first + t) % period, x[t]
        middle = (mean[h] * seen[h] + SHRINK * overall[0]) / (seen[h] + SHRINK) if centred else 0.0 * v
        unit = np.sqrt((power[h] * seen[h] + SHRINK * overall[1]) / (seen[h] + SHRINK))
        off = v - middle
        score[t] = off / (unit + 1e-9)
        ok = np.isfinite(v)
        taught = np.where(ok, np.clip(off, -4 * unit, 4 * unit) if t > table.warm_up else off, 0.0)
        rate = np.where(ok, np.maximum(FORGET, 1 / (seen[h] + 1)), 0.0)
        mean[h] += rate * (np.where(ok, middle + taught, 0.0) - mean[h])
        power[h] += rate * (taught**2 - power[h])
        seen[h] += ok
        slow = np.where(ok, np.maximum(1 / max(table.warm_up, 1), 1 / (overall[2] + 1)), 0.0)
        overall[0] += slow * (np.where(ok, middle + taught, 0.0) - overall[0])
        overall[1] += slow * (taught**2 - overall[1])
        overall[2] += ok
    return _greatest(score)


def half_space_trees(table: SideBySide) -> Floats:
    """River's, without its filter; of the first variable."""
    from models.baselines import HalfSpaceTrees

    score: Floats = np.zeros(table.rank.shape)
    at = np.arange(len(score), dtype=np.int64)
    for i in range(score.shape[1]):
        column = table.values[:, i, 0]
        ok = np.isfinite(column)
        said = HalfSpaceTrees(table.seed).run(at[ok], column[ok], int(ok[: table.warm_up].sum()))
        score[ok, i] = said.score
    return score


def plain_tail(table: SideBySide) -> Floats:
    """The recipe's: peaks of our own rank over a threshold, exponential, and nothing else."""
    fixed = parameters(max(table.warm_up, 64), table.interval_s)
    return np.stack([_tails(table.rank[:, i], fixed) for i in range(table.rank.shape[1])], 1)


@compiled
def _tail_of(state, rank, fixed, out):  # type: ignore[no-untyped-def]
    for t in range(len(rank)):
        if rank[t] == rank[t]:
            out[t] = tail(state[0], rank[t], fixed, 0)


def _tails(rank: Floats, fixed: object) -> Floats:
    out = np.zeros(len(rank))
    _tail_of(np.zeros(1, TAIL), rank, fixed, out)
    return out


def at_random(table: SideBySide) -> Floats:
    """What chance finds."""
    found: Floats = np.random.default_rng(table.seed).random(table.rank.shape)
    return found


def _standardised(x: Floats, warm_up: int) -> Floats:
    before = x[:warm_up]
    found: Floats = (x - np.nanmean(before, 0)) / (np.nanstd(before, 0) + 1e-9)
    return found


def _each(table: SideBySide, score: Callable[[Floats, Floats], Floats]) -> Floats:
    """A score of standardised rows (T, F), given those of the warm-up, series by series."""
    out: Floats = np.zeros(table.rank.shape)
    for i in range(out.shape[1]):
        z = _standardised(table.values[:, i], table.warm_up)
        out[:, i] = score(np.nan_to_num(z), np.nan_to_num(z[: table.warm_up]))
    return out


def _components(before: Floats) -> tuple[Floats, Floats]:
    """Variances and directions of the principal components that hold `KEPT_VARIANCE`, greatest first."""
    values, directions = np.linalg.eigh(np.cov(before.T))
    values, directions = values[::-1], directions[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(values) / values.sum(), KEPT_VARIANCE)) + 1
    return values[:kept], directions[:, :kept]


def t_squared(table: SideBySide) -> Floats:
    """Hotelling's T-squared within the principal components of the warm-up."""

    def score(z: Floats, before: Floats) -> Floats:
        values, directions = _components(before)
        found: Floats = ((z @ directions) ** 2 / values).sum(1)
        return found

    return _each(table, score)


def residual_q(table: SideBySide) -> Floats:
    """Squared distance from the plane of these components."""

    def score(z: Floats, before: Floats) -> Floats:
        _, directions = _components(before)
        found: Floats = ((z - z @ directions @ directions.T) ** 2).sum(1)
        return found

    return _each(table, score)


def mewma(table: SideBySide) -> Floats:
    """The multivariate EWMA chart of Lowry et al. 1992, doi:10.1080/00401706.1992.10485232."""

    def score(z: Floats, before: Floats) -> Floats:
        inverse = np.linalg.pinv(np.cov(before.T) * CHART_RATE / (2 - CHART_RATE))
        mean, out = np.zeros(z.shape[1]), np.zeros(len(z))
        for t in range(len(z)):
            mean = CHART_RATE * z[t] + (1 - CHART_RATE) * mean
            out[t] = mean @ inverse @ mean
        return out

    return _each(table, score)


RIVALS: dict[str, Callable[[SideBySide], Floats]] = {
    "seasonal naive": seasonal_naive,
    "innovation": innovation,
    "hour of week": hour_of_week,
    "half-space trees": half_space_trees,
    "plain tail on our rank": plain_tail,
    "random": at_random,
}
VECTOR_RIVALS: dict[str, Callable[[SideBySide], Floats]] = {
    "PCA T-squared": t_squared,
    "PCA Q": residual_q,
    "MEWMA": mewma,
}
