"""Measuring detection on a corpus in the layout of the Numenta Anomaly Benchmark, with other detectors beside.

Each file is a stream of its own under the shipped defaults. What is passed is the corpus's probation (as a time), the
interval inferred from the file, `clock: event` and the seed. Files run in processes of their own; scoring is here.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from models import nab
from models.ranking import average_precision, vus_pr

OURS = "tidegauge"
JUDGED = frozenset({"model", "novelty"})  # reasons that count as alarms; the corpus labels no others
WEEK_S, DAY_S = 7 * 86400, 86400
QUIET = 3  # readings below a baseline's threshold that end its episode, as in the engine
RULES = ("default", "default_no_refractory", "best_threshold", "best_threshold_no_refractory")

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class CorpusError(ValueError):
    """The directory or one of its files is not laid out as NAB's; the text says where and what."""


@dataclass(frozen=True)
class CorpusFile:
    """One file: its name in the corpus (`group/file.csv`), its path, its windows in epoch seconds."""

    name: str
    path: Path
    windows: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Rows:
    """A file's rows: the text of stamp and value as written, and their meaning, shape (N,)."""

    stamps: list[str]
    texts: list[str]
    at: npt.NDArray[np.int64]  # epoch seconds UTC
    values: Floats


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


# -- the corpus --------------------------------------------------------------------------------------------------------


def read_corpus(directory: Path, pattern: str | None = None) -> list[CorpusFile]:
    """The files of a corpus, by name.

    Args:
        directory: Has `data/<group>/<file>.csv` and `labels/combined_windows.json`.
        pattern: Shell pattern on `<group>/<file>.csv` or `<file>.csv`; None: all.

    Raises:
        CorpusError: There are no such files, or a file has no entry in the labels.
        OSError: The labels cannot be read.
    """
    labels = directory / "labels" / "combined_windows.json"
    try:
        windows = {name: tuple((_epoch_s(a), _epoch_s(b)) for a, b in w) for name, w in _object(labels).items()}
    except (ValueError, TypeError) as error:
        raise CorpusError(f"{labels}: {error}; expected pairs of stamps by file name") from None
    paths = {p.relative_to(directory / "data").as_posix(): p for p in sorted(directory.glob("data/*/*.csv"))}
    chosen = [n for n in paths if pattern is None or fnmatch(n, pattern) or fnmatch(paths[n].name, pattern)]
    if not chosen:
        raise CorpusError(f"{directory}: no data/<group>/<file>.csv" + (f" matches {pattern}" if pattern else ""))
    for name in chosen:
        if name not in windows:
            raise CorpusError(f"{labels}: has no entry {name}; add one, an empty list for a file without windows")
    return [CorpusFile(name, paths[name], windows[name]) for name in chosen]


def read_rows(path: Path) -> Rows:
    """The columns `timestamp` and `value` of a file.

    Raises:
        CorpusError: A column is missing, or a row is no stamp and finite number.
    """
    stamps, texts, at, values = [], [], [], []
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                stamps.append(row["timestamp"])
                texts.append(row["value"])
                at.append(math.floor(_epoch_s(row["timestamp"])))
                values.append(float(row["value"]))
            except (KeyError, ValueError, TypeError) as error:
                raise CorpusError(f"{path}:{reader.line_num}: {error!r}; expected columns timestamp, value") from None
    if not at or not np.isfinite(values).all() or (np.diff(at) < 0).any():
        raise CorpusError(f"{path}: needs rows of finite values, in order of their stamps")
    return Rows(stamps, texts, np.array(at, np.int64), np.array(values))


def _object(path: Path) -> dict[str, Any]:
    content = orjson.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise TypeError("not an object")
    return content


def _epoch_s(stamp: str) -> float:
    at = datetime.fromisoformat(stamp)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


# -- one file: runs in a process of its own ----------------------------------------------------------------------------


