"""Who learns from what: splits in time with a gap between the parts, and splits by series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.offline.history import HistoryError


class SplitParts(NamedTuple):
    """Ranges of slots, each `(start, stop)`: training is before validation, and that before test."""

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]


def split_time(first: int, last: int, shares: Sequence[float], gap: int) -> SplitParts:
    """Cut a range of slots in time order, with `gap` slots left out between two parts.

    The gap is a window long, so that no window of one part holds a reading of another.

    Args:
        first, last: The range, both included.
        shares: Of training, validation and test, positive; they need not add up to 1.
        gap: Slots that belong to no part.

    Raises:
        HistoryError: A part would be shorter than the gap, so it would hold no window.

    >>> split_time(0, 99, (5, 2, 3), 4)
    SplitParts(train=(0, 50), validation=(54, 70), test=(74, 100))
    """
    count, total = last - first + 1, sum(shares)
    cuts = [first + round(count * part / total) for part in (shares[0], shares[0] + shares[1])]
    parts = SplitParts((first, cuts[0]), (cuts[0] + gap, cuts[1]), (cuts[1] + gap, last + 1))
    for name, (start, stop) in parts._asdict().items():
        if stop - start < gap:
            raise HistoryError(
                f"{count} slots are too few: {name} would have {max(0, stop - start)} and a window has {gap}; "
                "give more readings, a shorter window or other shares"
            )
    return parts


def split_series(series: Sequence[str], shares: Sequence[float], seed: int) -> npt.NDArray[np.int64]:
    """Part of each series: 0 training, 1 validation, 2 test. Drawn without looking at the readings.

    Args:
        series: Distinct names; their order does not matter.
        shares: Of the three parts, positive.
        seed: Seed of the draw.

    Returns:
        Shape (number of series,); every part has at least one series.

    Raises:
        HistoryError: There are fewer series than parts.
    """
    rank = _shuffled(series, seed)
    count, total = len(series), sum(shares)
    if count < 3:
        raise HistoryError(f"{count} series cannot be split into training, validation and test; give at least 3")
    test = max(1, round(count * shares[2] / total))
    validation = max(1, min(round(count * shares[1] / total), count - test - 1))
    part = np.zeros(count, np.int64)
    part[rank >= count - test - validation] = 1
    part[rank >= count - test] = 2
    return part


def fold_series(series: Sequence[str], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Fold of each series, 0 to `folds` - 1, as equal in size as can be; shape (number of series,).

    Raises:
        HistoryError: There are fewer series than folds, or fewer than three folds: one tests, the next validates.
    """
    if not 3 <= folds <= len(series):
        raise HistoryError(f"{len(series)} series cannot be cut into {folds} folds; use 3 to {len(series)}")
    return _shuffled(series, seed) % folds


def _shuffled(series: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    """Rank of each series in a seeded order that does not depend on the order given."""
    by_name = np.argsort(np.array(series, dtype=object), kind="stable")
    rank = np.empty(len(series), np.int64)
    rank[by_name] = np.random.default_rng(seed).permutation(len(series))
    return rank
