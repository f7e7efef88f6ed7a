"""Time of day: an error in multiples of what is usual at its hour (compiled)."""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.engine.kernel.caps import CAP, cap_push, cap_value
from daemon.engine.kernel.compiled import compiled

Record = Any

TIME_OF_DAY = np.dtype([("total", "f4", (24,)), ("weight", "f4", (24,)), ("level", "f8"), ("cap", CAP)], align=True)


@compiled
def usual_error(hours: Record, hour: int) -> float:
    """Mean error at `hour`, shrunk towards the overall level by 30 readings' worth, at least a quarter of the level."""
    usual = (hours.total[hour] + 30.0 * hours.level) / (hours.weight[hour] + 30.0)
    return float(max(usual, 0.25 * hours.level))


@compiled
def normalise(hours: Record, error: float, hour: int, start: int) -> float:
    """`error` in multiples of what is usual at `hour`, in units of the overall level; then learns from it, capped."""
    capped = min(error, cap_value(hours.cap, start))
    out = error * hours.level / usual_error(hours, hour)
    hours.total[hour] = 0.98 * hours.total[hour] + capped
    hours.weight[hour] = 0.98 * hours.weight[hour] + 1.0
    hours.level = 0.999 * hours.level + 0.001 * capped
    cap_push(hours.cap, error)
    return float(out)
