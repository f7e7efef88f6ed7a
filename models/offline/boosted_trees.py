"""Gradient-boosted trees on a window's statistics: the baseline that a network has to beat.

scikit-learn is an extra for development; where it is not installed, `train` leaves the row out.

Source:
    Ke et al. 2017, LightGBM; scikit-learn's HistGradientBoostingClassifier.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from models.offline.simple_classifiers import statistics

Floats = npt.NDArray[np.float64]

_LEAVES = (15, 31, 63)  # of a tree; the validation part chooses
_TREES, _RATE = 600, 0.05
_LATELY = (1, 5, 25, 60, 125)  # newest readings whose means and extremes are columns, too


def is_installed() -> bool:
    """Whether scikit-learn is there."""
    return find_spec("sklearn") is not None


def tree_columns(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Statistics of windows (M, W, F), of all of each and of its newest readings; shape (M, 31 * F)."""
    columns: list[Floats] = [statistics(x)]
    for count in _LATELY:
        lately = x[:, -count:].astype(np.float64)
        columns += [lately.mean(1), lately.max(1), lately.min(1)]
    return np.concatenate(columns, -1).astype(np.float32)


class BoostedTrees:
    """Two classes. Of several sizes of a tree that one is kept which the validation part likes best.

    Args:
        columns, label: What is learned from, shapes (M, C) and (M,).
        validation, validation_label: What chooses the size and the number of trees.
        seed: Of what is random.
    """

    def __init__(
        self,
        columns: npt.NDArray[np.float32],
        label: npt.NDArray[np.bool_],
        validation: npt.NDArray[np.float32],
        validation_label: npt.NDArray[np.bool_],
        seed: int,
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.loss, self._model = np.inf, None
        for leaves in _LEAVES:
            model: Any = HistGradientBoostingClassifier(
                learning_rate=_RATE,
                max_iter=_TREES,
                max_leaf_nodes=leaves,
                min_samples_leaf=40,
                l2_regularization=1.0,
                early_stopping=True,
                n_iter_no_change=30,
                random_state=seed,
            )
            model.fit(columns, label, X_val=validation, y_val=validation_label)
            loss = _cross_entropy(model.predict_proba(validation)[:, 1], validation_label)
            if loss < self.loss:
                self.loss, self._model = loss, model

    def probability(self, columns: npt.NDArray[np.float32]) -> Floats:
        """How likely each row is anomalous, shape (M,)."""
        assert self._model is not None
        found: Floats = self._model.predict_proba(columns)[:, 1]
        return found


def _cross_entropy(chance: Floats, label: npt.NDArray[np.bool_]) -> float:
    right = np.where(label, chance, 1 - chance)
    return float(-np.log(np.clip(right, 1e-7, 1)).mean())
