"""Training a stream's scorer offline: windows in, a bundle and the errors of every part out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.architectures import build
from models.bundle import Bundle
from models.gate_windows import GateSample, injected, separation
from models.injection import KINDS
from models.offline.epochs import Part, Progress, Say, check_learned, fit
from models.offline.history import History, HistoryError, digest
from models.offline.lessons import Reconstruction
from models.offline.manifests import Taught, manifest
from models.offline.recipe import Recipe
from models.offline.splits import SplitParts, split_time
from models.offline.windows import GREATEST, LOWEST, Scale, Windows, cut, ranges_of, scale_of, span_of
from models.scorer import Scorer, one_thread

PARTS: tuple[Part, ...] = ("train", "validation", "test")
INJECTED = 128  # test windows that anomalies are injected into
_WEEKS_S = 14 * 86400


@dataclass(frozen=True, eq=False)
class PreparedWindows:
    """What a scorer learns from.

    Attributes:
        parts: The cut in time, slots counted from the epoch.
        scales: Of each series, from its training part.
        windows: Of each part.
        weekly: Whether the calendar has the time of week: the training part is two weeks long or more.
    """

    parts: SplitParts
    scales: list[Scale]
    windows: Mapping[Part, Windows]
    weekly: bool


@dataclass
class Trained:
    """A trained scorer.

    Attributes:
        bundle: What a daemon serves.
        progress: How the training went.
        losses: The network's own loss over each part, mean over windows.
        errors: Error of each window of each part, newest plus root mean squared, shape (M,).
        detection: Area under the ROC curve of that error on injected anomalies, `all` and by kind.
    """

    bundle: Bundle
    progress: Progress
    losses: dict[Part, float] = field(default_factory=dict)
    errors: dict[Part, npt.NDArray[np.float64]] = field(default_factory=dict)
    detection: dict[str, float] = field(default_factory=dict)


def prepare(histories: Sequence[History], recipe: Recipe) -> PreparedWindows:
    """Cut the readings in time order into parts of windows.

    Raises:
        HistoryError: The series differ in interval or width, or a part has no window.
    """
    one = histories[0]
    for other in histories:
        if (other.interval_s, other.values.shape[1]) != (one.interval_s, one.values.shape[1]):
            raise HistoryError(
                f"{other.series} has {other.values.shape[1]} variables every {other.interval_s} s, {one.series} "
                f"{one.values.shape[1]} every {one.interval_s} s; a scorer's series have one interval and one width, "
                "so train on each kind by itself, or on the columns that they share"
            )
    first, last = span_of(histories)
    window = recipe.network.window
    parts = split_time(first, last, recipe.split, window)
    learned = [(h, ranges_of([h], parts.train)[0]) for h in histories]
    scales = [scale_of(h.part(max(0, a), max(0, b))) for h, (a, b) in learned]
    weekly = (parts.train[1] - parts.train[0]) * histories[0].interval_s >= _WEEKS_S
    windows: dict[Part, Windows] = {}
    for name in PARTS:
        windows[name] = cut(histories, scales, ranges_of(histories, getattr(parts, name)), window, weekly)
        if not len(windows[name].x):
            raise HistoryError(f"{name} has no window of {window} slots of which half has readings")
    return PreparedWindows(parts, scales, windows, weekly)


def train_scorer(
    histories: Sequence[History],
    recipe: Recipe,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    stream: str = "offline",
    say: Say = lambda done, total, note: None,
) -> Trained:
    """Train a scorer and measure it on every part; the test part plays no part in the training.

    Raises:
        HistoryError: See `prepare`.
        CheckpointError, OSError: See `fit`.
        TrainingError: It diverged at once.
        ValueError: The recipe's network cannot be built for these readings.
    """
    one_thread()
    prepared = prepare(histories, recipe)
    config = recipe.network.config(histories[0].values.shape[1], histories[0].interval_s)
    model = build(recipe.network.architecture, config, seed).to(device)
    lesson = Reconstruction(prepared.windows, config.copies, device)
    fingerprint = recipe.fingerprint(seed, digest(histories), device.type)
    progress = fit(model, lesson, recipe.training, seed, checkpoint, fingerprint, say)
    check_learned(progress, recipe.name, recipe.training)
    with torch.no_grad():
        losses = {name: lesson.measure(model, name)[0] for name in PARTS}
    weights = {name: p.detach().cpu().numpy().copy() for name, p in model.named_parameters()}
    taught = _taught(histories, prepared, config.window, losses["train"])
    made = manifest(recipe.network.architecture, config, stream, seed, taught)
    trained = Trained(Bundle(made, weights, {}), progress, losses)
    scorer = Scorer(trained.bundle)
    trained.errors = {name: errors(scorer, prepared.windows[name]) for name in PARTS}
    trained.detection = detection(scorer, histories, prepared)
    return trained


def errors(scorer: Scorer, windows: Windows) -> npt.NDArray[np.float64]:
    """Error of each window as the promotion gate takes it: newest plus root mean squared, shape (M,)."""
    scores = scorer.score(windows.x, windows.observed, windows.calendar)
    newest: npt.NDArray[np.float64] = scores.newest.astype(np.float64).mean(-1)
    return newest + scores.rms


def detection(scorer: Scorer, histories: Sequence[History], prepared: PreparedWindows) -> dict[str, float]:
    """How well the error tells test windows with an injected anomaly from those without, see `models.gate`."""
    windows = prepared.windows["test"]
    chosen = np.unique(np.linspace(0, len(windows.x) - 1, INJECTED).astype(np.int64))
    local = [int(histories[s].local_s[t]) for s, t in zip(windows.series[chosen], windows.slot[chosen], strict=True)]
    sample = GateSample(windows.x[chosen], windows.observed[chosen], np.array(local, np.int64), LOWEST, GREATEST, (0,))
    part = windows.rows(chosen)
    clean = errors(scorer, part)
    by_kind: dict[str, float] = {
        kind: separation(clean, errors(scorer, part._replace(x=x)))
        for kind, x in zip(KINDS, injected(sample), strict=True)
    }
    return {"all": float(np.mean(list(by_kind.values()))), **by_kind}


def _taught(histories: Sequence[History], prepared: PreparedWindows, window: int, loss: float) -> Taught:
    windows, interval_s = prepared.windows["train"], histories[0].interval_s
    newest = [histories[s].first + int(t) for s, t in zip(windows.series, windows.slot, strict=True)]
    first, last = (min(newest) - window + 1) * interval_s, max(newest) * interval_s
    return Taught(True, prepared.weekly, first, last, len(windows.x), loss)
