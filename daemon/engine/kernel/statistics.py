"""From a network's errors to how unusual a reading is: the recursions of one series, one reading after another.

Each unit (`caps`, `hours`, `likelihoods`, `tails`) is a record type, its state inside the series' row, and a compiled
function that advances it. They read like the equations of docs/detection.md, and every path (live, replay, joining)
runs exactly these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daemon.engine.kernel.caps import CAP, cap_push, cap_value
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.hours import TIME_OF_DAY, normalise
from daemon.engine.kernel.likelihoods import LIKELIHOOD_1, LIKELIHOOD_10, LIKELIHOOD_30, likelihood
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.tails import TAIL, tail

Record = Any
"""A numpy record: one series' state of one unit. Numba knows its fields; mypy does not."""

LEVEL_SHARE = 0.25  # of the level's tail in the rarity

STATISTICS = np.dtype(
    [
        ("newest_hours", TIME_OF_DAY),
        ("rms_hours", TIME_OF_DAY),
        ("newest_cap", CAP),
        ("rms_cap", CAP),
        ("level_cap", CAP),
        ("newest", LIKELIHOOD_10),
        ("rms", LIKELIHOOD_10),
        ("instant", LIKELIHOOD_1),
        ("level", LIKELIHOOD_30),
        ("rank_tail", TAIL),
        ("level_tail", TAIL),
    ],
    align=True,
)
"""All statistics of one series."""


@compiled
def advance(
    s: Record, p: Parameters, newest: float, rms: float, deviation: float, hour: int, stagger: int
) -> tuple[float, float]:
    """One reading through all statistics of its series.

    Args:
        s: The series' `STATISTICS`.
        p: Parameters of the stream.
        newest: Error of the newest entry, units of the series' range.
        rms: Root mean squared error of the window, same units.
        deviation: Scaled value minus the median of the warm-up.
        hour: Local hour of day, 0 to 23.
        stagger: Offset of the tail's refits, so that series do not refit all at once.

    Returns:
        `(rank, unusual)`: the continuous score, and the sum of the tails, of which `daemon.engine.kernel.calibration`
        makes a rarity.
    """
    if p.hourly:
        newest = normalise(s.newest_hours, newest, hour, p.cap_start)
        rms = normalise(s.rms_hours, rms, hour, p.cap_start)
    rank = _rank(s, p, newest, rms)
    unusual = tail(s.rank_tail, rank, p, stagger) if p.parts.tail else rank
    if p.parts.level:
        level = likelihood(s.level, deviation, cap_value(s.level_cap, p.cap_start), True)
        cap_push(s.level_cap, abs(deviation))
        unusual += LEVEL_SHARE * (tail(s.level_tail, level, p, stagger) if p.parts.tail else level)
    return rank, unusual


@compiled
def _rank(s: Record, p: Parameters, newest: float, rms: float) -> float:
    """How unlikely the latest errors are, the mean of three; without likelihoods, errors in units of their level."""
    if not p.parts.likelihood:
        return float(newest / s.newest_hours.level + rms / s.rms_hours.level) / 2.0
    newest_cap, rms_cap = cap_value(s.newest_cap, p.cap_start), cap_value(s.rms_cap, p.cap_start)
    rank = (
        likelihood(s.newest, newest, newest_cap, False)
        + likelihood(s.rms, rms, rms_cap, False)
        + likelihood(s.instant, rms, rms_cap, False)
    ) / 3.0
    cap_push(s.newest_cap, newest)
    cap_push(s.rms_cap, rms)
    return float(rank)


@compiled
def begin(s: Record, newest_level: float, rms_level: float) -> None:
    """Set the overall levels of the time-of-day normalisation from the warm-up's mean errors."""
    s.newest_hours.level = newest_level + 1e-9
    s.rms_hours.level = rms_level + 1e-9
