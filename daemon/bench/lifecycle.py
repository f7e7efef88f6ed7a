"""What changes do over weeks, with the lifecycle and without: five generated series, each run through the engine twice.

Without means: no gate, no rollback, and all that arrives is learned (`drift.enabled: false`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.bench.workers import workers

DAY, BEFORE, AFTER = 48, 28, 28  # slots of a day; days before and after the change begins
START = 1_704_067_200  # Monday 2024-01-01
SPREAD = 3.0  # of the noise
INTERVAL_S = 1800
OFF: dict[str, Any] = {
    "drift": {"enabled": False},
    "model": {"gate": {"enabled": False}, "rollback": {"enabled": False}},
}

Floats = npt.NDArray[np.float64]
Change = Callable[[Floats, np.random.Generator], Floats]


def season(days: int, rng: np.random.Generator) -> Floats:
    """A daily season, weaker on weekends, with noise that lasts a few slots; shape (48 days,)."""
    t = np.arange(days * DAY)
    daily = np.sin(2 * np.pi * (t - 16) / DAY) + 0.4 * np.sin(4 * np.pi * (t - 10) / DAY)
    noise, shocks = np.zeros(len(t)), rng.standard_normal(len(t))
    for i in range(1, len(t)):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * shocks[i]
    values: Floats = 100 + 30 * daily * np.where(t // DAY % 7 >= 5, 0.7, 1.0) + SPREAD * noise
    return values


def _shift(v: Floats, rng: np.random.Generator) -> Floats:
    return v + 8 * SPREAD


def _slow(v: Floats, rng: np.random.Generator) -> Floats:
    return v + np.minimum(np.arange(len(v)) / (21 * DAY), 1) * 8 * SPREAD


def _changed_season(v: Floats, rng: np.random.Generator) -> Floats:
    return np.roll(v, DAY // 4)


def _taught_fault(v: Floats, rng: np.random.Generator) -> Floats:
    t = np.arange(len(v))
    return v - np.where((t // DAY < 14) & (t % DAY >= 20) & (t % DAY < 24), 8 * SPREAD, 0.0)


def _poison(v: Floats, rng: np.random.Generator) -> Floats:
    return np.where(np.arange(len(v)) < 3 * DAY, rng.uniform(60, 140, len(v)), v)


CHANGES: Mapping[str, tuple[Change, str]] = {
    "level_shift": (_shift, "8 spreads up, for good"),
    "slow_drift": (_slow, "8 spreads up within three weeks"),
    "changed_season": (_changed_season, "every day 6 h later, for good"),
    "taught_fault": (_taught_fault, "8 spreads down from 10:00 to 12:00, daily for two weeks"),
    "poisoned_training": (_poison, "three days of white noise, then as before"),
}


@dataclass(frozen=True)
class Run:
    """One change, with the lifecycle or without.

    Attributes:
        change: One of `CHANGES`.
        lifecycle: Whether the lifecycle was on.
        seed: Seed of series and stream.
        slots: Anomalous slots of each day from the change on.
        said: Notifications of each of these days.
        error: Mean error of the newest reading on each of these days, in errors of the week before.
        adopted_after_days: From the change to the event of reason `drift`, None when there was none.
        drift_detections: Of the whole run.
        trainings: Trainings by outcome, of the whole run.
        rollbacks: Of the whole run.
    """

    change: str
    lifecycle: bool
    seed: int
    slots: list[int]
    said: list[int]
    error: list[float]
    adopted_after_days: float | None
    drift_detections: int
    trainings: dict[str, int]
    rollbacks: int

    @property
    def found_days(self) -> int:
        """Of the first 14 days, those with an anomalous slot."""
        return sum(count > 0 for count in self.slots[:14])

    def to_json(self) -> dict[str, Any]:
        """Every attribute, and `found_days`."""
        return asdict(self) | {"found_days": self.found_days}


def run(change: str, lifecycle: bool, seed: int) -> Run:
    """One run: four weeks as usual, then four weeks with the change."""
    from daemon.config.file import effective, from_effective
    from daemon.engine.machine.engine import Engine
    from daemon.engine.messages.inputs import Configured
    from daemon.trainer.trainer import InlineTrainer

    stream = {"interval": INTERVAL_S, "clock": "event", "seed": seed, "max_series": 1} | ({} if lifecycle else OFF)
    settings = from_effective({"version": 1, "streams": {"meter": stream}})
    engine = Engine(InlineTrainer())
    engine.step(Configured(effective(settings)))
    values = series(change, seed)
    own = engine.streams["meter"]
    counts, errors, said, adopted = [], [], [], None
    for day in range(BEFORE + AFTER):
        seen, anomalous, notified = [], 0, 0
        for event, error, score in _slots(engine, values, day):
            seen.append(error)
            anomalous += score > 1
            notified += sum(each.notify and each.reasons != ("drift",) for each in event)
            for each in event:
                if each.reasons == ("drift",) and adopted is None and day >= BEFORE:
                    adopted = (each.at - START) / 86400 - BEFORE
        counts.append(anomalous)
        errors.append(float(np.mean(seen)))
        said.append(notified)
    usual = float(np.mean(errors[BEFORE - 7 : BEFORE]))
    return Run(
        change=change,
        lifecycle=lifecycle,
        seed=seed,
        slots=counts[BEFORE:],
        said=said[BEFORE:],
        error=[error / usual for error in errors[BEFORE:]],
        adopted_after_days=None if adopted is None else round(adopted, 2),
        drift_detections=own.learner.drift.detections,
        trainings=dict(own.learner.outcomes),
        rollbacks=own.learner.promoting.rollbacks,
    )


def series(change: str, seed: int) -> Floats:
    """The series of one run, shape (48 (BEFORE + AFTER),)."""
    rng = np.random.default_rng(seed)
    values = season(BEFORE + AFTER, rng)
    made, _ = CHANGES[change]
    values[BEFORE * DAY :] = made(values[BEFORE * DAY :].copy(), rng)
    return values


def _slots(engine: Any, values: Floats, day: int) -> Iterator[tuple[list[Any], float, float]]:
    """Feed one day, slot by slot; the events, the reconstruction error and the score of each."""
    from daemon.engine.messages.inputs import Batch

    for slot in range(day * DAY, (day + 1) * DAY):
        at_ms = np.array([(START + slot * INTERVAL_S) * 1000], np.int64)
        none = np.zeros(1, np.int32)
        events = engine.step(Batch("meter", 0, ["a"], none, at_ms, none, values[slot : slot + 1, None], {})).events
        row = engine.streams["meter"].table.rows[0]
        yield events, float(row["error"]), float(row["score"])


def measure(seeds: list[int], jobs: int, progress: Callable[[int, int], None]) -> list[Run]:
    """All changes with and without the lifecycle, in processes of their own."""
    asked = [(change, on, seed) for change in CHANGES for on in (True, False) for seed in seeds]
    found: dict[tuple[str, bool, int], Run] = {}
    with workers(jobs) as pool:
        waiting = {pool.submit(run, *each): each for each in asked}
        for done, future in enumerate(as_completed(waiting), 1):
            found[waiting[future]] = future.result()
            progress(done, len(asked))
    return [found[each] for each in asked]
