"""Novelty: the margin beyond all seen, how it grows as the budget shrinks, what a stream learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daemon.engine.detection.novelty import MARGIN, is_novel
from daemon.engine.kernel.calibration import CALIBRATION, Rates, rates
from daemon.engine.kernel.compiled import compiled

HALF_HOUR = 1800
SHARE = 0.5


def series(n: int) -> npt.NDArray[Any]:
    """States of `n` series that know nothing."""
    return np.zeros(n, CALIBRATION)


def novel(outside: float, scarcity: float) -> bool:
    """The verdict on the first record of a series alone."""
    return is_novel(series(1)[0], rates(HALF_HOUR), outside, scarcity, SHARE)


def test_margin_grows_as_the_budget_shrinks() -> None:
    """At a scarcity of 0 the margin is 2 % of the range; beyond, it follows how far records use to lie outside."""
    assert novel(1.01 * MARGIN, 0.0)
    assert not novel(0.99 * MARGIN, 0.0)
    assert not novel(1.01 * MARGIN, math.log(3))
    assert novel(MARGIN * (1.01 + math.log(3)), math.log(3))
    wild, r = series(1)[0], rates(HALF_HOUR)
    for _ in range(20):
        is_novel(wild, r, 0.3, 0.0, SHARE)
    assert not is_novel(wild, r, 0.2, math.log(3), SHARE)
    assert is_novel(wild, r, 0.2, 0.0, SHARE)


def test_the_first_guess_of_an_excess_is_worth_four_records() -> None:
    """Four records at a tenth of the range, where the margin is a fiftieth: the mean is taken to be 0.06."""
    for outside, verdict in ((0.135, False), (0.145, True)):
        s, r = series(1)[0], rates(HALF_HOUR, calibrated=False)
        s["records"], s["excess"] = 4, 0.4
        r.records[:2] = 4.0, 0.4
        assert is_novel(s, r, outside, 2.0, SHARE) == verdict


def test_novelty_can_be_switched_off() -> None:
    """An infinite scarcity makes nothing novel."""
    assert not novel(1e9, math.inf)


def test_a_series_profits_from_the_records_of_the_others() -> None:
    """How far records use to lie outside is first guessed from the stream's other series."""
    many, r = series(10), rates(HALF_HOUR)
    for row in range(9):
        for _ in range(3):
            is_novel(many[row], r, 0.4, 0.0, SHARE)
    assert not is_novel(many[9], r, 0.2, math.log(3), SHARE)
    assert novel(0.2, math.log(3))


@compiled
def count(s: Any, r: Rates, outside: npt.NDArray[np.float64], share: float) -> int:
    """Novel values of all series, reading by reading; `outside` has shape (readings, series)."""
    found = 0
    for i in range(outside.shape[0]):
        for row in range(outside.shape[1]):
            s[row].readings += 1
            r.readings[0] += 1
            if is_novel(s[row], r, outside[i, row], 0.0, share):
                found += 1
    return found


@pytest.mark.parametrize(("members", "least", "most"), [(40, 1.0, 2.2), (1, 6.0, 14.0)])
def test_a_stream_keeps_to_its_share(members: int, least: float, most: float) -> None:
    """Forty series with ten times as many novel values as their share come down near it in half a year.

    One alone does not: it cannot tell a wild series from a rare event in time.
    """
    rng = np.random.default_rng(0)
    r, months = rates(HALF_HOUR), 6
    outside = rng.exponential(0.1, (round(months * r.month), members))
    outside[rng.random(outside.shape) > 10 * SHARE / r.month / math.exp(-MARGIN / 0.1)] = 0.0
    monthly = count(series(members), r, outside, SHARE) / months / members
    assert least * SHARE <= monthly <= most * SHARE


def test_a_quiet_stream_learns_nothing() -> None:
    """Series that stay below their share keep the margin as it is."""
    rng = np.random.default_rng(1)
    r = rates(HALF_HOUR)
    outside = np.where(rng.random((8000, 20)) < SHARE / r.month, 0.1, 0.0)
    count(series(20), r, outside, SHARE)
    assert r.records[2] == pytest.approx(0.0, abs=0.05)
