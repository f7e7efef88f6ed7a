"""Is this reading anomalous, why, and what does that do to its series' episode? Rules, rarity, hysteresis, refractory.

One compiled pass over placed readings in order, after their windows were scored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from daemon.detection import variables
from daemon.detection.calibrating import Rates, calibrate, measure
from daemon.detection.novelty import is_novel
from daemon.detection.outlier import is_outlier
from daemon.detection.statistics import NEVER, Parameters, advance, usual_error
from daemon.engine.compiled import compiled
from daemon.engine.placing import Entries
from daemon.engine.series import READY, Arrays
from daemon.learning import regime, rescaling
from daemon.learning.drift import Errors, collect
from daemon.learning.regime import Adoption
from daemon.learning.reservoir import Reservoir, add, is_sampled, release, set_apart

MODEL, NOVELTY, LIMIT, FLATLINE = 1, 2, 4, 8  # bits, in the order of events.REASONS
NOTHING, OPENED, CHANGED, CLOSED, PEAK = 0, 1, 2, 3, 4
ALARMED, KNOWN = 1, 2  # of an open episode: something in it is rare, or it goes on by a remembered fault alone

CLOSE_AFTER = 3  # slots in a row below the closing bound
CLOSE_BELOW = 0.5  # of the threshold
FLAT_FACTOR = 4  # times the longest constant run of the series' own history
FLAT_LEAST = 24  # slots
BOUNDS = 4.0  # usual errors between the expected value and its bounds
RULE_SCORE = 1.001  # a rule's score: one alert on "score > 1" sees every anomaly
CLEARLY_WORSE = 1.0  # rarity above the last one said


POLICY = np.dtype(
    [
        ("threshold", "f8"),  # of rarity
        ("refractory", "i8"),  # slots
        ("side", "i8"),  # 1 only above the expected value, -1 only below it, 0 both
        ("least", "f8"),  # distance from the expected value
        ("least_share", "f8"),  # the same as a share of it
        ("lowest", "f8"),  # physical range; infinite where there is none
        ("greatest", "f8"),
        ("scarcity", "f8"),  # of novelty, as `novelty.is_novel` takes it
        ("novelty", "f8"),  # the budget's share for it, likewise
    ]
)
"""What deciding needs of the alert settings: one record for the stream, then one for each exception."""


class Scored(NamedTuple):
    """What the networks said of each window, K of them."""

    newest: npt.NDArray[np.float32]  # (K, F)
    rms: npt.NDArray[np.float32]  # (K,)
    expected: npt.NDArray[np.float32]  # (K, F), scaled


class Learned(NamedTuple):
    """Where scored readings go that are learned from, and the rules for it."""

    adoption: Adoption
    sample_rate: int
    reservoir: Reservoir
    errors: Errors
    scale: rescaling.Scale


class Decisions(NamedTuple):
    """Written by `decide`, one for each entry."""

    code: npt.NDArray[np.int8]  # what happened to the series' episode
    reasons: npt.NDArray[np.uint8]  # bits of this slot
    notify: npt.NDArray[np.bool_]
    ended: npt.NDArray[np.int64]  # last anomalous slot of the series' episode so far
    regime: npt.NDArray[np.int64]  # first slot of the new regime that was adopted here, NEVER where none was
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
            ended=np.empty(n, np.int64),
            regime=np.empty(n, np.int64),
            rarity=np.empty(n),
            rank=np.empty(n),
            around=np.zeros((n, width)),
            surprise=np.zeros((n, width)),
        )


@compiled
def _broken_rules(a: Arrays, r: Rates, row: int, value: Any, policy: Any, gap: bool) -> int:
    """Reasons that need no network: outside the physical range, outside all seen, constant for too long."""
    s = a.rows[row]
    reasons = 0
    constant = not gap
    for f in range(len(value)):
        v = value[f]
        constant = constant and v == a.value[row, f]
        if v < policy.lowest or v > policy.greatest:
            reasons |= LIMIT
        if s.status == READY:
            span = a.high[row, f] - a.low[row, f]
            if span > 0.0:
                outside = max(v - a.high[row, f], a.low[row, f] - v) / span
                if is_novel(s.calibration, r, outside, policy.scarcity, policy.novelty):
                    reasons |= NOVELTY
            a.low[row, f] = min(a.low[row, f], v)
            a.high[row, f] = max(a.high[row, f], v)
        a.value[row, f] = v
    return reasons | _constant_run(s, constant)


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
def _may_notify(s: Any, slot: int, rarity: float, refractory: int) -> bool:
    """One notification an episode, held back by the refractory time unless clearly worse than the last one was."""
    if s.notified != NEVER and slot - s.notified < refractory and rarity <= s.notified_peak + CLEARLY_WORSE:
        return False
    s.notified = slot
    s.notified_peak = rarity
    return True


@compiled
def _follow_episode(s: Any, slot: int, reasons: int, known: bool, rarity: float, policy: Any) -> tuple[int, bool]:
    """Open, change or close the series' episode; `(code, notify)`. `known`: a remembered fault is the only reason."""
    if known:
        return _follow_known(s, slot, reasons, rarity, policy), False
    if reasons == 0:
        return _follow_calm(s, rarity, policy), False
    return _follow_alarm(s, slot, reasons, rarity, policy)


