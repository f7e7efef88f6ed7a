"""An immutable picture of the engine for metrics, status and page: taken between two steps, read by any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.detection.threshold import thresholds
from daemon.engine.kernel.calibration import measured_rate
from daemon.engine.kernel.slots import NEVER
from daemon.engine.machine.added_windows import described
from daemon.engine.machine.counters import ENGINE_REJECTIONS
from daemon.engine.machine.engine import Engine
from daemon.engine.machine.stream import Stream
from daemon.engine.messages.events import REASONS
from daemon.engine.table.overdue import COUNTER_RESETS
from daemon.engine.table.series import FREE, STATUS
from daemon.metrics.frozen import Frozen


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """Id of an event, the slot of its newest revision, epoch seconds, and its reasons."""

    id: str
    at: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeriesColumns(Frozen):
    """One entry a series, in row order; N series.

    Attributes:
        name: Names of the series.
        row: Their rows in the stream's table, by which courses are found, shape (N,).
        status: `warming`, `queued` or `ready`.
        warm_up: Share of the warm-up that is there, 0 to 1; 1 once ready.
        ready_at: Epoch seconds at which the series is expected to be ready, 0 once it is.
        last_reading_at: Start of the last slot with a reading, epoch seconds; 0 before the first.
        silent: Whether a gap is open.
        value, expected, lower, upper: Shape (N, F).
        threshold: In units of rarity, shape (N,).
        score, rarity, error, rank: Of the last reading, shape (N,).
        open: Whether an episode or a gap is open.
        severity: Greatest score of the open episode so far; NaN without one.
        hushed: Whether of what is open nobody was told, because of maintenance.
        withheld: The same, because of the budget of the stream.
        episodes: Row -> what leads from a count to the open episode that it is of.
        anomalies: Anomalous slots by reason, in the order of `events.REASONS`, shape (N, 8).
    """

    name: tuple[str, ...]
    row: npt.NDArray[np.int64]
    status: tuple[str, ...]
    warm_up: npt.NDArray[np.float64]
    ready_at: npt.NDArray[np.int64]
    last_reading_at: npt.NDArray[np.int64]
    silent: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float32]
    lower: npt.NDArray[np.float32]
    upper: npt.NDArray[np.float32]
    threshold: npt.NDArray[np.float64]
    score: npt.NDArray[np.float32]
    rarity: npt.NDArray[np.float32]
    error: npt.NDArray[np.float32]
    rank: npt.NDArray[np.float32]
    open: npt.NDArray[np.bool_]
    severity: npt.NDArray[np.float64]
    hushed: npt.NDArray[np.bool_]
    withheld: npt.NDArray[np.bool_]
    episodes: Mapping[int, OpenEpisode]
    anomalies: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name)

    @property
    def anomalous(self) -> npt.NDArray[np.bool_]:
        """Whether the last reading is an anomaly, shape (N,); of a silent series its score says nothing any more."""
        return (self.score > 1) & ~self.silent


@dataclass(frozen=True, slots=True)
class StreamSnapshot(Frozen):
    """One stream. Times are epoch seconds of event time, None where there is none yet.

    Attributes:
        interval_s: Length of a slot.
        timezone: What its local times are of.
        variables: Names of the F variables of a reading.
        accepted, late, unscored, retired: Readings and series counted since the state began.
        rejected: Readings rejected, by reason; every reason is there.
        anomalies: Anomalous slots by reason, over all series there ever were.
        gaps: Gaps ever opened.
        open_episodes: Episodes open now.
        series_by_status: Number of series by status.
        series_limit: Series the stream may hold.
        bytes_per_series: State of one ready series.
        threshold: In units of rarity, by the budget; exceptions and labels move that of a series.
        false_alarm_budget: Per series and month.
        alarm_budget: Alarms told in a day at most, None for no bound.
        alarms: Alarms of a stream with such a budget by what became of them: `told` and `withheld`.
        episode_rate: New episodes per series and month, measured over the last months; None before the first reading
            that was judged.
        greatest_at: Start of the greatest slot seen.
        model: Digest, version, kind, loss and training range of the model in service; None before the first.
        trainings: Trainings by outcome.
        training_failures: Failed trainings by reason.
        rollbacks: Promotions taken back by themselves.
        labels: Operators' labels by kind.
        drift_detections: Times a drift detector found that the model's error rose.
        training: Whether a training is under way.
        next_training_at: When the next is due.
        reservoir_windows: Windows ever offered to training.
        maintenance: Maintenance windows, as `daemon.engine.machine.added_windows.described` has them.
        series: The series.
    """

    name: str
    interval_s: int
    timezone: str
    variables: tuple[str, ...]
    accepted: int
    late: int
    repeated: int
    revised: int
    guessed: Mapping[str, int]
    unscored: int
    retired: int
    rejected: Mapping[str, int]
    anomalies: Mapping[str, int]
    gaps: int
    counter_resets: int
    open_episodes: int
    series_by_status: Mapping[str, int]
    series_limit: int
    bytes_per_series: int
    threshold: float
    false_alarm_budget: float
    alarm_budget: int | None
    alarms: Mapping[str, int]
    episode_rate: float | None
    greatest_at: int | None
    model: Mapping[str, Any] | None
    trainings: Mapping[str, int]
    training_failures: Mapping[str, int]
    rollbacks: int
    labels: Mapping[str, int]
    drift_detections: int
    training: bool
    next_training_at: int | None
    reservoir_windows: int
    maintenance: tuple[Mapping[str, Any], ...]
    series: SeriesColumns


def snapshots(
    engine: Engine, rejections: tuple[str, ...], version: Callable[[str], int | None]
) -> dict[str, StreamSnapshot]:
    """Snapshots of all streams by name.

    Args:
        engine: Between two steps.
        rejections: Reasons for which adapters reject lines; the engine's own are added.
        version: Number of the model that serves a stream.
    """
    return {name: _stream(stream, rejections, version(name)) for name, stream in sorted(engine.streams.items())}


def _stream(s: Stream, rejections: tuple[str, ...], version: int | None) -> StreamSnapshot:
    series = _series(s)
    status, counts = s.table.rows["status"], s.counters
    anomalies = s.table.rows["anomalies"].sum(axis=0, dtype=np.int64) + np.array(counts.retired_anomalies)
    reasons = dict.fromkeys((*rejections, *ENGINE_REJECTIONS), 0) | counts.rejected
    value = s.settings.format.value
    next_training, champion, greatest = s.learner.next_training, s.learner.champion, s.schedule.greatest
    return StreamSnapshot(
        name=s.name,
        interval_s=s.settings.interval,
        timezone=s.settings.timezone,
        variables=(value,) if isinstance(value, str) else tuple(value),
        accepted=counts.accepted,
        late=counts.late,
        repeated=counts.repeated,
        revised=counts.revised,
        guessed=dict(counts.guessed),
        unscored=counts.unscored,
        retired=counts.retired,
        rejected=reasons,
        anomalies=dict(zip(REASONS, anomalies.tolist(), strict=True)),
        gaps=s.silence.total,
        counter_resets=int(s.arrivals.clock[COUNTER_RESETS]),
        open_episodes=len(s.episodes.open) + len(s.silence.single) + len(s.silence.groups),
        series_by_status={n: int(np.count_nonzero(status == i)) for i, n in enumerate(STATUS) if i != FREE},
        series_limit=s.settings.max_series,
        bytes_per_series=s.table.bytes_per_series(),
        threshold=float(s.scoring.policies["threshold"][0]),
        false_alarm_budget=s.settings.alerts.false_alarms_per_month,
        alarm_budget=s.settings.alerts.alarms_per_day,
        alarms={"told": s.allowance.told, "withheld": s.allowance.withheld},
        episode_rate=measured_rate(s.scoring.rates),
        greatest_at=None if greatest == NEVER else s.slots.at(greatest),
        model=None if champion is None else _model(s, version),
        trainings=dict(s.learner.outcomes),
        training_failures=dict(s.learner.failures),
        labels=dict(s.counters.labels),
        rollbacks=s.learner.promoting.rollbacks,
        drift_detections=s.learner.drift.detections,
        training=s.learner.pending is not None,
        next_training_at=None if next_training is None else s.slots.at(next_training),
        reservoir_windows=int(s.reservoir.seen[0]),
        maintenance=tuple(_windows(s)),
        series=series,
    )


def _model(s: Stream, version: int | None) -> dict[str, Any]:
    champion = s.learner.champion
    assert champion is not None
    m = champion.manifest
    promoted = s.learner.serving.promoted_slot
    return {
        "digest": champion.digest,
        "version": version,
        "architecture": m.architecture,
        "kind": m.kind,
        "loss": m.loss,
        "trained_from": m.trained_from,
        "trained_to": m.trained_to,
        "promoted_at": None if promoted is None or promoted == NEVER else s.slots.at(promoted),
    }


def _series(s: Stream) -> SeriesColumns:
    a, used = s.table.arrays, s.table.used
    kept = np.flatnonzero(a.rows["status"][:used] != FREE)
    rows = a.rows[:used][kept]
    last, due, first = rows["last"], rows["mature"], rows["first"]
    severity = np.full(used, np.nan)
    hushed = np.ones(used, np.bool_)
    for row, event in s.episodes.open.items():
        severity[row] = event.score
        hushed[row] = event.maintenance
    for row, event in s.silence.single.items():
        hushed[row] &= event.maintenance
    for event, members in s.silence.groups.values():
        hushed[sorted(members)] &= event.maintenance
    silent = rows["silent"] == 1
    waiting = (rows["status"] == STATUS.index("warming")) & (last != NEVER)
    share = np.clip((last - first + 1) / s.settings.warm_up_slots, 0.0, 1.0)
    interval = s.settings.interval
    return SeriesColumns(
        name=tuple(str(s.table.names[row]) for row in kept.tolist()),
        row=kept,
        status=tuple(STATUS[i] for i in rows["status"].tolist()),
        warm_up=np.where(waiting, share, np.where(last == NEVER, 0.0, 1.0)),
        ready_at=np.where(waiting, (due + 1) * interval, 0),
        last_reading_at=np.where(last == NEVER, 0, last * interval),
        silent=silent,
        value=a.value[kept],
        expected=a.expected[kept],
        lower=a.lower[kept],
        upper=a.upper[kept],
        threshold=thresholds(s.scoring.policies["threshold"][rows["policy"]], rows["halved"]),
        score=rows["score"].copy(),
        rarity=rows["rarity"].copy(),
        error=rows["error"].copy(),
        rank=rows["rank"].copy(),
        open=silent | ~np.isnan(severity[kept]),
        severity=severity[kept],
        withheld=_withheld(s)[kept],
        hushed=hushed[kept] & (silent | ~np.isnan(severity[kept])),
        episodes={
            int(np.searchsorted(kept, row)): OpenEpisode(event.id, event.at, event.reasons)
            for row, event in s.episodes.open.items()
        },
        anomalies=rows["anomalies"].astype(np.int64),
    )


def _windows(s: Stream) -> list[dict[str, Any]]:
    if not s.settings.maintenance and not s.maintenance.added.windows:
        return []
    greatest = s.schedule.greatest
    return described(
        s.name, s.settings, s.maintenance.added.windows, None if greatest == NEVER else s.slots.at(greatest)
    )


def _withheld(s: Stream) -> npt.NDArray[np.bool_]:
    """Whether nobody was told of anything that is open, and something is withheld; of every row in use."""
    withheld, told = np.zeros(s.table.used, np.bool_), np.zeros(s.table.used, np.bool_)
    single = [*s.episodes.open.items(), *s.silence.single.items()]
    for event, rows in [*((event, [row]) for row, event in single), *s.silence.groups.values()]:
        withheld[list(rows)] |= event.withheld
        told[list(rows)] |= event.notified
    return withheld & ~told
