"""The rarity from which a reading of a series is anomalous: by its budget, and by what operators said of its alarms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled

HALVING = 0.3010299956639812  # of rarity, minus log10 of a rate: half as many alarms
MOST_HALVED = 3  # times, and as often doubled: from an eighth to eight times the budget's alarms
LEAST = 0.5  # of rarity


@compiled
def threshold(by_budget: float, halved: int) -> float:
    """Rarity from which a reading is anomalous.

    Args:
        by_budget: Rarity that the series' budget asks for.
        halved: How many times labels halved its rate of alarms, below 0 doubled; no more than `MOST_HALVED` count.
    """
    return max(by_budget + HALVING * min(max(halved, -MOST_HALVED), MOST_HALVED), LEAST)


def threshold_of(s: Any, policies: npt.NDArray[Any]) -> float:
    """The same of a series' record, by its policy."""
    return float(threshold(float(policies["threshold"][s["policy"]]), int(s["halved"])))


def thresholds(by_budget: npt.NDArray[np.float64], halved: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The same for many series, shape (N,)."""
    moved: npt.NDArray[np.float64] = by_budget + HALVING * np.clip(halved, -MOST_HALVED, MOST_HALVED)
    return np.maximum(moved, LEAST)
