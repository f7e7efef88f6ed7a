"""How common an alarm is among all series of a stream: counted by reason, and by how far it is beyond its threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daemon.engine.detection.commonness import BURST, Commonness, excess
from daemon.engine.messages.events import REASONS, Event
from tests.daemon.store.contents import event

USUAL = [1e-3, 1e-3, *[0.0] * (len(REASONS) - 2)]
"""Alarms of each reason that a series begins in a slot."""
SERIES, DAY = 100, 48


def alarm(name: str, beyond: float, *reasons: str) -> Event:
    return replace(event(name), rarity=3.0 + beyond, threshold=3.0, reasons=reasons or ("model",), members=None)


def taught(rng: np.random.Generator, tail: str, days: int = 60, true: int = 0) -> Commonness:
    """What is known after some days of ten alarms each, and so many true ones of great rarity in every hundred."""
    common = Commonness()
    for day in range(days):
        beyond = rng.exponential(0.6, 10) if tail == "exponential" else 0.4 * rng.pareto(1.5, 10)
        beyond[rng.random(10) < true / 100] = 20.0
        daily = common.daily(USUAL, SERIES * DAY)
        common.learn([alarm(f"{day}-{i}", b) for i, b in enumerate(beyond)], daily, SERIES * DAY, 1.0)
    return common


def test_before_any_alarm_it_is_what_the_budget_says() -> None:
    """As many a day as the budgets of all series together, and each decade of rarity a tenth of them."""
    common = Commonness()
    daily = common.daily(USUAL, SERIES * DAY)
    assert daily[:3] == pytest.approx([4.8, 4.8, 0.0])
    assert common.expected(alarm("a", 0.0), daily) == pytest.approx(9.6), "by either reason"
    assert common.expected(alarm("a", 1.0), daily) == pytest.approx(0.96)
    assert common.expected(alarm("a", 0.0, "model", "limit"), daily) == 0.0


@pytest.mark.parametrize("tail", ["exponential", "heavy"])
def test_the_tail_is_learned(tail: str) -> None:
    """Of how far alarms are beyond their threshold, the share beyond what a twentieth exceed is known within 2.5."""
    common = taught(np.random.default_rng(0), tail)
    twentieth = 0.6 * np.log(20) if tail == "exponential" else 0.4 * (20 ** (1 / 1.5) - 1)
    assert 0.05 / 2.5 < common.beyond(twentieth) < 0.05 * 2.5
    daily = common.daily(USUAL, SERIES * DAY)
    assert daily[0] == pytest.approx(10, rel=0.15)


def test_true_alarms_among_them_hardly_count() -> None:
    """Five in a hundred that are very rare leave the share beyond them within three of what it is without."""
    clean, faulty = (taught(np.random.default_rng(0), "exponential", true=true) for true in (0, 5))
    assert faulty.beyond(3.0) < 3 * clean.beyond(3.0)


def test_what_comes_together_teaches_no_more_than_a_burst() -> None:
    """A thousand alarms in one slot have one cause: it counts as a few, and does not hide the next for weeks."""
    common = taught(np.random.default_rng(0), "exponential")
    before = common.daily(USUAL, SERIES * DAY)
    half = common.half
    storm = [alarm(f"storm-{i}", 9.0, "model", "limit") for i in range(1000)]
    common.learn(storm, before, SERIES, 1 / DAY)
    after = common.daily(USUAL, SERIES * DAY)
    assert after[0] - before[0] < BURST * before[0] / DAY
    assert after[2] < 0.2
    assert common.half < 1.05 * half


def test_what_was_long_ago_counts_less() -> None:
    """After two months without an alarm the rate is near what it is now."""
    common = taught(np.random.default_rng(0), "exponential")
    for _ in range(60):
        common.learn([], common.daily(USUAL, SERIES * DAY), SERIES * DAY, 1.0)
    assert common.daily(USUAL, SERIES * DAY)[0] < 1.0


def test_a_rule_alone_has_no_excess() -> None:
    """Below the threshold rarity says nothing."""
    assert excess(alarm("a", -2.0, "flatline")) == 0.0
