"""Is this reading anomalous, why, and what does that do to its series' episode?

One compiled pass over allotted readings in order, after their windows were scored. What is learned from them is a
second pass over the same entries (`daemon.engine.learning.uptake`), which goes by what this one wrote down.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.engine.detection.hysteresis import NOTHING, OPENED, PEAK, end_adopted, find_odd, follow_episode
from daemon.engine.detection.outlier import is_outlier
from daemon.engine.detection.rules import FLATLINE, JUDGED, LIMIT, MODEL, NOVELTY, broken_rules
from daemon.engine.detection.threshold import threshold
from daemon.engine.kernel import regime, variables
from daemon.engine.kernel.calibration import Rates, calibrate, measure
from daemon.engine.kernel.compiled import compiled
from daemon.engine.kernel.error_scale import ErrorScale, carry_over
from daemon.engine.kernel.hours import usual_error
from daemon.engine.kernel.parameters import Parameters
from daemon.engine.kernel.regime import Adoption
from daemon.engine.kernel.slots import NEVER
from daemon.engine.kernel.statistics import advance
from daemon.engine.messages.events import RULE_SCORE
from daemon.engine.table.entries import Entries
from daemon.engine.table.series import READY, Arrays

BOUNDS = 4.0  # usual errors between the expected value and its bounds

TRAINED, APART, FAULT = 0, 1, 2
"""What a window is for: training; set apart while a fault may last; set apart because an operator called it a fault."""

_JUDGED = len(JUDGED)


class Scored(NamedTuple):
    """What the networks said of each window, K of them."""

    newest: npt.NDArray[np.float32]  # (K, F)
    rms: npt.NDArray[np.float32]  # (K,)
    expected: npt.NDArray[np.float32]  # (K, F), scaled


class Standing(NamedTuple):
    """What holds for the whole stream while readings are decided on."""

    adoption: Adoption
    error_scale: ErrorScale


class Decisions(NamedTuple):
    """Written by `decide`, one for each entry."""

    code: npt.NDArray[np.int8]  # what happened to the series' episode
    reasons: npt.NDArray[np.uint8]  # bits of this slot
    notify: npt.NDArray[np.bool_]
    odd: npt.NDArray[np.bool_]  # whether the reading is the oddest of its episode so far
    ended: npt.NDArray[np.int64]  # last odd slot of the series' episode so far
    regime: npt.NDArray[np.int64]  # first slot of the new regime that was adopted here, NEVER where none was
    use: npt.NDArray[np.int8]  # what its window is for: TRAINED, APART or FAULT
    error: npt.NDArray[np.float64]  # of the newest reading of the window, 0 where there is none
    rarity: npt.NDArray[np.float64]
    rank: npt.NDArray[np.float64]
    around: npt.NDArray[np.float64]  # (E, F) scaled distance of the bounds from the expected value
    surprise: npt.NDArray[np.float64]  # (E, F) error of each variable in multiples of its usual one

    @classmethod
    def room(cls, n: int, width: int) -> Decisions:
        """Room for `n` of them, of `width` variables."""
        return cls(
            code=np.empty(n, np.int8),
            reasons=np.empty(n, np.uint8),
            notify=np.empty(n, np.bool_),
            odd=np.zeros(n, np.bool_),
            ended=np.empty(n, np.int64),
            regime=np.empty(n, np.int64),
            use=np.empty(n, np.int8),
            error=np.empty(n),
            rarity=np.empty(n),
            rank=np.empty(n),
            around=np.zeros((n, width)),
            surprise=np.zeros((n, width)),
        )


@compiled
def _rarity(
    a: Arrays,
    p: Parameters,
    r: Rates,
    row: int,
    k: int,
    newest_x: Any,
    scored: Scored,
    hour: int,
    around: Any,
    surprise: Any,
) -> tuple[float, float, float]:
    """Expected value, bounds (`around`, written) and statistics of a scored reading: `(rank, rarity, error)`."""
    s = a.rows[row]
    width = len(newest_x)
    usual = a.usual[row]
    newest = variables.combine(scored.newest[k], usual, surprise)
    whole = variables.window_error(newest, scored.rms[k], width)
    level = variables.mean(usual)
    usual_now = BOUNDS * usual_error(s.statistics.newest_hours, hour)
    deviation = 0.0
    for f in range(width):
        middle = scored.expected[k, f]
        a.expected[row, f] = a.origin[row, f] + a.scale[row, f] * middle
        around[f] = usual_now * (usual[f] / level if level > 0.0 else 1.0)
        a.lower[row, f] = a.origin[row, f] + a.scale[row, f] * (middle - around[f])
        a.upper[row, f] = a.origin[row, f] + a.scale[row, f] * (middle + around[f])
        deviation += newest_x[f] - a.median[row, f]
    s.error = scored.rms[k]
    variables.learn(scored.newest[k], usual)
    rank, unusual = advance(s.statistics, p, newest, whole, deviation / width, hour, s.stagger)
    return rank, calibrate(s.calibration, r, unusual), newest


@compiled
def _matters(a: Arrays, row: int, value: Any, policy: Any) -> bool:
    """Whether a value is on the side that matters and far enough from what was expected, in any variable."""
    if policy.side == 0 and policy.least == 0.0 and policy.least_share == 0.0:
        return True
    for f in range(len(value)):
        off = value[f] - a.expected[row, f]
        on_side = policy.side == 0 or off * policy.side > 0.0
        if on_side and abs(off) >= policy.least and abs(off) >= policy.least_share * abs(a.expected[row, f]):
            return True
    return False


@compiled
def _judge(
    a: Arrays,
    p: Parameters,
    r: Rates,
    policy: Any,
    e: Entries,
    i: int,
    scored: Scored,
    hours: Any,
    standing: Standing,
    reasons: int,
    least: float,
    out: Decisions,
) -> tuple[float, int, int, bool]:
    """Decide on entry `i`, which has a window, by the networks' errors; `rank`, `rarity`, bounds are written to `out`.

    Args:
        a, p, r, e, scored, hours, standing: As for `decide`.
        policy: The series' record.
        i: The entry.
        reasons: Bits of the rules it breaks.
        least: Rarity from which it is anomalous.
        out: Written.

    Returns:
        `(error, reasons, fault, known)`: its error, all its reasons, what `regime` is to know of it, and whether a
        remembered fault is the only reason.
    """
    row, k, value = e.row[i], e.window[i], e.value[i]
    s = a.rows[row]
    carry_over(s, a.usual[row], standing.error_scale)
    around, surprise = out.around[i], out.surprise[i]
    rank, rarity, error = _rarity(a, p, r, row, k, e.x[k, -1], scored, hours[k], around, surprise)
    out.rank[i], out.rarity[i] = rank, rarity
    back = regime.is_back(s.regime, error, s.episode != 0) and standing.adoption.after > 0
    fault = regime.RARE if rarity >= least else regime.BACK if back else 0
    outlier = is_outlier(s.calibration, r, error, policy.scarcity, policy.novelty)
    if fault != 0 or outlier:
        reasons |= MODEL
    if reasons & (MODEL | NOVELTY) and not _matters(a, row, value, policy):
        reasons &= ~(MODEL | NOVELTY)
        fault = 0
    return error, reasons, fault, fault == regime.BACK and reasons == MODEL and not outlier


@compiled
def _note(s: Any, reasons: int, rank: float, rarity: float, least: float) -> None:
    """Write a reading's numbers to its series' record, and count its reasons."""
    s.rank, s.rarity = rank, rarity
    s.score = max(rarity / least, RULE_SCORE) if reasons else rarity / least
    for bit in range(_JUDGED):
        if reasons >> bit & 1:
            s.anomalies[bit] += 1


@compiled
def _follow_regime(s: Any, slot: int, error: float, fault: int, adoption: Adoption) -> tuple[int, int]:
    """Whether a new regime is adopted with a scored reading, and what its window is for.

    Args:
        s: The record of its series, the episode already followed.
        slot: The reading's slot.
        error: Its error.
        fault: `regime.RARE`, `regime.BACK` or 0.
        adoption: Settings.

    Returns:
        `(since, use)`: first slot of the new regime that is adopted, NEVER when none is; TRAINED, APART or FAULT.
    """
    since, apart = NEVER, False
    if adoption.after > 0:
        broken = s.episode != 0 and s.reasons & (LIMIT | FLATLINE) != 0
        since = regime.follow(s.regime, slot, error, fault, s.episode != 0, broken, adoption)
        apart = since == NEVER and (s.episode != 0 or s.regime.since != NEVER)
    if slot <= s.fault_until:
        return since, FAULT
    return since, APART if apart else TRAINED


@compiled
def decide(
    a: Arrays,
    p: Parameters,
    r: Rates,
    policies: Any,
    e: Entries,
    entries: int,
    scored: Scored,
    hours: Any,
    hushed: Any,
    standing: Standing,
    out: Decisions,
) -> int:
    """Decide on allotted readings in order.

    Args:
        a: The table's arrays.
        p: Parameters of the statistics.
        r: The stream's rates; advanced.
        policies: `POLICY` records; the series' rows say which is theirs.
        e: Entries that `allot` wrote.
        entries: How many.
        scored: Errors and expected values of the entries' windows.
        hours: Local hour of day of each window's newest slot, shape (K,).
        hushed: Whether nobody is to be told at the slot of each entry, shape (E,), bool.
        standing: What holds for the stream.
        out: Written: one decision for each entry.

    Returns:
        Number of ready readings that could not be scored (window with too many gaps).
    """
    unscored = 0
    for i in range(entries):
        row, slot, k = e.row[i], e.slot[i], e.window[i]
        s = a.rows[row]
        policy = policies[s.policy]
        least = threshold(policy.threshold, s.halved)
        reasons = broken_rules(a, r, row, e.value[i], policy, s.readings <= 1)
        out.rank[i], out.rarity[i], error, fault, known = 0.0, 0.0, 0.0, 0, False
        if k >= 0:
            error, reasons, fault, known = _judge(a, p, r, policy, e, i, scored, hours, standing, reasons, least, out)
        elif s.status == READY:
            unscored += 1
        _note(s, reasons, out.rank[i], out.rarity[i], least)
        out.code[i], out.notify[i] = follow_episode(
            s, slot, reasons, known, out.rarity[i], least, policy.refractory, hushed[i]
        )
        if reasons != 0:
            own = error if k >= 0 and reasons & LIMIT == 0 else math.inf
            out.odd[i] = find_odd(s, slot, own, out.code[i] == OPENED, reasons & ~MODEL != 0)
            if out.odd[i] and out.code[i] == NOTHING:
                out.code[i] = PEAK
        if s.status == READY:
            # a remembered fault that returns raises no alarm of its own
            measure(r, slot, reasons != 0 and s.alarmed == slot and not hushed[i])
        out.reasons[i], out.ended[i], out.error[i] = reasons, s.ended, error
        out.regime[i], out.use[i] = NEVER, TRAINED
        if k >= 0:
            out.regime[i], out.use[i] = _follow_regime(s, slot, error, fault, standing.adoption)
            if out.regime[i] != NEVER:
                out.code[i] = end_adopted(s, out.code[i])
    return unscored
