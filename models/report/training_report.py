"""The reports of trainings: what `train` writes for one variant, and for several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.offline.alarms import QUANTILE, Alarms
from models.offline.epochs import Progress
from models.offline.measures import Judgement, curves, judge
from models.report.figures import Figure, Matrix, Report, ReportSection, Table, Trace, instants, within

Floats = npt.NDArray[np.float64]
CLASSES = ("normal", "anomalous")
_BINS = 80


@dataclass(frozen=True)
class Variant:
    """One trained variant under one seed, for a table and for the curves.

    Attributes:
        name: Of the recipe, with the seed or the fold where there are several.
        parameters: Numbers that were learned.
        seconds: Wall time of the training; None where an earlier run did part of it.
        progress: How it went.
        losses: Of each part.
        figures: What else the table shows, by column, in order.
        data: The same and more, for programs.
        group: The curves of a group's variants are one line, their mean; "" has its own.
    """

    name: str
    parameters: int
    seconds: float | None
    progress: Progress
    losses: dict[str, float]
    figures: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    group: str = ""


@dataclass(frozen=True, eq=False)
class ScoredTraining:
    """One series' readings and errors, for the figures of a scorer.

    Attributes:
        series: Its name.
        at: Epoch seconds of each reading, shape (N,).
        values: First variable, shape (N,).
        part_at, part_error: Instants and errors of each part's windows, by part.
        threshold: Errors above are alarms.
        labelled: First and last instant of its labelled windows, epoch seconds.
    """

    series: str
    at: npt.NDArray[np.int64]
    values: Floats
    part_at: dict[str, npt.NDArray[np.int64]]
    part_error: dict[str, Floats]
    threshold: float
    labelled: Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Classified:
    """Scores of the test part and what is true, for the figures of a decision."""

    name: str
    score: Floats
    label: npt.NDArray[np.bool_]
    threshold: float


def report(
    title: str,
    summary: Sequence[str],
    variants: Sequence[Variant],
    decisions: Sequence[Classified],
    scored: Sequence[ScoredTraining],
    extra: Sequence[ReportSection] = (),
    lead: Sequence[ReportSection] = (),
) -> Report:
    """The report of one or several variants.

    Args:
        title: One line.
        summary: What was done, in sentences.
        variants: Each a row of the table and a line in the curves.
        decisions: Whose confusion matrix, ROC and precision-recall curves are shown; those without two classes are not.
        scored: Series whose errors are shown.
        extra: Sections of the caller's own, after the table.
        lead: The same, before it.
    """
    sections = [
        *lead,
        ReportSection("Summary", [training_table(variants), figure_table(variants)]),
        *extra,
        ReportSection("Learning", learning(variants)),
    ]
    judged = [d for d in decisions if d.label.any() and not d.label.all()]
    if judged:
        sections.append(ReportSection("Decisions on the test part", decision_figures(judged)))
    sections += [ReportSection(f"Errors of {s.series}", error_figures(s, i)) for i, s in enumerate(scored)]
    data = {"variants": [variant_data(v) for v in variants]}
    return Report(title, summary, sections, data)


def training_table(variants: Sequence[Variant]) -> Table:
    """Parameters and losses of each variant."""
    columns = (
        "variant",
        "parameters",
        "epochs",
        "best",
        "ended",
        "seconds",
        "train loss",
        "validation loss",
        "test loss",
    )
    rows = [
        [
            v.name,
            v.parameters,
            len(v.progress.epochs),
            v.progress.best,
            v.progress.ended,
            None if v.seconds is None else round(v.seconds, 1),
            *(v.losses.get(part) for part in ("train", "validation", "test")),
        ]
        for v in variants
        if v.progress.epochs
    ]
    note = (
        "Losses are each network's own; early stopping and the choice of the best epoch saw the validation part only."
    )
    return Table("Training", columns, rows, note)


def figure_table(variants: Sequence[Variant]) -> Table:
    """What each variant reached on the test part."""
    columns = list(dict.fromkeys(key for v in variants for key in v.figures))
    rows = [[v.name, *(v.figures.get(key) for key in columns)] for v in variants]
    meant = "; ".join(f"{key}: {_MEANINGS[key]}" for key in columns if key in _MEANINGS)
    return Table("Test part", ("variant", *columns), rows, f"{meant[:1].upper()}{meant[1:]}." if meant else "")


_MEANINGS = {
    "injected AUC": "how well the error tells injected anomalies from none",
    "windows found": "labelled windows that an episode above the threshold overlaps (event recall)",
    "false episodes": "those that overlap none",
    "found in budget": "at the best threshold with at most one false episode a month, chosen in hindsight",
    "delay, slots": "median from a found window's start to its first alarm",
    "VUS-PR": "volume under the precision-recall surface, with buffers of up to a day",
    "test alarms": "readings above the threshold",
    "precision": "like recall and F1 reading by reading at the threshold, or of the anomalous class",
}


def variant_data(v: Variant) -> dict[str, Any]:
    """A variant for programs."""
    return {
        "name": v.name,
        "parameters": v.parameters,
        "seconds": v.seconds,
        "ended": v.progress.ended,
        "best_epoch": v.progress.best,
        "losses": v.losses,
        "epochs": [asdict(e) for e in v.progress.epochs],
        **v.figures,
        **v.data,
    }


def learning(variants: Sequence[Variant]) -> list[Figure]:
    """Loss over epochs, and accuracy where there are classes."""
    found = [_over_epochs(variants, "loss", "Loss over epochs", "loss")]
    if any(e.validation_accuracy is not None for v in variants for e in v.progress.epochs):
        found.append(_over_epochs(variants, "accuracy", "Accuracy over epochs", "share of windows"))
    return found


def _over_epochs(variants: Sequence[Variant], what: str, title: str, y_title: str) -> Figure:
    groups: dict[str, list[Variant]] = {}
    for v in variants:
        if v.progress.epochs:
            groups.setdefault(v.group or v.name, []).append(v)
    traces = []
    for name, members in groups.items():
        longest = max(len(v.progress.epochs) for v in members)
        for part in ("train", "validation"):
            runs = np.full((len(members), longest), np.nan)
            for run, v in zip(runs, members, strict=True):
                values = [getattr(e, f"{part}_{what}") for e in v.progress.epochs]
                run[: len(values)] = [np.nan if y is None else y for y in values]
            traces.append(Trace(f"{name}, {part}", np.arange(1, longest + 1), _mean_of_runs(runs)))
    note = "Of training: the mean over the epoch's batches, with dropout at work, so it may lie above validation."
    if sum(bool(v.progress.epochs) for v in variants) > len(groups):
        note += " A line is the mean of a variant's trainings that had not ended by then."
    positive = what == "loss" and all(e.validation_loss > 0 for v in variants for e in v.progress.epochs)
    return Figure(what, title, "epoch", y_title, traces, note, log_y=positive)


def _mean_of_runs(runs: Floats) -> Floats:
    """Mean over the runs that have a value, shape (R, E) gives (E,); NaN where none has."""
    there = ~np.isnan(runs)
    count = there.sum(0)
    mean: Floats = np.where(count > 0, np.where(there, runs, 0.0).sum(0) / np.maximum(count, 1), np.nan)
    return mean


def decision_figures(decisions: Sequence[Classified]) -> list[Table | Figure | Matrix]:
    """Confusion matrices, ROC and precision-recall curves."""
    found: list[Table | Figure | Matrix] = [
        Matrix(
            f"confusion-{i}", f"Confusion matrix of {d.name}", CLASSES, _matrix(judge(d.score, d.label, d.threshold))
        )
        for i, d in enumerate(decisions)
    ]
    rated = [(d.name, curves(d.score, d.label)) for d in decisions]
    chance = Trace("chance", np.array([0.0, 1.0]), np.array([0.0, 1.0]), quiet=True)
    roc = [Trace(name, c.false_positive_rate, c.recall, "step") for name, c in rated]
    found.append(Figure("roc", "ROC curve", "false positive rate", "recall", [*roc, chance]))
    precision = [Trace(name, c.recall, c.precision) for name, c in rated]
    share = float(np.mean(decisions[0].label))
    note = f"{100 * share:.1f} % of the test part is anomalous; a score that means nothing stays at that precision."
    found.append(Figure("precision-recall", "Precision-recall curve", "recall", "precision", precision, note))
    return found


def _matrix(judged: Judgement) -> list[list[int]]:
    c = judged.counts
    return [[c.true_negative, c.false_positive], [c.false_negative, c.true_positive]]


def error_figures(scored: ScoredTraining, index: int) -> list[Figure]:
    """Distribution of the error, error over time, and the readings with what was found."""
    inside = within(scored.labelled, scored.at)
    spans = [(instants(np.array([a]))[0], instants(np.array([b]))[0]) for a, b in inside]
    level = {"threshold": scored.threshold}
    greatest = max((float(np.quantile(e, 0.999)) for e in scored.part_error.values() if len(e)), default=1.0)
    edges = np.linspace(0, max(greatest, scored.threshold) * 1.1, _BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    bars = [
        Trace(part, middle, np.histogram(np.minimum(e, edges[-1]), edges)[0] / max(1, len(e)), "bars")
        for part, e in scored.part_error.items()
    ]
    top = max(float(bar.y.max()) for bar in bars)
    mark = Trace("threshold", np.array([scored.threshold] * 2), np.array([0.0, top]))
    note = (
        f"The threshold, {scored.threshold:.4g}, is the {100 * QUANTILE:g} % quantile of the validation errors, "
        "labelled windows left out. The last bar holds all beyond."
    )
    share = "share of the part's readings"
    found = [Figure(f"errors-{index}", "Distribution of the error", "error", share, [*bars, mark], note)]
    over = [_broken(part, scored.part_at[part], e) for part, e in scored.part_error.items()]
    found.append(Figure(f"time-{index}", "Error over time", "", "error", over, "", level, spans, "labelled window"))
    found.append(_readings(scored, spans, index))
    ends = instants(scored.at[[0, -1]])
    return [found[0], *(replace(figure, x_range=(ends[0], ends[1])) for figure in found[1:])]


def _broken(name: str, at: npt.NDArray[np.int64], error: Floats) -> Trace:
    """A line that is broken where readings are missing."""
    order = np.argsort(at, kind="stable")
    at, error = at[order], error[order].copy()
    if len(at) > 2:
        usual = np.median(np.diff(at))
        error[np.flatnonzero(np.diff(at) > 4 * usual)] = np.nan
    return Trace(name, instants(at), error)


def _readings(scored: ScoredTraining, spans: Sequence[tuple[Any, Any]], index: int) -> Figure:
    traces = [Trace("reading", instants(scored.at), scored.values, quiet=True)]
    for part, e in scored.part_error.items():
        at = scored.part_at[part][e > scored.threshold]
        values = scored.values[np.searchsorted(scored.at, at)]
        traces.append(Trace(f"alarm, {part}", instants(at), values, "points"))
    return Figure(f"series-{index}", "Anomalies on the series", "", "value", traces, "", {}, spans, "labelled window")


def alarm_figures(alarms: Alarms) -> dict[str, Any]:
    """Columns of a scorer's row about labelled windows."""
    j = alarms.judgement
    return {
        "windows found": f"{alarms.found}/{alarms.windows}",
        "false episodes": alarms.false_episodes,
        "found in budget": f"{alarms.found_in_budget}/{alarms.windows}",
        "delay, slots": alarms.median_delay_slots,
        "VUS-PR": alarms.vus_pr,
        "AUC-PR": j.auc_pr,
        "AUC": j.auc,
        "precision": j.precision,
        "recall": j.recall,
        "F1": j.f1,
    }


def class_figures(j: Judgement) -> dict[str, Any]:
    """Columns of a classifier's row."""
    return {
        "accuracy": j.accuracy,
        "precision": j.precision,
        "recall": j.recall,
        "F1": j.f1,
        "macro precision": j.macro_precision,
        "macro recall": j.macro_recall,
        "macro F1": j.macro_f1,
        "AUC": j.auc,
    }
