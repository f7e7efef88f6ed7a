"""`tidegauge bench nab` on a miniature corpus made here: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from daemon.bench.corpus import CorpusError, read_corpus
from daemon.bench.nab import WITHOUT, _episodes, warm_up_s
from daemon.bench.scores import RULES, Detection
from daemon.cli.bench_commands import _file_table, _part_table, _ranking_table, _score_table, _seed_table
from daemon.cli.main import app
from models.nab_score import PROFILES, Profile

START = datetime(2020, 1, 1)
ROWS, PROBATION = 430, 64


def stamp(row: int) -> str:
    """Of half-hourly rows."""
    return (START + timedelta(minutes=30 * row)).strftime("%Y-%m-%d %H:%M:%S")


def write(path: Path, values: Any, doubled: int | None = None) -> None:
    """A file of readings; `doubled` is a row written twice, a minute apart, so that two rows share a slot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{stamp(i)},{value:.3f}" for i, value in enumerate(values)]
    if doubled is not None:
        lines.insert(doubled + 1, lines[doubled].replace(":00,", ":30,"))
    path.write_text("timestamp,value\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files: one with an unmistakable fault in its window, in a slot of two rows; one without windows."""
    root = tmp_path_factory.mktemp("corpus")
    at = np.arange(ROWS)
    values = 10 + 3 * np.sin(2 * np.pi * at / 48) + np.random.default_rng(0).normal(0, 0.1, ROWS)
    write(root / "data/quiet/b.csv", values)
    values[300:310] += 20
    write(root / "data/faulty/a.csv", values, doubled=300)
    (root / "labels").mkdir()
    windows = {"faulty/a.csv": [[stamp(290) + ".000000", stamp(320) + ".000000"]], "quiet/b.csv": []}
    (root / "labels/combined_windows.json").write_text(json.dumps(windows))
    return root


def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "daemon.cli", "bench", "nab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def figures_of(results: Path) -> Path:
    """Where the figures of these results are, as CSV."""
    return results.with_name("figures.csv")


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The JSON of two seeds over the corpus, and where its results are."""
    results = tmp_path_factory.mktemp("results")
    done = bench(
        corpus, "--json", "--results", results, "--jobs", 1, "--seed", 1, "--seed", 0, "--csv", figures_of(results)
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), results


def test_the_json_has_every_figure(run: tuple[dict[str, Any], Path]) -> None:
    """Four detectors, four rules, three profiles; the mean and the spread of two seeds."""
    found, _ = run
    assert (found["files"], found["rows"], found["windows"], found["seeds"]) == (2, 2 * ROWS + 1, 1, [0, 1])
    names = ["tidegauge", "half-space-trees", "weekly-profile", "window-autoencoder"]
    assert list(found["detectors"]) == names
    for detector in found["detectors"].values():
        assert [figures["seed"] for figures in detector["seeds"]] == [0, 1]
        for figures in (*detector["seeds"], detector["mean"], detector["spread"]):
            assert set(figures["nab"]) == {*RULES, "thresholds"}
            assert all(set(figures["nab"][rule]) == set(PROFILES) for rule in RULES)
        for key in ("vus_pr", "false_episodes"):
            a, b = (figures[key] for figures in detector["seeds"])
            assert detector["mean"][key] == pytest.approx((a + b) / 2)
            assert detector["spread"][key] == pytest.approx(abs(a - b) / math.sqrt(2))
    assert [(f["seed"], f["file"], f["detector"]) for f in found["per_file"]] == [
        (seed, file, name) for seed in (0, 1) for file in ("faulty/a.csv", "quiet/b.csv") for name in names
    ]


def test_the_csv_has_a_row_for_each_detector_and_seed(run: tuple[dict[str, Any], Path]) -> None:
    """With the JSON's figures, a column for each of those that it nests."""
    found, results = run
    table = pd.read_csv(figures_of(results))
    rows = [(name, seed) for name, each in found["detectors"].items() for seed in each["seeds"]]
    assert list(zip(table["detector"], table["seed"], strict=True)) == [(name, seed["seed"]) for name, seed in rows]
    assert table["vus_pr"].tolist() == pytest.approx([seed["vus_pr"] for _, seed in rows])
    assert table["nab.default.standard"].tolist() == pytest.approx([s["nab"]["default"]["standard"] for _, s in rows])


def test_the_tables_show_it(run: tuple[dict[str, Any], Path]) -> None:
    """Every detector by name, the files, mean and spread."""
    console = Console(width=150, record=True, file=io.StringIO())
    for table in (_file_table(run[0]), _score_table(run[0]), _seed_table(run[0]), _ranking_table(run[0])):
        console.print(table)
    text = console.export_text()
    assert "2 files, 1 window, seeds 0, 1" in text
    assert "faulty/a.csv" in text
    assert all(name in text for name in run[0]["detectors"])
    assert "±" in text


def test_each_part_can_be_left_out(corpus: Path) -> None:
    """An ablation runs the engine without each part, and no baseline; parts that make the ranking change it, one that
    only holds notifications back does not.
    """
    done = bench(corpus, "--json", "--file", "a.csv", "--jobs", 1, "--ablate")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["detectors"]) == ["tidegauge", *(f"without {part}" for part in WITHOUT)]
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(_part_table(found))
    assert "without fine-tuning" in console.export_text()
    whole = found["detectors"]["tidegauge"]["mean"]["vus_pr"]
    changed = {name for name, one in found["detectors"].items() if one["mean"]["vus_pr"] != whole}
    assert changed >= {f"without {part}" for part in ("scaling", "masking", "ensemble", "likelihood")}
    assert "without refractory" not in changed


