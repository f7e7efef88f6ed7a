"""One reading far from what was expected, whose error its neighbours hide.

The statistics judge means of ten errors, or of a window, in which one reading counts little; and `novelty` cannot tell
that a value of noon comes at night. So a reading is an anomaly by itself, too, when its error is far greater than all
of the last one to two weeks (an additive outlier: Fox 1972, doi:10.1111/j.2517-6161.1972.tb00912.x). What it teaches is
bounded, so the next one is found as well. It draws on the budget's share for novelty.
"""

from __future__ import annotations

import math
from typing import Any

from daemon.engine.detection.novelty import CLEARLY, learn_scarcity
from daemon.engine.kernel.calibration import Rates
from daemon.engine.kernel.compiled import compiled

Record = Any

MARGIN = 0.5  # of the greatest error lately, beyond which an error is an outlier at a budget of 1 and more
LEAST = 0.02  # greatest error that is assumed, of the range: where all are tiny, a tuning may well double them
WEEK = 7 / 30.44  # of a month


@compiled
def is_outlier(s: Record, r: Rates, error: float, scarcity: float, share: float) -> bool:
    """Whether a reading's error is greater by the margin than all of the last one to two weeks, then what it teaches.

    Args:
        s: The series' `CALIBRATION`.
        r: The stream's rates.
        error: Of the newest reading, its variables together.
        scarcity: As in `novelty.is_novel`, which was asked of the reading's values before.
        share: As there.
    """
    week = round(WEEK * r.month)
    outlier = False
    if s.errors >= week and scarcity < math.inf:
        bound = (1.0 + MARGIN * (1.0 + scarcity + r.records[2])) * max(s.greatest[0], s.greatest[1], LEAST)
        outlier = error > bound
        error = min(error, bound)
    s.greatest[0] = max(s.greatest[0], error)
    s.errors += 1
    if s.errors % week == 0:
        s.greatest[1] = s.greatest[0]
        s.greatest[0] = 0.0
    if outlier:
        learn_scarcity(s, r, 1.0, CLEARLY * share / r.month)
    return outlier
