"""What a classifier is shown: its columns, what came before a window, and windows drawn anew of changed series."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.injection import KINDS
from models.offline.classifiers import material, train_classifier
from models.offline.examples import DAYS, clean_readings, examples, fresh_examples, middle
from models.offline.history import History
from models.offline.recipe import ExampleRecipe
from models.offline.seeing import Raw, seen
from models.offline.varying import varied
from tests.models.test_offline import CPU, classes, history

LEVEL, BESIDE_YESTERDAY, BESIDE_USUAL, ROW, KNOWN, BESIDE_LAST_WEEK, WEEK_KNOWN = 2, 4, 5, 7, 10, 11, 12  # columns
SHRINK = 3.0

readings = arrays(np.float64, (2, 30), elements=st.sampled_from([-3.0, 0.0, 0.0, 1.0, 2.5]))


@given(readings, readings, st.floats(0.01, 1000), st.floats(-1000, 1000))
def test_units_and_origin_of_a_series_do_not_matter(values: np.ndarray, past: np.ndarray, by: float, to: float) -> None:
    """A series in other units, from another zero, is seen as the same; whatever it holds, all columns are finite."""
    past = np.where(past < 0, np.nan, past)
    raw = Raw(values, past, past, past, 1.7)
    moved = Raw(values * by + to, past * by + to, past * by + to, past * by + to, 1.7 * by)
    one, other = seen(raw, "context"), seen(moved, "context")
    assert one.shape == (2, 30, 13)
    assert np.isfinite(one).all()
    rows = [ROW, ROW + 2]  # equal readings may round apart
    np.testing.assert_allclose(np.delete(one, rows, -1), np.delete(other, rows, -1), atol=1e-3)


def test_columns_are_what_they_say() -> None:
    """Distances in deviations of the series, a row of equal readings, and 0 where the day before is not known."""
    values = np.array([[1.0, 2, 2, 2, 5, 0]])
    yesterday = np.array([[np.nan, 1, 1, 2, 2, 0]])
    last_week = np.array([[np.nan, np.nan, np.nan, 1, 1, 1]])
    usual = np.array([[np.nan, 2, 2, 2, 2, 2]])
    x = seen(Raw(values, yesterday, last_week, usual, 2.0), "context")[0]
    np.testing.assert_allclose(x[:, LEVEL] * SHRINK, (values[0] - 2) / 2)
    np.testing.assert_allclose(x[:, BESIDE_YESTERDAY] * SHRINK, [0, 0.5, 0.5, 0, 1.5, 0])
    np.testing.assert_allclose(x[:, BESIDE_USUAL] * SHRINK, [0, 0, 0, 0, 1.5, -1], atol=1e-6)
    np.testing.assert_allclose(np.expm1(x[:, ROW] * SHRINK), [0, 0, 1, 2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(x[:, BESIDE_LAST_WEEK] * SHRINK, [0, 0, 0, 0.5, 2, -0.5], atol=1e-6)
    assert x[:, WEEK_KNOWN].tolist() == [0, 0, 0, 1, 1, 1]
    assert x[:, KNOWN].tolist() == [0, 1, 1, 1, 1, 1]
    assert seen(Raw(values, yesterday, last_week, usual, 2.0), "value")[0, :, 0].tolist() == (values[0] / 2).tolist()


@given(arrays(np.float64, (DAYS, 3, 2), elements=st.sampled_from([np.nan, 0.0, 1.0, 2.0, 7.0])))
def test_the_middle_is_the_median_of_what_is_there(rows: np.ndarray) -> None:
    """As numpy's, which warns where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_array_equal(middle(rows), np.nanmedian(rows, axis=0))


def test_the_past_of_a_long_anomaly_is_anomalous() -> None:
    """In a window of several days, yesterday is the reading that the anomaly left there, as a stream would have it."""
    series = history(n=900)
    asked = ExampleRecipe(windows=64, lengths=(150, 180), inputs="context")
    made, _ = examples([series], [[]], asked, 200)
    deviation = float(np.std(series.values))
    shifted = np.flatnonzero(made.kind == "level_shift")
    assert len(shifted) == 4
    for row in shifted:
        beside = made.x[row, :, BESIDE_YESTERDAY] * SHRINK * deviation
        newest = beside[-48:]  # a day after the shift began: both readings are shifted
        assert abs(newest.mean()) < 1.0
        assert np.abs(beside[-180:-101]).max() > 1.5 * deviation  # its first day beside a normal one


