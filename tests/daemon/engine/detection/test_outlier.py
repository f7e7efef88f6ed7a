"""Outlier: one error far beyond those of the last weeks, and what that teaches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from daemon.bench.lifecycle import DAY, SPREAD, season
from daemon.config.file import effective, from_effective
from daemon.engine.detection.outlier import MARGIN, is_outlier
from daemon.engine.kernel.calibration import CALIBRATION, Rates, rates
from daemon.engine.machine.engine import Engine
from daemon.engine.messages.events import Event
from daemon.engine.messages.inputs import Batch, Configured
from daemon.trainer.trainer import InlineTrainer

HALF_HOUR, WEEK, SHARE = 1800, 336, 0.5


def after(weeks: float, error: float = 1.0) -> tuple[Any, Rates]:
    """A series whose errors were all the same for so many weeks, and its stream."""
    s, r = np.zeros(1, CALIBRATION)[0], rates(HALF_HOUR)
    for _ in range(round(weeks * WEEK)):
        assert not is_outlier(s, r, error, 0.0, SHARE)
    return s, r


def found(s: Any, r: Rates, error: float, scarcity: float = 0.0) -> bool:
    """The verdict, nothing learned."""
    return bool(is_outlier(s.copy(), r, error, scarcity, SHARE))


@pytest.mark.parametrize(("weeks", "wanted"), [(0.9, False), (1.1, True), (1.9, True), (5.5, True)])
def test_it_takes_a_week_of_errors_to_judge(weeks: float, wanted: bool) -> None:
    """From then on an error beyond the greatest of the last one to two weeks by the margin is an outlier."""
    s, r = after(weeks)
    assert not found(s, r, 0.99 * (1 + MARGIN))
    assert found(s, r, 1.01 * (1 + MARGIN)) == wanted


def test_what_it_teaches_is_bounded_and_forgotten() -> None:
    """A second one is found where the first was three times the bound; after two weeks all is as before."""
    s, r = after(2)
    assert is_outlier(s, r, 3.0 * (1 + MARGIN), 0.0, SHARE)
    assert found(s, r, 3.0 * (1 + MARGIN))
    assert not found(s, r, 1.2 * (1 + MARGIN))
    for _ in range(2 * WEEK):
        is_outlier(s, r, 1.0, 0.0, SHARE)
    assert found(s, r, 1.2 * (1 + MARGIN))


def test_errors_that_are_tiny_are_no_outliers() -> None:
    """On a series without noise a tuning may double the error: three hundredths of the range are the least."""
    s, r = after(2, error=1e-4)
    assert not found(s, r, 0.029)
    assert found(s, r, 0.031)


def test_the_margin_grows_as_the_budget_shrinks() -> None:
    """With what the stream has learned, too; an infinite scarcity makes nothing an outlier."""
    s, r = after(2)
    assert not found(s, r, 1.5 * (1 + MARGIN), math.log(5))
    assert found(s, r, 1.01 * (1 + MARGIN * (1 + math.log(5))), math.log(5))
    r.records[2] = 2.0
    assert not found(s, r, 0.99 * (1 + 3 * MARGIN))
    assert not found(s, r, 1e9, math.inf)


def events_at(slot: int, values: np.ndarray) -> list[Event]:
    """Events that begin in a slot, of what the engine at shipped defaults raises for a series."""
    engine, first = Engine(InlineTrainer()), 19_723 * DAY
    settings = {"interval": HALF_HOUR, "clock": "event", "max_series": 1}
    engine.step(Configured(effective(from_effective({"version": 1, "streams": {"meter": settings}}))))
    at_ms = (first + np.arange(len(values), dtype=np.int64)) * HALF_HOUR * 1000
    none = np.zeros(len(values), np.int32)
    events = engine.step(Batch("meter", 0, ["a"], none, at_ms, none, values[:, None].copy(), {})).events
    return [event for event in events if event.started_at // HALF_HOUR == first + slot]


@pytest.mark.parametrize(("spreads", "hour"), [(10, 3), (-10, 10)])
def test_a_single_spike_within_the_range_is_found(spreads: float, hour: int) -> None:
    """One reading of ten spreads at an hour when the range leaves room, whose rarity says little; none without it."""
    values, at = season(30, np.random.default_rng(2)), 28 * DAY + 2 * hour
    assert events_at(at, values) == []
    values[at] += spreads * SPREAD
    assert values[:at].min() < values[at] < values[:at].max()
    event = events_at(at, values)[0]
    assert (event.reasons, event.notify) == (("model",), True)
    assert event.rarity < event.threshold
