"""Reasons that need no network: outside the physical range, outside all seen, constant for too long (compiled)."""

from __future__ import annotations

from typing import Any

from daemon.engine.detection.novelty import is_novel
from daemon.engine.kernel.calibration import Rates
from daemon.engine.kernel.compiled import compiled
from daemon.engine.messages.events import Reason
from daemon.engine.table.series import READY, Arrays

JUDGED = (Reason.MODEL, Reason.NOVELTY, Reason.LIMIT, Reason.FLATLINE)
"""Reasons that a reading can have by itself; a gap has no reading, drift is of many."""
MODEL, NOVELTY, LIMIT, FLATLINE = (reason.bit for reason in JUDGED)

FLAT_FACTOR = 4  # times the longest constant run of the series' own history
FLAT_LEAST = 24  # slots


@compiled
def broken_rules(a: Arrays, r: Rates, row: int, value: Any, policy: Any, gap: bool) -> int:
    """Bits of the rules that a reading breaks, then what it teaches them.

    Args:
        a: The table's arrays.
        r: The stream's rates.
        row: The series' row.
        value: Shape (F,).
        policy: Its `policies.POLICY`.
        gap: Whether no value came before.
    """
    s = a.rows[row]
    reasons = 0
    constant = not gap
    for f in range(len(value)):
        v = value[f]
        constant = constant and v == a.value[row, f]
        if v < policy.lowest or v > policy.greatest:
            reasons |= LIMIT
        a.value[row, f] = v
    if s.status == READY and reasons & LIMIT == 0 and _leaves_range(a, r, row, value, policy):
        reasons |= NOVELTY
    return reasons | _constant_run(s, constant)


@compiled
def _leaves_range(a: Arrays, r: Rates, row: int, value: Any, policy: Any) -> bool:
    """Whether a possible value is novel in any variable, then what it teaches.

    A series that was constant has no range; its distances are in units of what scales it, a hundredth of its level.
    """
    s = a.rows[row]
    leaves = False
    for f in range(len(value)):
        v = value[f]
        span = a.high[row, f] - a.low[row, f]
        unit = span if span > 0.0 else a.scale[row, f]
        outside = max(v - a.high[row, f], a.low[row, f] - v) / unit
        leaves = is_novel(s.calibration, r, outside, policy.scarcity, policy.novelty) or leaves
        a.low[row, f] = min(a.low[row, f], v)
        a.high[row, f] = max(a.high[row, f], v)
    return leaves


@compiled
def _constant_run(s: Any, constant: bool) -> int:
    """Count a constant run; FLATLINE where it is far longer than any in the series' own history."""
    if constant:
        s.run += 1
    else:
        if (s.reasons & FLATLINE) == 0:
            s.longest_run = max(s.longest_run, s.run)
        s.run = 1
        s.frozen_run = 0
    if s.status != READY:
        s.frozen_run = 1
        return 0
    too_long = s.run >= max(FLAT_LEAST, FLAT_FACTOR * s.longest_run)
    return FLATLINE if too_long and s.frozen_run == 0 else 0
