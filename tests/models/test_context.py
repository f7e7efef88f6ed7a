"""The thirteen columns of a reading: what they say, and that a network cuts them from its window as training does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.architectures import build
from models.context import COLUMNS, DAYS, Context, Usual, columns, past_slots
from models.network_config import NetworkConfig, options

LEVEL, BESIDE_YESTERDAY, BESIDE_USUAL, ROW, KNOWN, BESIDE_LAST_WEEK, WEEK_KNOWN = 2, 4, 5, 7, 10, 11, 12  # columns
SHRINK = 3.0
NAN = float("nan")

readings = arrays(np.float64, (2, 30), elements=st.sampled_from([-3.0, 0.0, 0.0, 1.0, 2.5]))
pasts = arrays(np.float64, (2, 30, DAYS), elements=st.sampled_from([np.nan, 0.0, 0.0, 1.0, 2.5]))


def seen(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    return columns(torch.from_numpy(values), torch.from_numpy(days)).numpy()


@settings(deadline=None)
@given(readings, pasts, st.floats(0.01, 1000), st.floats(-1000, 1000))
def test_units_and_origin_of_a_series_do_not_matter(values: np.ndarray, days: np.ndarray, by: float, to: float) -> None:
    """A series in other units, from another zero, is seen as the same; whatever it holds, all columns are finite."""
    one, other = seen(values, days), seen(values * by + to, days * by + to)
    assert one.shape == (2, 30, COLUMNS)
    assert np.isfinite(one).all()
    assert np.isfinite(other).all()
    if values.std(1).min() > 0:  # equal readings may round apart, and then a step of nothing is the greatest there is
        rows = [1, 6, ROW, ROW + 2]
        np.testing.assert_allclose(np.delete(one, rows, -1), np.delete(other, rows, -1), atol=1e-3)


def test_columns_are_what_they_say() -> None:
    """Distances in deviations of what is shown, rows of equal readings, and 0 where the past is not known."""
    values = np.array([[1.0, 2, 2, 2, 5, 0]])
    days = np.full((1, 6, DAYS), NAN)
    days[0, :, 0] = [NAN, 1, 1, 2, 2, 0]
    days[0, :, 1] = [NAN, 3, 3, 2, 2, 7]
    days[0, :, DAYS - 1] = [NAN, NAN, NAN, 1, 1, 1]
    unit = float(np.nanstd(np.concatenate([values[0], days.ravel()])))
    x = seen(values, days)[0]
    np.testing.assert_allclose(x[:, LEVEL] * SHRINK * unit, values[0] - 2)
    np.testing.assert_allclose(x[:, BESIDE_YESTERDAY] * SHRINK * unit, [0, 1, 1, 0, 3, 0])
    usual = [NAN, 1, 1, 2, 2, 1]  # the lower of two in the middle
    np.testing.assert_allclose(x[1:, BESIDE_USUAL] * SHRINK * unit, (values[0] - usual)[1:], atol=1e-6)
    np.testing.assert_allclose(np.expm1(x[:, ROW] * SHRINK), [0, 0, 1, 2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(x[:, BESIDE_LAST_WEEK] * SHRINK * unit, [0, 0, 0, 1, 4, -1], atol=1e-6)
    assert x[:, WEEK_KNOWN].tolist() == [0, 0, 0, 1, 1, 1]
    assert x[:, KNOWN].tolist() == [0, 1, 1, 1, 1, 1]
    assert (x[0, [BESIDE_YESTERDAY, BESIDE_USUAL, BESIDE_LAST_WEEK]] == 0).all()


def test_a_window_is_cut_into_its_newest_readings_and_the_days_before() -> None:
    """In a window that ends now, a reading's days before are whole days back; a gap is unknown there and here."""
    interval_s, newest = 21_600, 10
    day, past = 4, past_slots(interval_s)
    assert past == DAYS * day
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, past + newest))
    observed = rng.random(x.shape) < 0.9
    known = np.where(observed, x, NAN)
    days = np.stack([known[:, past - d * day : past + newest - d * day] for d in range(1, DAYS + 1)], -1)
    context = Context(past + newest, interval_s)
    assert context.newest == newest
    found = context(torch.from_numpy(x)[..., None], torch.from_numpy(observed))
    np.testing.assert_array_equal(found.numpy(), seen(known[:, past:], days))
    single = context(torch.from_numpy(x.astype(np.float32))[..., None], torch.from_numpy(observed))
    np.testing.assert_allclose(single.numpy(), found.numpy(), atol=1e-4)


def test_what_is_usual_is_the_median_of_seven_days() -> None:
    """By time of day and variable, of the days that are known; 0 where none is."""
    usual = Usual(7 * 4 + 6, 21_600)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 34, 2)).astype(np.float32)
    observed = rng.random((3, 34)) < 0.8
    observed[0, 1::4] = False  # one time of day is never known
    found = usual(torch.from_numpy(x), torch.from_numpy(observed)).numpy()
    assert found.shape == (3, 6, 2)
    for row in range(3):
        for t in range(6):
            days = [28 + t - 4 * d for d in range(1, 8) if observed[row, 28 + t - 4 * d]]
            ordered = np.sort(x[row, days], axis=0)
            wanted = ordered[(len(days) - 1) // 2] if days else np.zeros(2)
            np.testing.assert_array_equal(found[row, t], wanted)


def test_a_network_with_context_needs_room_for_it() -> None:
    """Seven days and no reading, several variables, or a reconstruction: the message says what does not fit."""
    given = options({"inputs": "context"})
    for architecture, shape, message in [
        ("transformer-classifier", NetworkConfig(336, 1, 4, 1, 1800, given), "no room for a reading after the 336"),
        ("transformer-classifier", NetworkConfig(400, 2, 4, 1, 1800, given), "2 variables have no context"),
        ("transformer", NetworkConfig(400, 1, 4, 1, 1800, given), "a reconstruction sees values or their residuals"),
    ]:
        with pytest.raises(ValueError, match=message):
            build(architecture, shape)
