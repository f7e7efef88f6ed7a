"""A file that overwrites another one while torch loads it, brought to every door that takes a model: nothing runs."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from daemon.runtime.recorded_trainer import RecordedTrainer
from daemon.store import Store
from models.bundle import Bundle
from models.bundle_file import read_bundle, write_bundle
from tests.daemon.cli.small_inputs import readings
from tests.daemon.engine.small_engines import PureTrainer
from tests.models.attacks import attack
from tests.models.samples import bundle, request

PRECIOUS = b"precious"
STREAM = """
version: 1
state_dir: state
streams:
  tide:
    format: {series: gauge}
    interval: 1h
    clock: event
    warm_up: 4d
    model: {window: 8, copies: 1, masked: 2, retrain_every: 60}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with a model in service."""
    directory = tmp_path_factory.mktemp("made")
    (directory / "tidegauge.yaml").write_text(STREAM)
    file = readings(directory / "tide.csv", stop=200)
    (directory / "state").mkdir(mode=0o700)
    done = tidegauge("replay", file, "--config", directory / "tidegauge.yaml", "--state", directory / "state")
    assert done.exit_code == 0, done.output
    return directory


def tidegauge(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


def refused(done: Result, victim: Path, status: int = 1) -> None:
    """One line said no, and the file beside it is as it was."""
    assert victim.read_bytes() == PRECIOUS
    assert done.exit_code == status, done.output
    assert "no bundle" in done.output or "not a TorchScript file" in done.output
    assert "Traceback" not in done.output


def crafted(state: Path, victim: Path) -> int:
    """Have the state hold the made file as a sound version of its stream; the version."""
    digest, manifest = bundle().digest, asdict(bundle().manifest)
    with Store.open(state) as store:
        return store.put_model("tide", "made", attack(victim), digest=digest, manifest=manifest, outcome="promoted")


def test_commands_that_take_a_file(tmp_path: Path, victim: Path) -> None:
    """`models show`, `combine` and `convert` refuse it."""
    (made := tmp_path / "made.pt").write_bytes(attack(victim))
    write_bundle(good := tmp_path / "good.safetensors", bundle())
    out = tmp_path / "out.safetensors"
    refused(tidegauge("models", "show", made), victim)
    refused(tidegauge("models", "show", made, "--graph", tmp_path / "out.svg"), victim)
    refused(tidegauge("models", "combine", made, good, "--out", out), victim)
    refused(tidegauge("models", "convert", made, "--out", out), victim)
    assert not out.exists()


def test_a_configured_bundle(directory: Path, victim: Path) -> None:
    """`model.bundle` refuses it, in a replay as in a daemon, before a reading is read."""
    (made := directory / "made.pt").write_bytes(attack(victim))
    config = directory / "tidegauge.yaml"
    config.write_text(STREAM.replace("retrain_every: 60", f"retrain_every: 60, bundle: {made}"))
    refused(tidegauge("replay", directory / "tide.csv", "--config", config), victim, 78)
    shutil.rmtree(directory / "state")
    refused(tidegauge("train", "--from", directory / "tide.csv", "--config", config), victim, 78)


def test_a_version_in_the_state(directory: Path, victim: Path) -> None:
    """`models promote` refuses a file whose SHA-256 is the one recorded all the same."""
    version = crafted(directory / "state", victim)
    refused(tidegauge("models", "promote", version, "--config", directory / "tidegauge.yaml"), victim)


def test_an_imported_state(directory: Path, tmp_path: Path, victim: Path) -> None:
    """An export that somebody made is imported as the data it is; its model is refused when it is asked for."""
    version, config = crafted(directory / "state", victim), directory / "tidegauge.yaml"
    assert tidegauge("state", "export", tmp_path / "state.tar", "--config", config).exit_code == 0
    shutil.rmtree(directory / "state")
    assert tidegauge("state", "import", tmp_path / "state.tar", "--config", config).exit_code == 0
    assert victim.read_bytes() == PRECIOUS
    assert tidegauge("state", "check", "--config", config).exit_code == 0
    refused(tidegauge("models", "promote", version, "--config", config), victim)


def test_a_recorded_outcome(tmp_path: Path, victim: Path) -> None:
    """Recovery that finds it where a training's outcome is recorded trains again."""
    asked = request()
    with Store.open(tmp_path / "state") as store:
        store.put_model(asked.stream, asked.id, attack(victim), digest="", manifest={}, outcome="candidate")
        trainer = RecordedTrainer(PureTrainer(), store)
        trainer.submit(asked, 60)
        assert isinstance(trainer.result(asked.id), Bundle)
    assert victim.read_bytes() == PRECIOUS


def test_converted_there_and_back(tmp_path: Path) -> None:
    """`models convert` writes the file for others and reads it again; another ending is a usage error."""
    write_bundle(tmp_path / "a.safetensors", bundle())
    for one, other in (("a.safetensors", "b.pt"), ("b.pt", "c.safetensors")):
        done = tidegauge("models", "convert", tmp_path / one, "--out", tmp_path / other)
        assert (done.exit_code, done.output) == (0, f"wrote {tmp_path / other}\n")
    assert read_bundle(tmp_path / "b.pt") == bundle()
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "c.safetensors").read_bytes()
    assert tidegauge("models", "convert", tmp_path / "b.pt", "--out", tmp_path / "c.onnx").exit_code == 2
