"""Measuring whether the budget holds: made series without anomalies, then the same with anomalies put into them.

Each kind of noise is a stream of its own under the shipped defaults, run by the engine in a process of its own. On
series without anomalies every new episode is a false alarm; on those with, what is found is counted by kind and
strength.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.bench.workers import workers
from daemon.engine.messages.events import Event
from models.generator import GENERATOR, NOISES, Noise, seasonal
from models.injection import GENERATOR as INJECTION
from models.injection import KINDS, Kind, inject, spread

INTERVAL_S, PER_DAY = 1800, 48
MONTH_SLOTS = 30.44 * PER_DAY
STREAM = "made"
FIRST_SLOT = 19_723 * PER_DAY  # 2024-01-01, a Monday
STRENGTHS = (3.0, 4.0, 6.0, 8.0)  # spreads
SPACING_DAYS = 30  # from one anomaly of a series to its next: as many as the budget allows episodes
LEAD_DAYS = 21  # before the first
FOUND_WITHIN = 4  # slots after an anomaly's end: its last values are still in the window

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BudgetJob:
    """One run of the engine: series of one kind of noise under one budget."""

    noise: Noise
    series: tuple[int, ...]  # their seeds
    days: int
    budget: float
    seed: int
    injected: bool


@dataclass(frozen=True)
class Anomaly:
    """One that was put into a series; slots count from the series' first."""

    series: int
    kind: Kind
    strength: float
    start: int
    end: int


@dataclass(frozen=True)
class BudgetResult:
    """What a run gave.

    Attributes:
        job: The run.
        months: Months of one series judged, over all series.
        opened: Series, slot and reasons of each new episode.
        anomalies: What had been put in.
    """

    job: BudgetJob
    months: float
    opened: list[tuple[int, int, tuple[str, ...]]]
    anomalies: list[Anomaly]


def jobs(series: int, days: int, budgets: Sequence[float], seed: int) -> list[BudgetJob]:
    """All runs: each budget without anomalies, then a budget of 1 with them; the kinds share the series."""
    own = {noise: tuple(range(i, series, len(NOISES))) for i, noise in enumerate(NOISES)}
    return [
        BudgetJob(noise, own[noise], days, budget, seed, injected)
        for budget, injected in [*((budget, False) for budget in budgets), (1.0, True)]
        for noise in NOISES
        if own[noise]
    ]


def values_of(job: BudgetJob) -> tuple[Floats, list[Anomaly]]:
    """The series of a run, shape (slots, N), and the anomalies in them."""
    columns, anomalies = [], []
    for turn, number in enumerate(job.series):
        values = seasonal(job.noise, job.days, PER_DAY, (job.seed, number))
        if job.injected:
            values, own = with_anomalies(values, turn, (job.seed, number))
            anomalies += own
        columns.append(values)
    return np.stack(columns, 1), anomalies


