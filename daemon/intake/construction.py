"""From the configuration to adapters, and from what they parse to the engine's inputs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.base import DocumentError, DocumentFormat, Format, Readings, Source
from adapters.formats.format_registry import FORMATS, of_suffix
from adapters.merge import Merged
from adapters.source_kind import OWN_LINES, Surroundings
from adapters.source_registry import SOURCES
from adapters.uploads.inbox import Inboxes
from daemon.config.format_settings import FormatSettings
from daemon.config.settings import Limits, StreamSettings
from daemon.config.source_settings import SourceSettings
from daemon.engine.messages.inputs import Batch
from daemon.runtime.logs import RateLimited

log = logging.getLogger(__name__)


def make_reader(stream: StreamSettings, limits: Limits) -> Format | DocumentFormat:
    """How a stream's lines are parsed, or its documents read."""
    return FORMATS[stream.format.type].make(stream.format, stream.timezone, limits.series_bytes)


def make_format(stream: StreamSettings, limits: Limits) -> Format:
    """The parser of a stream's lines.

    Raises:
        DocumentError: Its format is a document's.
    """
    made = make_reader(stream, limits)
    if isinstance(made, DocumentFormat):
        raise DocumentError(f"the format {stream.format.type} is read a file at a time, it has no lines")
    return made


def make_own_format(source: SourceSettings, limits: Limits) -> Format | None:
    """The parser of the lines that a source makes itself, None where its lines are as the stream says."""
    if not SOURCES[source.type].own_lines(source):
        return None
    choices = FormatSettings.model_validate(OWN_LINES)
    made = FORMATS[choices.type].make(choices, "UTC", limits.series_bytes)
    assert not isinstance(made, DocumentFormat)
    return made


def make_file_format(path: Path, stream: StreamSettings, limits: Limits) -> Format | DocumentFormat:
    """How a file of recorded readings is read: as its name says, or else as the stream's lines are."""
    f = stream.format
    kind = f.type if FORMATS[f.type].document else of_suffix(path.suffix) or f.type
    if kind != f.type:
        f = f.model_copy(update={"columns": None})
    return FORMATS[kind].make(f, stream.timezone, limits.series_bytes)


def make_source(
    name: str,
    source: SourceSettings,
    limits: Limits,
    inboxes: Inboxes,
    reader: Format | DocumentFormat | None = None,
    encoding: str = "auto",
) -> Source:
    """A source, not yet open; one of posted bodies is found in `inboxes` while it is.

    Args:
        name: Its name.
        source: What the configuration says of it.
        limits: Bounds of what it reads.
        inboxes: Where those of posted bodies are found.
        reader: How its stream is read; a document is read by the source.
        encoding: How its text is encoded.
    """
    document = reader if isinstance(reader, DocumentFormat) else None
    surroundings = Surroundings(
        limits.line_bytes, sys.stdin.buffer, RateLimited(log).warning, inboxes, document, encoding
    )
    return SOURCES[source.type].make(name, source, surroundings)


def to_batch(
    stream: str,
    readings: Readings | Merged,
    rejected: Mapping[str, int],
    received_at_ms: int,
    owners: Mapping[str, str] | None = None,
) -> Batch:
    """Readings as an input of the engine."""
    return Batch(
        stream=stream,
        received_at_ms=received_at_ms,
        series=readings.series,
        codes=readings.codes,
        at_ms=readings.at_ms,
        fold_s=readings.fold_s,
        values=readings.values,
        rejected=rejected,
        quality=readings.quality if readings.quality.any() else None,
        owners=owners or {},
    )
