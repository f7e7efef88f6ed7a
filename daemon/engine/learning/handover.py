"""From one network to the next: how many times greater the errors of the new one are.

`daemon.engine.kernel.error_scale` carries over by this ratio what series know of errors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.gate import LEAST_WINDOWS
from models.gate_windows import GateSample, errors, trimmed
from models.scorer import Scorer

MOST = 100.0  # a ratio beyond it says that one of the networks knows nothing of the series


def ratio(before: Scorer, now: Scorer, sample: GateSample) -> npt.NDArray[np.float64]:
    """How many times greater the errors of `now` are, of the newest reading and of the window, shape (2,).

    1 where there are too few windows to say, or one of the networks makes no errors.
    """
    if len(sample.x) < LEAST_WINDOWS:
        return np.ones(2)
    was, is_now = ([trimmed(part) for part in errors(scorer, sample)] for scorer in (before, now))
    found = np.array([b / a if a > 0 and np.isfinite([a, b]).all() else 1.0 for a, b in zip(was, is_now, strict=True)])
    return np.where(found > 0, np.clip(found, 1 / MOST, MOST), 1.0)
