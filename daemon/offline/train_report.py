"""The report of a `train` command: its words, and the baselines beside a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from daemon.offline.trainings import Job, Result
from daemon.presentation.words import plural, tally
from models.offline.history import History
from models.offline.likeness import ALIKE
from models.offline.recipe import Recipe
from models.report.figures import Report, ReportSection, Table
from models.report.training_report import Classified, Variant, class_figures, report

MOST_DECISIONS = 12  # variants whose matrices and curves one page shows
MOST_COLUMNS = 5  # of means side by side, as many as a page's width holds
MOST_DEPTH = 3  # of layers within layers, a Transformer's attention is one
MOST_SCORED = 6  # variants whose errors one page shows


def of_training(
    jobs: Sequence[Job],
    results: Sequence[Result],
    histories: Sequence[History],
    labelled: Sequence[Sequence[Any]],
    rejected: Mapping[str, int],
    *,
    trees: bool = False,
) -> Report:
    """The report of all jobs of one command, which share task and readings.

    Args:
        jobs: What was trained.
        results: What each came to.
        histories: The readings.
        labelled: Of each, labelled windows.
        rejected: Lines that were no readings, by reason.
        trees: Whether classifiers stand beside gradient-boosted trees.
    """
    recipe = jobs[0].recipe
    readings, slots = sum(int(h.observed.sum()) for h in histories), sum(len(h) for h in histories)
    first = (
        f"{plural(len(jobs), 'training')} on {readings:,} readings of {plural(len(histories), 'series')}; "
        f"{100 * (1 - readings / slots):.1f} % of the slots have none. Rejected lines: {tally(rejected)}."
    )
    how, extra = (_of_scorers if recipe.task == "reconstruct" else _of_classifiers)(recipe, results)
    summary = [first, how]
    variants = [r.variant for r in results]
    shown = _first_of_each(jobs, results)
    lead = [ReportSection("Over seeds and folds", _spread(jobs, variants))] if len(shown) < len(jobs) else []
    decisions = [d for r in shown for d in r.decisions]
    if recipe.task == "classify":
        rows, more = _baselines(jobs, histories, labelled, trees)
        variants, decisions = [*variants, *rows], [*decisions, *more]
    names = ", ".join(dict.fromkeys(j.recipe.name for j in jobs))
    if lead:
        summary.append("Curves of decisions and errors are those of each variant's first training.")
    scored = [s for r in shown[:MOST_SCORED] for s in r.scored]
    made = report(f"Training: {names}", summary, variants, decisions[:MOST_DECISIONS], scored, extra, lead)
    return replace(made, sections=[*made.sections, ReportSection("Layers", _layers(jobs, histories), _LAYERS)])


def figures_of(job: Job, result: Result) -> dict[str, Any]:
    """What a training came to, as a row of figures."""
    of = {"recipe": job.recipe.name, "seed": job.seed, "fold": None if job.fold is None else job.fold[0]}
    made = result.variant
    single = {name: value for name, value in made.data.items() if isinstance(value, (int, float, str, dict))}
    return of | {"parameters": made.parameters, "seconds": made.seconds, "loss": made.losses} | single


def _of_scorers(recipe: Recipe, results: Sequence[Result]) -> tuple[str, list[ReportSection]]:
    """How the readings were parted, and what is said of scorers alone."""
    shares = ", ".join(f"{100 * s / sum(recipe.split):.0f} %" for s in recipe.split)
    how = (
        f"Training, validation and test are {shares} of the time, in this order, with one window "
        "between them left out. The error of a reading is that of the window it ends."
    )
    return how, [ReportSection("Injected anomalies", [_by_kind(results, "injected_auc")], _INJECTED)]


def _of_classifiers(recipe: Recipe, results: Sequence[Result]) -> tuple[str, list[ReportSection]]:
    """How the windows were made and parted, and what is said of classifiers alone."""
    e = recipe.examples
    how = (
        f"Half of the windows of {recipe.network.window} readings have one anomaly injected that reaches the "
        f"newest reading, {e.strengths[0]:g} to {e.strengths[1]:g} spreads strong ({e.spread}), generator "
        f"{results[0].variant.data['generator']}, seed {e.seed}. Training, validation and test share no series, nor "
        f"two that are nearly the same (correlation above {ALIKE}); {_moved(results)}."
    )
    return how, [
        ReportSection("Right decisions by kind of anomaly", [_by_kind(results, "share_right_by_kind")]),
        ReportSection("Series of each part", [_series(results)]),
    ]


def _moved(results: Sequence[Result]) -> str:
    """Which series are in another part than was drawn, in any of the trainings."""
    moved = sorted({name for r in results for name in r.variant.data["moved"]})
    return f"for that {', '.join(moved)} went to another part" if moved else "none had to go to another part for that"


def _first_of_each(jobs: Sequence[Job], results: Sequence[Result]) -> list[Result]:
    """Of each variant the result of its first seed and fold."""
    first: dict[str, Result] = {}
    for job, result in zip(jobs, results, strict=True):
        first.setdefault(job.recipe.name, result)
    return list(first.values())


_INJECTED = (
    "Area under the ROC curve of the error over test windows as they are against the same windows with an anomaly of "
    "3 spreads near the newest reading; 0.5 says nothing."
)


_LAYERS = (
    "Parameters are those of all copies, and include those of what is inside; the command models show lists every "
    "layer and draws the graph."
)


def _layers(jobs: Sequence[Job], histories: Sequence[History]) -> list[Table]:
    """What each variant's network consists of, down to whole layers of a Transformer."""
    from daemon.offline.recipes import network_of
    from models.layer_table import shown

    tables = []
    for recipe in {job.recipe.name: job.recipe for job in jobs}.values():
        found = shown(recipe.network.architecture, network_of(recipe, histories))
        rows = [
            [
                "\u2003" * layer.depth + layer.name,
                layer.kind,
                " × ".join(map(str, layer.output)),
                layer.parameters or "",
            ]
            for layer in found.layers
            if layer.depth <= MOST_DEPTH
        ]
        tables.append(Table(recipe.name, ("layer", "kind", "output of a window", "parameters"), rows, words=2))
    return tables


