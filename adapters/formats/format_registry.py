"""Formats by the name that the configuration has for them. Data only: a format is imported when one is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:  # what only reads the configuration need not load numpy
    from adapters.base import DocumentFormat, Format


class FormatChoices(Protocol):
    """What a stream's configuration says of how its readings are written; each format takes what it needs."""

    @property
    def time(self) -> str: ...
    @property
    def value(self) -> str | list[str]: ...
    @property
    def series(self) -> str | list[str] | None: ...
    @property
    def columns(self) -> list[str] | None: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def decimal(self) -> str: ...


@dataclass(frozen=True)
class FormatKind:
    """One kind of format.

    Attributes:
        maker: Module and function `made(choices, timezone, label_bytes)`, as `pkgutil.resolve_name` takes them.
        summary: What the configuration's documentation says of it.
        sample: The section `format` of a stream that uses it, as YAML.
        suffixes: Names of files of recorded readings that are read so whatever the stream's own format is.
        carries_names: Whether each line names its values, so that `columns` would have no effect.
        joins_series: Whether `series` may be a list, whose parts are joined.
        document: Whether it needs the whole file, so that no source that gives lines can be read so.
    """

    maker: str
    summary: str
    sample: str
    suffixes: tuple[str, ...] = ()
    carries_names: bool = False
    joins_series: bool = False
    document: bool = False

    def make(self, choices: FormatChoices, timezone: str, label_bytes: int) -> Format | DocumentFormat:
        """The parser; `timezone` is the IANA zone of stamps that name none, `label_bytes` a series' longest name."""
        made: Any = resolve_name(self.maker)
        return cast("Format | DocumentFormat", made(choices, timezone, label_bytes))


FORMATS: Mapping[str, FormatKind] = {
    "csv": FormatKind(
        maker="adapters.formats.csv:made",
        summary="`csv`",
        sample="{type: csv, time: timestamp, value: kwh, series: meter}",
        suffixes=(".csv",),
    ),
    "jsonl": FormatKind(
        maker="adapters.formats.jsonl:made",
        summary="`jsonl` for one JSON object a line",
        sample="{type: jsonl, time: at, value: kwh, series: meter}",
        suffixes=(".jsonl", ".ndjson", ".json"),
        carries_names=True,
    ),
    "influx": FormatKind(
        maker="adapters.formats.influx:made",
        summary="`influx` for InfluxDB line protocol",
        sample="{type: influx, value: usage_idle, series: [host, cpu]}",
        carries_names=True,
        joins_series=True,
    ),
    "parquet": FormatKind(
        maker="adapters.formats.parquet:made",
        summary="`parquet`",
        sample="{type: parquet, time: timestamp, value: kwh, series: meter}",
        suffixes=(".parquet", ".pq"),
        carries_names=True,
        joins_series=True,
        document=True,
    ),
}

LINES: tuple[str, ...] = tuple(name for name, kind in FORMATS.items() if not kind.document)
"""Those that a source of lines can be read by; `format.type` has one of them."""


def of_suffix(suffix: str) -> str | None:
    """The format that a file's name says it has, None when it says nothing."""
    return next((name for name, kind in FORMATS.items() if suffix in kind.suffixes), None)
