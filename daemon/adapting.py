"""From the configuration to adapters, and from what they parse to the engine's inputs."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from adapters.base import Format, Readings, Source
from adapters.csv_format import CsvFormat
from adapters.jsonl_format import JsonlFormat
from adapters.merge import Merged
from adapters.stdin import StandardInput
from adapters.tail import FileTail
from daemon.inputs import Batch
from daemon.settings import Limits, SourceSettings, StreamSettings


def make_format(stream: StreamSettings, limits: Limits) -> Format:
    """The parser of a stream's lines."""
    f = stream.format
    if f.type == "jsonl":
        return JsonlFormat(
            time=f.time, value=f.value, series=f.series, timezone=stream.timezone, label_bytes=limits.label_bytes
        )
    return CsvFormat(
        time=f.time,
        value=f.value,
        series=f.series,
        columns=f.columns,
        delimiter=f.delimiter,
        decimal=f.decimal,
        timezone=stream.timezone,
        label_bytes=limits.label_bytes,
    )


def make_source(name: str, source: SourceSettings, limits: Limits) -> Source:
    """A source, not yet open."""
    if source.type == "stdin":
        return StandardInput(name, sys.stdin.buffer, line_bytes=limits.line_bytes)
    assert source.path is not None
    return FileTail(name, source.path, line_bytes=limits.line_bytes)


def to_batch(stream: str, readings: Readings | Merged, rejected: Mapping[str, int], received_at_ms: int) -> Batch:
    """Readings as an input of the engine."""
    return Batch(
        stream=stream,
        received_at_ms=received_at_ms,
        labels=readings.labels,
        codes=readings.codes,
        at_ms=readings.at_ms,
        fold_s=readings.fold_s,
        values=readings.values,
        rejected=rejected,
    )
