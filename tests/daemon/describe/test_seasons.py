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
