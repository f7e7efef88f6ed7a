"""Sources by the type that the configuration has for them. Data only: a source is imported when one is made."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.brokers.broker_registry import BROKERS
from adapters.files.file_registry import FILES
from adapters.sockets.socket_registry import SOCKETS
from adapters.source_kind import SourceKind
from adapters.uploads.upload_registry import UPLOADS

SOURCES: Mapping[str, SourceKind] = {**FILES, **SOCKETS, **UPLOADS, **BROKERS}
