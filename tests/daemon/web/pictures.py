"""Pictures made by hand for the tests of metrics, HTTP and page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adapters.base import REJECTIONS
from daemon.engine.learning.learner import FAILURES
from daemon.engine.machine.counters import ENGINE_REJECTIONS
from daemon.engine.messages.events import REASONS, Event
from daemon.metrics.collector import Picture
from daemon.metrics.snapshot import SeriesColumns, StreamSnapshot

NOW = 1_785_000_000
"""A Saturday in July 2026."""


def columns(names: list[str], *, width: int = 1, status: str = "ready") -> SeriesColumns:
    """Series that were scored at NOW, all alike but for a score that grows with the row."""
    n = len(names)
    warming = status == "warming"
    row = np.arange(n, dtype=np.float64)
    wide = np.repeat((100.0 + row)[:, None], width, axis=1)
    scored = np.float32(0.0 if warming else 1.0)
    return SeriesColumns(
        name=tuple(names),
        row=np.arange(n),
        status=(status,) * n,
        warm_up=np.full(n, 0.63 if warming else 1.0),
        ready_at=np.full(n, NOW + 86_400 if warming else 0, np.int64),
        last_reading_at=np.full(n, NOW, np.int64),
        silent=np.zeros(n, np.bool_),
        value=wide,
        expected=(wide - 1).astype(np.float32) * scored,
        lower=(wide - 3).astype(np.float32) * scored,
        upper=(wide + 1).astype(np.float32) * scored,
        threshold=np.full(n, 3.16),
        score=(row / max(n, 1) * 2).astype(np.float32) * scored,
        rarity=np.full(n, 2.5, np.float32) * scored,
        error=np.full(n, 0.0125, np.float32) * scored,
        rank=np.full(n, 0.5, np.float32) * scored,
        open=np.zeros(n, np.bool_),
        severity=np.full(n, np.nan),
        hushed=np.zeros(n, np.bool_),
        withheld=np.zeros(n, np.bool_),
        episodes={},
        anomalies=np.zeros((n, len(REASONS)), np.int64),
    )


def stream(name: str = "taxi", series: SeriesColumns | None = None, **changes: Any) -> StreamSnapshot:
    """A stream in good health; `changes` replace attributes."""
    series = columns(["nyc"]) if series is None else series
    counts = {status: series.status.count(status) for status in ("warming", "queued", "ready")}
    snapshot = StreamSnapshot(
        name=name,
        interval_s=1800,
        variables=tuple("value" if series.value.shape[1] == 1 else f"v{i}" for i in range(series.value.shape[1])),
        accepted=10_320,
        late=2,
        repeated=0,
        revised=0,
        guessed={"estimated": 0, "substituted": 0},
        unscored=1,
        retired=0,
        rejected=dict.fromkeys((*REJECTIONS, *ENGINE_REJECTIONS), 0) | {"malformed": 3},
        anomalies=dict.fromkeys(REASONS, 0) | {"model": 7},
        gaps=1,
        counter_resets=0,
        open_episodes=1,
        series_by_status=counts,
        series_limit=100_000,
        bytes_per_series=2048,
        threshold=3.16,
        false_alarm_budget=1.0,
        alarm_budget=20,
        alarms={"told": 0, "withheld": 0},
        episode_rate=0.25,
        greatest_at=NOW,
        model={
            "digest": "ab" * 32,
            "version": 4,
            "architecture": "masked-autoencoder",
            "kind": "tune",
            "loss": 0.021,
            "trained_from": NOW - 86_400,
            "trained_to": NOW - 3600,
            "promoted_at": NOW - 1800,
        },
        trainings={"promoted": 4, "rejected": 0, "failed": 0, "skipped": 0},
        training_failures=dict.fromkeys(FAILURES, 0),
        rollbacks=0,
        labels={"fault": 0, "normal": 0},
        drift_detections=0,
        training=False,
        next_training_at=NOW + 36_000,
        reservoir_windows=9_000,
        maintenance=(),
        timezone="UTC",
        series=series,
    )
    return replace(snapshot, **changes)


def picture(*streams: StreamSnapshot, **changes: Any) -> Picture:
    """A picture of `streams` (of one stream in good health); `changes` replace attributes."""
    shown = streams or (stream(),)
    whole = Picture(
        streams={each.name: each for each in shown},
        sources={"taxi/0": {"up": 1.0, "lag_bytes": 0.0, "files": 1.0, "rotations": 2.0, "compressed": 0.0}},
        store={
            "checkpoint_at_ms": NOW * 1000,
            "checkpoint_bytes": 123_456,
            "checkpoint_failures": 0,
            "quarantined": 0,
            "checkpoint_mismatches": 0,
            "journal_seq": 17,
            "state_dir": "/var/lib/tidegauge",
        },
        process={
            "ready": True,
            "started_at": NOW - 7200.0,
            "turns": 99,
            "queue_depth": 0,
            "skipped": {"checkpoint": 0, "tick": 0},
            "failed": {"checkpoint": 0, "tick": 0},
            "reload_successful": True,
            "reload_success_at": NOW - 7200.0,
        },
        taken_at=float(NOW),
    )
    return replace(whole, **changes)


def event(**changes: Any) -> dict[str, Any]:
    """An event as `Event.to_json` gives it."""
    made = Event(
        id="0123456789abcdef",
        revision=1,
        stream="taxi",
        series="nyc",
        state="open",
        reasons=("model", "novelty"),
        started_at=NOW - 3600,
        ended_at=NOW,
        at=NOW,
        notify=True,
        score=1.84,
        rarity=5.8,
        threshold=3.16,
        reconstruction_error=0.4,
        value=(101.0,),
        expected=(60.0,),
        lower=(40.0,),
        upper=(80.0,),
    )
    return {**made.to_json(), **changes}