def _by_kind(results: Sequence[Result], key: str) -> Table:
    kinds = list(dict.fromkeys(kind for r in results for kind in r.variant.data[key]))
    kinds.sort(key=lambda kind: (kind not in ("all", "normal"), kind))
    groups: dict[str, list[Result]] = {}
    for r in results:
        groups.setdefault(r.variant.group, []).append(r)
    rows = [
        [name, *(_known_mean([r.variant.data[key].get(kind) for r in own]) for kind in kinds)]
        for name, own in groups.items()
    ]
    return Table("", ("variant", *(kind.replace("_", " ") for kind in kinds)), rows)


def _known_mean(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else None


def _series(results: Sequence[Result]) -> Table:
    rows = [
        [r.variant.name, part, ", ".join(names), r.variant.data["windows"][part]]
        for r in results
        for part, names in r.variant.data["series"].items()
    ]
    distinct = list({tuple(row[1:]): row for row in rows}.values())
    return Table("", ("variant", "part", "series", "windows"), distinct, words=3)


def _spread(jobs: Sequence[Job], variants: Sequence[Variant]) -> list[Table]:
    """Mean and standard deviation of each variant's losses, and of its other figures, over its seeds and folds."""
    groups = {
        name: [v for j, v in zip(jobs, variants, strict=True) if j.recipe.name == name]
        for name in dict.fromkeys(j.recipe.name for j in jobs)
    }
    parts = ("train", "validation", "test")
    losses = [
        [name, own[0].parameters, len(own), *(_mean([v.losses[part] for v in own]) for part in parts)]
        for name, own in groups.items()
    ]
    columns = list(dict.fromkeys(key for v in variants for key in v.figures))
    head = ("variant", "parameters", "trainings", *(f"{part} loss" for part in parts))
    tables = [Table("", head, losses, "Mean ± standard deviation.")]
    for start in range(0, len(columns), MOST_COLUMNS):
        some = columns[start : start + MOST_COLUMNS]
        rows = [[name, *(_figure([v.figures.get(c) for v in own]) for c in some)] for name, own in groups.items()]
        tables.append(Table("", ("variant", *some), rows))
    return tables


def _figure(values: Sequence[Any]) -> str:
    """A figure over trainings: mean and deviation of numbers, all values of words."""
    if all(isinstance(value, (int, float)) for value in values):
        return _mean(values)
    texts = ["-" if value is None else str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else " ".join(texts)


def _mean(values: Sequence[float]) -> str:
    """Two digits of the deviation, and the mean to the same place."""
    if not np.isfinite(values).all():
        return "-"
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    if not deviation:
        return f"{np.mean(values):.4g}"
    digits = max(0, 1 - int(np.floor(np.log10(deviation))))
    return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def _baselines(
    jobs: Sequence[Job], histories: Sequence[History], labelled: Sequence[Sequence[Any]], trees: bool
) -> tuple[list[Variant], list[Classified]]:
    """Rows of the z-score rule, of logistic regression and of trees, for each distinct material."""
    from models.offline.classifiers import baselines, material
    from models.offline.epochs import Progress
    from models.offline.measures import judge

    variants, decisions = [], []
    distinct = {
        (j.recipe.examples, j.recipe.split, j.recipe.split_seed, j.recipe.network.window, j.fold): j for j in jobs
    }
    for job in distinct.values():
        stuff = material(histories, labelled, job.recipe, job.fold)
        label = stuff.parts["test"].label > 0
        for name, (score, threshold) in baselines(stuff, job.recipe, job.seed, trees=trees).items():
            full = f"{name} ({job.recipe.examples.inputs})" + (f" fold {job.fold[0] + 1}" if job.fold else "")
            variants.append(Variant(full, 0, None, Progress(), {}, class_figures(judge(score, label, threshold))))
            decisions.append(Classified(full, score, label, threshold))
    return variants, decisions
