"""Metrics: a collector over an immutable picture of the daemon. The names are those of `daemon.metrics.catalogue`."""

from __future__ import annotations

import platform
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from daemon.metrics.catalogue import BY_NAME
from daemon.metrics.frozen import Frozen
from daemon.metrics.series_samples import Family, chosen_rows, series_families
from daemon.metrics.snapshot import StreamSnapshot

TIMED: tuple[str, ...] = ("scoring", "journal", "training", "checkpoint")
BUCKETS: tuple[float, ...] = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
_SOURCE_GAUGES = {
    "up": "source_up",
    "lag_bytes": "source_lag_bytes",
    "lag_messages": "source_lag_messages",
    "series": "source_series",
    "series_limit": "source_series_limit",
    "position_bytes": "source_position_bytes",
    "files": "source_files",
    "compressed": "source_files_ignored",
}
_SOURCE_COUNTERS = {
    "lines": "source_lines_total",
    "accepted": "source_connections_accepted_total",
    "kernel_drops": "source_kernel_drops_total",
    "uploads": "source_uploads_total",
    "messages": "source_messages_total",
    "rejected_lines": "source_rejected_lines_total",
    "passed_over": "source_readings_passed_over_total",
}
_SOURCE_BY_KIND = (
    ("connections_", "source_connections", "state"),
    ("refused_", "source_refused_total", "reason"),
    ("closed_", "source_closed_total", "reason"),
)
"""Prefix of a status' key -> metric and the label that takes the rest of the key."""


DurationHistograms = Mapping[str, Mapping[str, tuple[Sequence[int], float]]]
"""Name -> stream -> cumulative counts (one for each of `BUCKETS`, then all) and the sum of seconds."""

_SINK_METRICS = {
    "up": "sink_up",
    "waiting": "sink_waiting",
    "delivered": "sink_delivered_total",
    "failures": "sink_failures_total",
}
_WRITER_METRICS = {
    "up": "remote_write_up",
    "waiting_bytes": "remote_write_waiting_bytes",
    "samples": "remote_write_samples_total",
    "failures": "remote_write_failures_total",
}


@dataclass
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0


class Durations:
    """How long things took, as histograms; any thread may observe, any may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._histograms: dict[tuple[str, str], _Histogram] = {}

    def observe(self, name: str, seconds: float, stream: str = "") -> None:
        """Count one duration.

        Args:
            name: One of `TIMED`.
            seconds: How long it took.
            stream: Whose scoring or training it was; the others belong to no stream.

        Raises:
            ValueError: The name is none of `TIMED`.
        """
        if name not in TIMED:
            raise ValueError(f"there is no duration {name!r}; known are {', '.join(TIMED)}")
        seconds = max(seconds, 0.0)
        with self._lock:
            histogram = self._histograms.setdefault((name, stream), _Histogram())
            histogram.counts[bisect_left(BUCKETS, seconds)] += 1
            histogram.total += seconds

    def read(self, name: str) -> dict[str, tuple[list[int], float]]:
        """Stream -> cumulative counts (one for each of `BUCKETS`, then all) and the sum of seconds."""
        with self._lock:
            own = {key[1]: (list(h.counts), h.total) for key, h in self._histograms.items() if key[0] == name}
        return {stream: (list(accumulate(counts)), total) for stream, (counts, total) in own.items()}

    def taken(self) -> DurationHistograms:
        """All of them as they are now, by name."""
        return {name: self.read(name) for name in TIMED}


@dataclass(frozen=True, slots=True)
class Picture(Frozen):
    """All that metrics, status and page show, at one instant.

    Attributes:
        streams: Snapshots by stream name.
        sources: Source name (`taxi/0`) -> gauges of `Source.status()`: `up`, `lag_bytes`, `lag_messages`, `files`,
            `position_bytes`, `connections_<state>`, `refused_<reason>`, `closed_<reason>`, `accepted`, `lines`,
            `uploads`, `messages`, `kernel_drops`, `rejected_lines`, `passed_over`, `series`, `series_limit`; every
            other key counts incidents (`rotations`, `truncations`).
        store: `checkpoint_at_ms`, `checkpoint_bytes`, `checkpoint_failures`, `checkpoint_mismatches`, `quarantined`,
            `journal_seq`, `state_dir`; None or absent is not exported.
        process: `ready`, `full`, `down` (source -> why it is), `behind` (stream -> `Behind.status`),
            `started_at` (epoch seconds), `turns`, `queue_depth`, `skipped` and `failed`
            (job -> runs), `reload_successful`, `reload_success_at` (epoch seconds).
        taken_at: Epoch seconds.
        max_series: Series exported one by one, over all streams; the top by score are chosen.
        durations: `Durations.taken`.
        sinks: Name of the sink -> `up`, `waiting`, `delivered`, `failures`, `left_out_<reason>`.
        writers: Name of the store written to -> `MetricWriter.status`.
        refusals: Source name -> the newest refused line that was said, in words.
        shard: Which part of the series is watched here, and of how many.
    """

    streams: Mapping[str, StreamSnapshot]
    sources: Mapping[str, Mapping[str, float]]
    store: Mapping[str, Any]
    process: Mapping[str, Any]
    taken_at: float
    max_series: int = 1000
    durations: DurationHistograms = field(default_factory=dict)
    sinks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    writers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    shard: tuple[int, int] = (0, 1)


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("tidegauge")
    except metadata.PackageNotFoundError:
        return "unknown"


class TidegaugeCollector(Collector):
    """Turns the newest picture into metric families.

    Args:
        picture: Gives it; called once a scrape.
    """

    def __init__(self, picture: Callable[[], Picture]) -> None:
        self._picture = picture
        self._build = {"version": version(), "python": platform.python_version()}

    def collect(self) -> Iterator[Metric]:
        """Families in the order of the table; those without a sample are there too."""
        picture = self._picture()
        families = {name: Family(spec) for name, spec in BY_NAME.items()}
        rows = chosen_rows(picture.streams, picture.max_series)
        series_families(families, picture.streams, rows)
        for name, stream in picture.streams.items():
            _stream_counters(families, stream)
            _stream_gauges(families, stream, len(stream.series) - len(rows[name]))
            _stream_behind(families, name, picture.process.get("behind", {}).get(name))
        for name, status in picture.sources.items():
            _source(families, name, status)
        for name, status in picture.sinks.items():
            _sink(families, name, status, _SINK_METRICS, "sink_left_out_total")
        for name, status in picture.writers.items():
            _sink(families, name, status, _WRITER_METRICS, "remote_write_samples_left_out_total")
        _store(families, picture.store)
        _process(families, picture, self._build)
        _histograms(families, picture)
        return (family.metric for family in families.values())


def make_registry(picture: Callable[[], Picture]) -> CollectorRegistry:
    """A registry of Tidegauge's metrics and those of the process (`process_*`)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TidegaugeCollector(picture))
    ProcessCollector(registry=registry)
    return registry


