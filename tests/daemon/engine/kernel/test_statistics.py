"""Each unit of the statistics against a plain reference that keeps whole histories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from daemon.engine.kernel.caps import CAP, cap_push, cap_value
from daemon.engine.kernel.hours import TIME_OF_DAY, normalise, usual_error
from daemon.engine.kernel.likelihoods import (
    LIKELIHOOD_1,
    LIKELIHOOD_10,
    LIKELIHOOD_30,
    likelihood,
    minus_log10_normal_tail,
)
from daemon.engine.kernel.parameters import Parameters, parameters
from daemon.engine.kernel.statistics import STATISTICS, advance, begin
from daemon.engine.kernel.tails import EVERY, KEPT, TAIL, tail


def record(dtype: np.dtype[Any]) -> Any:
    """A unit's empty state."""
    return np.zeros(1, dtype)[0]


@pytest.mark.parametrize("z", [-8.0, -2.0, 0.0, 1.0, 3.0, 4.99, 5.0, 8.0, 12.0, 15.0])
def test_normal_tail(z: float) -> None:
    """-log10 of the normal distribution's upper tail, within 0.1 %."""
    assert minus_log10_normal_tail(z) == pytest.approx(-norm.logsf(z) / math.log(10), rel=1e-3, abs=1e-12)


def test_normal_tail_is_capped() -> None:
    """No value is rarer than 1e-60, and a rarer one is never less rare."""
    assert minus_log10_normal_tail(40.0) == 60.0
    values = [minus_log10_normal_tail(z / 10) for z in range(-50, 400)]
    assert values == sorted(values)


@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform"])
def test_cap_is_three_times_the_99_percent_quantile(draw: str) -> None:
    """The P2 quantile is within a few percent of the exact one, whatever the distribution."""
    values = np.abs(getattr(np.random.default_rng(1), draw)(size=5000))
    cap = record(CAP)
    for value in values:
        cap_push(cap, value)
    assert cap_value(cap, 50) == pytest.approx(3 * np.quantile(values, 0.99), rel=0.08)
    assert cap["height"][0] == np.float32(values.min())
    assert cap["height"][4] == np.float32(values.max())
    assert cap["count"] == 5000


def test_cap_is_infinite_at_first() -> None:
    """Before `start` values nothing is capped."""
    cap = record(CAP)
    for n in range(60):
        assert (cap_value(cap, 50) == math.inf) == (n < 50)
        cap_push(cap, float(n))


def test_cap_of_equal_values() -> None:
    """A constant error has itself as its quantile; markers never divide by nothing."""
    cap = record(CAP)
    for _ in range(200):
        cap_push(cap, 2.0)
    assert cap_value(cap, 50) == pytest.approx(6.0, rel=1e-5)


class Reference:
    """The likelihood of detection.md with whole histories."""

    def __init__(self, short: int, two_sided: bool) -> None:
        self.short, self.two_sided = short, two_sided
        self.raw: list[float] = []
        self.means: list[float] = []

    def push(self, value: float, cap: float) -> float:
        """-log10 of how unlikely the newest short mean is."""
        self.raw.append(value)
        self.means.append(float(np.mean([min(max(v, -cap), cap) for v in self.raw[-self.short :]])))
        earlier = np.array(self.means[: max(len(self.raw) - self.short, 1)])
        z = (np.mean(self.raw[-self.short :]) - earlier.mean()) / max(earlier.std(), 0.01)
        return float(min(-norm.logsf(abs(z) if self.two_sided else z) / math.log(10), 60.0))


@pytest.mark.parametrize(
    ("dtype", "short", "two_sided"),
    [(LIKELIHOOD_1, 1, False), (LIKELIHOOD_10, 10, False), (LIKELIHOOD_30, 30, True)],
)
def test_likelihood(dtype: np.dtype[Any], short: int, two_sided: bool) -> None:
    """The recursion with a ring and two sums equals the definition over the whole history."""
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.exponential(1, 150), rng.exponential(1, 20) + 6, rng.exponential(1, 80)])
    state, reference = record(dtype), Reference(short, two_sided)
    found = [likelihood(state, value, 4.0, two_sided) for value in values]
    wanted = [reference.push(value, 4.0) for value in values]
    assert found == pytest.approx(wanted, rel=2e-3, abs=1e-3)


