"""The offline trainer's parts: splits, windows, examples, fitting, baselines, measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.architectures import build
from models.injection import KINDS
from models.network_config import NetworkConfig
from models.offline import simple_classifiers
from models.offline.alarms import meet, static_threshold
from models.offline.classifiers import baselines, bundles, material, train_classifier
from models.offline.epochs import TrainingError, fit, rate_at
from models.offline.examples import examples
from models.offline.history import History, HistoryError
from models.offline.lessons import Reconstruction
from models.offline.measures import curves, judge
from models.offline.recipe import ExampleRecipe, Recipe, TrainingRecipe
from models.offline.scorers import prepare, train_scorer
from models.offline.splits import fold_series, split_series, split_time
from models.offline.training_checkpoints import CheckpointError, read_checkpoint, write_checkpoint
from models.offline.windows import cut, scale_of
from models.scorer import Scorer

CPU = torch.device("cpu")


def history(label: str = "a", n: int = 600, seed: int = 0, gaps: bool = False) -> History:
    """A noisy daily sine every half hour, and a slow one of its own."""
    rng, t = np.random.default_rng([seed, *label.encode()]), np.arange(n)
    own = 5 * np.sin(t * 2 * np.pi / (70 + 31 * (sum(label.encode()) % 11)))
    values = 20 + 5 * np.sin(t * 2 * np.pi / 48) + own + rng.standard_normal(n)
    if gaps:
        values[rng.random(n) < 0.1] = np.nan
    local = np.arange(n, dtype=np.int64) * 1800
    return History(label, 1800, 0, values[:, None], local)


def recipe(**training: object) -> Recipe:
    values = {
        "version": 1,
        "name": "small",
        "task": "reconstruct",
        "network": {"architecture": "masked-autoencoder", "window": 16, "masked": 2, "copies": 2},
        "training": {"epochs": 4, "batch": 32, **training},
    }
    return Recipe.model_validate(values)


def classes(**training: object) -> Recipe:
    options = {"embedding": "convolution", "kernel": 3, "dim": 8, "encoder_layers": 1, "decoder_layers": 0}
    values = {
        "version": 1,
        "name": "classes",
        "task": "classify",
        "network": {
            "architecture": "transformer-classifier",
            "window": 40,
            "options": {**options, "feedforward": 8, "pooling": "last", "dropout": 0.2},
        },
        "training": {"epochs": 3, "batch": 16, "average": 0.9, **training},
        "split": [2, 1, 1],
        "examples": {"windows": 32, "lengths": [5, 20], "inputs": "context", "fresh": "series"},
    }
    return Recipe.model_validate(values)


# -- splits ------------------------------------------------------------------------------------------------------------


@given(st.integers(-1000, 1000), st.integers(100, 2000), st.integers(1, 30), st.tuples(*[st.floats(0.2, 1)] * 3))
def test_parts_follow_each_other_with_a_window_between(
    first: int, count: int, gap: int, shares: tuple[float, float, float]
) -> None:
    """No window of one part holds a slot of another, nothing lies outside, and training comes first."""
    try:
        train, validation, test = split_time(first, first + count - 1, shares, gap)
    except HistoryError:
        return
    assert train[0] == first
    assert test[1] == first + count
    assert validation[0] - train[1] == test[0] - validation[1] == gap
    assert all(stop - start >= gap for start, stop in (train, validation, test))


def test_a_split_by_series_does_not_depend_on_their_order() -> None:
    """Every part has a series, and a series' part follows from the names and the seed alone."""
    names = [f"m{i}" for i in range(11)]
    part = dict(zip(names, split_series(names, (0.6, 0.15, 0.25), 3).tolist(), strict=True))
    again = dict(zip(names[::-1], split_series(names[::-1], (0.6, 0.15, 0.25), 3).tolist(), strict=True))
    assert part == again
    assert set(part.values()) == {0, 1, 2}
    assert sorted(np.bincount(fold_series(names, 4, 0)).tolist()) == [2, 3, 3, 3]
    with pytest.raises(HistoryError, match="at least 3"):
        split_series(["a", "b"], (1, 1, 1), 0)


