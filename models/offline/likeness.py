"""Which series are nearly the same: a network that learned one of them has seen the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.offline.history import History, HistoryError

ALIKE = 0.9
"""Series whose readings correlate more than this, in either direction, are nearly the same."""

_LEAST = 100  # readings in common, for a correlation to mean anything

Floats = npt.NDArray[np.float64]


def correlation(one: History, other: History) -> float:
    """How far two series follow each other, 0 to 1: at the same instants, or reading by reading from their beginnings.

    The second finds copies that were moved in time, and those at another interval. Only the first variable counts.
    """
    found = 0.0
    if one.interval_s == other.interval_s:
        first, last = max(one.first, other.first), min(one.first + len(one), other.first + len(other))
        if last > first:
            parts = (each.values[first - each.first : last - each.first, 0] for each in (one, other))
            found = _correlated(*parts)
    a, b = (each.values[each.observed, 0] for each in (one, other))
    return max(found, _correlated(a[: len(b)], b[: len(a)]))


def _correlated(a: Floats, b: Floats) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    if int(both.sum()) < _LEAST:
        return 0.0
    x, y = a[both] - a[both].mean(), b[both] - b[both].mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return abs(float(x @ y)) / size if size > 0 else 0.0


def families(histories: Sequence[History]) -> npt.NDArray[np.int64]:
    """Number of each series' family, that of its first member, shape (number of series,).

    Two series are of one family that are alike, or both alike to others of it.
    """
    family = np.arange(len(histories))
    for i, one in enumerate(histories):
        for j in range(i):
            if family[i] != family[j] and correlation(one, histories[j]) > ALIKE:
                family[family == max(family[i], family[j])] = min(family[i], family[j])
    return family


def together(part: npt.NDArray[np.int64], family: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Parts such that no family is in two: each goes where most of it is, or to the first of such parts.

    Args:
        part: Part or fold of each series, shape (number of series,).
        family: Of each, as `families` gives it.

    Raises:
        HistoryError: A part would have no series left.

    >>> together(np.array([0, 1, 2, 0, 1, 2]), np.array([0, 0, 2, 0, 4, 5]))
    array([0, 0, 2, 0, 1, 2])
    """
    kept = part.copy()
    for each in np.unique(family):
        kept[family == each] = np.bincount(part[family == each]).argmax()
    if missing := sorted(set(part.tolist()) - set(kept.tolist())):
        raise HistoryError(
            f"part {missing[0] + 1} of {len(set(part.tolist()))} has no series of its own: all of it are nearly the "
            f"same (correlation above {ALIKE}) as series of others; give more series, or other shares"
        )
    return kept
