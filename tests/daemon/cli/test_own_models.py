"""An own model through the commands: it serves where the configuration names its SHA-256, and nowhere else."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from daemon.cli.main import app
from daemon.config.change import RefusedError
from daemon.config.file import load
from daemon.runtime.durable import DurableEngine
from daemon.store import Store
from models import own_files
from models.bundle_errors import OwnModelError
from tests.daemon.cli.small_inputs import readings
from tests.daemon.engine.small_engines import PureTrainer
from tests.models.attacks import attack
from tests.models.own_models import own, write

STREAM = """
version: 1
state_dir: state
streams:
  tide:
    format: {series: gauge}
    interval: 1h
    clock: event
    warm_up: 4d
    model: {window: 8, retrain_every: 60, torchscript: own.pt, sha256: HEX}
"""


@pytest.fixture(autouse=True)
def _nothing_allowed() -> Iterator[None]:
    own_files.allow({})
    yield
    own_files.allow({})


def tidegauge(*words: object) -> Result:
    own_files.allow({})  # a process of its own begins with none
    return CliRunner().invoke(app, [*map(str, words)])


def run(*words: object) -> Any:
    done = tidegauge(*words, "--json")
    assert done.exit_code == 0, done.output
    return orjson.loads(done.stdout)


def configured(directory: Path, sha256: str) -> Path:
    path = directory / "tidegauge.yaml"
    path.write_text(STREAM.replace("HEX", f'"{sha256}"'))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state that an own model serves, from half of a file of readings."""
    directory = tmp_path_factory.mktemp("made")
    config = configured(directory, write(directory / "own.pt", own()))
    readings(directory / "tide.csv", stop=150)
    readings(directory / "more.csv", start=150, stop=260)
    (directory / "state").mkdir(mode=0o700)
    run("replay", directory / "tide.csv", "--config", config, "--state", directory / "state")
    return directory


def test_it_serves_and_is_never_trained(tmp_path: Path) -> None:
    """It scores from the warm-up's end on, raises an event at the fault, and no training is started."""
    config = configured(tmp_path, write(tmp_path / "own.pt", own()))
    report = run("replay", readings(tmp_path / "tide.csv"), "--config", config)
    assert report["trainings"] == {"promoted": 0, "rejected": 0, "failed": 0, "skipped": 0}
    assert report["events"]


def test_restart_and_repetition_are_equal(directory: Path) -> None:
    """A state goes on after a restart, its journal repeats to the same bits, and both equal one run without a state."""
    config, state = directory / "tidegauge.yaml", directory / "state"
    report = run("replay", directory / "more.csv", "--config", config, "--state", state)
    again = run("replay", "--journal", state, "--config", config)
    assert again["equal"]
    assert again["state_sha256"] == report["state_sha256"]
    (model,) = run("models", "list", "--config", config)
    assert (model["version"], model["status"], model["serving"]) == (1, "promoted", True)
    assert run("models", "promote", 1, "--config", config)["version"] == 1


def test_without_its_name_nothing_is_changed(directory: Path) -> None:
    """Where the configuration does not name the checksum the state is refused as it is, and serves again later."""
    config, state = directory / "tidegauge.yaml", directory / "state"
    text = config.read_text()
    config.write_text(
        text.replace("torchscript: own.pt, ", "").replace("sha256: ", "seed: ").split(", seed")[0] + "}\n"
    )
    before = {path.name: path.read_bytes() for path in (state / "checkpoints").iterdir()}
    for words in (
        ("replay", directory / "more.csv", "--config", config, "--state", state),
        ("models", "promote", 1, "--config", config),
        ("replay", "--journal", state),
        ("replay", "--journal", state, "--config", config),
    ):
        done = tidegauge(*words)
        assert done.exit_code == 78, done.output
        assert "an own model with SHA-256" in done.output
        assert len(done.output.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in (state / "checkpoints").iterdir()} == before
    config.write_text(text)
    assert run("replay", directory / "more.csv", "--config", config, "--state", state)["events"]


def test_a_file_that_was_exchanged_is_not_run(directory: Path, victim: Path) -> None:
    """A file with other bytes is refused by every command that would score, and nothing in it runs."""
    (directory / "own.pt").write_bytes(attack(victim))
    config, state = directory / "tidegauge.yaml", directory / "state"
    for words in (
        ("replay", directory / "more.csv", "--config", config),
        ("replay", directory / "more.csv", "--config", config, "--state", state),
        ("replay", "--journal", state, "--config", config),
        ("models", "promote", 1, "--config", config),
    ):
        done = tidegauge(*words)
        assert done.exit_code == 78, done.output
        assert "nothing of it was run" in done.output
    assert victim.read_bytes() == b"precious"


