"""Files as sources, by type."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.source_kind import SourceKind

FILES: Mapping[str, SourceKind] = {
    "file": SourceKind(
        maker="adapters.files.tail:made",
        sample="{type: file, path: /var/spool/meters/*.csv}",
        keys=frozenset({"path"}),
        needs={"path": "/where/readings/are.csv"},
        claims="path",
    ),
    "stdin": SourceKind(maker="adapters.files.stdin:made", sample="{type: stdin}"),
}
