"""Seasons are found behind gaps and noise, and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.describe.seasons import seasons


@settings(max_examples=30, deadline=None)
@given(period=st.integers(5, 60), missing=st.floats(0, 0.4), seed=st.integers(0, 99))
def test_a_season_is_found_behind_gaps_and_noise(period: int, missing: float, seed: int) -> None:
    """The period of a noisy sine is found to a slot or a twentieth of it, whatever share of its readings is missing."""
    rng = np.random.default_rng(seed)
    grid = np.sin(np.arange(1500) * 2 * np.pi / period) + 0.2 * rng.standard_normal(1500)
    grid[rng.random(1500) < missing] = np.nan
    lags = [lag for lag, _ in seasons(grid)]
    assert lags
    assert min(min(lag % period, -lag % period) for lag in lags) <= max(1, period / 20)


@pytest.mark.parametrize("seed", range(5))
def test_no_season_in_noise_nor_in_a_walk_that_never_returns(seed: int) -> None:
    """White noise and a trend have none; neither has a constant."""
    rng = np.random.default_rng(seed)
    assert seasons(rng.standard_normal(3000)) == []
    assert seasons(np.arange(500) + rng.standard_normal(500)) == []
    assert seasons(np.full(500, 3.0)) == []


def test_no_number_of_days_is_a_season_by_chance() -> None:
    """An inverter's days differ by the weather, which makes some number of them the strongest: mostly it is a day."""

    def inverter(seed: int) -> list[int]:
        rng = np.random.default_rng(seed)
        slots = np.arange(48 * 50)
        sun = np.sin((slots % 48 - 13) / 24 * np.pi)
        weather = np.repeat(np.clip(rng.normal(0.7, 0.25, 50), 0.1, 1.0), 48)
        grid = np.where(sun > 0.03, sun * weather * 3.5 + rng.normal(0, 0.1, len(slots)), np.nan)
        return [lag for lag, _ in seasons(grid)]

    assert sum(inverter(seed) in ([48], [7 * 48, 48]) for seed in range(12)) >= 9


def test_a_week_is_found_beside_the_day() -> None:
    """Where every seventh day is another, both are named, the stronger first."""
    slots = np.arange(48 * 42)
    grid = np.sin(slots * 2 * np.pi / 48) * np.where(slots // 48 % 7 < 5, 1.0, 0.6)
    assert [lag for lag, _ in seasons(grid + np.random.default_rng(0).normal(0, 0.05, len(slots)))] == [7 * 48, 48]
