"""`tidegauge describe`: what it says of files, and what it suggests."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.config.file import load


def tidegauge(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


def described(file: Path, *arguments: object) -> dict[str, Any]:
    """What `--json` prints."""
    code, out, _ = tidegauge("describe", file, "--json", *arguments)
    assert code == 0
    found: dict[str, object] = json.loads(out)
    return found


def hourly(path: Path, days: int = 40, gone: range = range(0), counter: bool = False) -> Path:
    """Hourly readings with a daily season; those of `gone` are missing, and two lines are broken."""
    total, lines = 0.0, ["timestamp,value", "nonsense", "2026-01-01T00:00:00Z,x"]
    for hour in range(days * 24):
        value = 20 + 5 * math.sin(hour * math.tau / 24) + math.sin(hour * hour)
        total += abs(value)
        if hour not in gone:
            lines.append(f"{1_767_225_600 + hour * 3600},{total if counter else value:.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_file_is_described(tmp_path: Path) -> None:
    """Readings, rejected lines, interval, the gap and the season are found."""
    found = described(hourly(tmp_path / "flow.csv", gone=range(100, 110)))
    assert found["rows"] == 950
    assert found["series"] == {"flow": 950}
    assert sum(found["rejected"].values()) == 2
    assert found["interval_s"] == 3600
    assert (found["gaps"], found["missing"]) == (1, 10)
    (gap,) = found["longest_gaps"]
    assert gap == {
        "series": "flow",
        "after": 1_767_225_600 + 99 * 3600,
        "before": 1_767_225_600 + 110 * 3600,
        "slots": 10,
    }
    (season,) = found["seasons"]
    assert season["period_s"] == 86400


def test_taxi(shared_data: Path) -> None:
    """The reference figures of NAB's nyc_taxi."""
    found = described(shared_data / "nab/data/realKnownCause/nyc_taxi.csv")
    values = found["values"]
    assert found["rows"] == values["count"] == 10_320
    assert [f"{values[key]:.6f}" for key in ("mean", "std")] == ["15137.569380", "6939.495808"]
    assert [values[k] for k in ("min", "q25", "median", "q75", "max")] == [8, 10262, 16778, 19838.75, 39197]
    assert {season["period_s"] for season in found["seasons"]} == {86400, 7 * 86400}


@pytest.mark.parametrize("counter", [False, True])
@pytest.mark.parametrize("gone", [range(0), range(0, 900, 3), range(700, 955)], ids=["whole", "thirds", "end"])
def test_the_suggested_configuration_is_accepted(tmp_path: Path, gone: range, counter: bool) -> None:
    """`tidegauge check` takes the suggestion as it is; a counter is called one."""
    file, config = hourly(tmp_path / "a b.csv", gone=gone, counter=counter), tmp_path / "suggested.yaml"
    assert tidegauge("describe", file, "--config", config)[0] == 0
    (stream,) = load(config, serving=True).streams.values()
    assert stream.interval == (3600 if gone.step == 1 else stream.interval)
    assert stream.kind == ("counter" if counter else "gauge")
    assert stream.sources[0].path == str(file)


@pytest.mark.parametrize("by_series", [True, False])
def test_the_arrival_is_told(by_series: bool, tmp_path: Path) -> None:
    """Two days of twenty meters, meter after meter or slot after slot: said, and suggested as it is."""
    file, config = tmp_path / "meters.csv", tmp_path / "suggested.yaml"
    pairs = [(meter, slot) for meter in range(20) for slot in range(96)]
    rows = pairs if by_series else sorted(pairs, key=lambda pair: pair[1])
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    lines = [f"{begin + slot * timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ},m{meter},{slot % 7}" for meter, slot in rows]
    file.write_text("\n".join(["timestamp,series,value", *lines]) + "\n")
    assert described(file)["by_series"] is by_series
    assert tidegauge("describe", file, "--config", config)[0] == 0
    (stream,) = load(config, serving=True).streams.values()
    assert stream.arrival == ("batch" if by_series else "live")


