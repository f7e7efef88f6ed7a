"""Two honest baselines for labelled windows: a z-score rule, and logistic regression on a window's statistics.

Both see the same windows and learn from the same training part as the networks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ITERATIONS = 50
_RIDGE = 1e-2  # weight of the squared coefficients, against columns that say the same


def z_score(x: npt.NDArray[np.float32]) -> Floats:
    """Greatest distance of a window's readings from its mean in its standard deviations, over variables, shape (M,)."""
    values = x.astype(np.float64)
    spread = np.maximum(values.std(1, keepdims=True), 1e-9)
    z: Floats = np.abs((values - values.mean(1, keepdims=True)) / spread).max((1, 2))
    return z


def best_cut(score: Floats, label: npt.NDArray[np.bool_]) -> float:
    """The threshold with the greatest accuracy, halfway between two scores."""
    order = np.argsort(score, kind="stable")
    ordered, anomalous = score[order], label[order]
    right = np.concatenate([[0], np.cumsum(~anomalous)]) + np.concatenate([np.cumsum(anomalous[::-1])[::-1], [0]])
    possible = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    at = int(np.argmax(np.where(possible, right, -1)))
    edges = np.concatenate([[ordered[0] - 1], ordered, [ordered[-1] + 1]])
    return float((edges[at] + edges[at + 1]) / 2)


def statistics(x: npt.NDArray[np.float32]) -> Floats:
    """Statistics of each window's variables: moments, quantiles, differences, halves, runs; shape (M, 16 * F)."""
    v = x.astype(np.float64).transpose(0, 2, 1)  # (M, F, W)
    d = np.diff(v, axis=-1)
    mean, std = v.mean(-1), v.std(-1)
    safe = np.maximum(std, 1e-9)[..., None]
    z = (v - mean[..., None]) / safe
    half = v.shape[-1] // 2
    columns = [
        mean,
        std,
        (z**3).mean(-1),
        np.log1p((z**4).mean(-1)),
        *np.quantile(v, (0.02, 0.25, 0.75, 0.98), axis=-1),
        z.max(-1),
        z.min(-1),
        np.abs(d).mean(-1),
        d.std(-1),
        np.abs(d).max(-1) / np.maximum(np.abs(d).mean(-1), 1e-9),
        (d == 0).mean(-1),
        v[..., half:].mean(-1) - v[..., :half].mean(-1),
        (z[..., 1:] * z[..., :-1]).mean(-1),
    ]
    return np.concatenate([np.nan_to_num(c) for c in columns], -1)


class LogisticRegression:
    """Two classes, standardised columns, a small ridge, by Newton's method.

    Source:
        Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, section 4.4.
    """

    def __init__(self, columns: Floats, label: npt.NDArray[np.bool_]) -> None:
        self._mean, self._std = columns.mean(0), np.maximum(columns.std(0), 1e-9)
        a = self._design(columns)
        self._weights = np.zeros(a.shape[1])
        ridge = _RIDGE * len(a) * np.eye(a.shape[1])
        ridge[0, 0] = 0.0
        for _ in range(_ITERATIONS):
            p = _sigmoid(a @ self._weights)
            slope = a.T @ (p - label) + ridge @ self._weights
            curve = (a * (p * (1 - p))[:, None]).T @ a + ridge + 1e-9 * np.eye(a.shape[1])
            step = np.linalg.solve(curve, slope)
            self._weights -= step
            if float(np.abs(step).max()) < 1e-8:
                break

    def probability(self, columns: Floats) -> Floats:
        """How likely each row is anomalous, shape (M,)."""
        return _sigmoid(self._design(columns) @ self._weights)

    def _design(self, columns: Floats) -> Floats:
        z = np.clip((columns - self._mean) / self._std, -10, 10)
        return np.concatenate([np.ones((len(z), 1)), z], 1)


def _sigmoid(z: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
    return p
