"""A model on its way: chosen in the YAML, trained, retrained and exported; or trained offline and served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from daemon.cli.main import app
from models.bundle_file import read_bundle
from tests.daemon.cli.small_inputs import readings

STREAM = """
version: 1
state_dir: state
streams:
  tide:
    format: {series: gauge, value: VALUE}
    interval: 1h
    clock: event
    warm_up: 4d
    model: {window: 8, copies: 1, masked: 2, retrain_every: 60, MODEL}
"""
RECIPE = """
version: 1
name: small
task: reconstruct
network: {architecture: dense-3, window: 8, masked: 2, copies: 1}
training: {epochs: 3, batch: 32}
"""
CLASSES = """
version: 1
name: classes
task: classify
network:
  architecture: transformer-classifier
  window: 24
  options: {embedding: patches, patch: 4, kernel: 3, dim: 8, encoder_layers: 1, decoder_layers: 0, pooling: last}
training: {epochs: 4, batch: 16, rate: 0.01}
examples: {windows: 64, lengths: [4, 12], inputs: context, fresh: series}
"""
TAXI = """
version: 1
streams:
  taxi:
    timezone: America/New_York
    interval: 30m
    clock: event
    warm_up: 16d
    model: {window: 360, bundle: BUNDLE}
"""


def run(*words: object) -> Any:
    """What a command prints with `--json`."""
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return orjson.loads(done.stdout)


def configured(directory: Path, model: str, value: str = "value") -> Path:
    path = directory / "tidegauge.yaml"
    path.write_text(STREAM.replace("MODEL", model).replace("VALUE", value))
    return path


@pytest.mark.parametrize("architecture", ["manufacturing", "dense-3", "dense-4", "lstm", "transformer"])
def test_an_architecture_of_the_yaml_is_trained_and_exported(architecture: str, tmp_path: Path) -> None:
    """A first network and its tunings; the files kept are bundles of it, and one of them serves another stream."""
    file, vector = readings(tmp_path / "tide.csv", stop=240), "value"
    if architecture == "manufacturing":
        vector, (head, *rows) = "[value, level]", file.read_text().splitlines()
        file.write_text(
            "".join(f"{line}\n" for line in (f"{head},level", *(f"{row},{i % 7}" for i, row in enumerate(rows))))
        )
    config = configured(tmp_path, f"architecture: {architecture}", vector)
    report = run("replay", file, "--config", config, "--state", tmp_path / "state")
    assert report["readings"] == 240
    assert report["trainings"]["promoted"] + report["trainings"]["rejected"] >= 2
    listed = run("models", "list", "--state", tmp_path / "state")
    assert [each["manifest"]["kind"] for each in listed][:2] == ["fresh", "tune"]
    kept = tmp_path / "state" / "models" / listed[0]["file"]
    assert read_bundle(kept).manifest.architecture == architecture
    config = configured(tmp_path, f"architecture: {architecture}, bundle: {kept}", vector)
    (tmp_path / "again").mkdir()
    again = run("replay", file, "--config", config, "--state", tmp_path / "again")
    assert again["trainings"]["promoted"] + again["trainings"]["rejected"] >= 1
    (taken, tuned, *_) = run("models", "list", "--state", tmp_path / "again")
    assert (taken["version"], taken["status"], taken["digest"]) == (1, "promoted", listed[0]["digest"])
    assert (tuned["version"], tuned["manifest"]["parent"]) == (2, listed[0]["digest"])


def test_a_bundle_trained_offline_serves(tmp_path: Path) -> None:
    """The documented sequence: train on history, name the bundle in the YAML; it serves from the first reading on."""
    file, recipe = readings(tmp_path / "tide.csv", stop=240), tmp_path / "small.yaml"
    recipe.write_text(RECIPE)
    run("train", "autoencoder", file, "--series", "gauge", "--recipe", recipe, "--out", tmp_path / "out")
    bundle = tmp_path / "out" / "small" / "bundle.safetensors"
    config = configured(tmp_path, f"architecture: dense-3, bundle: {bundle}")
    run("replay", file, "--config", config, "--state", tmp_path / "state")
    (taken, tuned, *_) = run("models", "list", "--state", tmp_path / "state")
    assert (taken["digest"], taken["manifest"]["configured"]) == (read_bundle(bundle).digest, True)
    assert (tuned["manifest"]["kind"], tuned["manifest"]["parent"]) == ("tune", taken["digest"])
    wrong = CliRunner().invoke(app, ["replay", str(file), "--config", str(configured(tmp_path, f"bundle: {recipe}"))])
    assert wrong.exit_code == 78
    assert "small.yaml" in wrong.output


def test_a_classifier_trained_offline_serves_the_taxis(tmp_path: Path, shared_data: Path) -> None:
    """What `train --task classify` writes for half-hourly readings serves New York's taxis: the network that scores
    them computes what it sees from the window, days before included, and nothing else is trained."""
    data, recipe = shared_data / "nab" / "data", tmp_path / "classes.yaml"
    recipe.write_text(CLASSES)
    taxi = data / "realKnownCause/nyc_taxi.csv"
    others = [data / "realKnownCause/ambient_temperature_system_failure.csv", data / "realTraffic/speed_6005.csv"]
    out = tmp_path / "out"
    run("train", "transformer", taxi, *others, "--task", "classify", "--recipe", recipe, "--out", out)
    config = tmp_path / "tidegauge.yaml"
    config.write_text(TAXI.replace("BUNDLE", str(out / "classes" / "bundle-30m.safetensors")))
    report = run("replay", taxi, "--config", config)
    assert report["readings"] == 10_320
    assert set(report["trainings"].values()) == {0}
    found = [event for event in report["events"] if "model" in event["reasons"]]
    assert found
    assert all(event["reconstruction_error"] > 0 for event in found)