@compiled
def _follow_calm(s: Any, rarity: float, policy: Any) -> int:
    """Close the series' episode after calm slots enough; the code."""
    if s.episode == 0:
        return NOTHING
    s.quiet = s.quiet + 1 if rarity < CLOSE_BELOW * policy.threshold else 0
    if s.quiet < CLOSE_AFTER:
        return NOTHING
    s.episode, s.reasons = 0, 0
    return CLOSED


@compiled
def _follow_alarm(s: Any, slot: int, reasons: int, rarity: float, policy: Any) -> tuple[int, bool]:
    """Open or change the series' episode where a reading is anomalous for what it is; `(code, notify)`."""
    s.quiet = 0
    s.ended = slot
    if s.episode != ALARMED:
        code = OPENED if s.episode == 0 else CHANGED
        s.peak = rarity if s.episode == 0 else max(s.peak, rarity)
        s.episode, s.alarmed, s.reasons, s.said = ALARMED, slot, s.reasons | reasons, rarity
        return code, _may_notify(s, slot, rarity, policy.refractory)
    peak = rarity > s.peak
    if s.notified >= s.alarmed:
        s.notified_peak = max(s.notified_peak, rarity)
    s.peak = max(s.peak, rarity)
    if reasons & ~s.reasons or rarity > s.said + CLEARLY_WORSE:
        s.reasons |= reasons
        s.said = max(s.said, rarity)
        return CHANGED, s.notified < s.alarmed and _may_notify(s, slot, rarity, policy.refractory)
    return (PEAK if peak else NOTHING), False


@compiled
def _follow_known(s: Any, slot: int, reasons: int, rarity: float, policy: Any) -> int:
    """Open or go on with an episode of a fault that is remembered, which was said when it was new; the code.

    It may last for days. What is rare in itself meanwhile, after as long a calm as closes an episode, is a new alarm.
    """
    s.ended = slot
    if s.episode == 0:
        s.episode, s.reasons, s.peak, s.quiet = KNOWN, reasons, rarity, 0
        return OPENED
    s.quiet = s.quiet + 1 if s.episode == ALARMED and rarity < CLOSE_BELOW * policy.threshold else 0
    if s.quiet == CLOSE_AFTER:
        s.episode, s.quiet = KNOWN, 0
    if rarity <= s.peak:
        return NOTHING
    s.peak = rarity
    return PEAK


