"""Measuring detection on a corpus in the layout of the Numenta Anomaly Benchmark, with other detectors beside.

Each file is a stream of its own under the shipped defaults. What is passed is the corpus's probation (as a time), the
interval inferred from the file, `clock: event` and the seed; of an ablation, also the setting that leaves a part out.
Files run in processes of their own; scoring is `daemon.bench.scores`'s job.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from daemon.bench.corpus import CorpusFile, CorpusRows, read_rows
from daemon.bench.scores import Bools, Detection, Floats
from daemon.bench.workers import workers
from daemon.engine.messages.training_port import Outcome
from daemon.trainer.trainer import InlineTrainer
from models import nab_score
from models.rank_measures import average_precision, vus_pr

OURS = "tidegauge"
JUDGED = frozenset({"model", "novelty"})  # reasons that count as alarms; the corpus labels no others
DAY_S = 86400
QUIET = 3  # readings below a baseline's threshold that end its episode, as in the engine
WITHOUT: dict[str, dict[str, Any]] = {
    "scaling": {"model": {"scaling": "none"}},
    "masking": {"model": {"masked": 0}},
    "calendar": {"model": {"calendar": False}},
    "ensemble": {"model": {"copies": 1}},
    "fine-tuning": {"model": {"retrain_every": 0}},
    "time of day": {"model": {"statistics": {"time_of_day": False}}},
    "caps": {"model": {"statistics": {"caps": False}}},
    "likelihood": {"model": {"statistics": {"likelihood": False}}},
    "tail": {"model": {"statistics": {"tail": False}}},
    "level": {"model": {"statistics": {"level": False}}},
    "calibration": {"model": {"statistics": {"calibration": False}}},
    "novelty": {"alerts": {"novelty": False}},
    "refractory": {"alerts": {"refractory": 0}},
}
"""Settings that leave one part out, by the part's name."""


