"""Metrics of single series: which are exported, and their samples, column by column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

from daemon.engine.messages.events import Reason
from daemon.metrics.catalogue import Spec
from daemon.metrics.snapshot import SeriesColumns, StreamSnapshot

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Labels = dict[str, str]


class Family:
    """One metric being filled."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.metric = Metric(spec.full_name.removesuffix("_total"), spec.meaning, spec.type)

    def add(self, labels: Labels, value: float | None) -> None:
        """One sample; None and numbers that are not finite are left out."""
        if value is not None and math.isfinite(value):
            self.metric.samples.append(Sample(self.spec.full_name, labels, float(value)))

    def add_each(self, label: str, values: Mapping[str, float], labels: Labels) -> None:
        """One sample for each entry of `values`, under `label`."""
        for key, value in values.items():
            self.add({**labels, label: key}, value)

    def add_rows(self, labels: list[Labels], values: npt.NDArray[Any]) -> None:
        """One sample for each row, in order; numbers that are not finite are left out."""
        name, numbers = self.spec.full_name, values.astype(np.float64).tolist()
        rows = zip(labels, numbers, np.isfinite(values).tolist(), strict=True)
        self.metric.samples.extend([Sample(name, own, number) for own, number, finite in rows if finite])


def chosen_rows(streams: Mapping[str, StreamSnapshot], max_series: int) -> dict[str, Rows]:
    """Rows exported of each stream: all, or where there are more than `max_series`, those that matter most.

    These are series with an open episode or gap, then the others, each by score over all streams. Equal ones: earlier
    streams and rows first, so that what is exported does not jump about.
    """
    columns = {name: stream.series for name, stream in streams.items()}
    if sum(len(series) for series in columns.values()) <= max_series:
        return {name: np.arange(len(series)) for name, series in columns.items()}
    scores = np.concatenate([np.nan_to_num(series.score, nan=-1.0) for series in columns.values()])
    closed = np.concatenate([~series.open for series in columns.values()])
    top = np.sort(np.lexsort((-scores, closed))[:max_series])
    chosen, start = {}, 0
    for name, series in columns.items():
        chosen[name] = top[(top >= start) & (top < start + len(series))] - start
        start += len(series)
    return chosen


def is_scored(series: SeriesColumns) -> Mask:
    """Whether a series' expected value, bounds and error say something, shape (N,)."""
    ready: Mask = np.array([status == "ready" for status in series.status], np.bool_)
    touched = (series.lower != 0) | (series.upper != 0) | (series.expected != 0)
    said: Mask = touched.any(axis=1) | (series.error != 0)
    return ready & said & ~series.silent


def series_families(f: Mapping[str, Family], streams: Mapping[str, StreamSnapshot], rows: Mapping[str, Rows]) -> None:
    """Samples of the chosen rows of every stream."""
    for name, stream in streams.items():
        _one_stream(f, stream, rows[name])


def _one_stream(f: Mapping[str, Family], stream: StreamSnapshot, rows: Rows) -> None:
    series = stream.series
    labels = [{"stream": stream.name, "series": series.name[row]} for row in rows.tolist()]
    scored, last = is_scored(series)[rows], series.last_reading_at[rows]
    speaking = (last > 0) & ~series.silent[rows]
    judged = scored | (speaking & (series.score[rows] > 0))  # a limit is broken in the warm-up too
    _variables(f, stream, rows, speaking, scored)
    columns: dict[str, tuple[npt.NDArray[Any], Mask | None]] = {
        "anomaly_score": (series.score[rows], judged),
        "reconstruction_error": (series.error[rows], scored),
        "rarity": (series.rarity[rows], scored),
        "threshold": (series.threshold[rows], None),
        "episode_open": (series.open[rows], None),
        "episode_severity": (series.severity[rows], None),
        "episode_maintenance": (series.hushed[rows], series.open[rows]),
        "episode_withheld": (series.withheld[rows], series.open[rows]),
        "last_reading_timestamp_seconds": (last, last > 0),
        "silent": (series.silent[rows], None),
        "warm_up_ratio": (series.warm_up[rows], None),
        "ready_timestamp_seconds": (series.ready_at[rows], series.ready_at[rows] > 0),
    }
    for name, (values, mask) in columns.items():
        f[name].add_rows(*_where(labels, values, mask))
    counts = f["anomalies_total"].metric
    first = len(counts.samples)
    for reason in Reason:
        own = [{**label, "reason": reason.word} for label in labels]
        f["anomalies_total"].add_rows(own, series.anomalies[rows, reason])
    _exemplars(counts, first, series, rows)


def _exemplars(metric: Metric, first: int, series: SeriesColumns, rows: Rows) -> None:
    """Have the counts of an open episode's reasons lead to its event; the stream's begin at sample `first`."""
    for k, row in enumerate(rows.tolist()):
        if (event := series.episodes.get(row)) is None:
            continue
        for reason in Reason:
            if reason.word in event.reasons:
                at = first + reason * len(rows) + k
                metric.samples[at] = metric.samples[at]._replace(exemplar=Exemplar({"event": event.id}, 1.0, event.at))


def _variables(f: Mapping[str, Family], stream: StreamSnapshot, rows: Rows, speaking: Mask, scored: Mask) -> None:
    series = stream.series
    columns: dict[str, tuple[npt.NDArray[Any], Mask]] = {
        "reading": (series.value, speaking),
        "expected": (series.expected, scored),
        "expected_lower": (series.lower, scored),
        "expected_upper": (series.upper, scored),
    }
    for index, variable in enumerate(stream.variables):
        labels = [{"stream": stream.name, "series": series.name[row], "variable": variable} for row in rows.tolist()]
        for name, (values, mask) in columns.items():
            f[name].add_rows(*_where(labels, values[rows, index], mask))


def _where(labels: list[Labels], values: npt.NDArray[Any], mask: Mask | None) -> tuple[list[Labels], npt.NDArray[Any]]:
    if mask is None or mask.all():
        return labels, values
    return [labels[at] for at in np.flatnonzero(mask).tolist()], values[mask]
