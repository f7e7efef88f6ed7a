"""What utilities and hubs export is described, and the suggested configuration reads every reading of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from adapters.base import DocumentFormat
from daemon.cli.main import app
from daemon.config.file import load
from daemon.config.settings import Settings
from daemon.intake.construction import make_file_format
from daemon.replay.replay import chunks
from tests.field_exports import EXPORTS


def described(file: Path, config: Path, *options: str) -> dict[str, Any]:
    """What describe says of a file; its suggestion is in `config`."""
    result = CliRunner().invoke(app, ["describe", str(file), "--json", "--config", str(config), *options])
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def read(file: Path, settings: Settings) -> tuple[dict[str, list[tuple[int, float]]], dict[str, int]]:
    """Readings by series and time, and rejections, of a file under a configuration."""
    (stream,) = settings.streams.values()
    fmt = make_file_format(file, stream, settings.limits)
    found: dict[str, list[tuple[int, float]]] = {}
    rejected: dict[str, int] = {}
    for readings, bad in chunks(file, fmt, 1 << 20, choices=stream.format):
        for code, at, value in zip(readings.codes, readings.at_ms, readings.values, strict=True):
            found.setdefault(readings.series[code], []).append((int(at) // 1000, float(value[0])))
        rejected |= bad
    return found, rejected


@pytest.mark.parametrize("name", EXPORTS)
def test_the_suggestion_reads_every_reading(name: str, tmp_path: Path) -> None:
    """Each reading of the export comes back with series, instant and value; nothing is refused but what has none."""
    export = EXPORTS[name](tmp_path)
    config = tmp_path / "suggested.yaml"
    said = described(export.path, config, "--timezone", export.timezone)
    settings = load(config, serving=True)
    found, rejected = read(export.path, settings)
    assert found == dict(export.readings)
    assert rejected.keys() <= {"preamble", "missing_value"}
    assert said["interval_s"] == export.interval_s
    (stream,) = settings.streams.values()
    assert stream.interval == export.interval_s
    assert isinstance(make_file_format(export.path, stream, settings.limits), DocumentFormat) == (
        name in ("nem12", "green_button", "elexon")
    )


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("enedis", "stamp", "end"),
        ("datadis", "stamp", "end"),
        ("octopus", "stamp", "start"),
        ("datadis", "quality", "metodoObtencion"),
        ("pge", "time", ["DATE", "START TIME"]),
        ("pge", "time_format", "%m/%d/%Y %I:%M %p"),
        ("home_assistant_history", "missing", ["unavailable"]),
    ],
)
def test_conventions_are_found(name: str, key: str, value: object, tmp_path: Path) -> None:
    """Stamps of an interval's end, a column of qualities, a stamp in two columns, words for what is missing."""
    export = EXPORTS[name](tmp_path)
    config = tmp_path / "suggested.yaml"
    described(export.path, config, "--timezone", export.timezone)
    (stream,) = load(config).streams.values()
    assert getattr(stream if key == "stamp" else stream.format, key) == value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_other_encodings(encoding: str, tmp_path: Path) -> None:
    """UTF-16 with a mark and without, and Latin letters of one byte, are found and read."""
    path, config = tmp_path / "a.csv", tmp_path / "c.yaml"
    rows = "".join(f"2024-01-{1 + i // 24:02} {i % 24:02}:00,{i % 24},zähler\n" for i in range(600))
    path.write_bytes(f"timestamp,value,meter\n{rows}".encode(encoding))
    described(path, config)
    found, rejected = read(path, load(config))
    assert (list(found), len(found["zähler"]), rejected) == (["zähler"], 600, {})


def test_sentinels_jitter_and_seasons_under_gaps(tmp_path: Path) -> None:
    """-999 is missing, stamps beside the grid keep their interval, and gaps of a night make no season of 12 h."""
    path, config = tmp_path / "a.csv", tmp_path / "c.yaml"
    rows, off = [], np.random.default_rng(1).integers(-2, 3, 48 * 40)
    for i in range(48 * 40):
        if 12 <= i % 48 < 40:
            value = -999 if i in (500, 1000) else abs(i % 48 - 26) % 13 + (i * 7 % 5) / 10
            rows.append(f"{1704067200 + 1800 * i + off[i]},{value}\n")
    path.write_text("timestamp,value\n" + "".join(rows))
    said = described(path, config)
    assert (said["interval_s"], said["jitter_s"] > 0, said["repeated"]) == (1800, True, 0)
    assert [season["period_s"] for season in said["seasons"]] in ([86400], [7 * 86400, 86400])
    (stream,) = load(config).streams.values()
    assert stream.format.missing == [-999.0]
