"""The error scale: what a series knows of them, carried over to a network whose errors are of another size.

A tuning changes errors little, and the statistics follow by themselves. A network trained anew, or from elsewhere, may
err three times as much everywhere, or a third: its first days would be all alarms, or none. So what is kept in units of
errors is multiplied by the ratio of both networks' errors on the same windows. What has no such unit stays as it is:
likelihoods, tails, rarity and its calibration, the height of a remembered fault, and what is known of values.

The ratio is the stream's (`daemon.engine.learning.handover` measures it). Each series is carried over at its next
scored reading, so that no step does more than its readings ask for, and how they were cut into batches does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.kernel.compiled import compiled

Record = Any
NEWEST, WINDOW = 0, 1  # of an error scale: errors of the newest reading, and of the window

ErrorScale = npt.NDArray[np.float32]
"""(2,) product of all ratios so far. A series' statistics are in the one that they were last carried over to."""


def first_error_scale() -> ErrorScale:
    """The error scale of a stream's first network."""
    return np.ones(2, np.float32)


@compiled
def carry_over(s: Record, usual: Any, error_scale: Any) -> None:
    """Bring a series into the stream's error scale, if it is not in it yet.

    Args:
        s: Its record.
        usual: Usual error of each variable, shape (F,).
        error_scale: The stream's `ErrorScale`.
    """
    if s.scale[NEWEST] == error_scale[NEWEST] and s.scale[WINDOW] == error_scale[WINDOW]:
        return
    newest = float(error_scale[NEWEST]) / s.scale[NEWEST]
    # the error of a window of several variables is that of its newest reading, see daemon.engine.kernel.variables
    window = float(error_scale[WINDOW]) / s.scale[WINDOW] if len(usual) == 1 else newest
    s.scale[NEWEST], s.scale[WINDOW] = error_scale[NEWEST], error_scale[WINDOW]
    for f in range(len(usual)):
        usual[f] *= newest
    s.regime.usual *= newest
    s.regime.lately *= newest
    s.regime.nearby *= newest
    s.odd *= newest
    for i in range(2):
        s.regime.most[i] *= newest
        s.calibration.greatest[i] *= newest
    _statistics(s.statistics, newest, window)


@compiled
def _statistics(s: Record, newest: float, window: float) -> None:
    """All of the series' `statistics.STATISTICS` that is in units of errors."""
    _hours(s.newest_hours, newest)
    _hours(s.rms_hours, window)
    _cap(s.newest_cap, newest)
    _cap(s.rms_cap, window)
    _likelihood(s.newest, newest)
    _likelihood(s.rms, window)
    _likelihood(s.instant, window)


@compiled
def _hours(hours: Record, by: float) -> None:
    for i in range(len(hours.total)):
        hours.total[i] *= by
    hours.level *= by
    _cap(hours.cap, by)


@compiled
def _cap(cap: Record, by: float) -> None:
    for i in range(len(cap.height)):
        cap.height[i] *= by


@compiled
def _likelihood(state: Record, by: float) -> None:
    for i in range(len(state.raw)):
        state.raw[i] *= by
        state.capped[i] *= by
        state.means[i] *= by
    state.mean *= by
    state.m2 *= by * by