def detect(file: CorpusFile, seed: int, with_baselines: bool) -> list[Detection]:
    """Run the engine, and the baselines when asked for, over one file."""
    rows = read_rows(file.path)

    import torch

    from models.baselines import baselines

    torch.set_num_threads(1)
    labels = nab.label_rows(rows.at.astype(np.float64), file.windows)
    ours, interval_s = _run_engine(file, rows, seed)
    results = [(OURS, *ours)]
    if with_baselines:
        slot = rows.at // interval_s
        _, first, where = np.unique(slot, return_index=True, return_inverse=True)
        probation = int((first < labels.probation).sum())
        for each in baselines(seed):
            said = each.run(rows.at[first], rows.values[first], probation)
            opened, notified = _episodes(rows.at[first], said.anomalous)
            alarm = np.where(notified, np.maximum(said.score, 1e-9), 0.0)
            results.append((each.name, said.score[where], said.score[where], alarm[where], opened[where]))
    scored, inside = slice(labels.probation, None), labels.window[labels.probation :] >= 0
    buffer = max(1, round(DAY_S / interval_s))
    return [
        Detection(
            detector=name,
            file=file.name,
            seed=seed,
            interval_s=interval_s,
            at=rows.at,
            score=score,
            alarm=alarm,
            opened=opened,
            vus_pr=vus_pr(rank[scored], inside, buffer),
            auc_pr=average_precision(rank[scored], inside),
        )
        for name, rank, score, alarm, opened in results
    ]


