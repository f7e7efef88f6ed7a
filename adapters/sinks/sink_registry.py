"""Sinks by the key of the configuration's section `events` that switches them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.sinks.contract import Opening, Sink
from adapters.sinks.json_lines_file import JsonLinesFile
from adapters.sinks.standard_output import StandardOutput


@dataclass(frozen=True)
class SinkKind:
    """One kind of sink.

    Attributes:
        make: From the key's value and what there is to open it with. Raises OSError where it cannot be opened.
        name: Under which name its position is kept, by the key's value; another value is another sink.
        size: Bytes already there before the first record of them, None where there is no such thing.
        sample: What stands in `events:` to have one, as YAML.
    """

    make: Callable[[Any, Opening], Sink]
    name: Callable[[Any], str]
    size: Callable[[Any], int] | None
    sample: str


SINKS: Mapping[str, SinkKind] = {
    "file": SinkKind(
        make=lambda path, opening: JsonLinesFile(path, opening.committed_bytes),
        name=lambda path: f"file:{path}",
        size=lambda path: Path(path).stat().st_size if Path(path).is_file() else 0,
        sample="file: events.jsonl",
    ),
    "stdout": SinkKind(
        make=lambda _, opening: StandardOutput(opening.stdout),
        name=lambda _: "stdout",
        size=None,
        sample="stdout: true",
    ),
}
