"""Training a classifier of windows offline: labelled examples in, weights and the classes of held-out series out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.architectures import build
from models.bundle import Bundle
from models.offline import simple_classifiers
from models.offline.epochs import Part, Progress, Say, check_learned, fit
from models.offline.examples import examples, fresh_examples
from models.offline.history import History, HistoryError, digest
from models.offline.lessons import Classification, Examples, Fresh
from models.offline.manifests import Taught, manifest
from models.offline.recipe import Recipe
from models.offline.splits import fold_series, split_series
from models.scorer import one_thread

PARTS: tuple[Part, ...] = ("train", "validation", "test")
Labelled = Sequence[Sequence[tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class Material:
    """Labelled windows by part.

    Attributes:
        parts: Of training, validation and test; no series is in two.
        learned: The series of the training part.
        labelled: Of each of these, stretches that are left out.
        labels: Names of all series; `Examples.series` are indices into them.
        intervals: Seconds between two slots, of all series, each once, the shortest first.
        without: Series that have no clean stretch.
    """

    parts: Mapping[Part, Examples]
    learned: list[History]
    labelled: Labelled
    labels: list[str]
    intervals: list[int]
    without: list[str]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained classifier.

    Attributes:
        weights: By name.
        windows: How many windows a pass showed.
        parameters: How many numbers they are.
        progress: How the training went.
        losses: Mean cross-entropy of each part.
        probability: How likely each window of each part is anomalous, shape (M,).
    """

    weights: dict[str, npt.NDArray[np.float32]]
    windows: int
    parameters: int
    progress: Progress
    losses: dict[Part, float]
    probability: dict[Part, npt.NDArray[np.float64]]


def material(
    histories: Sequence[History], labelled: Labelled, recipe: Recipe, fold: tuple[int, int] | None
) -> Material:
    """Labelled windows, split by series.

    Args:
        histories: The series.
        labelled: Of each, stretches that are left out, first and last instant in epoch seconds.
        recipe: How they are made and split.
        fold: `(number, of)`: this fold tests and the next one validates; None: the recipe's split.

    Raises:
        HistoryError: There are too few series, or two of one name.
    """
    labels = [h.series for h in histories]
    if len(set(labels)) != len(labels):
        name = max(labels, key=labels.count)
        raise HistoryError(f"two series are named {name}, so they cannot be kept apart; rename a file")
    made, without = examples(histories, labelled, recipe.examples, recipe.network.window)
    present = sorted(set(made.series.tolist()))
    names = [labels[i] for i in present]
    if fold is None:
        part = split_series(names, recipe.split, recipe.split_seed)
    else:
        number, of = fold
        folds = fold_series(names, of, recipe.split_seed)
        part = np.where(folds == number, 2, np.where(folds == (number + 1) % of, 1, 0))
    part_of = np.zeros(len(labels), np.int64)
    part_of[present] = part
    parts = {name: made.rows(part_of[made.series] == i) for i, name in enumerate(PARTS)}
    learned = sorted(set(parts["train"].series.tolist()))
    intervals = sorted({h.interval_s for h in histories})
    return Material(parts, [histories[i] for i in learned], [labelled[i] for i in learned], labels, intervals, without)


def train_classifier(
    stuff: Material,
    histories: Sequence[History],
    recipe: Recipe,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    say: Say = lambda done, total, note: None,
) -> Classifier:
    """Train a classifier and classify every part; the test part plays no part in the training.

    Raises:
        CheckpointError, OSError: See `fit`.
        TrainingError: It diverged at once.
        ValueError: The recipe's network cannot be built.
    """
    one_thread()
    model = build(recipe.network.architecture, recipe.classifier(histories[0].interval_s), seed).to(device)
    lesson = Classification(stuff.parts, device, _fresh(stuff, recipe))
    split = ",".join(str(len(stuff.parts[name].x)) for name in PARTS)
    fingerprint = recipe.fingerprint(seed, digest(histories) + split, device.type)
    progress = fit(model, lesson, recipe.training, seed, checkpoint, fingerprint, say)
    check_learned(progress, recipe.name, recipe.training)
    probability = {name: lesson.probability(model, name) for name in PARTS}
    return Classifier(
        {name: p.detach().cpu().numpy().copy() for name, p in model.named_parameters()},
        lesson.windows,
        sum(p.numel() for p in model.parameters()),
        progress,
        {name: lesson.judged(probability[name], name)[0] for name in PARTS},
        probability,
    )


def bundles(found: Classifier, stuff: Material, recipe: Recipe, seed: int, stream: str) -> list[Bundle]:
    """What a daemon serves: the same weights for each interval that the series have, the shortest first."""
    ends = [(int(h.at[0]), int(h.at[-1])) for h in stuff.learned]
    first, last = min(at for at, _ in ends), max(at for _, at in ends)
    taught = Taught(False, False, first, last, found.windows, found.losses["train"])
    networks = [recipe.classifier(interval_s) for interval_s in stuff.intervals]
    made = [manifest(recipe.network.architecture, network, stream, seed, taught) for network in networks]
    return [Bundle(each, found.weights, {}) for each in made]


def _fresh(stuff: Material, recipe: Recipe) -> Fresh | None:
    """What draws the windows of each pass, where the recipe asks for it."""
    asked, window = recipe.examples, recipe.network.window
    if asked.fresh == "no":
        return None
    count = len(stuff.learned) * (asked.fresh_windows or asked.windows)
    return Fresh(count, lambda count, rng: fresh_examples(stuff.learned, stuff.labelled, asked, window, count, rng))


def baselines(stuff: Material) -> dict[str, tuple[npt.NDArray[np.float64], float]]:
    """Score and threshold of the baselines on the test part, both learned from the training part."""
    train, test = stuff.parts["train"], stuff.parts["test"]
    label = train.label > 0
    cut = simple_classifiers.best_cut(simple_classifiers.z_score(train.x[..., :1]), label)
    regression = simple_classifiers.LogisticRegression(simple_classifiers.statistics(train.x), label)
    return {
        "z-score rule": (simple_classifiers.z_score(test.x[..., :1]), cut),
        "logistic regression": (regression.probability(simple_classifiers.statistics(test.x)), 0.5),
    }
