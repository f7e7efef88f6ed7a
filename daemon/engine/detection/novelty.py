"""The rule behind the reason `novelty`: is a value outside all its series has shown, by more than records use to be?

Records of a steady series come ever more seldom, and fewer lie further outside: their excesses are about exponential.
So the margin grows by their mean excess times the logarithm of how much scarcer they must be than the margin alone
makes them. The mean is the series' own, from a prior of the stream's other series. Heavy tails give more than that
foresees; where a stream's series together raise clearly more than their share of the budget, the margin is learned by
stochastic approximation (Robbins and Monro 1951, doi:10.1214/aoms/1177729586). A series alone learns none of that.
"""

from __future__ import annotations

from typing import Any

from daemon.engine.kernel.calibration import Rates
from daemon.engine.kernel.compiled import compiled

Record = Any

MARGIN = 0.02  # of the range seen so far, beyond which a value is novel at a budget of 1 and more
PRIOR = 4.0  # records that a first guess of their mean excess is worth
MOST_EXCESS = 1.0  # of the range; what a record beyond it teaches
STEP = 2.0  # of the learned scarcity, over the novel values known of
STREAM_PRIOR = 30.0  # novel values that a learned scarcity of 0 is worth
CLEARLY = 1.6  # times its share that a stream may raise before it learns


@compiled
def is_novel(s: Record, r: Rates, outside: float, scarcity: float, share: float) -> bool:
    """Whether a value lies outside all seen by more than the margin, then what it teaches.

    Args:
        s: The series' `CALIBRATION`.
        r: The stream's rates.
        outside: Distance from the range seen so far, as a share of it; at most 0 within.
        scarcity: Natural logarithm of how many times fewer records are wanted than the margin alone gives, at least 0;
            infinite: nothing is novel.
        share: Novel values that the budget has for one variable of one series, a month.
    """
    records, excess = r.records[0] - s.records, r.records[1] - s.excess
    guess = (PRIOR * MARGIN + excess) / (PRIOR + records)
    mean = (PRIOR * guess + s.excess) / (PRIOR + s.records)
    novel = outside > MARGIN + mean * (scarcity + r.records[2])
    if outside > 0.0:
        kept = min(outside, MOST_EXCESS)
        s.records += 1
        s.excess += kept
        r.records[0] += 1.0
        r.records[1] += kept
    wanted = CLEARLY * share / r.month
    learn_scarcity(s, r, (1.0 if novel else 0.0) - wanted, wanted)
    return bool(novel)


@compiled
def learn_scarcity(s: Record, r: Rates, above: float, wanted: float) -> None:
    """Move the stream's learned scarcity by one verdict: `above` what share of such verdicts is `wanted`."""
    if r.calibrated and r.readings[0] > 0:
        others = 1.0 - s.readings / r.readings[0]
        known = STREAM_PRIOR + r.readings[0] * wanted
        r.records[2] = max(r.records[2] + STEP * others / known * above, 0.0)
