"""Offline trainings: variants one after the other or side by side, each with a bundle, and one report of all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.config.units import format_duration
from daemon.offline.recipes import to_yaml
from daemon.presentation.console import progress
from daemon.presentation.console import say as console_say
from models.atomic_file import write_atomically
from models.offline.history import History
from models.offline.recipe import Recipe

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.report.training_report import Classified, ScoredTraining, Variant

Labelled = Sequence[Sequence[tuple[float, float]]]
SHOWN_SERIES = 3  # whose errors a report of one variant shows
CHECKPOINT, BUNDLE, RECIPE = "checkpoint.tga", "bundle.safetensors", "recipe.yaml"


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        recipe: What is trained.
        seed: Of the weights, the order of the windows and dropout.
        fold: `(number, of)` for `classify` by folds; None: the recipe's own split.
        name: In tables.
        directory: Where checkpoint, bundle and recipe go.
        device: `auto`, `cpu` or `cuda`.
        stream: What the bundle's manifest names as its stream.
    """

    recipe: Recipe
    seed: int
    fold: tuple[int, int] | None
    name: str
    directory: Path
    device: str
    stream: str


@dataclass
class Result:
    """What a job came to: a row, and what the figures show."""

    variant: Variant
    decisions: list[Classified] = field(default_factory=list)
    scored: list[ScoredTraining] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(recipes: Sequence[Recipe], seeds: Sequence[int], folds: int, out: Path, device: str, stream: str) -> list[Job]:
    """All trainings of a command, in order."""
    jobs = []
    for recipe in recipes:
        for seed in seeds:
            for fold in [(n, folds) for n in range(folds)] if folds else [None]:
                name = recipe.name + (f" seed {seed}" if len(seeds) > 1 else "")
                name += f" fold {fold[0] + 1}" if fold is not None else ""
                directory = out / name.replace(" ", "-")
                jobs.append(Job(recipe, seed, fold, name, directory, device, stream))
    return jobs


def run(
    jobs: Sequence[Job], histories: Sequence[History], labelled: Labelled, at_once: int, quiet: bool
) -> list[Result]:
    """Run all jobs; each goes on from its checkpoint where there is one.

    Raises:
        HistoryError, CheckpointError, RecipeError: See `models.offline`.
        OSError: Something could not be written; checkpoints written before are whole.
    """
    if at_once == 1 or len(jobs) == 1:
        return [_one(job, histories, labelled, quiet, False) for job in jobs]
    with ProcessPoolExecutor(min(at_once, len(jobs)), get_context("spawn")) as pool:
        begun = [pool.submit(_one, job, histories, labelled, quiet, True) for job in jobs]
        try:
            return [each.result() for each in begun]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one(job: Job, histories: Sequence[History], labelled: Labelled, quiet: bool, plain: bool) -> Result:
    job.directory.mkdir(parents=True, exist_ok=True)
    began, resumed = time.monotonic(), (job.directory / CHECKPOINT).exists()
    if not resumed:  # a checkpoint of another recipe is refused further on and keeps its own
        write_atomically(job.directory / RECIPE, [to_yaml(job.recipe).encode()])
    work = _scorer if job.recipe.task == "reconstruct" else _classifier
    with progress(job.name, quiet, plain) as say:
        return work(job, histories, labelled, say, lambda: None if resumed else time.monotonic() - began)


Seconds = Callable[[], float | None]


def _scorer(job: Job, histories: Sequence[History], labelled: Labelled, say: Any, seconds: Seconds) -> Result:
    from models.offline.alarms import meet, static_threshold
    from models.offline.devices import choose
    from models.offline.scorers import prepare, train_scorer
    from models.report.training_report import Variant, alarm_figures

    device = choose(job.device)
    trained = train_scorer(histories, job.recipe, job.seed, device, job.directory / CHECKPOINT, job.stream, say)
    took = seconds()
    sha256 = _write_both(job.directory / BUNDLE, trained.bundle)
    windows = prepare(histories, job.recipe).windows
    size = job.recipe.network.window
    threshold = static_threshold(histories, windows["validation"], trained.errors["validation"], labelled, size)
    figures: dict[str, Any] = {"injected AUC": trained.detection["all"]}
    if any(labelled):
        alarms = meet(histories, windows["test"], trained.errors["test"], threshold, labelled)
        figures |= alarm_figures(alarms)
    else:
        figures["test alarms"] = int((trained.errors["test"] > threshold).sum())
    parameters = sum(w.size for w in trained.bundle.weights.values())
    data = {
        "threshold": threshold,
        "injected_auc": trained.detection,
        "bundle_sha256": sha256,
        "seed": job.seed,
        "recipe": job.recipe.name,
    }
    variant = Variant(
        job.name,
        parameters,
        took,
        trained.progress,
        {str(part): loss for part, loss in trained.losses.items()},
        figures,
        data,
        job.recipe.name,
    )
    scored, decisions = _pictures(job, histories, labelled, windows, trained.errors, threshold)
    return Result(variant, decisions, scored)