def test_an_anomaly_is_not_compared_with_itself() -> None:
    """A step is as unlikely at its tenth reading as the history before it says: the history ends before the window."""
    state = record(LIKELIHOOD_10)
    for n in range(200):
        likelihood(state, 1.0 + 0.1 * (n % 3), math.inf, False)
    held = float(state["mean"])
    for _ in range(10):
        last = likelihood(state, 9.0, math.inf, False)
    assert state["mean"] == pytest.approx(held, rel=1e-3)
    assert last == 60.0


def exact_tail(values: np.ndarray, p: Parameters) -> np.ndarray:
    """Peaks over threshold with the whole sliding history."""
    out, u, gamma = [], None, 1.0
    for n, value in enumerate(values):
        if n >= p.tail_start and (u is None or n % EVERY == 0):
            history = values[max(0, n - p.tail_history) : n]
            u = np.quantile(history, 1 - p.tail_fraction)
            excess = history[history > u] - u
            gamma = (excess.sum() + 10.0) / (len(excess) + 10)
        rare = u is not None and value > u
        out.append(-math.log10(p.tail_fraction) + (value - u) / gamma / math.log(10) if rare else 0.0)
    return np.array(out)


def test_tail_is_exact_until_values_are_forgotten() -> None:
    """While the history is not full, the 32 greatest values give exactly the peaks over threshold of all of them."""
    p = parameters(672, 1800)
    values = np.random.default_rng(3).exponential(1, p.tail_history).astype(np.float32).astype(np.float64)
    state = record(TAIL)
    found = [tail(state, value, p, 0) for value in values]
    assert found == pytest.approx(exact_tail(values, p).tolist(), abs=1e-5)


@pytest.mark.parametrize("warm_up", [96, 672])
def test_tail_on_a_sliding_history(warm_up: int) -> None:
    """Over a long run the bounded tail says about as often as the exact one that a value is rare, and as rare."""
    p = parameters(warm_up, 1800)
    values = np.random.default_rng(4).exponential(1, 20_000).astype(np.float32).astype(np.float64)
    state = record(TAIL)
    found = np.array([tail(state, value, p, 0) for value in values])
    wanted = exact_tail(values, p)
    for least in (1.5, 2.0, 2.5):
        assert np.mean(found >= least) == pytest.approx(np.mean(wanted >= least), rel=0.25)
    both = (found > 0) & (wanted > 0)
    assert np.abs(found[both] - wanted[both]).mean() < 0.1


def test_tail_keeps_its_promise() -> None:
    """Rarity 2 is reached about once in a hundred values."""
    p = parameters(672, 1800)
    values = np.random.default_rng(5).exponential(1, 50_000)
    state = record(TAIL)
    found = np.array([tail(state, value, p, 7) for value in values])
    assert 0.006 < np.mean(found >= 2.0) < 0.014


def test_tail_after_a_burst() -> None:
    """A burst of huge values is forgotten with its history; the threshold comes back down to usual values."""
    p = parameters(672, 1800)
    rng, state = np.random.default_rng(6), record(TAIL)
    for value in [*rng.exponential(1, 600), *rng.exponential(1, 60) + 1000]:
        tail(state, value, p, 0)
    assert state["u"] > 100
    for value in rng.exponential(1, 2 * p.tail_history):
        assert math.isfinite(tail(state, value, p, 0))
    assert 2.0 < state["u"] < 8.0


def test_the_older_of_equal_values_is_kept() -> None:
    """A tail that is full lets a value in that is greater than its least, not one that equals it."""
    p, state = parameters(672, 1800), record(TAIL)
    for _ in range(KEPT + 5):
        tail(state, 1.0, p, 0)
    assert sorted(state["born"].tolist()) == list(range(1, KEPT + 1))
    tail(state, 2.0, p, 0)
    assert sorted(state["born"].tolist()) == [*range(2, KEPT + 1), KEPT + 6]


