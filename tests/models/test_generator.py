"""Made series: the noise that is promised, the season, equal seeds."""

from __future__ import annotations

import numpy as np
import pytest

from models.generator import FAULTS, NOISES, Fault, Noise, break_vector, driven, noise, seasonal


@pytest.mark.parametrize("kind", NOISES)
def test_noise_has_mean_0_and_variance_1(kind: Noise) -> None:
    """Whatever its kind; the heavy tail by the middle of its distribution, for its sample variance hardly settles."""
    made = noise(kind, 200_000, np.random.default_rng(3))
    assert made.mean() == pytest.approx(0, abs=0.03)
    if kind == "t3":
        assert np.quantile(made, 0.75) == pytest.approx(0.765 / np.sqrt(3), rel=0.02)
    else:
        assert made.std() == pytest.approx(1, rel=0.02)


def test_kinds_differ_as_they_say() -> None:
    """ar1 remembers, the others do not; t3 alone has values beyond six standard deviations."""
    made = {kind: noise(kind, 100_000, np.random.default_rng(4)) for kind in NOISES}
    memory = {kind: np.corrcoef(x[1:], x[:-1])[0, 1] for kind, x in made.items()}
    assert memory["ar1"] == pytest.approx(0.8, abs=0.02)
    assert abs(memory["gaussian"]) < 0.02
    assert abs(memory["t3"]) < 0.02
    assert {kind for kind, x in made.items() if np.abs(x).max() > 6} == {"t3"}


def test_seasonal_repeats_and_differs() -> None:
    """Equal arguments give equal bits, other seeds other series, and most of a series is its season."""
    a, again, b = (seasonal("gaussian", 28, 48, seed) for seed in (1, 1, 2))
    assert (a == again).all()
    assert a.shape == (28 * 48,)
    assert not np.allclose(a, b)
    days = a.reshape(28, 48)[np.arange(28) % 7 < 5]
    assert (days - days.mean(axis=0)).std() < 0.8 * days.std()


def test_driven_vectors_have_few_dimensions() -> None:
    """Half of the variance of 200 sensors is in 8 directions and nearly all in 40, though each has its own noise."""
    made = driven(1500, 200, 8, 1)
    assert (made == driven(1500, 200, 8, 1)).all()
    variance = np.linalg.svd(made - made.mean(0), compute_uv=False) ** 2
    assert variance[:8].sum() > 0.5 * variance.sum()
    assert variance[:40].sum() > 0.95 * variance.sum()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_what_it_says(fault: Fault) -> None:
    """Only the named variables in the named slots change; but for one that is off, each stays in its range."""
    made = driven(600, 100, 8, 2)
    broken, chosen = break_vector(made, 300, 5, fault, 3)
    changed = broken != made
    assert set(np.flatnonzero(changed.any(1))) == set(range(300, 305))
    assert set(np.flatnonzero(changed.any(0))) == set(chosen.tolist())
    assert len(chosen) == (5 if fault == "relation broken" else 1)
    inside = (broken >= made.min(0)) & (broken <= made.max(0))
    assert inside.all() == (fault != "one variable off")
