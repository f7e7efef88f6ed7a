"""The picture as JSON and in words, for the API and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.metrics.collector import Picture, version
from daemon.metrics.series_samples import is_scored
from daemon.metrics.snapshot import StreamSnapshot
from daemon.presentation.words import instant, plural
from daemon.web.series_search import SeriesFilter, open_reasons, search


def status(picture: Picture, not_ready: str | None) -> dict[str, Any]:
    """Everything but the single series and events; `not_ready` says why the daemon is not."""
    return {
        "version": version(),
        "taken_at": picture.taken_at,
        "ready": bool(picture.process.get("ready")),
        "not_ready": not_ready,
        "started_at": picture.process.get("started_at"),
        "shard": dict(zip(("index", "of"), picture.shard, strict=True)),
        "streams": {name: stream_status(stream) for name, stream in picture.streams.items()},
        "sources": {name: dict(gauges) for name, gauges in picture.sources.items()},
        "refusals": dict(picture.refusals),
        "store": dict(picture.store),
        "process": dict(picture.process),
    }


def stream_status(stream: StreamSnapshot) -> dict[str, Any]:
    """One stream: its state in words, its warm-up, and all that is counted."""
    series = stream.series
    waiting = series.ready_at[series.ready_at > 0]
    return {
        "state": state_words(stream),
        "interval_s": stream.interval_s,
        "variables": list(stream.variables),
        "last_slot_at": stream.greatest_at,
        "warm_up": {
            "share": float(series.warm_up.mean()) if len(series) else 0.0,
            "first_ready_at": int(waiting.min()) if len(waiting) else None,
            "all_ready_at": int(waiting.max()) if len(waiting) else None,
        },
        "series": {
            **stream.series_by_status,
            "anomalous": int(series.anomalous.sum()),
            "silent": int(series.silent.sum()),
            "retired": stream.retired,
            "limit": stream.series_limit,
            "state_bytes": stream.bytes_per_series,
        },
        "readings": {
            "accepted": stream.accepted,
            "rejected": {reason: count for reason, count in stream.rejected.items() if count},
            "late": stream.late,
            "unscored": stream.unscored,
            "gaps": stream.gaps,
            "counter_resets": stream.counter_resets,
        },
        "anomalies": dict(stream.anomalies),
        "open_episodes": stream.open_episodes,
        "threshold": stream.threshold,
        "false_alarms_per_month": stream.false_alarm_budget,
        "episodes_per_month": stream.episode_rate,
        "model": stream.model,
        "trainings": dict(stream.trainings),
        "training_failures": dict(stream.training_failures),
        "rollbacks": stream.rollbacks,
        "labels": dict(stream.labels),
        "drift_detections": stream.drift_detections,
        "training": stream.training,
        "next_training_at": stream.next_training_at,
        "maintenance": [dict(each) for each in stream.maintenance],
    }


def state_words(stream: StreamSnapshot) -> str:
    """What a stream is doing, for a reader who never saw one."""
    series, counts = stream.series, stream.series_by_status
    if not len(series):
        return "waiting for the first reading"
    ready, total = counts.get("ready", 0), len(series)
    if ready:
        rest = total - ready
        return f"watching {plural(ready, 'series')}" + (f", {rest} warming up" if rest else "")
    waiting = series.ready_at > 0
    if stream.training:
        rest = int(waiting.sum())
        return "training the first model" + (f", {rest} of {total} warming up" if rest else "")
    if not waiting.any():
        return "warm-up complete, waiting for the first model" if stream.model is None else "joining the model"
    share = float(series.warm_up[waiting].mean())
    return f"warming up: {math.floor(share * 100)} %, ready about {instant(int(series.ready_at[waiting].min()))}"


def series_rows(picture: Picture, stream: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Series, greatest score first, as `rows_of` has them."""
    return rows_of(search(picture, SeriesFilter(stream), limit).rows)


def rows_of(found: Sequence[tuple[StreamSnapshot, int]]) -> list[dict[str, Any]]:
    """Series as they are now; `score`, `expected` and its bounds are None where one is not scored, or is silent."""
    scored = {name: is_scored(series) for name, series in {stream.name: stream.series for stream, _ in found}.items()}
    return [_series(stream, entry, bool(scored[stream.name][entry])) for stream, entry in found]


def snapshot_rows(streams: Mapping[str, StreamSnapshot], stream: str | None = None) -> list[dict[str, Any]]:
    """All series of snapshots, or of one of them, in no order; see `series_rows`."""
    chosen = [each for name, each in streams.items() if stream in (None, name)]
    return [
        _series(each, row, bool(scored))
        for each in chosen
        for row, scored in enumerate(is_scored(each.series).tolist())
    ]


def _series(stream: StreamSnapshot, row: int, scored: bool) -> dict[str, Any]:
    s = stream.series
    seen = int(s.last_reading_at[row]) > 0
    speaks = seen and not s.silent[row]
    score = float(s.score[row]) if scored or (speaks and s.score[row] > 0) else None
    return {
        "stream": stream.name,
        "series": s.name[row],
        "status": s.status[row],
        "silent": bool(s.silent[row]),
        "reasons": list(open_reasons(s, row)),
        "warm_up": float(s.warm_up[row]),
        "ready_at": int(s.ready_at[row]) or None,
        "last_reading_at": int(s.last_reading_at[row]) or None,
        "value": s.value[row].tolist() if seen else None,
        "expected": s.expected[row].tolist() if scored else None,
        "lower": s.lower[row].tolist() if scored else None,
        "upper": s.upper[row].tolist() if scored else None,
        "score": score,
        "rarity": float(s.rarity[row]) if scored else None,
        "threshold": float(s.threshold[row]),
        "reconstruction_error": float(s.error[row]) if scored else None,
    }
