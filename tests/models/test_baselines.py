"""The detectors to compare with: one suite for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from models.baselines import Baseline, baselines

NAMES = [baseline.name for baseline in baselines(0)]
AT = np.arange(700) * 1800


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the benchmark runs them; small products on many threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(name: str) -> Baseline:
    """A new one."""
    return next(baseline for baseline in baselines(0) if baseline.name == name)


def daily(spike: int | None = None) -> Any:
    """A daily sine with noise, and perhaps a spike of four half-hours."""
    values = 10 + 3 * np.sin(2 * np.pi * AT / 86400) + np.random.default_rng(0).normal(0, 0.2, len(AT))
    if spike is not None:
        values[spike : spike + 4] += 6
    return values


@pytest.mark.parametrize("name", NAMES)
def test_probation_is_not_judged_and_a_fault_is(name: str) -> None:
    """Nothing before the end of probation; a fault is over the detector's own threshold and nothing is further over it.

    The trees see the range seen so far as 0 to 1, so that a new greatest value looks like the old one: their fault is
    a value between two others. A window holds a fault for 32 readings.
    """
    values = daily(spike=600)
    if name == "half-space-trees":
        values = AT // 1800 % 2 + np.random.default_rng(0).normal(0, 0.02, len(AT))
        values[600:604] = 0.5
    said = made(name).run(AT, values, 300)
    assert not said.score[:300].any()
    assert not said.anomalous[:300].any()
    assert said.anomalous[600:604].any()
    assert 600 <= said.score.argmax() < 636


@pytest.mark.parametrize("name", NAMES)
def test_equal_runs_are_equal_and_nothing_is_seen_ahead(name: str) -> None:
    """The same seed gives the same verdicts; what comes later does not change them."""
    whole, again = made(name).run(AT, daily(spike=600), 300), made(name).run(AT, daily(spike=600), 300)
    assert (whole.score == again.score).all()
    begun = made(name).run(AT[:500], daily()[:500], 300)
    np.testing.assert_allclose(begun.score, whole.score[:500], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 20, 40])
def test_a_constant_or_short_series_is_no_error(name: str, count: int) -> None:
    """A series of one value, however short: always scored, and never anomalous to the profile and the autoencoder."""
    said = made(name).run(AT[:count], np.full(count, 5.0), count // 2)
    assert said.score.shape == said.anomalous.shape == (count,)
    assert np.isfinite(said.score).all()
    assert name == "half-space-trees" or not said.anomalous.any()
