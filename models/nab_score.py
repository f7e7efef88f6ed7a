"""The Numenta Anomaly Benchmark's scoring: how early each labelled window is found, and what false alarms cost.

Source:
    Lavin and Ahmad 2015, arXiv:1510.03336, and the scorer of NAB 1.1 (github.com/numenta/NAB, nab/sweeper.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PROBATION_SHARE, PROBATION_MOST = 0.15, 5000


@dataclass(frozen=True)
class Profile:
    """What finding, missing and false alarms are worth."""

    true_positive: float
    false_negative: float
    false_positive: float


PROFILES = {
    "standard": Profile(1.0, 1.0, 0.11),
    "reward_low_FP_rate": Profile(1.0, 1.0, 0.22),
    "reward_low_FN_rate": Profile(1.0, 2.0, 0.11),
}


def probation(rows: int) -> int:
    """Rows at a file's beginning that are not scored."""
    return int(min(math.floor(PROBATION_SHARE * rows), PROBATION_SHARE * PROBATION_MOST))


def _worth(position: float) -> float:
    """1 at a window's start (-1), 0 at its end (0), towards -1 after it, -1 beyond three window lengths."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


@dataclass(frozen=True)
class LabelledRows:
    """A file's rows against its windows.

    Attributes:
        worth: Unweighted worth of an alarm in each row, shape (N,): positive in a window, negative outside.
        window: Index of the window a row is in, -1 outside, shape (N,).
        windows: Number of windows.
        probation: Rows that are not scored.
    """

    worth: npt.NDArray[np.float64]
    window: npt.NDArray[np.int64]
    windows: int
    probation: int


def label_rows(at: npt.NDArray[np.float64], windows: Sequence[tuple[float, float]]) -> LabelledRows:
    """The worth of an alarm in each row.

    Args:
        at: Instant of each row, in order, shape (N,).
        windows: First and last instant of each window, ends included; of rows with the last instant the first ends it.
    """
    n, start = len(at), probation(len(at))
    worth, inside = np.full(n, -1.0), np.full(n, -1, np.int64)
    best = _worth(-1.0)
    spans = [_span(at, a, b) for a, b in sorted(windows)]
    for index, rows in enumerate(spans):
        inside[rows] = index
        for i in rows.tolist():
            worth[i] = _worth(-(int(rows[-1]) - i + 1) / len(rows)) / best
    for index, rows in enumerate(spans):
        following = spans[index + 1][0] if index + 1 < len(spans) and len(spans[index + 1]) else n
        for i in range(int(rows[-1]) + 1 if len(rows) else n, int(following)):
            if inside[i] < 0:
                worth[i] = _worth((i - int(rows[-1])) / max(len(rows) - 1, 1))
    return LabelledRows(worth, inside, len(windows), start)


def _span(at: npt.NDArray[np.float64], first: float, last: float) -> npt.NDArray[np.int64]:
    """Rows of a window; stamps may go back an hour."""
    end = np.flatnonzero(at == last)[:1]
    return np.sort(np.concatenate([np.flatnonzero((at >= first) & (at < last)), end]))


def raw_score(rows: LabelledRows, alarms: npt.NDArray[np.bool_], profile: Profile) -> float:
    """Score of one file's alarms: the best alarm in each window, every alarm outside one, every window missed."""
    counted = alarms.copy()
    counted[: rows.probation] = False
    false = counted & (rows.window < 0)
    score = profile.false_positive * float(rows.worth[false].sum())
    for window in range(rows.windows):
        hits = rows.worth[counted & (rows.window == window)]
        score += profile.true_positive * float(hits.max()) if len(hits) else -profile.false_negative
    return score


def normalise(raw: float, windows: int, profile: Profile) -> float:
    """The score on a scale where a detector that never alarms has 0 and a perfect one has 100."""
    null, perfect = -profile.false_negative * windows, profile.true_positive * windows
    return 100.0 * (raw - null) / (perfect - null)


@dataclass(frozen=True)
class Optimum:
    """The threshold that gives a corpus its greatest raw score, and that score; infinite where silence is best."""

    threshold: float
    raw: float


def best_threshold(
    files: Sequence[tuple[LabelledRows, npt.NDArray[np.float64]]], profile: Profile, lowest: float = -math.inf
) -> Optimum:
    """NAB's threshold rule: of all thresholds on a continuous score, one for the whole corpus, the best in hindsight.

    Args:
        files: Each file's labelled rows and its score, shape (N,); rows at the threshold and above are alarms.
        profile: What alarms are worth.
        lowest: Thresholds are above this; 0 where 0 says that there is no alarm at all.

    Source:
        NAB 1.1, nab/optimizer.py and nab/sweeper.py; of equal scores the greatest threshold.
    """
    scores = [score[rows.probation :] for rows, score in files]
    gains = [_gains(rows, score, profile)[rows.probation :] for rows, score in files]
    score, gain = np.concatenate([[], *scores]), np.concatenate([[], *gains])
    score, gain = score[score > lowest], gain[score > lowest]
    order = np.argsort(-score, kind="stable")
    nothing = -profile.false_negative * sum(rows.windows for rows, _ in files)
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(score) else np.zeros(0, np.int64)
    totals = np.concatenate([[nothing], nothing + np.cumsum(gain[order])[ends]])
    thresholds = np.concatenate([[math.inf], score[order][ends]])
    best = int(np.argmax(totals))
    return Optimum(float(thresholds[best]), float(totals[best]))


def _gains(rows: LabelledRows, score: npt.NDArray[np.float64], profile: Profile) -> npt.NDArray[np.float64]:
    """What each row adds to the raw score when the threshold falls to its score, shape (N,); 0 on probation."""
    gain = np.where(rows.window < 0, profile.false_positive * rows.worth, 0.0)
    gain[: rows.probation] = 0.0
    for window in range(rows.windows):
        inside = np.flatnonzero(rows.window == window)
        inside = inside[inside >= rows.probation]
        if len(inside):
            inside = inside[np.argsort(-score[inside], kind="stable")]
            best = profile.true_positive * np.maximum.accumulate(rows.worth[inside])
            gain[inside] = np.diff(best, prepend=-profile.false_negative)
    return gain
