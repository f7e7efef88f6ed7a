"""`tidegauge train autoencoder|transformer` and `replay --report`: real files, a real process, a real kill."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.cli.train_networks import fitting
from daemon.config.file import from_effective
from daemon.offline import recipes
from daemon.offline.histories import of_file
from daemon.offline.trainings import BUNDLE, CHECKPOINT
from models.bundle_file import read_bundle

ROWS = 400
SMALL = """
version: 1
name: small
task: reconstruct
network: {architecture: masked-autoencoder, window: 16, masked: 2, copies: 1}
training: {epochs: EPOCHS, batch: 16}
"""


def rows() -> list[tuple[str, float]]:
    """Half-hourly stamps and a noisy daily sine."""
    rng = np.random.default_rng(0)
    values = 20 + 5 * np.sin(np.arange(ROWS) * 2 * np.pi / 48) + rng.standard_normal(ROWS)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        ((start + timedelta(minutes=30 * i)).strftime("%Y-%m-%d %H:%M:%S"), round(float(v), 3))
        for i, v in enumerate(values)
    ]


def csv_file(directory: Path) -> Path:
    path = directory / "meter.csv"
    path.write_text("timestamp,value\n" + "".join(f"{at},{value}\n" for at, value in rows()))
    return path


def small(directory: Path, epochs: int) -> Path:
    path = directory / "small.yaml"
    path.write_text(SMALL.replace("EPOCHS", str(epochs)))
    return path


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def test_files_of_every_kind_hold_the_same_readings(tmp_path: Path) -> None:
    """CSV, JSON lines and Parquet with stamps as text or as instants give equal series."""
    settings = from_effective({"version": 1, "streams": {"s": {}}})
    at, values = zip(*rows(), strict=True)
    (tmp_path / "meter.jsonl").write_bytes(
        b"".join(orjson.dumps({"timestamp": a, "value": v}) + b"\n" for a, v in rows())
    )
    pq.write_table(pa.table({"timestamp": at, "value": values}), tmp_path / "text.parquet")
    stamps = pa.array([datetime.fromisoformat(a) for a in at], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"timestamp": stamps, "value": values}), tmp_path / "meter.parquet")
    whole, _ = of_file(csv_file(tmp_path), settings, "s", None, lambda done, total: None)
    assert len(whole) == 1
    assert whole[0].interval_s == 1800
    for name in ("meter.jsonl", "text.parquet", "meter.parquet"):
        (found,), _ = of_file(tmp_path / name, settings, "s", None, lambda done, total: None)
        assert found.first == whole[0].first
        assert (found.values == whole[0].values).all()


def test_what_cannot_be_read_ends_in_one_line(tmp_path: Path) -> None:
    """A damaged Parquet file, a missing column and an unknown recipe name the file or key and what there is."""
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    for words, status, text in [
        ((tmp_path / "bad.parquet",), 1, "not a Parquet file"),
        ((csv_file(tmp_path), "--value", "litres"), 1, "no line is a reading"),
        ((csv_file(tmp_path), "--recipe", "dense-7"), 2, "dense-3, dense-4"),
        ((csv_file(tmp_path), "--recipe", "context"), 2, "not for this task"),
        ((csv_file(tmp_path), "--device", "tpu"), 2, "use auto, cpu or cuda"),
        ((), 2, "give either files"),
    ]:
        code, output = run("train", "autoencoder", *words, "--out", tmp_path / "out")
        assert (code, text in output, len(output.strip().splitlines())) == (status, True, 1), output
    with pytest.raises(recipes.RecipeError, match="batch is 0"):
        recipes.parse(SMALL.replace("16}\n", "16}\n", 1).replace("batch: 16", "batch: 0").replace("EPOCHS", "1"), "r")


@given(widths=st.lists(st.integers(4, 30), min_size=1, max_size=20), room=st.integers(60, 200))
@settings(deadline=None)
def test_a_table_wider_than_the_terminal_is_printed_in_parts(widths: list[int], room: int) -> None:
    """Every part fits and begins with the first column; the others come once each, in order."""
    parts = fitting(widths, room)
    assert [i for part in parts for i in part[1:]] == list(range(1, len(widths)))
    assert all(part[0] == 0 and sum(widths[i] for i in part) <= room for part in parts)


def test_lines_that_are_no_readings_are_said(tmp_path: Path) -> None:
    """A file cut off inside a line: trained on what is whole, and the lines left out are named where one looks."""
    file, out = csv_file(tmp_path), tmp_path / "out"
    file.write_text(file.read_text() + "2026-01-09 08:00:00,n/a\n2026-01-0")
    code, output = run("train", "autoencoder", file, "--recipe", small(tmp_path, 1), "--out", out)
    assert code == 0
    assert f"tidegauge: {file}: rejected 1 bad_value, 1 malformed; trained without them" in output
    assert "Rejected lines: 1 bad_value, 1 malformed." in (out / "report.html").read_text()
    figures = pd.read_csv(out / "report.csv")
    assert figures["seed"].tolist() == [0]
    assert figures["loss.validation"].notna().all()


def test_the_journal_of_a_daemon_holds_the_same_readings(tmp_path: Path) -> None:
    """What a run journaled trains the weights that its file trains; the journal says how it was read."""
    file, recipe, state = csv_file(tmp_path), small(tmp_path, 2), tmp_path / "state"
    config = tmp_path / "tidegauge.yaml"
    config.write_text(f"version: 1\nstate_dir: {state}\nstreams: {{tide: {{interval: 30m, warm_up: 6d}}}}\n")
    code, output = run("replay", file, "--config", config, "--state", state, "--json")
    assert code == 0, output
    for name, words in {"journal": ("--journal", state), "file": (file,)}.items():
        code, output = run("train", "autoencoder", *words, "--recipe", recipe, "--out", tmp_path / name)
        assert code == 0, output
    mine, other = (read_bundle(tmp_path / name / "small" / BUNDLE) for name in ("journal", "file"))
    assert (mine.manifest.stream, other.manifest.stream) == ("tide", "offline")
    assert {n: w.tobytes() for n, w in mine.weights.items()} == {n: w.tobytes() for n, w in other.weights.items()}
    for words, status, text in [
        (("--interval", "5m"), 2, "--journal goes without --labels"),
        (("--stream", "river"), 1, "which stream? --stream is one of tide"),
    ]:
        code, output = run("train", "autoencoder", "--journal", state, *words, "--out", tmp_path / "no")
        assert (code, text in output) == (status, True), output
    code, output = run("train", "autoencoder", "--journal", tmp_path / "none", "--out", tmp_path / "no")
    assert (code, "there is no state here" in output) == (1, True)


def test_every_shipped_recipe_is_one() -> None:
    """They are read, their names are their files', and what is written of one is the same recipe."""
    assert len(recipes.shipped()) >= 6
    for name in recipes.shipped():
        recipe = recipes.read(name)
        assert recipe.name == name
        assert recipes.parse(recipes.to_yaml(recipe), name) == recipe


