"""Injected anomalies: they are where they say, repeatable, and as strong as asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.injection import GENERATOR, KINDS, Kind, inject, spread

DAY = 24


def seasonal(slots: int = 10 * DAY, width: int | None = None, seed: int = 0) -> np.ndarray:
    """A daily season of size 10 with noise of standard deviation 1, shape (N,) or (N, F)."""
    rng = np.random.default_rng(seed)
    shape = (slots,) if width is None else (slots, width)
    wave = 10 * np.sin(2 * np.pi * np.arange(slots) / DAY)
    return np.asarray((wave if width is None else wave[:, None]) + rng.standard_normal(shape))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    strength=st.floats(0, 20),
    seed=st.integers(0, 2**32),
    width=st.sampled_from([None, 1, 3]),
    gaps=st.booleans(),
    start=st.none() | st.integers(0, 10 * DAY - 1),
    length=st.none() | st.integers(1, 3 * DAY),
)
def test_only_the_range_changes(
    kind: Kind, strength: float, seed: int, width: int | None, gaps: bool, start: int | None, length: int | None
) -> None:
    """Outside [start, end) every bit is as before; gaps stay gaps; the input is untouched; equal calls, equal bits."""
    values = seasonal(width=width)
    if gaps:
        values[::5] = np.nan
    before = values.copy()
    made = inject(values, kind, strength, seed, period=DAY, start=start, length=length)
    assert values.tobytes() == before.tobytes()
    assert made.values.shape == values.shape
    assert 0 <= made.start < made.end <= len(values)
    outside = np.ones(len(values), np.bool_)
    outside[made.start : made.end] = False
    assert made.values[outside].tobytes() == values[outside].tobytes()
    assert np.array_equal(np.isnan(made.values), np.isnan(values))
    again = inject(values, kind, strength, seed, period=DAY, start=start, length=length)
    assert made.values.tobytes() == again.values.tobytes()


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000), weak=st.floats(0, 6), more=st.floats(0, 6))
def test_more_strength_never_changes_less(kind: Kind, seed: int, weak: float, more: float) -> None:
    """The same anomaly, stronger, moves the series at least as far."""
    values = seasonal()

    def moved(strength: float) -> float:
        return float(np.linalg.norm(inject(values, kind, strength, seed, period=DAY).values - values))

    assert moved(weak) <= moved(weak + more) + 1e-9


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("spike", 4, 4),
        ("dip", 4, 4),
        ("level_shift", 4, 4),
        ("trend", 2, 2.7),  # the mean square of a ramp is a third
        ("changed_season", 4, 4),
        ("missing_day", 4, 4),
        ("noise_burst", 2.5, 5.5),
        ("flatline", 0.5, 15),
    ],
)
def test_strength_is_in_spreads(kind: Kind, least: float, most: float) -> None:
    """At strength 4 the range's root mean square move is 4 spreads, or what the kind's shape makes of it."""
    values = seasonal() * 7
    unit = float(spread(values, DAY))
    assert unit == pytest.approx(7, rel=0.15), "the season is no part of the spread"
    made = inject(values, kind, 4.0, 3, period=DAY)
    move = (made.values - values)[made.start : made.end]
    assert least - 1e-9 <= np.sqrt(np.mean(move**2)) / unit <= most + 1e-9


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 1000), factor=st.sampled_from([0.25, 8.0, 1024.0]))
def test_the_unit_of_the_series_does_not_matter(kind: Kind, seed: int, factor: float) -> None:
    """Watts or kilowatts: the same anomaly in the same place. Powers of two, so that even the bits agree."""
    values = seasonal()
    made, scaled = (inject(v, kind, 3.0, seed, period=DAY) for v in (values, values * factor))
    assert np.array_equal(made.values * factor, scaled.values)


def test_variables_have_their_own_unit() -> None:
    """A vector's variables are moved by the same number of their own spreads."""
    values = seasonal(width=2) * [1, 100]
    made = inject(values, "spike", 3.0, 0, period=DAY)
    moves = (made.values - values)[made.start] / spread(values, DAY)
    np.testing.assert_allclose(moves, 3.0)


def test_a_flatline_is_constant_until_it_shows() -> None:
    """It holds the value before it; a stronger one holds longer."""
    values = seasonal()
    weak, strong = (inject(values, "flatline", s, 0, period=DAY, start=100, length=DAY).values for s in (1.0, 9.0))
    stuck = [int(np.count_nonzero(v[100 : 100 + DAY] == values[99])) for v in (weak, strong)]
    assert 0 < stuck[0] < stuck[1]
    assert (strong[100 : 100 + stuck[1]] == values[99]).all()


def test_a_constant_series_is_left_alone_by_what_needs_a_spread() -> None:
    """No movement, no unit: nothing can be put into a constant without being told the unit."""
    constant = np.full(100, 5.0)
    assert spread(constant) == 0
    assert np.array_equal(inject(constant, "spike", 3.0, 0).values, constant)
    assert inject(constant, "spike", 3.0, 0, start=50, unit=2.0).values[50] == 11


def test_what_makes_no_sense_is_refused() -> None:
    """Unknown kinds, negative strengths, places outside and empty variables are errors that say so."""
    values = seasonal()
    with pytest.raises(ValueError, match="kinds are spike, dip"):
        inject(values, "hole", 1.0, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strength -1"):
        inject(values, "spike", -1.0, 0)
    with pytest.raises(ValueError, match="outside a series of 240"):
        inject(values, "spike", 1.0, 0, start=240)
    with pytest.raises(ValueError, match="at least one slot"):
        inject(values, "trend", 1.0, 0, length=0)
    with pytest.raises(ValueError, match="no value at all"):
        spread(np.full(10, np.nan))
    with pytest.raises(ValueError, match="shorter period"):
        spread(values, 240)


def test_the_generator_is_the_one_with_this_name() -> None:
    """Changing a rule changes figures measured with it: then `GENERATOR` gets a new name and this digest changes."""
    import hashlib

    values = np.round(seasonal(), 6)
    made = [np.round(inject(values, kind, 3.0, i, period=DAY).values, 4) + 0.0 for i, kind in enumerate(KINDS)]
    digest = hashlib.sha256(np.concatenate(made).tobytes()).hexdigest()[:12]
    assert (GENERATOR, digest) == ("injection-1", "4cd87e2b5e83")
