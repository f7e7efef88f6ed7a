"""What detectors said of a corpus, as figures: NAB's scores, ranking, windows found, false alarms, delays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.bench.corpus import CorpusFile
from models import nab_score

WEEK_S = 7 * 86400
RULES = ("default", "default_no_refractory", "best_threshold", "best_threshold_no_refractory")

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Detection:
    """What one detector said of one file under one seed; a row in an occupied slot has its slot's value.

    Attributes:
        detector: Its name.
        file: The file's name in the corpus.
        seed: The seed.
        interval_s: Length of a slot.
        at: Instant of each row, epoch seconds, shape (N,).
        score: The score that thresholds are set on (rarity), shape (N,).
        alarm: The score in rows of notified alarms, above 0 there and 0 elsewhere, shape (N,).
        opened: Rows where an episode opened, notified or not, shape (N,).
        vus_pr: Of the continuous score (rank), over the rows after probation; NaN without windows.
        auc_pr: The same.
    """

    detector: str
    file: str
    seed: int
    interval_s: int
    at: npt.NDArray[np.int64]
    score: Floats
    alarm: Floats
    opened: Bools
    vus_pr: float
    auc_pr: float


def summarise(files: Sequence[CorpusFile], found: Sequence[Detection]) -> dict[str, Any]:
    """Everything measured, as JSON: per detector the figures of each seed, their mean and spread; per file the rest.

    Spread is the sample standard deviation over seeds, null for one seed.
    """
    labels: dict[str, nab_score.LabelledRows] = {}
    for file in files:
        at = next(d.at for d in found if d.file == file.name).astype(np.float64)
        labels[file.name] = nab_score.label_rows(at, file.windows)
    starts = {file.name: sorted(a for a, _ in file.windows) for file in files}
    detectors: dict[str, Any] = {}
    for name in dict.fromkeys(d.detector for d in found):
        own = [d for d in found if d.detector == name]
        seeds = sorted({d.seed for d in own})
        each = [_corpus_figures([d for d in own if d.seed == seed], labels, starts) for seed in seeds]
        detectors[name] = {
            "seeds": [{"seed": seed} | figures for seed, figures in zip(seeds, each, strict=True)],
            "mean": _over_seeds(each, lambda x: float(np.mean(x))),
            "spread": _over_seeds(each, lambda x: float(np.std(x, ddof=1)) if len(x) > 1 else None),
        }
    return {
        "files": len(files),
        "rows": sum(len(rows.worth) for rows in labels.values()),
        "windows": sum(rows.windows for rows in labels.values()),
        "seeds": sorted({d.seed for d in found}),
        "detectors": detectors,
        "per_file": [_file_figures(d, labels[d.file], starts[d.file]) for d in found],
    }


def _corpus_figures(
    found: Sequence[Detection], labels: dict[str, nab_score.LabelledRows], starts: dict[str, list[float]]
) -> dict[str, Any]:
    """One detector under one seed."""
    each = [_file_figures(d, labels[d.file], starts[d.file]) for d in found]
    windows, weeks = sum(f["windows"] for f in each), sum(f["weeks"] for f in each)
    delays = [delay for f in each for delay in f["delays_slots"]]
    return {
        "nab": _nab_scores(found, labels),
        "vus_pr": _mean([d.vus_pr for d in found]),
        "auc_pr": _mean([d.auc_pr for d in found]),
        "windows_found": sum(f["windows_found"] for f in each),
        "event_recall": sum(f["windows_found"] for f in each) / windows if windows else None,
        "false_episodes": sum(f["false_episodes"] for f in each),
        "false_episodes_per_week": sum(f["false_episodes"] for f in each) / weeks if weeks else None,
        "false_episodes_no_refractory": sum(f["false_episodes_no_refractory"] for f in each),
        "median_delay_slots": float(np.median(delays)) if delays else None,
    }


def _nab_scores(found: Sequence[Detection], labels: dict[str, nab_score.LabelledRows]) -> dict[str, Any]:
    """Score by rule and profile, and the thresholds that NAB's rule chose; null where the corpus has no windows."""
    windows = sum(labels[d.file].windows for d in found)
    out: dict[str, Any] = {rule: {} for rule in RULES} | {"thresholds": {}}
    for name, profile in nab_score.PROFILES.items():
        said = sum(nab_score.raw_score(labels[d.file], d.alarm > 0, profile) for d in found)
        opened = sum(nab_score.raw_score(labels[d.file], d.opened, profile) for d in found)
        among = nab_score.best_threshold([(labels[d.file], d.alarm) for d in found], profile, lowest=0.0)
        rows = nab_score.best_threshold([(labels[d.file], d.score) for d in found], profile)
        for rule, raw in zip(RULES, (said, opened, among.raw, rows.raw), strict=True):
            out[rule][name] = nab_score.normalise(raw, windows, profile) if windows else None
        chosen = {RULES[2]: among.threshold, RULES[3]: rows.threshold}
        out["thresholds"][name] = {rule: t if math.isfinite(t) else None for rule, t in chosen.items()}
    return out


def _file_figures(d: Detection, labels: nab_score.LabelledRows, starts: Sequence[float]) -> dict[str, Any]:
    """One detector, one file, one seed; alarms before the end of probation do not count."""
    scored = np.arange(len(d.at)) >= labels.probation
    alarms, opened = (d.alarm > 0) & scored, d.opened & scored
    hits = [d.at[alarms & (labels.window == w)] for w in range(labels.windows)]
    delays = [float((hit[0] - start) / d.interval_s) for hit, start in zip(hits, starts, strict=True) if len(hit)]
    return {
        "detector": d.detector,
        "file": d.file,
        "seed": d.seed,
        "interval_s": d.interval_s,
        "rows": len(d.at),
        "windows": labels.windows,
        "windows_found": len(delays),
        "false_episodes": _distinct(d, alarms & (labels.window < 0)),
        "false_episodes_no_refractory": _distinct(d, opened & (labels.window < 0)),
        "weeks": float(d.at[-1] - d.at[min(labels.probation, len(d.at) - 1)]) / WEEK_S,
        "delays_slots": delays,
        "raw": {
            name: nab_score.raw_score(labels, d.alarm > 0, profile) for name, profile in nab_score.PROFILES.items()
        },
        "vus_pr": None if math.isnan(d.vus_pr) else d.vus_pr,
        "auc_pr": None if math.isnan(d.auc_pr) else d.auc_pr,
    }


def _distinct(d: Detection, rows: Bools) -> int:
    """Alarms among rows: those that share a slot are one."""
    return len(np.unique(d.at[rows] // d.interval_s))


def _mean(values: Sequence[float]) -> float | None:
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else None


def _over_seeds(each: Sequence[Any], of: Callable[[list[float]], float | None]) -> Any:
    """`of` over the seeds for every number in equally shaped figures; null where a seed has none."""
    if isinstance(each[0], dict):
        return {key: _over_seeds([figures[key] for figures in each], of) for key in each[0]}
    return None if any(value is None for value in each) else of([float(value) for value in each])


def rules() -> Iterator[tuple[str, str]]:
    """Each rule's key and what it is in words."""
    words = ("shipped threshold", "  without refractory", "best threshold, notified", "best threshold, every row")
    yield from zip(RULES, words, strict=True)
