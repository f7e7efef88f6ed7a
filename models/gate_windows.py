"""Windows that the gate judges by, anomalies put into them, and how networks err on both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.features import calendar
from models.injection import KINDS, inject, spread
from models.scorer import Scorer

STRENGTH = 3.0  # spreads
STEPS = 4  # lengths of an anomaly, from an eighth to half a window
_KEPT = 0.9  # share of held-back windows, those of least error, that the error is the mean of: a few are anomalous


@dataclass(frozen=True, eq=False)
class GateSample:
    """Held-back windows.

    Attributes:
        x: Scaled windows, gaps filled with the last value, shape (N, W, F), float32.
        observed: False where a slot is a gap, shape (N, W), bool.
        local_s: Local time of each window's newest slot, seconds since 1970-01-01 00:00 local, shape (N,), int64.
        lowest, greatest: Range that scaled values are clipped to; anomalies are too.
        seed: Seed of the injected anomalies.
    """

    x: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    local_s: npt.NDArray[np.int64]
    lowest: float
    greatest: float
    seed: tuple[int, ...]


def injected(sample: GateSample) -> npt.NDArray[np.float32]:
    """The sample's windows once with each kind of anomaly, shape (KINDS, N, W, F).

    A window's spread is that of its neighbouring values' differences, at least the median of all windows'. The
    anomaly reaches to the newest slot, as when it is first seen; four lengths take turns over the windows. A spike or
    dip is in one of the newest four slots.
    """
    n, window, width = sample.x.shape
    out = np.empty((len(KINDS), n, window, width), np.float32)
    series = sample.x.transpose(1, 0, 2).astype(np.float64)  # (W, N, F): each window a variable of one short series
    unit = spread(series)  # (N, F)
    unit = np.maximum(unit, np.median(unit, axis=0))
    for step in range(STEPS):
        rows = slice(step, None, STEPS)
        part, size = series[:, rows].reshape(window, -1), unit[rows].reshape(-1)
        for i, kind in enumerate(KINDS):
            length = 1 + step if kind in ("spike", "dip") else max(2, window * (step + 1) // (2 * STEPS))
            made = inject(
                part, kind, STRENGTH, (*sample.seed, i, step), start=window - length, length=length, unit=size
            )
            out[i, rows] = made.values.reshape(window, -1, width).transpose(1, 0, 2)
    return np.clip(out, sample.lowest, sample.greatest, out=out)


def errors(
    scorer: Scorer, sample: GateSample, x: npt.NDArray[np.float32] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Errors of the newest reading, the mean over variables, and of the window, each of shape (M,).

    Args:
        scorer: The network.
        sample: Says which slots are observed, and when.
        x: Other windows in the sample's order, repeated as often as `x` is longer, shape (M, W, F); its own by default.
    """
    x = sample.x if x is None else x
    if not len(x):
        return np.zeros(0), np.zeros(0)
    times = len(x) // len(sample.x)
    m = scorer.manifest
    instants = calendar(sample.local_s, m.daily, m.weekly)
    scores = scorer.score(x, np.tile(sample.observed, (times, 1)), np.tile(instants, (times, 1)))
    return scores.newest.astype(np.float64).mean(-1), scores.rms.astype(np.float64)


def summed(scorer: Scorer, sample: GateSample, x: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float64]:
    """The sum of both, which the gate judges by."""
    newest, window = errors(scorer, sample, x)
    return newest + window


def trimmed(errors: npt.NDArray[np.float64]) -> float:
    """Mean of all but the greatest errors."""
    return float(np.sort(errors)[: max(1, int(_KEPT * len(errors)))].mean())


def clean_error(scorer: Scorer, sample: GateSample) -> float:
    """A network's error on windows as the gate measures it: the mean, the worst tenth left out."""
    return trimmed(summed(scorer, sample))


def separation(clean: npt.NDArray[np.float64], anomalous: npt.NDArray[np.float64]) -> float:
    """Area under the ROC curve: how often an anomalous window's error is above a clean one's, a tie counting half.

    Args:
        clean, anomalous: Errors, shapes (N,) and (M,), finite.

    Returns:
        1 when every anomalous window is above every clean one, 0.5 when the error says nothing.

    Source:
        Mann and Whitney 1947, doi:10.1214/aoms/1177730491.

    >>> separation(np.array([1.0, 2, 3]), np.array([2.0, 4]))
    0.75
    """
    ordered = np.sort(clean)
    below = np.searchsorted(ordered, anomalous, "left") + np.searchsorted(ordered, anomalous, "right")
    return float(below.sum()) / (2 * len(clean) * len(anomalous))