def test_columns_can_be_named(tmp_path: Path) -> None:
    """JSON lines, a series column and several series: each keeps its count; the suggestion names the columns."""
    file, config = tmp_path / "a.jsonl", tmp_path / "c.yaml"
    rows = [{"t": 1_767_225_600 + i // 2 * 60, "v": i % 7, "who": "ab"[i % 2]} for i in range(200)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = described(file, "--time", "t", "--value", "v", "--series", "who", "--config", config)
    assert found["series"] == {"a": 100, "b": 100}
    (stream,) = load(config).streams.values()
    assert (stream.format.type, stream.format.time, stream.format.value) == ("jsonl", "t", "v")
    assert stream.format.series == "who"


def test_parquet_is_described_and_replayed_as_its_csv(tmp_path: Path) -> None:
    """The same rows give the same description and the same state; the suggestion reads it whole."""
    file = hourly(tmp_path / "flow.csv", days=8)
    rows = [line.split(",") for line in file.read_text().splitlines()[3:]]
    columns = {"timestamp": [int(at) for at, _ in rows], "value": [float(value) for _, value in rows]}
    pq.write_table(pa.table(columns), tmp_path / "flow.parquet")
    config = tmp_path / "c.yaml"
    found, other = described(tmp_path / "flow.parquet", "--config", config), described(file)
    for key in set(found) - {"file", "rejected", "refused", "config"}:
        assert found[key] == other[key], key
    stream = load(config, serving=True).streams["flow"]
    assert ([source.type for source in stream.sources], stream.format.type) == (["file"], "parquet")
    states = set()
    for name in ("flow.csv", "flow.parquet"):
        code, out, _ = tidegauge("replay", tmp_path / name, "--warm-up", "30d", "--json")
        assert code == 0
        states.add(json.loads(out)["readings"])
    assert states == {len(rows)}


def test_the_page_is_whole(tmp_path: Path) -> None:
    """The page has the figures and both charts, loads nothing, and what the file is called cannot become markup."""
    file, page = hourly(tmp_path / "<b>.csv"), tmp_path / "page.html"
    code, out, _ = tidegauge("describe", file, "--html", page)
    assert code == 0
    assert "autocorrelation" in out
    text = page.read_text()
    assert text.count("<svg") == 2
    assert "&lt;b&gt;.csv" in text
    assert "<b>" not in text
    assert "http" not in text


def test_a_file_without_readings_is_one_clear_line(tmp_path: Path) -> None:
    """The message counts what was rejected and says what to name; nothing is written."""
    file = tmp_path / "other.csv"
    file.write_text("when,level\n2026-01-01,3\n")
    code, _, error = tidegauge("describe", file)
    assert code == 1
    assert "no line is a reading" in error
    assert (
        "the likeliest header is 'when,level'; set format.time and format.value, or name its columns with --time"
        in error
    )
    file.write_text("timestamp,value\n12h30 on the third,3\n")
    code, _, error = tidegauge("describe", file)
    assert code == 1
    assert "the stamp is written in a way of its own" in error
    assert "name its columns" not in error
    for empty in ("", "timestamp,value\n"):
        file.write_text(empty)
        assert tidegauge("describe", file)[::2] == (1, f"tidegauge: {file}: holds no reading, at most a header\n")
    file.write_text("timestamp,value\n2026-01-01,3\n")
    code, _, error = tidegauge("describe", file)
    assert code == 1
    assert "there is no interval" in error


def test_the_repeated_hour_of_autumn_is_two_hours(tmp_path: Path) -> None:
    """Local stamps over the end of summer time: as many readings as slots, none repeated, none missing."""
    file, zone, start = tmp_path / "autumn.csv", ZoneInfo("Europe/Berlin"), datetime(2024, 10, 26, tzinfo=UTC)
    stamps = [(start + timedelta(minutes=30 * i)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for i in range(96)]
    file.write_text("timestamp,value\n" + "".join(f"{at},{i}\n" for i, at in enumerate(stamps)))
    found = described(file, "--timezone", "Europe/Berlin")
    assert (found["rows"], found["repeated"], found["missing"], found["regular"]) == (96, 0, 0, 1.0)
    assert found["last_at"] - found["first_at"] == 95 * 1800


def test_the_season_of_a_counter_is_that_of_its_increases(tmp_path: Path) -> None:
    """A meter that only rises has no season of its own; what it counts has one of a day."""
    found = described(hourly(tmp_path / "meter.csv", counter=True))
    assert [season["period_s"] for season in found["seasons"]] == [86400]


def test_irregular_readings_are_called_so(tmp_path: Path) -> None:
    """Steps of which none is usual: the interval is said to be none, in words and in the suggestion."""
    file, at = tmp_path / "bursts.csv", 1_767_225_600
    lines = [f"{(at := at + 60 + i * i % 977)},{i % 5}" for i in range(400)]
    file.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    out = tidegauge("describe", file)[1]
    assert out.count("they come at irregular times") == 2
    assert "# set interval to how often a series should report, and aggregate: mean" in out


def test_files_of_another_continent(tmp_path: Path) -> None:
    """Semicolons and decimal commas can be named, and JSON lines may be called .json; the suggestion says both."""
    file, config = tmp_path / "europe.csv", tmp_path / "c.yaml"
    file.write_text("timestamp;value\n" + "".join(f"{1_767_225_600 + i * 60};{i % 7},5\n" for i in range(200)))
    assert described(file, "--delimiter", ";", "--decimal", ",", "--config", config)["rows"] == 200
    (stream,) = load(config).streams.values()
    assert (stream.format.delimiter, stream.format.decimal) == (";", ",")
    lines = tmp_path / "lines.json"
    lines.write_text("".join(f'{{"timestamp": {1_767_225_600 + i * 60}, "value": {i % 7}}}\n' for i in range(200)))
    assert described(lines, "--config", config)["rows"] == 200
    (stream,) = load(config).streams.values()
    assert stream.format.type == "jsonl"