@compiled
def _learn(s: Any, row: int, slot: int, error: float, fault: int, x: Any, observed: Any, to: Learned) -> int:
    """Learn from a scored reading, or set its window apart where it must not be learned.

    Args:
        s: The record of its series, the episode already followed.
        row: The series' row.
        slot: The reading's slot.
        error: Its error.
        fault: `regime.RARE`, `regime.BACK` or 0.
        x: Its window.
        observed: Which of the window's slots have a reading.
        to: Where it goes.

    Returns:
        First slot of the new regime that is adopted with this reading, NEVER when none is.
    """
    collect(to.errors, row, slot, error)
    since, apart = NEVER, False
    if to.adoption.after > 0:
        broken = s.episode != 0 and s.reasons & (LIMIT | FLATLINE) != 0
        since = regime.follow(s.regime, slot, error, fault, s.episode != 0, broken, to.adoption)
        apart = since == NEVER and (s.episode != 0 or s.regime.since != NEVER)
    if since != NEVER:
        release(to.reservoir, row, since - to.adoption.day)
    if is_sampled(s.stagger, slot, to.sample_rate):
        if apart:
            set_apart(to.reservoir, row, x, observed, slot)
        else:
            add(to.reservoir, x, observed, slot)
    return since


@compiled
def _adopted(s: Any, code: int) -> int:
    """What happens to the episode of a series whose new regime is adopted: it ends."""
    s.anomalies[5] += 1
    if s.episode == 0 or code == OPENED:
        return code
    s.episode, s.reasons, s.quiet = 0, 0, 0
    return CLOSED


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
    to: Learned,
    out: Decisions,
) -> int:
    """Decide on placed readings in order.

    Args:
        a: The table's arrays.
        p: Parameters of the statistics.
        r: The stream's rates; advanced.
        policies: `POLICY` records; the series' rows say which is theirs.
        e: Entries that `place` wrote.
        entries: How many.
        scored: Errors and expected values of the entries' windows.
        hours: Local hour of day of each window's newest slot, shape (K,).
        to: Written: what is learned from.
        out: Written: one decision for each entry.

    Returns:
        Number of ready readings that could not be scored (window with too many gaps).
    """
    unscored = 0
    for i in range(entries):
        row, slot, k = e.row[i], e.slot[i], e.window[i]
        s = a.rows[row]
        policy = policies[s.policy]
        reasons = _broken_rules(a, r, row, e.value[i], policy, s.readings <= 1)
        rank, rarity, error, fault, outlier = 0.0, 0.0, 0.0, 0, False
        if k >= 0:
            rescaling.carry_over(s, a.usual[row], to.scale)
            around, surprise = out.around[i], out.surprise[i]
            rank, rarity, error = _rarity(a, p, r, row, k, e.x[k, -1], scored, hours[k], around, surprise)
            back = regime.is_back(s.regime, error, s.episode != 0) and to.adoption.after > 0
            fault = regime.RARE if rarity >= policy.threshold else regime.BACK if back else 0
            outlier = is_outlier(s.calibration, r, error, policy.scarcity, policy.novelty)
            if fault != 0 or outlier:
                reasons |= MODEL
            if reasons & (MODEL | NOVELTY) and not _matters(a, row, e.value[i], policy):
                reasons &= ~(MODEL | NOVELTY)
                fault = 0
        elif s.status == READY:
            unscored += 1
        s.rank, s.rarity = rank, rarity
        s.score = max(rarity / policy.threshold, RULE_SCORE) if reasons else rarity / policy.threshold
        for bit in range(4):
            if reasons >> bit & 1:
                s.anomalies[bit] += 1
        known = fault == regime.BACK and reasons == MODEL and not outlier
        out.code[i], out.notify[i] = _follow_episode(s, slot, reasons, known, rarity, policy)
        if s.status == READY:
            measure(r, slot, reasons != 0 and not known and s.alarmed == slot)
        out.reasons[i], out.rarity[i], out.rank[i] = reasons, rarity, rank
        out.ended[i] = s.ended
        out.regime[i] = NEVER
        if k >= 0:
            out.regime[i] = _learn(s, row, slot, error, fault, e.x[k], e.observed[k], to)
            if out.regime[i] != NEVER:
                out.code[i] = _adopted(s, out.code[i])
    return unscored
