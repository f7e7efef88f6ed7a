"""Formats by the name that the configuration has for them. Data only: a format is imported when one is made."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.format_kind import FormatKind

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
        summary="`parquet` files",
        sample="{type: parquet, time: timestamp, value: kwh, series: meter}",
        suffixes=(".parquet", ".pq"),
        carries_names=True,
        joins_series=True,
        document=True,
    ),
    "nem12": FormatKind(
        maker="adapters.formats.nem12:made",
        summary="`nem12` for the meter data files of Australia's market",
        sample="{type: nem12}",
        carries_names=True,
        joins_series=True,
        document=True,
        single=True,
    ),
    "espi": FormatKind(
        maker="adapters.formats.espi:made",
        summary="`espi` for Green Button files",
        sample="{type: espi}",
        suffixes=(".xml",),
        carries_names=True,
        joins_series=True,
        document=True,
        single=True,
    ),
    "wide": FormatKind(
        maker="adapters.formats.wide:made",
        summary="`wide` for a row a day with a column for each period",
        sample="{type: wide, time: date, series: meter}",
        carries_names=True,
        document=True,
        single=True,
    ),
}

LINES: tuple[str, ...] = tuple(name for name, kind in FORMATS.items() if not kind.document)
"""Those that a source of lines can be read by; the others are documents, which files alone are."""


def of_suffix(suffix: str) -> str | None:
    """The format that a file's name says it has, None when it says nothing."""
    return next((name for name, kind in FORMATS.items() if suffix in kind.suffixes), None)