def test_a_usual_error_is_at_least_a_quarter_of_the_level() -> None:
    """However quiet an hour was, and however long: an error in it is amplified at most fourfold."""
    hours = record(TIME_OF_DAY)
    hours["level"] = 8.0
    hours["weight"][3], hours["total"][3] = 970.0, 0.0
    assert usual_error(hours, 3) == 2.0
    hours["total"][3] = 3000.0
    assert usual_error(hours, 3) == pytest.approx(3.24)


def test_time_of_day() -> None:
    """Errors that are usual at their hour come out more alike, as far as the shrinkage lets them."""
    rng, hours = np.random.default_rng(7), record(TIME_OF_DAY)
    hours["level"] = 1.0
    scale = 1 + 0.6 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    out: list[list[float]] = [[] for _ in range(24)]
    for n in range(24 * 200):
        hour = n % 24
        error = normalise(hours, scale[hour] * rng.uniform(0.5, 1.5), hour, 50)
        if n >= 24 * 60:
            out[hour].append(error)
    means = np.array([np.mean(each) for each in out])
    assert means.std() / means.mean() < 0.5 * scale.std() / scale.mean()
    assert hours["level"] == pytest.approx(1.0, rel=0.1)


def test_time_of_day_follows_its_equations() -> None:
    """Three readings by hand: 30 readings' worth of the overall level, forgetting 0.98 and 0.999."""
    hours = record(TIME_OF_DAY)
    hours["level"] = 2.0
    assert usual_error(hours, 5) == 2.0
    assert normalise(hours, 5.0, 5, 50) == pytest.approx(5.0)
    level = 0.999 * 2 + 0.005
    usual = (5 + 30 * level) / 31
    assert normalise(hours, 1.0, 5, 50) == pytest.approx(level / usual)
    level = 0.999 * level + 0.001
    assert usual_error(hours, 5) == pytest.approx((0.98 * 5 + 1 + 30 * level) / (0.98 + 1 + 30))
    assert usual_error(hours, 6) == pytest.approx(level)


def test_time_of_day_amplifies_at_most_fourfold() -> None:
    """An hour at which errors are tiny is divided by no less than a quarter of the level."""
    hours = record(TIME_OF_DAY)
    hours["level"] = 1.0
    for n in range(24 * 400):
        normalise(hours, 0.0 if n % 24 == 3 else 1.0, n % 24, 50)
    assert normalise(hours, 1.0, 3, 50) <= 4.0


@pytest.mark.parametrize(("warm_up", "hourly"), [(71, False), (72, True)])
def test_parameters_follow_the_warm_up(warm_up: int, hourly: bool) -> None:
    """Hours count from a warm-up of a day and a half; caps and tails start within it."""
    p = parameters(warm_up, 1800)
    assert p.hourly == hourly
    assert p.cap_start == 50
    assert p.tail_start == warm_up // 2
    assert p.tail_history == 100
    assert p.tail_fraction == 0.03


def test_a_worse_error_is_never_less_rare() -> None:
    """After the same history, rank and rarity grow with the errors."""
    p, rng = parameters(672, 1800), np.random.default_rng(8)
    before = record(STATISTICS)
    begin(before, 1.0, 1.0)
    for n in range(1000):
        advance(before, p, rng.exponential(), rng.exponential(), rng.normal(0, 0.1), n % 24, 0)
    ranks, rarities = [], []
    for error in (0.1, 1.0, 3.0, 6.0, 12.0, 50.0):
        rank, rarity = advance(before.copy(), p, error, error, 0.0, 4, 0)
        ranks.append(rank)
        rarities.append(rarity)
    assert ranks == sorted(ranks)
    assert rarities == sorted(rarities)
    assert rarities[0] < 1.0
    assert rarities[-1] > 3.0
