"""How well a continuous score ranks anomalous readings above the others: areas under precision-recall curves.

A threshold plays no part, and neither does any monotone change of the score.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


def average_precision(score: Scores, label: Labels) -> float:
    """AUC-PR as average precision: each step in recall times the precision there, every distinct score a threshold.

    Args:
        score: Shape (N,), greater is more anomalous; equal scores are reached together.
        label: Shape (N,), true where anomalous.

    Returns:
        0 to 1, the share of anomalous readings for a score that means nothing; NaN when none is anomalous.

    Source:
        Davis and Goadrich 2006, doi:10.1145/1143844.1143874; the step-wise sum, without interpolation.

    >>> average_precision(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False]))
    0.8333333333333333
    """
    positives = int(label.sum())
    if positives == 0:
        return math.nan
    order, ends = _thresholds(score)
    true = np.cumsum(label[order])[ends]
    return float(np.dot(np.diff(true / positives, prepend=0.0), true / (ends + 1)))


def vus_pr(score: Scores, label: Labels, longest: int) -> float:
    """VUS-PR: the range-aware area under the precision-recall curve, averaged over buffers of 0 to `longest` readings.

    With a buffer of `l` readings, labels fall off as sqrt(1 - d / l) at a distance d of up to l // 2 readings before
    and after each anomaly, so that an alarm slightly beside one is not simply false; recall is multiplied with the
    share of anomalies of which any reading is found. One sort, then O(N) for each buffer.

    Args:
        score: Shape (N,), greater is more anomalous.
        label: Shape (N,), true where anomalous; each run of true is one anomaly.
        longest: Greatest buffer in readings; 0 gives a buffer-free area.

    Returns:
        0 to 1; NaN when nothing is anomalous.

    Source:
        Paparrizos et al. 2022, doi:10.14778/3551793.3551830, as in TSB-AD's `RangeAUC_volume_opt`
        (github.com/TheDatumOrg/TSB-AD), but for every distinct score being a threshold there in place of 250 ranks.
    """
    if not label.any():
        return math.nan
    return float(np.mean(_areas(score, label, longest)))


def _areas(score: Scores, label: Labels, longest: int) -> list[float]:
    """Range-aware area under the precision-recall curve for each buffer of 0 to `longest` readings."""
    order, ends = _thresholds(score)
    rank = np.empty(len(score), np.int64)
    rank[order] = np.arange(len(score))
    runs = _runs(label)
    positives, inside = float(label.sum()), np.cumsum(label[order])[ends]
    areas = []
    for buffer in range(longest + 1):
        beside = np.cumsum(_beside(label, runs, buffer)[order])[ends]
        first = np.sort([rank[a : b + 1].min() for a, b in _widened(runs, buffer // 2, len(label))])
        existence = np.searchsorted(first, ends, side="right") / len(first)
        found = inside + beside
        recall = np.minimum(found / (positives + beside / 2.0), 1.0) * existence
        areas.append(float(np.dot(np.diff(recall, prepend=0.0), found / (ends + 1))))
    return areas


def _thresholds(score: Scores) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Readings by falling score, and the last rank of each group of equal scores, shape (number of thresholds,)."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    return order, ends


def _runs(label: Labels) -> list[tuple[int, int]]:
    """First and last index of each run of true."""
    edges = np.diff(np.concatenate([[0], label.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def _beside(label: Labels, runs: list[tuple[int, int]], buffer: int) -> Scores:
    """What readings beside anomalies count for, 0 in them and beyond the buffer, shape (N,)."""
    n, half = len(label), buffer // 2
    weight = np.zeros(n)
    for a, b in runs:
        after, before = np.arange(b + 1, min(b + half + 1, n)), np.arange(max(a - half, 0), a)
        weight[after] += np.sqrt(1.0 - (after - b) / max(buffer, 1))
        weight[before] += np.sqrt(1.0 - (a - before) / max(buffer, 1))
    return np.where(label, 0.0, np.minimum(weight, 1.0))


def _widened(runs: list[tuple[int, int]], half: int, n: int) -> list[tuple[int, int]]:
    """The runs with their buffers, those that touch made one."""
    wide: list[tuple[int, int]] = []
    for a, b in runs:
        start, end = max(a - half, 0), min(b + half, n - 1)
        if wide and wide[-1][1] >= start:
            wide[-1] = (wide[-1][0], end)
        else:
            wide.append((start, end))
    return wide