def _stream_counters(f: Mapping[str, Family], s: StreamSnapshot) -> None:
    labels = {"stream": s.name}
    for name, value in {
        "readings_accepted_total": s.accepted,
        "readings_late_total": s.late,
        "readings_repeated_total": s.repeated,
        "readings_revised_total": s.revised,
        "readings_unscored_total": s.unscored,
        "gaps_total": s.gaps,
        "meter_resets_total": s.counter_resets,
        "series_retired_total": s.retired,
        "training_windows_total": s.reservoir_windows,
        "model_rollbacks_total": s.rollbacks,
        "drift_detections_total": s.drift_detections,
    }.items():
        f[name].add(labels, value)
    f["readings_guessed_total"].add_each("quality", s.guessed, labels)
    f["readings_rejected_total"].add_each("reason", s.rejected, labels)
    f["stream_anomalies_total"].add_each("reason", s.anomalies, labels)
    f["fine_tunes_total"].add_each("outcome", s.trainings, labels)
    f["labels_total"].add_each("kind", s.labels, labels)
    f["alarms_total"].add_each("outcome", s.alarms, labels)
    f["training_failures_total"].add_each("reason", s.training_failures, labels)


def _stream_gauges(f: Mapping[str, Family], s: StreamSnapshot, left_out: int) -> None:
    labels, series = {"stream": s.name}, s.series
    waiting = series.ready_at[series.ready_at > 0]
    model: Mapping[str, Any] = s.model or {}
    for name, value in {
        "episodes_open": s.open_episodes,
        "anomalous_series": int(series.anomalous.sum()),
        "silent_series": int(series.silent.sum()),
        "series_limit": s.series_limit,
        "series_not_exported": left_out,
        "series_state_bytes": s.bytes_per_series,
        "stream_warm_up_ratio": float(series.warm_up.mean()) if len(series) else None,
        "stream_ready_timestamp_seconds": int(waiting.max()) if len(waiting) else None,
        "stream_last_slot_timestamp_seconds": s.greatest_at,
        "interval_seconds": s.interval_s,
        "false_alarm_budget": s.false_alarm_budget,
        "alarm_budget": s.alarm_budget,
        "false_alarm_rate": s.episode_rate,
        "training_running": s.training,
        "next_training_timestamp_seconds": s.next_training_at,
        "model_loss": model.get("loss"),
        "model_promoted_timestamp_seconds": model.get("promoted_at"),
        "model_trained_until_timestamp_seconds": model.get("trained_to"),
    }.items():
        f[name].add(labels, value)
    f["series"].add_each("status", s.series_by_status, labels)
    if model:
        shown = {key: str(model[key] or "") for key in ("version", "architecture", "kind", "digest")}
        f["model_info"].add({**labels, **shown}, 1)