def test_windows_hold_their_parts_readings_scaled_by_training() -> None:
    """The training part spans 0 to 1; a gap keeps the value before it and is not observed."""
    series = history(gaps=True)
    prepared = prepare([series], recipe())
    train = prepared.windows["train"]
    assert train.x.min() == 0
    assert train.x.max() == 1
    assert int(train.slot.max()) < prepared.parts.train[1]
    assert int(prepared.windows["test"].slot.min()) - 15 >= prepared.parts.test[0]
    row = next(i for i in range(len(train.x)) if not train.observed[i].all() and train.observed[i, 0])
    gap = int(np.argmin(train.observed[row]))
    assert train.x[row, gap, 0] == train.x[row, gap - 1, 0]


# -- fitting -----------------------------------------------------------------------------------------------------------


class _Stop(Exception):  # noqa: N818 - not an error
    """The interruption."""


def test_a_training_interrupted_anywhere_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Stopped inside an epoch and continued from its checkpoint, dropout at work: the same bits as without a stop."""
    stuff = material([history(name) for name in "abcd"], [[]] * 4, classes(), None)
    series = [history(name) for name in "abcd"]
    whole = train_classifier(stuff, series, classes(), 5, CPU)

    def stop(done: int, total: int, note: str) -> None:
        if done == total // 3 + 2:
            raise _Stop

    with pytest.raises(_Stop):
        train_classifier(stuff, series, classes(), 5, CPU, tmp_path / "c", stop)
    assert read_checkpoint(tmp_path / "c") is not None
    resumed = train_classifier(stuff, series, classes(), 5, CPU, tmp_path / "c")
    assert all((whole.weights[name] == resumed.weights[name]).all() for name in whole.weights)
    assert whole.progress == resumed.progress
    assert any(
        (w != train_classifier(stuff, series, classes(), 6, CPU).weights[n]).any() for n, w in whole.weights.items()
    )


def test_the_weights_kept_are_those_of_the_least_validation_loss() -> None:
    """Training goes on past the best epoch until patience runs out; the network then is that epoch's, not the last."""
    series = [history(n=400)]
    asked = recipe(epochs=30, rate=0.05, patience=3)
    prepared = prepare(series, asked)
    lesson = Reconstruction(prepared.windows, 2, CPU)
    model = build("masked-autoencoder", asked.network.config(1, 1800), 0)
    progress = fit(model, lesson, asked.training, 0)
    losses = [e.validation_loss for e in progress.epochs]
    assert progress.ended == "patience"
    assert len(losses) == progress.best + 3
    assert losses[progress.best - 1] == min(losses)
    with torch.no_grad():
        assert lesson.measure(model, "validation")[0] == min(losses)


def test_the_mean_of_the_weights_is_kept() -> None:
    """With `average` what a training ends with is the running mean over its steps, by hand here."""
    asked = recipe(epochs=1, average=0.5)
    lesson = Reconstruction(prepare([history(n=400)], asked).windows, 2, CPU)
    model = build("masked-autoencoder", asked.network.config(1, 1800), 0)
    mean = {name: value.clone() for name, value in model.state_dict().items()}

    def follow(done: int, total: int, note: str) -> None:
        past = min(0.5, done / (9 + done))
        for name, value in model.state_dict().items():
            mean[name] = past * mean[name] + (1 - past) * value

    fit(model, lesson, asked.training, 0, say=follow)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, mean[name])


def test_a_loss_that_is_gone_ends_the_training() -> None:
    """NaN in the loss: the training ends as diverged and the last good weights stay."""

    class Broken(Reconstruction):
        def loss(self, model: nn.Module, rows: np.ndarray) -> tuple[torch.Tensor, float | None]:
            loss, none = super().loss(model, rows)
            return loss * float("nan"), none

    asked = recipe()
    model = build("masked-autoencoder", asked.network.config(1, 1800), 0)
    progress = fit(model, Broken(prepare([history()], asked).windows, 2, CPU), asked.training, 0)
    assert progress.ended == "diverged"
    assert progress.best == 0