def with_anomalies(values: Floats, series: int, seed: tuple[int, ...]) -> tuple[Floats, list[Anomaly]]:
    """A series with an anomaly a month, kind and strength in turn, and where they are."""
    unit, found = spread(values, PER_DAY), []
    rng = np.random.default_rng((*seed, 1))
    days = range(LEAD_DAYS, len(values) // PER_DAY - 2, SPACING_DAYS)
    for turn, day in enumerate(days, start=series * len(days)):
        kind, strength = KINDS[turn % len(KINDS)], STRENGTHS[turn // len(KINDS) % len(STRENGTHS)]
        start = day * PER_DAY + int(rng.integers(PER_DAY))
        put = inject(values, kind, strength, (*seed, turn), period=PER_DAY, start=start, unit=unit)
        values = put.values
        found.append(Anomaly(series, kind, strength, put.start, put.end))
    return values, found


def measure(job: BudgetJob) -> BudgetResult:
    """Run the engine over the series of a job."""
    values, anomalies = values_of(job)
    events, judged = run_engine(values, {"false_alarms_per_month": job.budget}, job.seed)
    opened = [
        (int(e.series), e.started_at // INTERVAL_S - FIRST_SLOT, e.reasons)
        for e in events
        if e.state == "open" and e.revision == 0 and e.series is not None
    ]
    return BudgetResult(job, judged * values.shape[1] / MONTH_SLOTS, opened, anomalies)


def run_engine(values: Floats, alerts: dict[str, Any], seed: int) -> tuple[list[Event], int]:
    """Events of one stream, its series numbered, a day of readings at a time; and how many slots are judged.

    Args:
        values: Shape (slots, N).
        alerts: The stream's section `alerts`; everything else is as shipped.
        seed: Of the stream.
    """
    import torch

    from daemon.config.file import effective, from_effective
    from daemon.engine.machine.engine import Engine
    from daemon.engine.messages.inputs import Batch, Configured
    from daemon.trainer.trainer import InlineTrainer

    torch.set_num_threads(1)
    given = {"interval": INTERVAL_S, "clock": "event", "seed": seed, "alerts": alerts}
    settings = from_effective({"version": 1, "streams": {STREAM: given}})
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(settings)))
    n = values.shape[1]
    names, events = [str(i) for i in range(n)], []
    for first in range(0, len(values), PER_DAY):
        day = values[first : first + PER_DAY]
        slots = np.repeat(FIRST_SLOT + first + np.arange(len(day)), n)
        codes = np.tile(np.arange(n, dtype=np.int32), len(day))
        folds, readings = np.zeros(len(codes), np.int32), day.reshape(-1, 1).copy()
        events += engine.step(Batch(STREAM, 0, names, codes, slots * INTERVAL_S * 1000, folds, readings)).events
    model = settings.streams[STREAM].model
    return events, len(values) - settings.streams[STREAM].warm_up_slots - model.apply_after


def run(todo: Sequence[BudgetJob], processes: int, progress: Callable[[int, int], None]) -> list[BudgetResult]:
    """All runs, `processes` at a time, in the order given; progress is called with runs done and runs in all."""
    with workers(processes) as pool:
        futures = [pool.submit(measure, job) for job in todo]
        for done, _ in enumerate(as_completed(futures), 1):
            progress(done, len(futures))
        return [future.result() for future in futures]


def summarise(results: Sequence[BudgetResult]) -> dict[str, Any]:
    """Everything measured, as JSON: rates by budget and noise, recall by kind and strength at a budget of 1."""
    clean = [r for r in results if not r.job.injected]
    budgets = list(dict.fromkeys(r.job.budget for r in clean))
    rates = []
    for budget in budgets:
        own = [r for r in clean if r.job.budget == budget]
        rates += [_rate(budget, r.job.noise, [r]) for r in own] + [_rate(budget, "all", own)]
    found: Counter[tuple[str, float]] = Counter()
    put: Counter[tuple[str, float]] = Counter()
    for result in results:
        for anomaly in result.anomalies:
            key = (anomaly.kind, anomaly.strength)
            put[key] += 1
            found[key] += _is_found(anomaly, result)
    return {
        "generator": GENERATOR,
        "injection": INJECTION,
        "rates": rates,
        "recall": [
            {"kind": kind, "strength": strength, "anomalies": put[kind, strength], "found": found[kind, strength]}
            for kind in KINDS
            for strength in STRENGTHS
            if put[kind, strength]
        ],
    }


def _rate(budget: float, noise: str, results: Sequence[BudgetResult]) -> dict[str, Any]:
    months, opened = sum(r.months for r in results), [one for r in results for one in r.opened]
    reasons = Counter(reason for _, _, named in opened for reason in named)
    return {
        "budget": budget,
        "noise": noise,
        "series": sum(len(r.job.series) for r in results),
        "months": months,
        "episodes": len(opened),
        "per_month": len(opened) / months,
        "reasons": dict(sorted(reasons.items())),
    }


def _is_found(anomaly: Anomaly, result: BudgetResult) -> bool:
    """Whether an episode of its series opened during an anomaly or in the slots after it."""
    return any(
        series == anomaly.series and anomaly.start <= slot < anomaly.end + FOUND_WITHIN
        for series, slot, _ in result.opened
    )