def test_one_seed_has_no_spread_and_no_windows_no_score(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be said is a dash; a false alarm in two rows of one slot is one."""
    at = np.arange(ROWS) * 900
    alarm = np.isin(at, [200 * 900, 201 * 900]).astype(float)
    said = Detection("tidegauge", "quiet/b.csv", 0, 1800, at, alarm, alarm, alarm > 0, math.nan, math.nan)
    monkeypatch.setattr("daemon.bench.nab.run", lambda *arguments: [said])
    shown = CliRunner().invoke(app, ["bench", "nab", str(corpus), "--file", "b.csv", "--verbose"]).stdout
    assert "1 file, 0 windows, seed 0" in shown
    assert "±" not in shown
    assert re.search("shipped threshold +│ +- │ +- │ +- ", shown)
    assert re.search("quiet/b.csv │ tidegauge │ 0 +│ +0/0 │ +1 of 1 ", shown)


def test_the_fault_is_found(run: tuple[dict[str, Any], Path]) -> None:
    """An unmistakable fault: found in its first slot, 10 slots into its window, and ranked above everything."""
    ours = run[0]["detectors"]["tidegauge"]["mean"]
    assert (ours["windows_found"], ours["event_recall"], ours["median_delay_slots"]) == (1, 1.0, 10.0)
    assert ours["nab"]["best_threshold"]["standard"] > 80
    assert ours["vus_pr"] > 0.3
    for profile in PROFILES:
        assert ours["nab"]["best_threshold"][profile] >= ours["nab"]["default"][profile]


def test_results_are_laid_out_as_nabs(run: tuple[dict[str, Any], Path], corpus: Path) -> None:
    """A file for each of the corpus's: its rows and stamps as they are, the label, a score where a notification is."""
    found, results = run
    written = sorted(p.relative_to(results).as_posix() for p in results.rglob("*.csv"))
    names = ["tidegauge/faulty/tidegauge_a.csv", "tidegauge/quiet/tidegauge_b.csv"]
    assert written == [f"seed-{seed}/{name}" for seed in (0, 1) for name in names]
    with (results / written[0]).open() as file, (corpus / "data/faulty/a.csv").open() as given:
        rows, inputs = list(csv.DictReader(file)), list(csv.DictReader(given))
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score", "label"]
    assert [(r["timestamp"], r["value"]) for r in rows] == [(r["timestamp"], r["value"]) for r in inputs]
    assert [i for i, r in enumerate(rows) if r["label"] == "1"] == list(range(290, 322))
    scores = np.array([float(r["anomaly_score"]) for r in rows])
    assert scores[300] == scores[301] >= 3.16, "both rows of the slot, at least the threshold of a half-hourly stream"
    ours = next(f for f in found["per_file"] if f["file"] == "faulty/a.csv" and f["detector"] == "tidegauge")
    false = np.flatnonzero(scores[PROBATION:]) + PROBATION
    assert ((false < 290) | (false > 321)).sum() == ours["false_episodes"]
    assert not scores[:PROBATION].any()


def test_the_score_is_that_of_the_results(run: tuple[dict[str, Any], Path]) -> None:
    """NAB's own scorer, transcribed, gives the printed scores from the files written."""
    found, results = run
    for figures in found["detectors"]["tidegauge"]["seeds"]:
        paths = sorted((results / f"seed-{figures['seed']}").rglob("*.csv"))
        for name, profile in PROFILES.items():
            raw = sum(sweep(list(csv.DictReader(path.read_text().splitlines())), profile) for path in paths)
            windows = found["windows"]
            score = 100 * (raw + profile.false_negative * windows) / (1 + profile.false_negative) / windows
            assert figures["nab"]["default"][name] == pytest.approx(score)


def sweep(rows: list[dict[str, str]], profile: Profile) -> float:
    """`Sweeper.calcSweepScore` and `calcScoreByThreshold` of NAB 1.1, for rows with one window at most."""

    def sigmoid(position: float) -> float:
        return -1.0 if position > 3.0 else 2 / (1 + math.exp(5 * position)) - 1

    inside = [i for i, row in enumerate(rows) if row["label"] == "1"]
    best, false = -profile.false_negative, 0.0
    for i, row in enumerate(rows):
        if i < min(math.floor(0.15 * len(rows)), 750) or float(row["anomaly_score"]) < 0.5:
            continue
        if i in inside:
            position = -(inside[-1] - i + 1) / len(inside)
            best = max(best, sigmoid(position) / sigmoid(-1.0) * profile.true_positive)
        elif inside and i > inside[-1]:
            false += sigmoid((i - inside[-1]) / (len(inside) - 1)) * profile.false_positive
        else:
            false -= profile.false_positive
    return (best if inside else 0.0) + false


def _no_labels(root: Path) -> None:
    (root / "labels/combined_windows.json").unlink()


def _no_entry(root: Path) -> None:
    (root / "labels/combined_windows.json").write_text("{}")


def _no_files(root: Path) -> None:
    (root / "data/g/x.csv").unlink()


def _bad_row(root: Path) -> None:
    (root / "data/g/x.csv").write_text("timestamp,value\n2020-01-01 00:00:00,abc\n")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_labels, "combined_windows.json: No such file"),
        (_no_entry, "has no entry g/x.csv; add one"),
        (_no_files, "no data/<group>/<file>.csv"),
        (_bad_row, "x.csv:2: ValueError"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    """Where, what is there, what is expected; exit 1."""
    write(tmp_path / "data/g/x.csv", np.arange(300.0))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/combined_windows.json").write_text('{"g/x.csv": []}')
    spoil(tmp_path)
    done = bench(tmp_path, "--no-baselines")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_files_are_chosen_by_pattern(corpus: Path) -> None:
    """On the file's name with its group or without."""
    for pattern, names in {"*": 2, "a.csv": 1, "quiet/*": 1, "b*": 1}.items():
        assert len(read_corpus(corpus, pattern)) == names
    with pytest.raises(CorpusError, match="matches z"):
        read_corpus(corpus, "z")


def test_the_warm_up_ends_where_probation_does() -> None:
    """As a time: the span to the first scored row where rows are missing, and never fewer slots than two windows."""
    at = np.arange(2000) * 300
    assert warm_up_s(at, 300, 32) == 300 * 300
    at[100:] += 86400
    assert warm_up_s(at, 300, 32) == 300 * 300 + 86400
    assert warm_up_s(at[:100], 300, 32) == 64 * 300


def test_a_baselines_episodes_have_one_day_of_refractory() -> None:
    """Runs of anomalous readings no more than three apart are one episode; a notification holds back those of a day."""
    at, anomalous = np.arange(100) * 3600, np.zeros(100, bool)
    anomalous[[10, 12, 20, 33, 34, 58]] = True
    opened, notified = _episodes(at, anomalous)
    assert np.flatnonzero(opened).tolist() == [10, 20, 33, 58]
    assert np.flatnonzero(notified).tolist() == [10, 58]