def _stream_behind(f: Mapping[str, Family], name: str, behind: Mapping[str, Any] | None) -> None:
    waits = behind is not None and behind["training"] is not None
    since = behind["since"] if behind is not None and waits else None
    f["training_awaited_since_timestamp_seconds"].add({"stream": name}, since)
    f["inputs_waiting"].add({"stream": name}, 0 if behind is None else behind["inputs"])


def _source(f: Mapping[str, Family], name: str, status: Mapping[str, float]) -> None:
    labels = {"source": name}
    for key, value in status.items():
        own = _SOURCE_GAUGES.get(key) or _SOURCE_COUNTERS.get(key)
        if own is not None:
            f[own].add(labels, value)
            continue
        for prefix, metric, label in _SOURCE_BY_KIND:
            if key.startswith(prefix):
                f[metric].add({**labels, label: key.removeprefix(prefix)}, value)
                break
        else:
            f["source_incidents_total"].add({**labels, "kind": key}, value)


def _sink(
    f: Mapping[str, Family], name: str, status: Mapping[str, float], metrics: Mapping[str, str], left_out_total: str
) -> None:
    labels = {"sink": name}
    for key, metric in metrics.items():
        f[metric].add(labels, status.get(key))
    prefix = "left_out_"
    left_out = {key.removeprefix(prefix): count for key, count in status.items() if key.startswith(prefix)}
    f[left_out_total].add_each("reason", left_out, labels)


def _store(f: Mapping[str, Family], store: Mapping[str, Any]) -> None:
    at_ms = store.get("checkpoint_at_ms")
    for name, value in {
        "checkpoint_timestamp_seconds": at_ms / 1000 if at_ms else None,
        "checkpoint_size_bytes": store.get("checkpoint_bytes") if at_ms else None,
        "checkpoint_failures_total": store.get("checkpoint_failures", 0),
        "checkpoint_mismatches_total": store.get("checkpoint_mismatches", 0),
        "quarantined_total": store.get("quarantined", 0),
        "journal_entries_lost_total": store.get("lost", 0),
        "journal_entries_total": store.get("journal_seq", 0),
    }.items():
        f[name].add({}, value)


def _process(f: Mapping[str, Family], picture: Picture, build: Mapping[str, str]) -> None:
    process = picture.process
    for name, value in {
        "ready": bool(process.get("ready")),
        "state_full": bool(process.get("full")),
        "start_timestamp_seconds": process.get("started_at"),
        "snapshot_timestamp_seconds": picture.taken_at,
        "turns_total": process.get("turns", 0),
        "queue_depth": process.get("queue_depth", 0),
        "config_last_reload_successful": bool(process.get("reload_successful", True)),
        "config_last_reload_success_timestamp_seconds": process.get("reload_success_at"),
    }.items():
        f[name].add({}, value)
    f["build_info"].add(dict(build), 1)
    index, of = picture.shard
    f["shard_info"].add({"index": str(index), "of": str(of)}, 1)
    # the label is not `job`, which Prometheus gives every target
    f["jobs_skipped_total"].add_each("task", process.get("skipped", {}), {})
    f["jobs_failed_total"].add_each("task", process.get("failed", {}), {})


def _histograms(f: Mapping[str, Family], picture: Picture) -> None:
    zero: tuple[Sequence[int], float] = ([0] * len(_BOUNDS), 0.0)
    for name in TIMED:
        spec = BY_NAME[f"{name}_seconds"]
        known: Iterable[str] = picture.streams if spec.labels else ("",)
        for stream, histogram in {**dict.fromkeys(known, zero), **picture.durations.get(name, {})}.items():
            f[spec.name].metric.samples.extend(_histogram(spec.full_name, stream, *histogram))


def _histogram(name: str, stream: str, counts: Sequence[int], total: float) -> Iterator[Sample]:
    labels = {"stream": stream} if stream else {}
    for bound, count in zip(_BOUNDS, counts, strict=True):
        yield Sample(f"{name}_bucket", {**labels, "le": bound}, count)
    yield Sample(f"{name}_count", labels, counts[-1])
    yield Sample(f"{name}_sum", labels, total)
