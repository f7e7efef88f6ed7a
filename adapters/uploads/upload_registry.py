"""Bodies posted to the HTTP server as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.source_kind import STREAM, SourceKind

UPLOADS: Mapping[str, SourceKind] = {
    "http": SourceKind(
        maker="adapters.uploads.inbox:made",
        sample="{type: http}",
        beside=("format: {series: series}", "interval: 30m"),
        keys=frozenset({"body_bytes"}),
        claims=STREAM,
    ),
    "prometheus": SourceKind(
        maker="adapters.uploads.remote_write:made",
        sample='{type: prometheus, match: [node_load1], series: "{instance} {__name__}"}',
        beside=("interval: 1m", "aggregate: mean"),
        keys=frozenset({"body_bytes", "match", "series"}),
        claims=STREAM,
        own_lines=lambda _: True,
    ),
}
