"""The report of a `train` command: its words, and the baselines beside a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from daemon.offline.trainings import Job, Result
from daemon.words import plural
from models.offline.history import History
from models.report.figures import Report, Section, Table
from models.report.trainings import Classified, Variant, class_figures, report

MOST_DECISIONS = 12  # variants whose matrices and curves one page shows


def of_training(
    jobs: Sequence[Job], results: Sequence[Result], histories: Sequence[History], labelled: Sequence[Sequence[Any]]
) -> Report:
    """The report of all jobs of one command, which share task and readings."""
    recipe = jobs[0].recipe
    readings = sum(int(h.observed.sum()) for h in histories)
    first = f"{plural(len(jobs), 'training')} on {readings:,} readings of {plural(len(histories), 'series')}."
    if recipe.task == "reconstruct":
        shares = ", ".join(f"{100 * s / sum(recipe.split):.0f} %" for s in recipe.split)
        summary = [
            first,
            f"Training, validation and test are {shares} of the time, in this order, with one window "
            "between them left out. The error of a reading is that of the window it ends.",
        ]
        extra = [Section("Injected anomalies", [_by_kind(results, "injected_auc")], _INJECTED)]
    else:
        e = recipe.examples
        summary = [
            first,
            f"Half of the windows of {recipe.network.window} readings have one anomaly injected that reaches the "
            f"newest reading, {e.strengths[0]:g} to {e.strengths[1]:g} spreads strong ({e.spread}), generator "
            f"{results[0].variant.data['generator']}, seed {e.seed}. Training, validation and test share no series.",
        ]
        extra = [
            Section("Right decisions by kind of anomaly", [_by_kind(results, "share_right_by_kind")]),
            Section("Series of each part", [_series(results)]),
        ]
    variants = [r.variant for r in results]
    if len(jobs) > len({j.recipe.name for j in jobs}):
        extra = [Section("Over seeds and folds", [_spread(jobs, variants)]), *extra]
    decisions = [d for r in results for d in r.decisions]
    if recipe.task == "classify":
        rows, more = _baselines(jobs, histories, labelled)
        variants, decisions = [*variants, *rows], [*decisions, *more]
    names = ", ".join(dict.fromkeys(j.recipe.name for j in jobs))
    shown = [s for r in results for s in r.scored] if len(jobs) <= MOST_DECISIONS else results[0].scored
    return report(f"Training: {names}", summary, variants, decisions[:MOST_DECISIONS], shown, extra)


_INJECTED = (
    "Area under the ROC curve of the error over test windows as they are against the same windows with an anomaly of "
    "3 spreads near the newest reading; 0.5 says nothing."
)


def _by_kind(results: Sequence[Result], key: str) -> Table:
    kinds = list(dict.fromkeys(kind for r in results for kind in r.variant.data[key]))
    kinds.sort(key=lambda kind: (kind not in ("all", "normal"), kind))
    rows = [[r.variant.name, *(r.variant.data[key].get(kind) for kind in kinds)] for r in results]
    return Table("", ("variant", *(kind.replace("_", " ") for kind in kinds)), rows)


def _series(results: Sequence[Result]) -> Table:
    rows = [
        [r.variant.name, part, r.variant.data["windows"][part], ", ".join(names)]
        for r in results
        for part, names in r.variant.data["series"].items()
    ]
    distinct = list({tuple(row[1:]): row for row in rows}.values())
    return Table("", ("variant", "part", "windows", "series"), distinct)


def _spread(jobs: Sequence[Job], variants: Sequence[Variant]) -> Table:
    """Mean and standard deviation of each recipe's figures over its seeds and folds."""
    columns = list(dict.fromkeys(key for v in variants for key, x in v.figures.items() if isinstance(x, (int, float))))
    rows = []
    for name in dict.fromkeys(j.recipe.name for j in jobs):
        own = [v for j, v in zip(jobs, variants, strict=True) if j.recipe.name == name]
        losses = [_mean([v.losses[part] for v in own]) for part in ("train", "validation", "test")]
        rows.append(
            [name, len(own), *losses, *(_mean([float(v.figures.get(c, np.nan)) for v in own]) for c in columns)]
        )
    head = ("variant", "trainings", "train loss", "validation loss", "test loss", *columns)
    return Table("", head, rows, "Mean and standard deviation.")


def _mean(values: Sequence[float]) -> str:
    if not np.isfinite(values).all():
        return "-"
    return f"{np.mean(values):.4g} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.2g}"


def _baselines(
    jobs: Sequence[Job], histories: Sequence[History], labelled: Sequence[Sequence[Any]]
) -> tuple[list[Variant], list[Classified]]:
    """Rows of the z-score rule and of logistic regression, for each distinct material."""
    from models.offline.classifiers import baselines, material
    from models.offline.fitting import Progress
    from models.offline.measures import judge

    variants, decisions = [], []
    distinct = {
        (j.recipe.examples, j.recipe.split, j.recipe.split_seed, j.recipe.network.window, j.fold): j for j in jobs
    }
    for job in distinct.values():
        stuff = material(histories, labelled, job.recipe, job.fold)
        label = stuff.parts["test"].label > 0
        for name, (score, threshold) in baselines(stuff).items():
            full = f"{name} ({job.recipe.examples.inputs})" + (f" fold {job.fold[0] + 1}" if job.fold else "")
            variants.append(Variant(full, 0, None, Progress(), {}, class_figures(judge(score, label, threshold))))
            decisions.append(Classified(full, score, label, threshold))
    return variants, decisions
