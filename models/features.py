"""What the network sees beside the window itself: the calendar. The trainer and the engine share it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_DAY_S = 86400
_WEEK_S = 7 * _DAY_S


def calendar(local_s: npt.NDArray[np.int64], daily: bool, weekly: bool) -> npt.NDArray[np.float32]:
    """Sine and cosine of the time of day and of the time of week.

    Each row depends on its own instant only, to the bit: numpy's vectorised sine may round by a value's place in the
    array, so the distinct instants go through the C library's scalar sine.

    Args:
        local_s: Local wall-clock time as seconds since 1970-01-01 00:00 local, shape (N,).
        daily: Whether the history is long enough for a time of day; else its two columns are 0.
        weekly: The same for the time of week, which starts on Monday.

    Returns:
        Columns sin(day), cos(day), sin(week), cos(week), shape (N, 4).
    """
    out = np.zeros((len(local_s), 4), np.float32)
    if not (daily or weekly):
        return out
    period_s = _WEEK_S if weekly else _DAY_S
    # 1970-01-01 was a Thursday: three days after a Monday
    instants, row = np.unique((local_s + 3 * _DAY_S) % period_s, return_inverse=True)
    table = np.array([_angles(at, daily, weekly) for at in instants.tolist()], np.float32).reshape(-1, 4)
    np.take(table, row, axis=0, out=out)
    return out


def _angles(at: int, daily: bool, weekly: bool) -> tuple[float, float, float, float]:
    """One row of `calendar`; `at` is seconds since Monday 00:00."""
    days, second = divmod(at, _DAY_S)
    day = 2 * math.pi * second / _DAY_S
    week = 2 * math.pi * (days + second / _DAY_S) / 7
    return (
        math.sin(day) * daily,
        math.cos(day) * daily,
        math.sin(week) * weekly,
        math.cos(week) * weekly,
    )
