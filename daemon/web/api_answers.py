"""What the API answers, made of pictures and records: JSON values as `daemon.web.api_schemas` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daemon.engine.messages.inputs import Labelled
from daemon.metrics.collector import Picture
from daemon.metrics.snapshot import StreamSnapshot
from daemon.presentation.event_words import event_words
from daemon.store import EventFilter, ModelRecord
from daemon.store.course_cells import VARIABLES
from daemon.store.course_view import CourseOf
from daemon.web.records import IN_RANGE, Records, Told, holding
from daemon.web.summary import stream_status

DEFAULT_RANGE_S = 2 * 86400


def streams(picture: Picture) -> dict[str, Any]:
    """All streams."""
    return {"streams": [{"name": name, **stream_status(each)} for name, each in picture.streams.items()]}


def sources(picture: Picture) -> dict[str, Any]:
    """All sources."""
    down = picture.process.get("down") or {}
    return {
        "sources": [
            {
                "name": name,
                "stream": name.rpartition("/")[0],
                "up": bool(gauges.get("up")) and name not in down,
                "error": down.get(name),
                "refused": picture.refusals.get(name),
                "rejected_lines": gauges.get("rejected_lines", 0.0),
                "gauges": dict(gauges),
            }
            for name, gauges in picture.sources.items()
        ]
    }


def windows(picture: Picture, stream: str | None) -> list[dict[str, Any]]:
    """Maintenance windows of a stream, or of all."""
    return [
        dict(window) for name, each in picture.streams.items() if stream in (None, name) for window in each.maintenance
    ]


def label(given: Labelled) -> dict[str, Any]:
    """One label."""
    return {
        "stream": given.stream,
        "series": given.series,
        "kind": given.kind,
        "since": given.since,
        "until": given.until,
        "note": given.note,
        "given_at": given.received_at_ms / 1000,
    }


def model(record: ModelRecord, picture: Picture) -> dict[str, Any]:
    """One version of a model."""
    manifest = record.manifest
    stream = picture.streams.get(record.stream)
    serving = None if stream is None or stream.model is None else stream.model["version"]
    return {
        "stream": record.stream,
        "version": record.version,
        "status": record.status,
        "serves": record.version is not None and record.version == serving,
        "kept": record.file is not None,
        "at": record.at_ms / 1000,
        **{name: manifest.get(name) for name in ("kind", "architecture", "loss", "trained_from", "trained_to")},
        "gate": manifest.get("gate"),
        "rollback": manifest.get("rollback"),
        "reason": record.reason,
        "detail": record.detail,
    }


def models(records: Sequence[ModelRecord], picture: Picture, limit: int) -> dict[str, Any]:
    """The newest so many versions."""
    return {"models": [model(each, picture) for each in reversed(records[-limit:])]}


def event(told: Told) -> dict[str, Any]:
    """One event."""
    return {
        "event": told.event.to_json(),
        "words": list(event_words(told.event, told.revisions)),
        "revisions": [each.to_json() for each in told.revisions],
        "similar": [each.to_json() for each in told.similar],
        "labels": [label(each) for each in told.labels],
    }


def course(
    picture: Picture, stream: StreamSnapshot, entry: int, records: Records, since: int | None, until: int | None
) -> dict[str, Any]:
    """One series in a range of time, with what happened to it meanwhile.

    Args:
        picture: The newest.
        stream: The series' stream.
        entry: Index of the series in its columns.
        records: Of the state directory.
        since: Beginning, epoch seconds; None: two days before the end.
        until: End, exclusive; None: that of the newest reading's slot.
    """
    series = stream.series
    name, newest = series.name[entry], int(series.last_reading_at[entry])
    until = newest + stream.interval_s if until is None else until
    since = until - DEFAULT_RANGE_S if since is None else since
    width = len(stream.variables)
    of = CourseOf(stream.name, name, int(series.row[entry]), width, stream.interval_s, newest)
    found = records.course(of, since, until)
    wanted = EventFilter(stream.name, name, since=since, until=until)
    labels = [each for each in holding(records.labels(stream.name, name)) if each.since < until and each.until >= since]
    trained = [each for each in records.models(stream.name) if since <= placed_at(each) < until]
    return {
        "stream": stream.name,
        "series": name,
        "variables": list(stream.variables[:VARIABLES]),
        "since": since,
        "until": until,
        "step_s": found.step_s,
        "at": found.at,
        **{column: _numbers(getattr(found, column)) for column in ("value", "low", "high", "expected")},
        "lower": _numbers(found.expected - found.around),
        "upper": _numbers(found.expected + found.around),
        "score": _numbers(found.score),
        "threshold": _numbers(found.threshold),
        "events": [each.to_json() for _, each in records.events(wanted, IN_RANGE)],
        "labels": [label(each) for each in labels],
        "promotions": [model(each, picture) for each in trained if each.status in ("promoted", "rolled_back")],
    }


def placed_at(record: ModelRecord) -> float:
    """Where a version stands among its stream's readings: at the end of what it was trained on."""
    at = record.manifest.get("trained_to")
    return float(at) if isinstance(at, int | float) else record.at_ms / 1000


def _numbers(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Numbers with no more digits than they were kept with; infinite ones are unknown."""
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)