def test_an_import_allows_nothing(directory: Path, tmp_path: Path, victim: Path) -> None:
    """An export carries the checksum, no code; who imports it must name the file, and a file named there only does not.

    A second state, whose configuration names another checksum, refuses the imported one.
    """
    config = directory / "tidegauge.yaml"
    assert tidegauge("state", "export", tmp_path / "state.tar", "--config", config).exit_code == 0
    with tarfile.open(tmp_path / "state.tar") as archive:
        held = b"".join(archive.extractfile(each).read() for each in archive if each.isfile())  # type: ignore[union-attr]
    assert hashlib.sha256(own()).hexdigest().encode() in held
    assert b"constants.pkl" not in held
    other = tmp_path / "other"
    other.mkdir()
    there = configured(other, write(other / "own.pt", attack(victim)))
    assert tidegauge("state", "import", tmp_path / "state.tar", "--config", there).exit_code == 0
    for words in (("replay", directory / "more.csv", "--state", other / "state"), ("models", "promote", 1)):
        done = tidegauge(*words, "--config", there)
        assert done.exit_code == 78, done.output
        assert "an own model with SHA-256" in done.output
    assert victim.read_bytes() == b"precious"
    there = configured(other, write(other / "own.pt", own()))
    assert run("replay", directory / "more.csv", "--config", there, "--state", other / "state")["events"]


def test_another_model_needs_another_state(directory: Path) -> None:
    """A reload that names another checksum, or none, is refused and nothing is changed; another path is taken."""
    text = (directory / "tidegauge.yaml").read_text()
    with Store.open(directory / "state") as store:
        durable = DurableEngine(store, PureTrainer())
        settings = load(directory / "tidegauge.yaml")
        durable.recover()
        durable.configure(settings, 0)
        (directory / "moved.pt").write_bytes(own())
        config = directory / "tidegauge.yaml"
        config.write_text(text.replace("own.pt", "moved.pt"))
        durable.configure(load(config), 0)
        config.write_text(text.replace(hashlib.sha256(own()).hexdigest(), "0" * 64))
        with pytest.raises(RefusedError, match=r"streams.tide.model.sha256 differ"):
            durable.configure(load(config), 0)


def test_a_kill_does_not_set_the_state_aside(directory: Path) -> None:
    """Recovery that must score with a model that may not run ends; journal and checkpoints are as they were."""
    state = directory / "state"
    for path in (state / "checkpoints").iterdir():
        path.unlink()
    with Store.open(state) as store:
        durable, last = DurableEngine(store, PureTrainer()), store.last_seq
        with pytest.raises(OwnModelError):
            durable.recover()
        assert (store.last_seq, store.journal_is_whole) == (last, True)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            "torchscript: own.pt",
            "which is code, and nothing says which; if you trust it, set streams.tide.model.sha256",
        ),
        (f"sha256: '{'0' * 64}'", "streams.tide.model.sha256 is set without streams.tide.model.torchscript"),
        ("torchscript: own.pt, sha256: '00'", "streams.tide.model.sha256"),
        (f"torchscript: none.pt, sha256: '{'0' * 64}'", "none.pt, but there is no such file; name a TorchScript file"),
        (f"torchscript: own.pt, bundle: own.pt, sha256: '{'0' * 64}'", "but one model serves; remove one"),
    ],
)
def test_what_cannot_be_configured(model: str, says: str, tmp_path: Path) -> None:
    """A file without a checksum, a checksum without a file, no checksum, no file, two models: one line each."""
    write(tmp_path / "own.pt", own())
    (config := tmp_path / "tidegauge.yaml").write_text(STREAM.replace("torchscript: own.pt, sha256: HEX", model))
    done = tidegauge("check", "--config", config)
    assert done.exit_code == 78
    assert says in done.output


def test_showing_and_converting_its_bundle(directory: Path, tmp_path: Path) -> None:
    """The state's file of the version says which model it stands for; it is neither drawn nor made code."""
    (file,) = (directory / "state" / "models").iterdir()
    assert "stands for your own model with SHA-256" in tidegauge("models", "show", file).output
    assert "its file is yours" in tidegauge("models", "convert", file, "--out", tmp_path / "a.pt").output