class _Remembering(InlineTrainer):
    """Trains each request once: without most parts a file's trainings are the same ones, and pure functions."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, Outcome] = {}

    def result(self, request_id: str) -> Outcome:
        key = hashlib.sha256(self._requests[request_id].to_bytes()).digest()
        if key not in self._known:
            self._known[key] = super().result(request_id)
        self._requests.pop(request_id, None)
        return self._known[key]


def detect(file: CorpusFile, seed: int, with_baselines: bool, parts: Sequence[str] = ()) -> list[Detection]:
    """Run the engine over one file, again without each of `parts` (of `WITHOUT`), and the baselines when asked for."""
    rows = read_rows(file.path)

    import torch

    torch.set_num_threads(1)
    labels = nab_score.label_rows(rows.at.astype(np.float64), file.windows)
    trainer = _Remembering()
    ours, interval_s = _run_engine(file, rows, seed, trainer, {})
    results = [(OURS, *ours)]
    for part in parts:
        less, _ = _run_engine(file, rows, seed, trainer, WITHOUT[part])
        results.append((f"without {part}", *less))
    if with_baselines:
        results += _run_baselines(rows, seed, interval_s, labels.probation)
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


def _run_baselines(
    rows: CorpusRows, seed: int, interval_s: int, probation: int
) -> list[tuple[str, Floats, Floats, Floats, Bools]]:
    """Name, and rank, score, alarm and opened of each row, shape (N,) each; a slot's first row stands for all of it."""
    from models.baselines import baselines

    _, first, where = np.unique(rows.at // interval_s, return_index=True, return_inverse=True)
    found = []
    for each in baselines(seed):
        said = each.run(rows.at[first], rows.values[first], int((first < probation).sum()))
        opened, notified = _episodes(rows.at[first], said.anomalous)
        alarm = np.where(notified, np.maximum(said.score, 1e-9), 0.0)
        found.append((each.name, said.score[where], said.score[where], alarm[where], opened[where]))
    return found


def _run_engine(
    file: CorpusFile, rows: CorpusRows, seed: int, trainer: InlineTrainer, changed: dict[str, Any]
) -> tuple[tuple[Floats, Floats, Floats, Bools], int]:
    """Rank, rarity, alarm and opened of each row, shape (N,) each, under changed settings; and the interval."""
    from daemon.config.file import effective, from_effective
    from daemon.config.settings import StreamSettings
    from daemon.engine.machine.engine import Engine
    from daemon.engine.messages.inputs import Configured
    from daemon.intake.construction import make_format
    from daemon.replay.replay import batches, infer_interval

    def configured(**given: Any) -> Any:
        return from_effective({"version": 1, "streams": {OURS: changed | {"clock": "event", "seed": seed} | given}})

    fresh = configured()
    fmt = make_format(fresh.streams[OURS], fresh.limits)
    interval_s = infer_interval(file.path, fmt) or StreamSettings().interval
    settings = configured(interval=interval_s, warm_up=warm_up_s(rows.at, interval_s, fresh.streams[OURS].model.window))
    engine = Engine(trainer)
    engine.step(Configured(effective(settings)))
    scoring = engine.streams[OURS].scoring
    seen: list[tuple[npt.NDArray[Any], ...]] = []
    scoring.observers.append(
        lambda e, n, _, out: seen.append((e.slot[:n].copy(), out.rank[:n].copy(), out.rarity[:n].copy()))
    )
    events = [
        event
        for batch in batches(OURS, file.path, fmt, settings.limits.line_bytes, None, 0, lambda done, total: None)
        for event in engine.step(batch).events
    ]
    slots = [np.concatenate([chunk[i] for chunk in seen]) for i in range(3)]
    order = np.argsort(slots[0])
    where = order[np.minimum(np.searchsorted(slots[0], rows.at // interval_s, sorter=order), len(order) - 1)]
    known = slots[0][where] == rows.at // interval_s  # a row that came too late to be decided on has nothing to say
    rank, rarity = (np.where(known, slots[i][where], 0.0).astype(np.float64) for i in (1, 2))
    judged = [e for e in events if e.state == "open" and JUDGED & set(e.reasons)]
    alarm = np.zeros(len(rows.at))
    for event in judged:
        if event.notify:
            here = rows.at // interval_s == event.at // interval_s
            alarm[here] = np.maximum(rarity[here], event.threshold)
    begun = {e.id: e.at // interval_s for e in reversed(judged) if e.rarity >= e.threshold or "novelty" in e.reasons}
    opened = np.isin(rows.at // interval_s, list(begun.values()))  # not where a remembered fault alone is back
    return (rank, rarity, alarm, opened), interval_s


def warm_up_s(at: npt.NDArray[np.int64], interval_s: int, window: int) -> int:
    """The probation period as a time, at least its rows times the interval, and the shortest the engine takes."""
    rows = min(nab_score.probation(len(at)), len(at) - 1)
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


def run(
    files: Sequence[CorpusFile],
    seeds: Sequence[int],
    with_baselines: bool,
    parts: Sequence[str],
    jobs: int,
    progress: Callable[[int, int], None],
) -> list[Detection]:
    """All files under all seeds, `jobs` at a time; progress is called with files done and files in all.

    Raises:
        daemon.bench.corpus.CorpusError: A file cannot be used.
    """
    todo = sorted(((file, seed) for seed in seeds for file in files), key=lambda job: -job[0].path.stat().st_size)
    found: list[Detection] = []
    with workers(jobs) as pool:
        futures = [pool.submit(detect, file, seed, with_baselines, tuple(parts)) for file, seed in todo]
        for done, future in enumerate(as_completed(futures), 1):
            found += future.result()
            progress(done, len(futures))
    order = {file.name: i for i, file in enumerate(files)}
    return sorted(found, key=lambda d: (d.seed, order[d.file]))


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
        inside = nab_score.label_rows(rows.at.astype(np.float64), file.windows).window >= 0
        columns = {
            "timestamp": rows.stamps,
            "value": rows.texts,
            "anomaly_score": detection.alarm,
            "label": inside.astype(int),
        }
        pd.DataFrame(columns).to_csv(path, index=False, lineterminator="\n")