def test_a_training_that_never_had_a_loss_is_one_clear_line() -> None:
    """A rate far too great: the recipe and its rate are named; there is no bundle of weights that are no numbers."""
    with pytest.raises(TrainingError, match=r"the loss is no number from the first epoch on; training.rate is 1e\+30"):
        train_scorer([history()], recipe(rate=1e30), 0, CPU)


def test_a_checkpoint_of_another_training_or_damaged_is_refused(tmp_path: Path) -> None:
    """The message names the file and what differs; nothing is trained over it."""
    path = tmp_path / "c"
    train_scorer([history()], recipe(), 0, CPU, path)
    with pytest.raises(CheckpointError, match=r"c: is of another training, which differs in seed;"):
        train_scorer([history()], recipe(), 1, CPU, path)
    with pytest.raises(CheckpointError, match="differs in recipe, readings;"):
        train_scorer([history("b")], recipe(rate=0.03), 0, CPU, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged"):
        train_scorer([history()], recipe(), 0, CPU, path)


def test_a_full_disk_leaves_the_checkpoint_before_whole(tmp_path: Path) -> None:
    """What cannot be written is said with its path, and the earlier content is still there."""
    path = tmp_path / "c"
    write_checkpoint(path, {"epoch": 1}, {"w": np.arange(3)})
    (tmp_path / "c.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space") as caught:
        write_checkpoint(path, {"epoch": 2}, {"w": np.arange(3)})
    assert "c" in str(caught.value.filename)
    found = read_checkpoint(path)
    assert found is not None
    assert found[0] == {"epoch": 1}


def test_schedules() -> None:
    """The rate rises over the warm-up, and falls as the schedule says."""
    cosine = TrainingRecipe(rate=1.0, schedule="cosine", warm_up=0.1)
    rates = [rate_at(cosine, step, 100) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.02
    step = TrainingRecipe(rate=1.0, schedule="step")
    assert [rate_at(step, at, 40) for at in (0, 28, 29)] == [1.0, 1.0, 0.3]
    assert rate_at(TrainingRecipe(rate=0.5), 7, 10) == 0.5


def test_a_trained_scorer_is_a_bundle_that_scores() -> None:
    """Its manifest fits the readings, it scores corrupted windows higher than clean ones, and it is reproducible."""
    series = [history("a", gaps=True), history("b")]
    trained = train_scorer(series, recipe(epochs=12), 0, CPU)
    manifest = trained.bundle.manifest
    assert (manifest.window, manifest.width, manifest.interval_s, manifest.windows) == (16, 1, 1800, manifest.windows)
    prepared = prepare(series, recipe())
    assert manifest.trained_to == (prepared.parts.train[1] - 1) * 1800
    assert trained.detection["all"] > 0.6
    assert set(trained.detection) == {"all", *KINDS}
    windows = prepared.windows["test"]
    scores = Scorer(trained.bundle).score(windows.x, windows.observed, windows.calendar)
    assert np.allclose(scores.newest.mean(-1) + scores.rms, trained.errors["test"])
    assert train_scorer(series, recipe(epochs=12), 0, CPU).bundle == trained.bundle


# -- labelled windows --------------------------------------------------------------------------------------------------


def test_examples_are_balanced_and_clean_ones_avoid_labels() -> None:
    """Half have an anomaly up to the newest reading, all kinds in turn, and no window touches a labelled stretch."""
    series = [history(name) for name in "abc"]
    labelled = [[(200 * 1800.0, 260 * 1800.0)], [], []]
    asked = ExampleRecipe(windows=32, lengths=(5, 20), inputs="value")
    made, without = examples(series, labelled, asked, 40)
    assert without == []
    assert made.label.mean() == 0.5
    assert set(made.kind.tolist()) == {"", *KINDS}
    assert {len(made.rows(made.kind == kind).label) for kind in KINDS} == {6}
    deviation = np.std(np.delete(series[0].values[:, 0], np.arange(200, 261)))
    clean = made.rows((made.series == 0) & (made.label == 0)).x[..., 0] * deviation
    strides = np.lib.stride_tricks.sliding_window_view(series[0].values[:, 0], 40)
    for window in clean:
        start = int(np.argmin(np.abs(strides - window).sum(1)))
        assert start + 40 <= 200 or start > 260
    alone, _ = examples(series[1:2], labelled[1:2], asked, 40)
    assert (alone.x == made.rows(made.series == 1).x).all()


def test_no_series_is_in_two_parts() -> None:
    """By the recipe's split and by folds; every series is tested in exactly one fold."""
    series = [history(name) for name in "abcde"]
    tested = []
    for fold in [None, (0, 3), (1, 3), (2, 3)]:
        stuff = material(series, [[]] * 5, classes(), fold)
        sets = [set(e.series.tolist()) for e in stuff.parts.values()]
        assert all(not a & b for i, a in enumerate(sets) for b in sets[i + 1 :])
        tested += sorted(sets[2]) if fold else []
    assert sorted(tested) == [0, 1, 2, 3, 4]
    with pytest.raises(HistoryError, match="two series are named a,"):
        material([history(), history()], [[], []], classes(), None)


def test_series_that_are_nearly_the_same_are_in_one_part() -> None:
    """A copy, a copy upside down in other units, and one moved in time go where the original is, by split and fold."""
    series = [history(name) for name in "abcdefg"]
    copy = series[0]
    copies = [
        replace(copy, series="x"),
        replace(copy, series="y", values=300 - 7 * copy.values),
        replace(copy, series="z", first=copy.first + 5000),
    ]
    for fold in [None, (0, 3), (1, 3), (2, 3)]:
        stuff = material([*series, *copies], [[]] * 10, classes(), fold)
        (part,) = (set(e.series.tolist()) for e in stuff.parts.values() if 0 in e.series)
        assert {0, 7, 8, 9} <= part
        assert set(stuff.moved) <= {"a", "x", "y", "z"}
        alone = material(series, [[]] * 7, classes(), fold)
        assert alone.moved == []
    assert stuff.moved
    with pytest.raises(HistoryError, match="part 2 of 3 has no series of its own"):
        material([series[0], *copies], [[]] * 4, classes(), None)


def test_baselines_learn_from_the_training_part_only() -> None:
    """Logistic regression separates what a statistic separates; the cut of a score is the most accurate one."""
    rng = np.random.default_rng(0)
    columns = rng.standard_normal((300, 4))
    label = columns[:, 2] + 0.1 * rng.standard_normal(300) > 0
    found = simple_classifiers.LogisticRegression(columns[:200], label[:200]).probability(columns[200:])
    assert judge(found, label[200:], 0.5).accuracy > 0.9
    assert simple_classifiers.best_cut(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])) == 2.5
    stuff = material([history(name) for name in "abcd"], [[]] * 4, classes(), None)
    before = baselines(stuff, classes(), 0, trees=True)
    stuff.parts["test"].label[:] = 1 - stuff.parts["test"].label
    after = baselines(stuff, classes(), 0, trees=True)
    assert set(before) == {"z-score rule", "logistic regression", "gradient-boosted trees"}
    assert all((before[name][0] == after[name][0]).all() and before[name][1] == after[name][1] for name in before)