def test_a_comparison_ends_with_bundles_and_one_report(tmp_path: Path) -> None:
    """`--compare A B` trains both by each seed; the page is self-contained and begins with their means over the seeds.

    The JSON has each training, images lie beside: of decisions and errors one for each variant.
    """
    first = small(tmp_path, 2)
    second = tmp_path / "other.yaml"
    second.write_text(first.read_text().replace("name: small", "name: other"))
    labels = tmp_path / "labels.json"
    at = rows()[330][0]
    labels.write_bytes(orjson.dumps({"meter.csv": [[at, rows()[340][0]]]}))
    out = tmp_path / "out"
    code, output = run(
        "train",
        "autoencoder",
        csv_file(tmp_path),
        "--labels",
        labels,
        "--out",
        out,
        "--json",
        "--seed",
        0,
        "--seed",
        1,
        "--compare",
        first,
        second,
    )
    assert code == 0, output
    page = (out / "report.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)
    report = orjson.loads((out / "report.json").read_bytes())
    names = [f"{name} seed {seed}" for name in ("small", "other") for seed in (0, 1)]
    assert [v["name"] for v in report["variants"]] == names
    assert 0 < page.index("Over seeds and folds</h2>") < page.index("Summary</h2>")
    assert "windows found: labelled windows that an episode above the threshold overlaps" in page
    layers = page[page.index("Layers</h2>") :]
    assert layers.count("<h3>") >= 1 and "Linear 64 → 32, ReLU" in layers
    assert sorted(path.name for path in out.glob("*confusion*")) == ["report-confusion-0.png", "report-confusion-1.png"]
    assert report["variants"][0]["windows found"] in ("0/1", "1/1")
    for image in ("loss", "roc", "precision-recall", "confusion-0", "time-0", "errors-0", "series-1"):
        assert (out / f"report-{image}.png").read_bytes().startswith(b"\x89PNG")
    assert read_bundle(out / "small-seed-1" / BUNDLE).manifest.stream == "offline"


def command(recipe: Path, file: Path, out: Path) -> list[str]:
    return ["train", "autoencoder", str(file), "--recipe", str(recipe), "--out", str(out)]


def said(output: str) -> list[str]:
    """What it said beside its progress."""
    return [line for line in output.splitlines() if not line.startswith("small:")]


MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background
from daemon.cli.main import main
main()
"""


def end_after_a_checkpoint(words: list[str], checkpoint: Path, by: signal.Signals) -> tuple[int, str]:
    """Exit status and what it said on standard error."""
    ended = subprocess.Popen(
        [sys.executable, "-c", MAIN, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while not checkpoint.exists() and ended.poll() is None:
        time.sleep(0.01)
    ended.send_signal(by)
    said = ended.communicate()[1]
    return ended.returncode, said


def test_killed_and_resumed_ends_with_the_same_weights(tmp_path: Path) -> None:
    """kill -9 after the first checkpoint, a full disk, a damaged input, the command again: the bundle of a run that was
    never stopped. What went wrong is said in one line each, and the checkpoint stays as it was."""
    recipe, file = small(tmp_path, 60), csv_file(tmp_path)
    words, checkpoint = command(recipe, file, tmp_path / "killed"), tmp_path / "killed" / "small" / CHECKPOINT
    assert end_after_a_checkpoint(words, checkpoint, signal.SIGKILL)[0] == -signal.SIGKILL
    good = checkpoint.read_bytes()

    checkpoint.with_name(CHECKPOINT + ".tmp").unlink(missing_ok=True)  # of the killed run
    checkpoint.with_name(CHECKPOINT + ".tmp").symlink_to("/dev/full")
    code, output = run(*words)
    assert (code, said(output)) == (1, [f"tidegauge: {checkpoint}: No space left on device"])

    damaged = tmp_path / "damaged" / "meter.csv"
    damaged.parent.mkdir()
    damaged.write_bytes(file.read_bytes().replace(b",", b"\x00", 300))
    code, output = run(*command(recipe, damaged, tmp_path / "killed"))
    assert (code, len(said(output)), str(damaged) in output) == (1, 1, True), output
    assert checkpoint.read_bytes() == good

    assert run(*words)[0] == 0
    assert run(*command(recipe, file, tmp_path / "whole"))[0] == 0
    whole, resumed = (read_bundle(tmp_path / name / "small" / BUNDLE) for name in ("whole", "killed"))
    assert whole == resumed


def test_ctrl_c_says_that_the_command_goes_on(tmp_path: Path) -> None:
    """One line with the directory of the checkpoints, and the exit status that shells give for an interrupt."""
    out = tmp_path / "out"
    words = command(small(tmp_path, 2000), csv_file(tmp_path), out)
    status, text = end_after_a_checkpoint(words, out / "small" / CHECKPOINT, signal.SIGINT)
    assert status == 130
    goes_on = f"tidegauge: interrupted; the same command goes on from the checkpoints in {out}"
    assert said(text) == [goes_on]


def test_a_replay_writes_its_report(tmp_path: Path) -> None:
    """Readings, expected band, error, rarity and events of the file on one page."""
    page = tmp_path / "replay.html"
    code, output = run("replay", csv_file(tmp_path), "--warm-up", "4d", "--report", page, "--json")
    assert code == 0, output
    assert "Rarity against the threshold" in page.read_text()
    for figure in ("readings", "error", "rarity"):
        assert (tmp_path / f"replay-{figure}-0.png").exists()
    assert orjson.loads((tmp_path / "replay.json").read_bytes())["summary"]["readings"] == ROWS


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (("train", "autoencoder", "meter.csv"), "plotly"),
        (("replay", "meter.csv", "--report", "page.html"), "matplotlib"),
        (("describe", "meter.parquet"), "pyarrow"),
    ],
)
def test_a_plain_install_says_what_to_install(
    words: tuple[str, ...], missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that need the extra end at once, in one line with the command that brings it."""
    monkeypatch.chdir(tmp_path)
    csv_file(tmp_path)
    pq.write_table(pa.table({"timestamp": [0], "value": [1.0]}), tmp_path / "meter.parquet")
    monkeypatch.setitem(sys.modules, missing, None)  # importing it raises ModuleNotFoundError
    code, output = run(*words)
    assert code == 1
    assert output.strip().endswith(f"install tidegauge[offline], or run: {sys.executable} -m pip install {missing}")
    assert len(output.strip().splitlines()) == 1


def test_a_recipe_that_cannot_be_trained_is_refused_before_any_training(tmp_path: Path) -> None:
    """Of two recipes the second is wrong: one line says what, and nothing was written for the first."""
    meter, good, out = csv_file(tmp_path), small(tmp_path, 1), tmp_path / "out"
    bad = tmp_path / "bad.yaml"
    for change, said in {
        ("masked-autoencoder", "dense-9"): "architecture 'dense-9' is not known; use one of masked-autoencoder",
        ("masked-autoencoder", "transformer-classifier"): "network.architecture is transformer-classifier, which is",
        ("copies: 1", "copies: 1, options: {dim: 8}"): "architecture masked-autoencoder has no options",
        ("window: 16", "windows: 16"): "network.windows is not a known key",
        ("version: 1", ""): "version is missing",
        ("batch: 16", "batch: many"): "training.batch is 'many': Input should be a valid integer",
        ("", ""): "two recipes are named small",
    }.items():
        bad.write_text(
            good.read_text().replace(*change).replace("name: small", "name: small" if change[0] == "" else "name: bad")
        )
        status, text = run("train", "autoencoder", meter, "--compare", good, bad, "--out", out)
        assert status == 2, text
        assert said in text
        assert "Traceback" not in text
        assert not out.exists()


def test_a_refused_training_leaves_the_recipe_beside_its_checkpoint(tmp_path: Path) -> None:
    """Another recipe of the same name is refused, and the directory still says what made its bundle."""
    meter, first, out = csv_file(tmp_path), small(tmp_path, 1), tmp_path / "out"
    assert run("train", "autoencoder", meter, "--recipe", first, "--out", out)[0] == 0
    before = (out / "small" / "recipe.yaml").read_text()
    status, text = run("train", "autoencoder", meter, "--recipe", small(tmp_path, 2), "--out", out)
    assert status == 1
    assert "differs in recipe" in text
    assert (out / "small" / "recipe.yaml").read_text() == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("train", "transformer", "a.csv", "--trees"), 2, "--trees goes with --task classify"),
        (("train", "transformer", "a.csv", "--task", "classify", "--trees"), 1, "pip install scikit-learn"),
    ],
)
def test_trees_are_an_extra(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where they make no sense, or cannot be grown, one line says so before anything is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.offline.boosted_trees.is_installed", lambda: False)
    found, output = run(*words)
    assert (found, len(output.strip().splitlines())) == (code, 1)
    assert said in output
