"""Areas under precision-recall curves against small cases and against the published algorithm word by word."""

from __future__ import annotations

import doctest
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.rank_measures
from models.rank_measures import average_precision, vus_pr


def published(score: Any, label: Any, longest: int) -> float:
    """TSB-AD's `RangeAUC_volume_opt`, transcribed, with a threshold at each of the N ranks."""
    n = len(score)
    edges = np.diff(np.concatenate([[0], label.astype(int), [0]]))
    starts, ends = np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist()
    runs: list[tuple[int, int]] = list(zip(starts, ends, strict=True))

    def merged(buffer: int) -> list[tuple[int, int]]:
        out: list[tuple[int, int]] = []
        a = max(runs[0][0] - buffer // 2, 0)
        for (_, end), (start, _) in pairwise(runs):
            if end + buffer // 2 < start - buffer // 2:
                out.append((a, end + buffer // 2))
                a = start - buffer // 2
        return [*out, (a, min(runs[-1][1] + buffer // 2, n - 1))]

    areas = []
    for buffer in range(longest + 1):
        extended = label.astype(float)
        for s, e in runs:
            after, before = np.arange(e + 1, min(e + buffer // 2 + 1, n)), np.arange(max(s - buffer // 2, 0), s)
            extended[after] += np.sqrt(1 - (after - e) / max(buffer, 1))
            extended[before] += np.sqrt(1 - (s - before) / max(buffer, 1))
        extended = np.minimum(extended, 1.0)
        recalls, precisions = [0.0], []
        for threshold in -np.sort(-score):
            pred = score >= threshold
            labels = extended * pred
            labels[label] = 1.0
            found = float(labels @ pred)
            wide = merged(buffer)
            existence = np.mean([pred[a : b + 1].any() for a, b in wide])
            n_labels = sum(labels[a : b + 1].sum() for a, b in merged(longest))
            recalls.append(min(found / ((label.sum() + n_labels) / 2), 1.0) * existence)
            precisions.append(found / pred.sum())
        areas.append(np.dot(np.diff(recalls), precisions))
    return float(np.mean(areas))


def sample(seed: int, n: int = 120) -> tuple[Any, Any]:
    """A score with ties that knows a little about labels in runs."""
    rng = np.random.default_rng(seed)
    label = np.zeros(n, bool)
    for start in rng.integers(0, n - 8, 3):
        label[start : start + rng.integers(1, 8)] = True
    return np.round(rng.normal(size=n) + label, 1), label


def test_the_docstrings_example_holds() -> None:
    """What the docstring shows is what happens."""
    assert doctest.testmod(models.rank_measures).attempted == 1
    assert doctest.testmod(models.rank_measures).failed == 0


def test_average_precision_by_hand() -> None:
    """Ranks 1 and 3 of 4: (1/1 + 2/3) / 2. Ties are reached together: two of four at once give one step of 1/2."""
    assert average_precision(np.array([4.0, 3, 2, 1]), np.array([1, 0, 1, 0], bool)) == pytest.approx(5 / 6)
    assert average_precision(np.zeros(4), np.array([1, 0, 1, 0], bool)) == 0.5


def test_vus_by_hand() -> None:
    """One anomaly in the middle of five, the reading before it ranked first.

    Buffers of 0 and 1 reach no neighbour: one step to recall 1 at precision 1/2. A buffer of 2 reaches both, at
    sqrt(1/2): first found is 0.7071 of 1 + 0.3536 at precision 0.7071, then the anomaly too: recall 1 at 1.7071 / 2.
    """
    score, label = np.array([0.0, 2, 1, 0, 0]), np.array([0, 0, 1, 0, 0], bool)
    beside = math.sqrt(0.5)
    first = beside / (1 + beside / 2)
    wide = first * beside + (1 - first) * (1 + beside) / 2
    assert vus_pr(score, label, 0) == pytest.approx(0.5)
    assert vus_pr(score, label, 2) == pytest.approx((0.5 + 0.5 + wide) / 3)


@pytest.mark.parametrize("seed", range(8))
def test_vus_is_the_published_one(seed: int) -> None:
    """Equal to the published algorithm with a threshold at every rank, up to buffers that make anomalies touch."""
    score, label = sample(seed)
    for longest in (0, 1, 7, 30):
        assert vus_pr(score, label, longest) == pytest.approx(published(score, label, longest))


@given(st.integers(0, 2**32 - 1))
def test_only_the_order_matters(seed: int) -> None:
    """Any rising transform gives the same areas."""
    score, label = sample(seed)
    for transformed in (np.exp(score), 3 * score - 7, np.arctan(score)):
        assert average_precision(transformed, label) == average_precision(score, label)
        assert vus_pr(transformed, label, 9) == vus_pr(score, label, 9)


def test_a_score_that_means_nothing_has_the_base_rate() -> None:
    """10 % anomalous: about 0.1, and the buffers add little."""
    rng, label = np.random.default_rng(1), np.zeros(20_000, bool)
    label[5000:6000] = label[12_000:13_000] = True
    score = rng.random(20_000)
    assert average_precision(score, label) == pytest.approx(0.1, abs=0.01)
    assert vus_pr(score, label, 20) == pytest.approx(0.1, abs=0.015)


@given(st.integers(0, 2**32 - 1))
def test_a_perfect_score_has_1_and_all_stay_within(seed: int) -> None:
    """Whatever the buffers: all anomalous readings above all others; nothing is below 0 or above 1."""
    score, label = sample(seed)
    perfect = score + 1000 * label
    assert average_precision(perfect, label) == pytest.approx(1.0)
    assert vus_pr(perfect, label, 12) == pytest.approx(1.0)
    assert 0.0 <= vus_pr(-perfect, label, 12) <= average_precision(perfect, label)


def test_without_anomalies_there_is_no_area() -> None:
    """NaN, not 0: such a file is left out of means."""
    assert math.isnan(average_precision(np.ones(3), np.zeros(3, bool)))
    assert math.isnan(vus_pr(np.ones(3), np.zeros(3, bool), 2))
