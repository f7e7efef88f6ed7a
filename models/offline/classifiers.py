"""Training a classifier of windows offline: labelled examples in, weights and the classes of held-out series out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from models.architectures import build
from models.bundle import Bundle
from models.offline import simple_classifiers
from models.offline.boosted_trees import BoostedTrees, tree_columns
from models.offline.epochs import Part, Progress, Say, check_learned, fit
from models.offline.examples import examples, fresh_examples
from models.offline.history import History, HistoryError, digest
from models.offline.lessons import Classification, Examples, Fresh
from models.offline.likeness import families, together
from models.offline.manifests import Taught, manifest
from models.offline.recipe import Recipe
from models.offline.splits import fold_series, split_series
from models.scorer import one_thread

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PASSES = 3  # whose windows the baselines see, where each pass has its own
_AT_ONCE = 512  # windows described at once, for memory
Labelled = Sequence[Sequence[tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class Material:
    """Labelled windows by part.

    Attributes:
        parts: Of training, validation and test; no series is in two.
        learned: The series of the training part.
        labelled: Of each of these, stretches that are left out.
        names: Of all series; `Examples.series` are indices into them.
        intervals: Seconds between two slots, of all series, each once, the shortest first.
        without: Series that have no clean stretch.
        moved: Series that are in another part than was drawn, because most of those nearly the same are there.
    """

    parts: Mapping[Part, Examples]
    learned: list[History]
    labelled: Labelled
    names: list[str]
    intervals: list[int]
    without: list[str]
    moved: list[str]


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
    """Labelled windows, split by series; those that are nearly the same are in one part.

    Args:
        histories: The series.
        labelled: Of each, stretches that are left out, first and last instant in epoch seconds.
        recipe: How they are made and split.
        fold: `(number, of)`: this fold tests and the next one validates; None: the recipe's split.

    Raises:
        HistoryError: There are too few series, or two of one name, or a part has none that is unlike all others.
    """
    names = [h.series for h in histories]
    if len(set(names)) != len(names):
        name = max(names, key=names.count)
        raise HistoryError(f"two series are named {name}, so they cannot be kept apart; rename a file")
    made, without = examples(histories, labelled, recipe.examples, recipe.network.window)
    present = sorted(set(made.series.tolist()))
    drawable = [names[i] for i in present]
    family = families([histories[i] for i in present])
    number, of = fold or (0, 0)
    drawn = (
        fold_series(drawable, of, recipe.split_seed) if of else split_series(drawable, recipe.split, recipe.split_seed)
    )
    part = together(drawn, family)
    moved = [name for name, was, now in zip(drawable, drawn, part, strict=True) if was != now]
    if of:
        part = np.where(part == number, 2, np.where(part == (number + 1) % of, 1, 0))
    part_of = np.zeros(len(names), np.int64)
    part_of[present] = part
    parts = {name: made.rows(part_of[made.series] == i) for i, name in enumerate(PARTS)}
    learned = sorted(set(parts["train"].series.tolist()))
    intervals = sorted({h.interval_s for h in histories})
    return Material(
        parts, [histories[i] for i in learned], [labelled[i] for i in learned], names, intervals, without, moved
    )


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


class _Described(NamedTuple):
    """Windows as the baselines see them: greatest z-score (M,), columns (M, C), whether they are anomalous (M,)."""

    z: npt.NDArray[np.float64]
    columns: npt.NDArray[np.float32]
    label: npt.NDArray[np.bool_]


def baselines(
    stuff: Material, recipe: Recipe, seed: int, *, trees: bool = False
) -> dict[str, tuple[npt.NDArray[np.float64], float]]:
    """Score and threshold of the baselines on the test part, all learned from what a network is shown.

    Args:
        stuff: Windows by part.
        recipe: Whose network they stand beside; where each pass has windows of its own, they see those of a few.
        seed: Of what is random.
        trees: Whether gradient-boosted trees are trained, which takes minutes and needs scikit-learn.
    """
    shown, test = _shown(stuff, recipe, seed), _described(stuff.parts["test"])
    count = 16 * stuff.parts["test"].x.shape[-1]  # of the columns, the statistics of whole windows
    regression = simple_classifiers.LogisticRegression(shown.columns[:, :count].astype(np.float64), shown.label)
    found = {
        "z-score rule": (test.z, simple_classifiers.best_cut(shown.z, shown.label)),
        "logistic regression": (regression.probability(test.columns[:, :count].astype(np.float64)), 0.5),
    }
    if trees:
        chosen = _described(stuff.parts["validation"])
        forest = BoostedTrees(shown.columns, shown.label, chosen.columns, chosen.label, seed)
        found["gradient-boosted trees"] = (forest.probability(test.columns), 0.5)
    return found


def _shown(stuff: Material, recipe: Recipe, seed: int) -> _Described:
    """What a network is shown in its first passes; of each pass only the columns are kept."""
    fresh, rng = _fresh(stuff, recipe), np.random.default_rng([seed, recipe.examples.seed])
    if fresh is None:
        return _described(stuff.parts["train"])
    passes = [_described(fresh.draw(fresh.windows, rng)) for _ in range(min(PASSES, recipe.training.epochs))]
    return _Described(*(np.concatenate(column) for column in zip(*passes, strict=True)))


def _described(e: Examples) -> _Described:
    pieces = [slice(at, at + _AT_ONCE) for at in range(0, len(e.x), _AT_ONCE)]
    columns = np.concatenate([tree_columns(e.x[piece]) for piece in pieces])
    return _Described(simple_classifiers.z_score(e.x[..., :1]), columns, e.label > 0)
