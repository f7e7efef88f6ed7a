"""Bodies posted to the HTTP server as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.source_kind import STREAM, SourceKind

UPLOADS: Mapping[str, SourceKind] = {
    "http": SourceKind(
        maker="adapters.uploads.inbox:made",
        sample="{type: http}",
        keys=frozenset({"body_bytes"}),
        claims=STREAM,
    ),
}
