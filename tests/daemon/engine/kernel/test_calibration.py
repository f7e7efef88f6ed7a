"""The rate of new episodes: levels learned from clusters, and the rate measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.engine.kernel.calibration import (
    CALIBRATION,
    MONTHS,
    Rates,
    calibrate,
    measure,
    measured_rate,
    rates,
)
from daemon.engine.kernel.compiled import compiled

HALF_HOUR = 1800


def series(n: int) -> npt.NDArray[Any]:
    """States of `n` series that know nothing."""
    return np.zeros(n, CALIBRATION)


def months(r: Rates, count: float) -> range:
    """Readings of so many months."""
    return range(round(count * r.month))


def clusters(values: npt.NDArray[np.float64], threshold: float) -> int:
    """How often three readings in a row below half the threshold are followed by one that reaches it."""
    found, quiet = 0, 3
    for value in values:
        if value >= threshold:
            found += quiet >= 3
            quiet = 0
        elif value < threshold / 2:
            quiet += 1
    return found


def test_at_first_rarity_is_a_probability() -> None:
    """Knowing nothing, A is minus log10 of a probability and two readings make a cluster: once a month at log10(n)."""
    r = rates(HALF_HOUR)
    once = math.log10(r.month)
    assert calibrate(series(1)[0], r, once) == pytest.approx(once + math.log10(2))
    assert calibrate(series(1)[0], rates(HALF_HOUR, calibrated=False), once) == pytest.approx(once + math.log10(2))


def test_a_cluster_ends_at_half_the_level() -> None:
    """Three readings in a row below half of it end a cluster; below the level alone, or two of them, do not."""
    r, state = rates(HALF_HOUR), series(1)[0]
    level = float(r.level[0])

    def within(*values: float) -> bool:
        for value in values:
            calibrate(state, r, value)
        return bool(state["above"][0])

    assert within(1.5 * level)
    assert within(*[0.6 * level] * 5)
    assert within(0.4 * level, 0.4 * level, 0.6 * level, 0.4 * level, 0.4 * level)
    assert not within(0.4 * level)


@compiled
def run_month(states: Any, r: Rates, values: Any) -> Any:
    """Rarity of each reading, shape (slots, series)."""
    out = np.zeros(values.shape)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            out[i, j] = calibrate(states[j], r, values[i, j])
    return out


def exponential(scale: float, seed: int, months: int) -> Iterator[npt.NDArray[np.float64]]:
    """A of independent readings of 20 series, month by month, shape (slots, 20)."""
    rng = np.random.default_rng(seed)
    for _ in range(months):
        yield rng.exponential(scale, (1461, 20))


@pytest.mark.parametrize("scale", [0.3, 0.43, 0.6])
def test_rarity_counts_clusters(scale: float) -> None:
    """For scales of A as series have, log10(month / b) comes to begin b clusters a month: within a factor 1.6."""
    r, states = rates(HALF_HOUR), series(20)
    wanted = {b: math.log10(r.month / b) for b in (0.3, 1.0, 4.0)}
    counted = dict.fromkeys(wanted, 0)
    for month, values in enumerate(exponential(scale, 1, 12)):
        rarity = run_month(states, r, values)
        if month >= 4:
            for b, threshold in wanted.items():
                counted[b] += sum(clusters(rarity[:, j], threshold) for j in range(20))
    for b, count in counted.items():
        assert b / 1.6 < count / (8 * 20) < b * 1.6


def test_a_great_anomaly_teaches_no_more_than_a_small_one() -> None:
    """Steps are bounded: what is beyond the levels moves them by the cluster it begins, not by its size."""
    found = []
    for a in (4.0, 60.0):
        r, states = rates(HALF_HOUR), series(2)
        calibrate(states[0], r, 0.0)
        calibrate(states[1], r, a)
        found.append((r.level.tolist(), states[1]["offset"].tolist()))
    assert found[0] == found[1]
    assert found[0][0] != rates(HALF_HOUR).level.tolist()


def test_a_series_alone_moves_its_own_offset_only() -> None:
    """The stream's level is what several series have in common."""
    r, states = rates(HALF_HOUR), series(1)
    for n in range(2000):
        calibrate(states[0], r, 9.0 if n % 50 == 0 else 0.0)
    assert r.level.tolist() == rates(HALF_HOUR).level.tolist()
    assert states[0]["offset"].min() > 0


def test_one_noisy_series_hardly_moves_the_others() -> None:
    """A series with a cluster every day has its own levels raised; the others' rarity stays within a tenth."""
    values = np.random.default_rng(2).exponential(0.4, (3000, 50))
    noisy = values.copy()
    noisy[::48, 0] = 5.0
    found = []
    for given_values in (values, noisy):
        r, states = rates(HALF_HOUR), series(50)
        run_month(states, r, given_values)
        found.append([calibrate(states[j].copy(), rates_like(r), 3.0) for j in (0, 1)])
    (own, other), (own_noisy, other_noisy) = found
    assert own_noisy < own - 0.2
    assert other_noisy == pytest.approx(other, rel=0.1)


@given(st.lists(st.floats(0, 80), min_size=1, max_size=300))
def test_rarity_rises_with_a(values: list[float]) -> None:
    """Whatever came before: a greater A is no less rare, and rarity is never negative or without end."""
    r, states = rates(HALF_HOUR), series(1)
    for a in values:
        calibrate(states[0], r, a)
    found = [calibrate(states[0].copy(), rates_like(r), a) for a in (0.0, 1.0, 2.0, 4.0, 80.0)]
    assert found == sorted(found)
    assert all(math.isfinite(x) and x >= 0 for x in found)


def rates_like(r: Rates) -> Rates:
    """A copy."""
    return r._replace(level=r.level.copy(), readings=r.readings.copy(), measured=r.measured.copy())


def test_measured_rate() -> None:
    """Episodes per judged reading times readings a month, over the newest months only; order does not matter."""
    r = rates(HALF_HOUR)
    assert measured_rate(r) is None
    for n in months(r, 10):
        measure(r, 700_000 + n, n % 731 == 0)
    assert measured_rate(r) == pytest.approx(2.0, rel=0.2)
    assert r.measured[:, 1].sum() <= MONTHS * r.month + 1
    before = measured_rate(r)
    measure(r, 0, True)
    assert measured_rate(r) == before