# -- measures ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_measures_agree_with_their_definitions(rows: list[tuple[int, bool]]) -> None:
    """Counts add up, F1 is the harmonic mean, and the ROC curve's area is the one reported."""
    score, label = np.array([float(s) for s, _ in rows]), np.array([x for _, x in rows])
    judged = judge(score, label, 2.5)
    assert sum(judged.counts) == len(rows)
    assert judged.accuracy == pytest.approx(np.mean((score > 2.5) == label))
    if judged.precision + judged.recall:
        assert judged.f1 == pytest.approx(2 * judged.precision * judged.recall / (judged.precision + judged.recall))
    if label.any() and not label.all():
        c = curves(score, label)
        assert np.trapezoid(c.recall, c.false_positive_rate) == pytest.approx(judged.auc)


def test_alarms_meet_labelled_windows() -> None:
    """One window is found after two slots, one is missed, and an episode elsewhere is false."""
    series = history(n=300)
    windows = cut([series], [scale_of(series)], [(100, 300)], 16, False)
    errors = np.zeros(len(windows.x))
    slots = windows.slot.tolist()
    for slot in (152, 153, 220):
        errors[slots.index(slot)] = 1.0
    spans = [(150 * 1800.0, 160 * 1800.0), (250 * 1800.0, 260 * 1800.0)]
    alarms = meet([series], windows, errors, 0.5, [spans])
    assert (alarms.windows, alarms.found, alarms.false_episodes, alarms.median_delay_slots) == (2, 1, 1, 2.0)
    assert alarms.event_recall == 0.5
    assert alarms.judgement.counts.true_positive == 2
    assert 0 < alarms.vus_pr < 1
    # 184 slots of half an hour are 0.1 months, so no false episode is within the budget
    assert alarms.found_in_budget == 0
    errors[slots.index(153)] = 2.0
    assert meet([series], windows, errors, 0.5, [spans]).found_in_budget == 1