def _run_engine(file: CorpusFile, rows: Rows, seed: int) -> tuple[tuple[Floats, Floats, Floats, Bools], int]:
    """Rank, rarity, alarm and opened of each row, shape (N,) each; and the interval."""
    from daemon.adapting import make_format
    from daemon.config import effective, from_effective
    from daemon.engine import Engine
    from daemon.inputs import Configured
    from daemon.replay import batches, infer_interval
    from daemon.settings import StreamSettings
    from daemon.trainer import InlineTrainer

    def configured(**given: Any) -> Any:
        return from_effective({"version": 1, "streams": {OURS: {"clock": "event", "seed": seed} | given}})

    fresh = configured()
    fmt = make_format(fresh.streams[OURS], fresh.limits)
    interval_s = infer_interval(file.path, fmt) or StreamSettings().interval
    settings = configured(interval=interval_s, warm_up=warm_up_s(rows.at, interval_s, fresh.streams[OURS].model.window))
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(settings)))
    stream = engine.streams[OURS]
    seen: list[tuple[npt.NDArray[Any], ...]] = []
    stream.observer = lambda row, slot, rank, rarity: seen.append((slot, rank, rarity))
    events = [
        event
        for batch in batches(OURS, file.path, fmt, settings.limits.line_bytes, None, 0, lambda done, total: None)
        for event in engine.step(batch).events
    ]
    slots = [np.concatenate([chunk[i] for chunk in seen]) for i in range(3)]
    order = np.argsort(slots[0])
    where = order[np.searchsorted(slots[0], rows.at // interval_s, sorter=order)]
    rank, rarity = slots[1][where].astype(np.float64), slots[2][where].astype(np.float64)
    judged = [e for e in events if e.state == "open" and JUDGED & set(e.reasons)]
    alarm = np.zeros(len(rows.at))
    for event in judged:
        if event.notify:
            here = rows.at // interval_s == event.at // interval_s
            alarm[here] = np.maximum(rarity[here], event.threshold)
    opened = np.isin(rows.at // interval_s, [e.at // interval_s for e in judged if e.revision == 0])
    return (rank, rarity, alarm, opened), interval_s


def warm_up_s(at: npt.NDArray[np.int64], interval_s: int, window: int) -> int:
    """The probation period as a time, at least its rows times the interval, and the shortest the engine takes."""
    rows = min(nab.probation(len(at)), len(at) - 1)
    return max(int(at[rows] - at[0]), rows * interval_s, 2 * window * interval_s)


def _episodes(at: npt.NDArray[np.int64], anomalous: Bools) -> tuple[Bools, Bools]:
    """Where a baseline's episodes open, and which openings are notified: at most one a day, as in the engine."""
    opened, notified = np.zeros(len(at), bool), np.zeros(len(at), bool)
    last, said = -QUIET - 1, -math.inf
    for i in np.flatnonzero(anomalous).tolist():
        opened[i] = i - last > QUIET
        last = i
        if opened[i] and at[i] - said >= DAY_S:
            notified[i], said = True, float(at[i])
    return opened, notified


# -- the whole corpus --------------------------------------------------------------------------------------------------


def run(
    files: Sequence[CorpusFile],
    seeds: Sequence[int],
    with_baselines: bool,
    jobs: int,
    progress: Callable[[int, int], None],
) -> list[Detection]:
    """All files under all seeds, `jobs` at a time; progress is called with files done and files in all.

    Raises:
        CorpusError: A file cannot be used.
    """
    todo = sorted(((file, seed) for seed in seeds for file in files), key=lambda job: -job[0].path.stat().st_size)
    found: list[Detection] = []
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(detect, file, seed, with_baselines) for file, seed in todo]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                found += future.result()
                progress(done, len(futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    place = {file.name: i for i, file in enumerate(files)}
    return sorted(found, key=lambda d: (d.seed, place[d.file]))


def write_results(directory: Path, files: Sequence[CorpusFile], found: Sequence[Detection]) -> None:
    """Our alarms in NAB's layout, `tidegauge/<group>/tidegauge_<file>.csv`; several seeds get a directory each."""
    corpus, several = {file.name: file for file in files}, len({d.seed for d in found}) > 1
    for detection in found:
        if detection.detector != OURS:
            continue
        file = corpus[detection.file]
        group, _, base = file.name.partition("/")
        root = directory / f"seed-{detection.seed}" if several else directory
        path = root / OURS / group / f"{OURS}_{base}"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = read_rows(file.path)
        inside = nab.label_rows(rows.at.astype(np.float64), file.windows).window >= 0
        with path.open("w", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["timestamp", "value", "anomaly_score", "label"])
            columns = rows.stamps, rows.texts, detection.alarm.tolist(), inside.astype(int).tolist()
            writer.writerows(zip(*columns, strict=True))


# -- scoring -----------------------------------------------------------------------------------------------------------


def summarise(files: Sequence[CorpusFile], found: Sequence[Detection]) -> dict[str, Any]:
    """Everything measured, as JSON: per detector the figures of each seed, their mean and spread; per file the rest.

    Spread is the sample standard deviation over seeds, null for one seed.
    """
    labels: dict[str, nab.LabelledRows] = {}
    for file in files:
        at = next(d.at for d in found if d.file == file.name).astype(np.float64)
        labels[file.name] = nab.label_rows(at, file.windows)
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
    found: Sequence[Detection], labels: dict[str, nab.LabelledRows], starts: dict[str, list[float]]
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


def _nab_scores(found: Sequence[Detection], labels: dict[str, nab.LabelledRows]) -> dict[str, Any]:
    """Score by rule and profile, and the thresholds that NAB's rule chose; null where the corpus has no windows."""
    windows = sum(labels[d.file].windows for d in found)
    out: dict[str, Any] = {rule: {} for rule in RULES} | {"thresholds": {}}
    for name, profile in nab.PROFILES.items():
        said = sum(nab.raw_score(labels[d.file], d.alarm > 0, profile) for d in found)
        opened = sum(nab.raw_score(labels[d.file], d.opened, profile) for d in found)
        among = nab.best_threshold([(labels[d.file], d.alarm) for d in found], profile, lowest=0.0)
        rows = nab.best_threshold([(labels[d.file], d.score) for d in found], profile)
        for rule, raw in zip(RULES, (said, opened, among.raw, rows.raw), strict=True):
            out[rule][name] = nab.normalise(raw, windows, profile) if windows else None
        chosen = {RULES[2]: among.threshold, RULES[3]: rows.threshold}
        out["thresholds"][name] = {rule: t if math.isfinite(t) else None for rule, t in chosen.items()}
    return out


def _file_figures(d: Detection, labels: nab.LabelledRows, starts: Sequence[float]) -> dict[str, Any]:
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
        "raw": {name: nab.raw_score(labels, d.alarm > 0, profile) for name, profile in nab.PROFILES.items()},
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
