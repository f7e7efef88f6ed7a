"""What a classifier is shown: what came before a window, and windows drawn anew of changed series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import DAYS
from models.injection import KINDS
from models.offline.classifiers import material, train_classifier
from models.offline.examples import clean_readings, examples, fresh_examples, past
from models.offline.history import History
from models.offline.recipe import ExampleRecipe
from models.offline.variation import varied
from tests.models.offline.test_trainings import CPU, classes, history

BESIDE_YESTERDAY = 4  # column
SHRINK = 3.0


def test_the_past_of_a_long_anomaly_is_anomalous() -> None:
    """In a window of several days, yesterday is the reading that the anomaly left there, as a stream would have it."""
    series = history(n=900)
    clean = clean_readings(series, [], 200, "deviation")
    assert clean is not None
    starts = np.array([400, 600])
    raw = clean.values[starts[:, None] + np.arange(200)]
    raw[:, 20:] += 100.0  # from the 20th reading on, four of its days
    days = past(clean, raw, starts)
    assert days.shape == (2, 200, DAYS)
    np.testing.assert_array_equal(days[:, 68:, 0], raw[:, 20:-48])
    np.testing.assert_array_equal(days[:, :48, 0], clean.values[starts[:, None] - 48 + np.arange(48)])
    made, _ = examples([series], [[]], ExampleRecipe(windows=64, lengths=(150, 180), inputs="context"), 200)
    shifted = made.x[made.kind == "level_shift"][..., BESIDE_YESTERDAY]
    assert len(shifted) == 4
    assert (np.abs(shifted[:, -180:-101]).max(1) > 2 * np.abs(shifted[:, -48:].mean(1))).all()


def test_what_is_usual_comes_from_before() -> None:
    """The days before a reading are before it, on its own grid, or not there."""
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
    if changed.series == "made":
        assert left_out == ()
        return
    own = series[0] if changed.series == "a" else series[1]
    assert left_out == spans[changed.series == "b"]
    assert np.isin(changed.at, own.at).all()
    assert not np.isinf(changed.values).any()


def test_fresh_windows_are_for_learning_only() -> None:
    """Validation and test windows are the same with and without; the training is another, on the same series."""
    series = [history(name) for name in "abcd"]
    recipe = classes()
    fixed = recipe.model_copy(update={"examples": recipe.examples.model_copy(update={"fresh": "no"})})
    stuff, same = material(series, [[]] * 4, recipe, None), material(series, [[]] * 4, fixed, None)
    assert all((stuff.parts[part].x == same.parts[part].x).all() for part in stuff.parts)
    assert [h.series for h in stuff.learned] == [stuff.names[i] for i in sorted(set(stuff.parts["train"].series))]
    drawn, repeated = train_classifier(stuff, series, recipe, 5, CPU), train_classifier(same, series, fixed, 5, CPU)
    assert any((weight != repeated.weights[name]).any() for name, weight in drawn.weights.items())
    assert all(torch.isfinite(torch.from_numpy(weight)).all() for weight in drawn.weights.values())


def test_a_series_of_one_value_has_no_window() -> None:
    """It has no deviation, so nothing has a strength; it is named among those left out."""
    flat = History("flat", 1800, 0, np.full((300, 1), 4.0), np.arange(300, dtype=np.int64) * 1800)
    made, without = examples([history(), flat], [[], []], ExampleRecipe(windows=16, lengths=(5, 20)), 40)
    assert without == ["flat"]
    assert set(made.series.tolist()) == {0}
