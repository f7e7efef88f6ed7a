"""`tidegauge replay`: what it prints, how good it is, and that two runs are one."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.daemon.cli.small_inputs import READINGS, configuration, readings
from tests.e2e.processes import json_of, lines_of, tidegauge


def taxi(shared_data: Path, directory: Path, seed: int) -> dict[str, Any]:
    """What replaying New York's taxis with labels prints."""
    file = shared_data / "nab/data/realKnownCause/nyc_taxi.csv"
    labels = shared_data / "nab/labels/combined_windows.json"
    options = ["--timezone", "America/New_York", "--interval", "30m", "--seed", str(seed), "--labels", str(labels)]
    found: dict[str, Any] = json_of("replay", file, *options, cwd=directory)
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_taxi(seed: int, tmp_path: Path, shared_data: Path) -> None:
    """At least 4 of the 5 labelled windows are found with at most 5 false episodes and at least 10 retrainings."""
    found = taxi(shared_data, tmp_path, seed)
    assert {"readings", "rejected", "seconds", "events", "windows", "windows_found", "false_episodes"} <= found.keys()
    assert (found["readings"], found["rejected"], found["windows"]) == (10_320, {}, 5)
    assert found["windows_found"] >= 4
    assert found["false_episodes"] <= 5
    assert found["trainings"]["promoted"] > 10  # the first is no retraining
    assert found["seconds"] > 0
    if seed == 0:
        again = taxi(shared_data, tmp_path, seed)
        assert (again["state_sha256"], again["events"]) == (found["state_sha256"], found["events"])


def test_windows_of_another_time_do_not_count(tmp_path: Path) -> None:
    """Of a part of a labelled file, only the windows that have a reading are asked for."""
    file = readings(tmp_path / "tide.csv")
    stamps = [line.split(",")[0] for line in file.read_text().splitlines()[1:]]
    spans = [["1999-01-01 00:00:00", "1999-01-02 00:00:00"], [stamps[-5], stamps[-1]], ["2999-01-01", "2999-01-02"]]
    (tmp_path / "labels.json").write_text(json.dumps({"any/tide.csv": spans}))
    assert json_of("replay", file, "--warm-up", "7d", "--labels", "labels.json", cwd=tmp_path)["windows"] == 1


def test_seeds_differ(tmp_path: Path) -> None:
    """Another seed is another state."""
    file = readings(tmp_path / "tide.csv")
    one, two = (json_of("replay", file, "--warm-up", "7d", "--seed", seed, cwd=tmp_path) for seed in ("1", "2"))
    assert one["state_sha256"] != two["state_sha256"]


def test_batches_do_not_matter(tmp_path: Path) -> None:
    """However the readings are cut, events and state are the same."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    whole = json_of("replay", file, "--config", config, "--record", "whole.jsonl", cwd=tmp_path)
    assert len(whole["events"]) >= 2
    for batch in ("1", "7", "1000"):
        cut = json_of("replay", file, "--config", config, "--batch", batch, "--record", "cut.jsonl", cwd=tmp_path)
        assert cut["state_sha256"] == whole["state_sha256"]
        assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_events_are_the_latest_revisions(tmp_path: Path) -> None:
    """`events` has each event once, as it was at the end; `--record` has every revision."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    found = json_of("replay", file, "--config", config, "--record", "all.jsonl", cwd=tmp_path)
    revisions = lines_of(tmp_path / "all.jsonl")
    last = {event["id"]: event["revision"] for event in revisions}
    assert {event["id"]: event["revision"] for event in found["events"]} == last
    assert len(found["events"]) == len(last) < len(revisions)
    assert any("limit" in event["reasons"] for event in found["events"])


def test_rejections_are_counted(tmp_path: Path) -> None:
    """Readings and rejections together are the lines that were there."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv", stop=20)
    with file.open("a") as out:
        out.write("2026-03-01T03:00:00Z,pier,1\nnot a time,pier,1\n2026-04-01T00:00:00Z,pier,x\n")
    found = json_of("replay", file, "--config", config, cwd=tmp_path)
    assert found["readings"] == 20
    assert sum(found["rejected"].values()) == 3
    assert {"revision", "bad_time", "bad_value"} == found["rejected"].keys()


def test_the_interval_is_inferred(tmp_path: Path) -> None:
    """Without `--interval` the most frequent step between readings is taken, and said."""
    file = readings(tmp_path / "tide.csv", step=timedelta(minutes=10))
    done = tidegauge("replay", file, "--series", "gauge", "--warm-up", "12h", "--json", cwd=tmp_path)
    assert "interval: 600 s, inferred from tide.csv" in done.stderr
    found = json.loads(done.stdout)
    assert (found["readings"], found["warnings"]) == (READINGS, [])


def test_most_readings_in_slots_that_are_taken(tmp_path: Path) -> None:
    """An interval that is too long is warned of, with the remedy."""
    file = readings(tmp_path / "tide.csv", step=timedelta(minutes=10))
    done = tidegauge("replay", file, "--interval", "1h", cwd=tmp_path)
    warning = next(line for line in done.stderr.splitlines() if line.startswith("warning: "))
    assert "249 of 300 readings fell into a slot that was taken" in warning
    assert "set --interval, or aggregate: mean" in warning


def test_the_readings_are_written_with_what_was_made_of_them(tmp_path: Path) -> None:
    """A row for each reading; those within an episode have its reasons; state and events are as without the file."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    plain = json_of("replay", file, "--config", config, cwd=tmp_path)
    found = json_of("replay", file, "--config", config, "--csv", "made.csv", cwd=tmp_path)
    assert (found["state_sha256"], found["events"]) == (plain["state_sha256"], plain["events"])
    made = pd.read_csv(tmp_path / "made.csv", parse_dates=["at"], keep_default_na=False, na_values={"rarity": ""})
    given = pd.read_csv(file, parse_dates=["timestamp"])
    assert made["at"].tolist() == given["timestamp"].tolist()
    assert made["value"].astype(float).tolist() == given["value"].tolist()
    for event in found["events"]:
        (row,) = made[made["at"] == pd.Timestamp(event["started_at"], unit="s", tz="UTC")].to_dict("records")
        assert row["series"] == event["series"]
        assert set(row["reasons"].split(", ")) <= set(event["reasons"])
        assert row["reasons"]
    odd = made.loc[made["reasons"] != "", "rarity"].astype(float).fillna(0.0)  # beyond a limit nothing is scored
    assert odd.max() == max(event["rarity"] for event in found["events"])


def test_labels_of_another_file(tmp_path: Path) -> None:
    """Labels without windows for this file are an error, not a score of nothing."""
    file = readings(tmp_path / "tide.csv", stop=30)
    (tmp_path / "labels.json").write_text('{"realKnownCause/other.csv": []}')
    done = tidegauge("replay", file, "--labels", "labels.json", cwd=tmp_path, status=1)
    assert "labels.json" in done.stderr.splitlines()[-1]


def test_without_json_it_is_for_people(tmp_path: Path) -> None:
    """A line an event, and one line at the end with what was read."""
    config, file = configuration(tmp_path), readings(tmp_path / "tide.csv")
    lines = tidegauge("replay", file, "--config", config, cwd=tmp_path).stdout.splitlines()
    assert any("open" in line and "tide/pier" in line and "physical range" in line for line in lines)
    assert lines[-1].startswith(f"{READINGS} readings in ")
    assert "rejected: none" in lines[-1]
