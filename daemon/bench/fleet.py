"""Measuring the budget of a stream: many made series, few of them at fault, and what an operator is told in a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daemon.bench.budget import FIRST_SLOT, FOUND_WITHIN, INTERVAL_S, LEAD_DAYS, PER_DAY, Anomaly, Floats, run_engine
from daemon.bench.workers import workers
from daemon.engine.messages.events import Event
from models.generator import NOISES, seasonal
from models.injection import KINDS, inject, spread

STRENGTH = 8.0  # spreads of each fault


@dataclass(frozen=True)
class FleetJob:
    """One run of the engine: a stream of all series.

    Attributes:
        series: How many.
        days: Of each; the first `LEAD_DAYS` count for nothing.
        put: Faults that begin in a day, in series of their own.
        most: Alarms told in a day, None for no bound.
        seed: Of everything random.
    """

    series: int
    days: int
    put: int
    most: int | None
    seed: int


@dataclass(frozen=True)
class FleetResult:
    """What a run gave, in the days that count.

    Attributes:
        job: The run.
        opened: Episodes that opened.
        told: Alarms told.
        most_told: Alarms told in the day that had the most.
        true: Of those told, how many are of a series at fault and began while it was.
        faults: Put in.
        found: Of these, how many an episode opened in.
        told_of: Of these, how many somebody was told of.
    """

    job: FleetJob
    opened: int
    told: int
    most_told: int
    true: int
    faults: int
    found: int
    told_of: int

    def to_json(self) -> dict[str, Any]:
        """All figures, those of the run first."""
        figures = asdict(self)
        per_day = {f"{name}_per_day": figures[name] / (self.job.days - LEAD_DAYS) for name in ("opened", "told")}
        return {**figures.pop("job"), **figures, **per_day}


def jobs(series: int, days: int, faults: int, most: int, seed: int) -> list[FleetJob]:
    """All runs: nothing put in and faults, each without a bound and with it."""
    return [FleetJob(series, days, put, bound, seed) for put in (0, faults) for bound in (None, most)]


def values_of(job: FleetJob) -> tuple[Floats, list[Anomaly]]:
    """The series of a run, shape (slots, N), and the faults in them; one series has one at most."""
    values = np.stack(
        [seasonal(NOISES[i % len(NOISES)], job.days, PER_DAY, (job.seed, i)) for i in range(job.series)], 1
    )
    rng = np.random.default_rng((job.seed, job.series))
    whose = rng.permutation(job.series)
    faults = []
    for turn in range(min(job.put * (job.days - LEAD_DAYS), job.series)):
        day, i, kind = LEAD_DAYS + turn // job.put, int(whose[turn]), KINDS[turn % len(KINDS)]
        start = day * PER_DAY + int(rng.integers(PER_DAY))
        unit = spread(values[:, i], PER_DAY)
        put = inject(values[:, i], kind, STRENGTH, (job.seed, turn), period=PER_DAY, start=start, unit=unit)
        values[:, i] = put.values
        faults.append(Anomaly(i, kind, STRENGTH, put.start, put.end))
    return values, faults


def measure(job: FleetJob) -> FleetResult:
    """Run the engine over the series of a job."""
    values, faults = values_of(job)
    alerts = {} if job.most is None else {"alarms_per_day": job.most}
    events, _ = run_engine(values, alerts, job.seed)
    return judge(job, events, faults)


def judge(job: FleetJob, events: Sequence[Event], faults: Sequence[Anomaly]) -> FleetResult:
    """What a run's events are worth. An event is true that begins in a fault of its series, or just after."""
    at_fault = {str(fault.series): fault for fault in faults}

    def fault_of(event: Event) -> Anomaly | None:
        fault, slot = at_fault.get(event.series or ""), event.started_at // INTERVAL_S - FIRST_SLOT
        return fault if fault is not None and fault.start <= slot < fault.end + FOUND_WITHIN else None

    counted = [e for e in events if e.at // INTERVAL_S - FIRST_SLOT >= LEAD_DAYS * PER_DAY]
    opened = [e for e in counted if e.revision == 0]
    told = [e for e in counted if e.notify]
    by_day = Counter(e.at // 86400 for e in told)
    return FleetResult(
        job,
        len(opened),
        len(told),
        max(by_day.values(), default=0),
        sum(fault_of(e) is not None for e in told),
        len(faults),
        len({fault.series for e in opened if (fault := fault_of(e)) is not None}),
        len({fault.series for e in told if (fault := fault_of(e)) is not None}),
    )


def run(todo: Sequence[FleetJob], processes: int, progress: Callable[[int, int], None]) -> list[FleetResult]:
    """All runs, `processes` at a time, in the order given; progress is called with runs done and runs in all."""
    with workers(processes) as pool:
        futures = [pool.submit(measure, job) for job in todo]
        for done, _ in enumerate(as_completed(futures), 1):
            progress(done, len(futures))
        return [future.result() for future in futures]