def test_known_anomalies_do_not_raise_the_threshold() -> None:
    """Windows that reach into a labelled one do not count; where nothing else is left, all do."""
    series = history(n=300)
    windows = cut([series], [scale_of(series)], [(100, 300)], 16, False)
    slots = windows.slot
    span = (150 * 1800.0, 160 * 1800.0)
    errors = np.where((slots >= 150) & (slots <= 175), 9.0, 0.5)
    assert static_threshold([series], windows, errors, [[span]], 16) == 0.5
    assert static_threshold([series], windows, errors, [[(150 * 1800.0, 159 * 1800.0)]], 16) > 0.5
    assert static_threshold([series], windows, errors, [[(0.0, 300 * 1800.0)]], 16) == 9.0


def test_a_network_of_a_recipe_has_its_shapes() -> None:
    """Options of the YAML reach the network."""
    config = classes().network.config(5, 1800)
    assert isinstance(config, NetworkConfig)
    assert dict(config.options)["pooling"] == "last"


def test_a_classifier_has_a_bundle_for_each_interval() -> None:
    """The same weights in each; the window holds seven days of slots beside the readings that are classified."""
    series = [history(name) for name in "abc"]
    series.append(replace(history("d"), interval_s=3600))
    stuff = material(series, [[]] * 4, classes(), None)
    made = bundles(train_classifier(stuff, series, classes(), 5, CPU), stuff, classes(), 5, "s")
    assert [(b.manifest.interval_s, b.manifest.window) for b in made] == [(1800, 336 + 40), (3600, 168 + 40)]
    assert all((made[0].weights[name] == weight).all() for name, weight in made[1].weights.items())
    for bundle in made:
        shape = (3, bundle.manifest.window)
        scores = Scorer(bundle).score(np.ones((*shape, 1), np.float32), np.ones(shape, bool), np.zeros((3, 4), "f4"))
        assert (scores.rms > 0).all()


def test_a_classifier_of_values_must_be_servable() -> None:
    """A stream's values are in units of its range, the examples' in deviations: the network has to scale both."""
    values = classes().model_dump()
    values["examples"]["inputs"] = "value"
    with pytest.raises(ValueError, match="set scaled: true"):
        Recipe.model_validate(values)
    values["network"]["options"]["scaled"] = True
    assert Recipe.model_validate(values).classifier(60).window == 40
