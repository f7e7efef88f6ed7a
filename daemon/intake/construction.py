"""From the configuration to adapters, and from what they parse to the engine's inputs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.base import Format, Readings, Source
from adapters.files.hints import Hints
from adapters.files.stdin import StandardInput
from adapters.files.tail import FileTail
from adapters.formats.csv import CsvFormat
from adapters.formats.influx import InfluxFormat
from adapters.formats.jsonl import JsonlFormat
from adapters.formats.parquet import ParquetFormat
from adapters.merge import Merged
from adapters.sockets.connection import Deadlines
from adapters.sockets.endpoint import Endpoint
from adapters.sockets.listener import Listener
from adapters.sockets.tcp import TcpEndpoint
from adapters.sockets.tls import Certificates
from adapters.sockets.udp import UdpListener
from adapters.sockets.unix import UnixEndpoint
from daemon.config.settings import Limits, StreamSettings
from daemon.config.source_settings import SourceSettings
from daemon.engine.messages.inputs import Batch
from daemon.runtime.logs import RateLimited

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
"""What the name of a file of recorded readings says of its format."""
PARQUET_SUFFIXES = (".parquet", ".pq")

log = logging.getLogger(__name__)


def make_format(stream: StreamSettings, limits: Limits) -> Format:
    """The parser of a stream's lines."""
    f = stream.format
    if f.type == "influx":
        tags = [f.series] if isinstance(f.series, str) else f.series
        return InfluxFormat(value=f.value, tags=tags, label_bytes=limits.label_bytes)
    assert not isinstance(f.series, list), "the validator has seen it"
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


def make_file_format(path: Path, stream: StreamSettings, limits: Limits) -> Format | ParquetFormat:
    """How a file of recorded readings is read: as its name says, or else as the stream's lines are."""
    f = stream.format
    listed = f.series if isinstance(f.series, list) else [f.series] if f.series is not None else []
    if path.suffix in PARQUET_SUFFIXES:
        values = [f.value] if isinstance(f.value, str) else f.value
        return ParquetFormat(f.time, values, listed, stream.timezone, limits.label_bytes)
    kind = SUFFIXES.get(path.suffix, f.type)
    if kind == f.type:
        return make_format(stream, limits)
    own = f.model_copy(update={"type": kind, "columns": None})
    return make_format(stream.model_copy(update={"format": own}), limits)


def make_source(name: str, source: SourceSettings, limits: Limits) -> Source:
    """A source, not yet open."""
    if source.type == "stdin":
        return StandardInput(name, sys.stdin.buffer, line_bytes=limits.line_bytes)
    if source.type == "udp":
        host, port = source.address
        notice = RateLimited(log).warning
        return UdpListener(name, host, port, allow=source.allow, line_bytes=limits.line_bytes, notice=notice)
    if source.type in ("tcp", "unix"):
        return _listener(name, source, limits)
    assert source.path is not None
    return FileTail(name, source.path, line_bytes=limits.line_bytes, hints=Hints())


def _listener(name: str, source: SourceSettings, limits: Limits) -> Listener:
    return Listener(
        name,
        _endpoint(source),
        line_bytes=limits.line_bytes,
        max_connections=source.max_connections,
        deadlines=Deadlines(line_s=source.line_timeout, idle_s=source.idle_timeout),
        ack=source.ack,
        notice=RateLimited(log).warning,
    )


def _endpoint(source: SourceSettings) -> Endpoint:
    if source.type == "unix":
        assert source.path is not None
        return UnixEndpoint(source.path, mode=int(source.mode, 8), group=source.group)
    host, port = source.address
    tls = source.tls
    certificates = None if tls.certificate is None else Certificates(tls.certificate, tls.key, tls.client_ca)
    return TcpEndpoint(host, port, allow=source.allow, certificates=certificates)


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
