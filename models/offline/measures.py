"""How well scores and classes agree with labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.gate_windows import separation
from models.rank_measures import average_precision

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


class Counts(NamedTuple):
    """A confusion matrix; positive is anomalous."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


class Judgement(NamedTuple):
    """Figures of a decision, and of the score behind it.

    Attributes:
        accuracy: Share of right decisions.
        precision, recall, f1: Of the anomalous class; 0 where undefined.
        macro_precision, macro_recall, macro_f1: Means over both classes.
        auc: Area under the ROC curve; NaN where a class is empty.
        auc_pr: Area under the precision-recall curve; NaN where nothing is anomalous.
    """

    counts: Counts
    accuracy: float
    precision: float
    recall: float
    f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    auc: float
    auc_pr: float


def judge(score: Scores, label: Labels, threshold: float) -> Judgement:
    """Judge the decision that scores above `threshold` are anomalous.

    >>> judged = judge(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]), 0.5)
    >>> judged.accuracy, judged.f1, judged.auc
    (0.5, 0.5, 0.75)
    """
    said = score > threshold
    tp, fp = int((said & label).sum()), int((said & ~label).sum())
    fn, tn = int((~said & label).sum()), int((~said & ~label).sum())
    anomalous, normal = _rates(tp, fp, fn), _rates(tn, fn, fp)
    macro = [(a + b) / 2 for a, b in zip(anomalous, normal, strict=True)]
    whole = bool(label.any()) and not bool(label.all())
    auc = separation(score[~label], score[label]) if whole else float("nan")
    return Judgement(
        counts=Counts(tp, fp, fn, tn),
        accuracy=(tp + tn) / max(1, len(label)),
        precision=anomalous[0],
        recall=anomalous[1],
        f1=anomalous[2],
        macro_precision=macro[0],
        macro_recall=macro[1],
        macro_f1=macro[2],
        auc=auc,
        auc_pr=average_precision(score, label),
    )


def _rates(hit: int, wrong: int, missed: int) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean; 0 where undefined."""
    precision, recall = hit / max(1, hit + wrong), hit / max(1, hit + missed)
    return precision, recall, 2 * hit / max(1, 2 * hit + wrong + missed)


class Curves(NamedTuple):
    """Rates at every threshold, thinned to at most `MOST_POINTS`; shape (P,)."""

    false_positive_rate: Scores
    recall: Scores
    precision: Scores


MOST_POINTS = 400


def curves(score: Scores, label: Labels) -> Curves:
    """ROC and precision-recall curves, from the greatest threshold to the least."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(score) else np.zeros(0, np.int64)
    true = np.cumsum(label[order])[ends].astype(np.float64)
    said = ends + 1.0
    if len(ends) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(ends) - 1, MOST_POINTS).astype(np.int64))
        true, said = true[kept], said[kept]
    positives, negatives = max(1, int(label.sum())), max(1, int((~label).sum()))
    recall = np.concatenate([[0.0], true / positives])
    false = np.concatenate([[0.0], (said - true) / negatives])
    return Curves(false, recall, np.concatenate([[1.0], true / said]))