def test_what_is_usual_comes_from_before() -> None:
    """Readings after a window do not change what is seen of it, but for the series' own deviation."""
    series = history(gaps=True)
    clean = clean_readings(series, [], 40, "deviation")
    assert clean is not None
    own = np.arange(len(clean.values))
    assert (clean.days < own).all()
    slots = np.flatnonzero(series.observed)
    for back in range(DAYS):
        there = clean.days[back] >= 0
        assert (slots[own[there]] - slots[clean.days[back][there]] == (back + 1) * series.day).all()
        gone = slots[~there] - (back + 1) * series.day
        assert not np.isin(gone, slots).any()


@pytest.mark.parametrize("fresh", ["windows", "series"])
def test_fresh_windows_follow_from_the_generator(fresh: str) -> None:
    """As many as asked for, half of them anomalous, all kinds; equal generators give equal bits, others do not."""
    series = [history(name, 900) for name in "abc"]
    asked = ExampleRecipe.model_validate({"windows": 32, "lengths": (5, 20), "inputs": "context", "fresh": fresh})
    first, again, other = (
        fresh_examples(series, [[]] * 3, asked, 40, 200, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.x.shape == (200, 40, 13)
    assert (first.x == again.x).all()
    assert not (first.x == other.x).all()
    assert first.label.sum() == 100
    assert set(first.kind.tolist()) == {"", *KINDS}
    assert np.isfinite(first.x).all()


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_changed_series_keeps_its_grid_and_its_labels(seed: int) -> None:
    """Its slots are at instants of the series drawn, what is left out stays so, and it is long enough."""
    series = [history("a", 900, gaps=True), replace(history("b", 400), interval_s=3600)]
    spans = [[(1800.0 * 100, 1800.0 * 120)], []]
    changed, left_out = varied(series, spans, 160, np.random.default_rng(seed))
    assert len(changed) >= 160
    assert changed.values.shape == (len(changed), 1)
    assert len(changed.local_s) == len(changed)
    if changed.label == "made":
        assert left_out == ()
        return
    own = series[0] if changed.label == "a" else series[1]
    assert left_out == spans[changed.label == "b"]
    assert np.isin(changed.at, own.at).all()
    assert not np.isinf(changed.values).any()


def test_fresh_windows_are_for_learning_only() -> None:
    """Validation and test windows are the same with and without; the training is another, on the same series."""
    series = [history(name) for name in "abcd"]
    recipe = classes()
    fixed = recipe.model_copy(update={"examples": recipe.examples.model_copy(update={"fresh": "no"})})
    stuff, same = material(series, [[]] * 4, recipe, None), material(series, [[]] * 4, fixed, None)
    assert all((stuff.parts[part].x == same.parts[part].x).all() for part in stuff.parts)
    assert [h.label for h in stuff.learned] == [stuff.labels[i] for i in sorted(set(stuff.parts["train"].series))]
    drawn, repeated = train_classifier(stuff, series, recipe, 5, CPU), train_classifier(same, series, fixed, 5, CPU)
    assert any((weight != repeated.weights[name]).any() for name, weight in drawn.weights.items())
    assert all(torch.isfinite(torch.from_numpy(weight)).all() for weight in drawn.weights.values())


def test_a_series_of_one_value_has_no_window() -> None:
    """It has no deviation, so nothing has a strength; it is named among those left out."""
    flat = History("flat", 1800, 0, np.full((300, 1), 4.0), np.arange(300, dtype=np.int64) * 1800)
    made, without = examples([history(), flat], [[], []], ExampleRecipe(windows=16, lengths=(5, 20)), 40)
    assert without == ["flat"]
    assert set(made.series.tolist()) == {0}