def _write_both(path: Path, bundle: Bundle) -> str:
    """Write the bundle, and beside it the `.pt` file for others; SHA-256 of the first."""
    from models.bundle_file import write_bundle

    write_bundle(path.with_suffix(".pt"), bundle)
    return write_bundle(path, bundle)


def _pictures(
    job: Job, histories: Sequence[History], labelled: Labelled, windows: Any, errors: Any, threshold: float
) -> tuple[list[ScoredTraining], list[Classified]]:
    """The first series' readings and errors, and the test part's decisions where it has labels."""
    import numpy as np

    from models.offline.alarms import label_of
    from models.report.training_report import Classified, ScoredTraining

    scored = []
    truth = np.zeros(len(errors["test"]), np.bool_)
    for index, (history, spans) in enumerate(zip(histories, labelled, strict=True)):
        rows = {part: np.flatnonzero(w.series == index) for part, w in windows.items()}
        truth[rows["test"]] = label_of(history, windows["test"].slot[rows["test"]], spans)
        if index < SHOWN_SERIES:
            at = {part: history.at[windows[part].slot[r]] for part, r in rows.items()}
            error = {part: errors[part][r] for part, r in rows.items()}
            name = history.series if len(histories) > 1 else job.name
            scored.append(ScoredTraining(name, history.at, history.values[:, 0], at, error, threshold, list(spans)))
    return scored, [Classified(job.name, errors["test"], truth, threshold)]


def _classifier(job: Job, histories: Sequence[History], labelled: Labelled, say: Any, seconds: Seconds) -> Result:
    from models.injection import GENERATOR
    from models.offline.classifiers import bundles, material, train_classifier
    from models.offline.devices import choose
    from models.offline.measures import judge
    from models.report.training_report import Classified, Variant, class_figures

    stuff = material(histories, labelled, job.recipe, job.fold)
    if stuff.moved:
        note = f"nearly the same as series of another part, so moved there: {', '.join(stuff.moved)}"
        console_say(f"tidegauge: {job.name}: {note}", err=True)
    found = train_classifier(
        stuff, histories, job.recipe, job.seed, choose(job.device), job.directory / CHECKPOINT, say
    )
    written = {}
    for bundle in bundles(found, stuff, job.recipe, job.seed, job.stream):
        path = job.directory / f"bundle-{format_duration(bundle.manifest.interval_s)}.safetensors"
        written[path.name] = _write_both(path, bundle)
    test = stuff.parts["test"]
    score, label = found.probability["test"], test.label > 0
    right = (score > 0.5) == label
    by_kind = {kind or "normal": float(right[test.kind == kind].mean()) for kind in sorted(set(test.kind.tolist()))}
    series = {part: sorted({stuff.names[i] for i in e.series}) for part, e in stuff.parts.items()}
    data = {
        "generator": GENERATOR,
        "windows": {part: len(e.label) for part, e in stuff.parts.items()},
        "series": series,
        "moved": stuff.moved,
        "share_right_by_kind": by_kind,
        "bundles_sha256": written,
        "seed": job.seed,
        "recipe": job.recipe.name,
    }
    variant = Variant(
        job.name, found.parameters, seconds(), found.progress, {str(part): loss for part, loss in found.losses.items()},
        class_figures(judge(score, label, 0.5)), data, job.recipe.name,
    )  # fmt: skip
    return Result(variant, [Classified(job.name, score, label, 0.5)])
